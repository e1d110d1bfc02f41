// Command capture measures how fast, how late, how big and how exact the capture of nubridge is, beside Debezium, beside a
// plain loop and beside the server itself: one run, one machine, the same log for all. It starts broker, server and Debezium
// with the scripts of bench/lab.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// settings is the command line.
type settings struct {
	lab, cache        string
	nubridge          string
	pgPort, kafkaPort int
	major             int
	rows, tx1Rows     int
	snapshotRows      int
	bigRows           int
	scaleRows         int
	rate              int
	warm, steady      time.Duration
	runs, peerRuns    int
	partitions        int
	scenarios         []string
	targets           []string
	kills             bool
	keep              bool
	limit, quiet      time.Duration
	docs              string
	profile           string
}

func main() {
	if len(os.Args) > 1 {
		if part, ok := parts()[os.Args[1]]; ok {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			err := part(ctx)
			stop()
			if err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	s, err := parse(os.Args[1:])
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench-capture:", err)
		}
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = measure(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-capture:", err)
		os.Exit(1)
	}
}

// parts are the measured programs that live in this binary, each started as a process of its own.
func parts() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{"floor": floor, "copy": copyFloor, "baseline": baseline}
}

func parse(args []string) (settings, error) {
	var s settings
	var scenarios, targets string
	f := flag.NewFlagSet("capture", flag.ContinueOnError)
	f.StringVar(&s.lab, "lab", "bench/lab", "folder of the lab's scripts")
	f.StringVar(&s.nubridge, "nubridge", "", "the built binary; built from ./cmd/nubridge by default")
	f.IntVar(&s.pgPort, "pg-port", 5717, "port of the lab's PostgreSQL")
	f.IntVar(&s.kafkaPort, "kafka-port", 9592, "port of the lab's broker")
	f.IntVar(&s.major, "major", 17, "PostgreSQL's major version")
	f.IntVar(&s.rows, "rows", 1_000_000, "(a) row changes of the backlog at 100 rows a transaction; the other sizes follow it")
	f.IntVar(&s.tx1Rows, "tx1-rows", 0, "(a) row changes of the backlog at 1 row a transaction; as -rows by default")
	f.IntVar(&s.snapshotRows, "snapshot-rows", 0, "(c) rows of the table; twice -rows by default")
	f.IntVar(&s.bigRows, "big-rows", 0, "(d) row changes of the one transaction; five times -rows by default")
	f.IntVar(&s.scaleRows, "scale-rows", 0, "the largest backlog of scale, which begins with 10,000; 10,000,000 takes ten minutes; as -rows by default")
	f.IntVar(&s.rate, "rate", 1000, "(b) single-row transactions a second")
	f.DurationVar(&s.warm, "warm", 0, "(b) load before measuring; 10 s at full size, less below")
	f.DurationVar(&s.steady, "steady", 0, "(b) load while measuring; 30 s at full size, less below")
	f.IntVar(&s.runs, "runs", 0, "runs of nubridge, tuned Debezium and the floor in (a) at 100 rows; 5 at full size, 1 below")
	f.IntVar(&s.peerRuns, "peer-runs", 0, "runs of everything else; 2 at full size, 1 below")
	f.IntVar(&s.partitions, "partitions", 3, "partitions of each topic")
	f.StringVar(&scenarios, "scenario", "drain,tx1,steady,snapshot,big,scale,wide", "what to measure")
	f.StringVar(&targets, "target", "", "whom to measure; floor,nubridge,debezium-tuned,baseline by default, and debezium as it comes at full size")
	f.BoolVar(&s.kills, "kills", true, "kill nubridge at the worst moments and count repeats")
	f.BoolVar(&s.keep, "keep", false, "leave the lab's servers running")
	f.DurationVar(&s.limit, "limit", 15*time.Minute, "limit of one run")
	f.DurationVar(&s.quiet, "quiet", 20*time.Second, "wait at most this long for a quiet machine before each run")
	f.StringVar(&s.docs, "docs", "docs/BENCHMARKS.md", "page that a full-size run writes; a smaller one writes beside the results")
	f.StringVar(&s.profile, "profile", "", "command that is started with the pid of nubridge added, such as a profiler")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if targets == "" {
		targets = "floor,nubridge,debezium-tuned,baseline"
		if s.full() {
			targets += ",debezium"
		}
	}
	s.scenarios, s.targets = strings.Split(scenarios, ","), strings.Split(targets, ",")
	s.defaults()
	var err error
	if s.lab, err = filepath.Abs(s.lab); err != nil {
		return s, err
	}
	s.cache = os.Getenv("NUBRIDGE_LAB")
	if s.cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return s, err
		}
		s.cache = filepath.Join(home, ".cache", "nubridge-lab")
	}
	return s, nil
}

// full tells whether the sizes are those that figures are published for.
func (s *settings) full() bool { return s.rows >= 1_000_000 }

func (s *settings) defaults() {
	s.rows = max(1000, s.rows/1000*1000)
	or := func(value *int, def int) {
		if *value == 0 {
			*value = def
		}
	}
	or(&s.tx1Rows, s.rows)
	or(&s.snapshotRows, 2*s.rows)
	or(&s.bigRows, 5*s.rows)
	or(&s.scaleRows, s.rows)
	runs, peers, warm, steady := 1, 1, 2*time.Second, 5*time.Second
	if s.full() {
		runs, peers, warm, steady = 5, 2, 10*time.Second, 30*time.Second
	}
	or(&s.runs, runs)
	or(&s.peerRuns, peers)
	if s.warm == 0 {
		s.warm = warm
	}
	if s.steady == 0 {
		s.steady = steady
	}
}

func (s *settings) wants(target string) bool {
	for _, t := range s.targets {
		if t == target {
			return true
		}
	}
	return false
}
