// Command conformance runs one workload through Debezium and through the bridge's capture and compares the two feeds event by
// event, field by field. It starts broker, server and Debezium with the scripts of bench/lab.
//
//	go run ./bench/conformance
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// endSQL is the change by which both feeds are seen to be whole.
const endSQL = "insert into feed.rows (id, k, v) values (999999, 0, 'end')"

// settings are the command's flags.
type settings struct {
	lab                    string
	major, pgPort          int
	kafkaPort, connectPort int
	keep, verbose          bool
	only                   string
}

func main() {
	var s settings
	flag.StringVar(&s.lab, "lab", "bench/lab", "folder of the lab's scripts")
	flag.IntVar(&s.major, "postgres", 17, "major version of the source")
	flag.IntVar(&s.pgPort, "postgres-port", 15417, "port of the source")
	flag.IntVar(&s.kafkaPort, "kafka-port", 15092, "port of the broker")
	flag.IntVar(&s.connectPort, "connect-port", 15083, "port of Debezium's REST interface")
	flag.BoolVar(&s.keep, "keep", false, "leave broker and server running")
	flag.StringVar(&s.only, "workload", "", "one of "+names()+" alone")
	flag.BoolVar(&s.verbose, "v", false, "print documented differences too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := run(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("conformance events=%d differing=%d documented=%d\n", r.events, r.differing, r.documented)
	if r.differing > 0 {
		os.Exit(1)
	}
}

// url gives the address of a database of the source.
func (s settings) url(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.pgPort, name)
}

// script runs one of the lab's scripts.
func (s settings) script(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.lab, name), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

func run(ctx context.Context, s settings) (result, error) {
	if err := s.script(ctx, nil, "kafka.sh", "start", strconv.Itoa(s.kafkaPort)); err != nil {
		return result{}, err
	}
	if err := s.script(ctx, nil, "postgres.sh", "start", strconv.Itoa(s.major), strconv.Itoa(s.pgPort)); err != nil {
		return result{}, err
	}
	after := context.WithoutCancel(ctx)
	defer func() {
		_ = s.script(after, nil, "debezium.sh", "stop")
		if !s.keep {
			_ = s.script(after, nil, "postgres.sh", "stop", strconv.Itoa(s.major))
			_ = s.script(after, nil, "kafka.sh", "stop")
		}
	}()
	var sum result
	for _, w := range workloads {
		if s.only != "" && s.only != w.name {
			continue
		}
		r, err := s.pass(ctx, w)
		if err != nil {
			return result{}, fmt.Errorf("workload %s: %w", w.name, err)
		}
		sum.events, sum.differing, sum.documented = sum.events+r.events, sum.differing+r.differing, sum.documented+r.documented
	}
	return sum, nil
}

// pass runs one workload through both and compares.
func (s settings) pass(ctx context.Context, w workload) (result, error) {
	prefix := "c" + strconv.FormatInt(time.Now().Unix(), 10)
	if err := s.setUp(ctx, w, prefix); err != nil {
		return result{}, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ours := newRecorder()
	captureCtx, stopCapture := context.WithCancel(ctx)
	defer stopCapture()
	failed := make(chan error, 1)
	go func() { failed <- capture(captureCtx, s, prefix, ours, log) }()
	theirs, err := newConsumer(fmt.Sprintf("127.0.0.1:%d", s.kafkaPort), prefix)
	if err != nil {
		return result{}, err
	}
	consumeCtx, stopConsumer := context.WithCancel(ctx)
	var consuming sync.WaitGroup
	consuming.Go(func() { theirs.run(consumeCtx) })
	defer consuming.Wait()
	defer stopConsumer()
	if err := s.work(ctx, w, theirs); err != nil {
		return result{}, err
	}
	select {
	case <-ours.ended:
	case err := <-failed:
		return result{}, fmt.Errorf("capture ended: %w", err)
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	stopCapture()
	if err := <-failed; err != nil {
		return result{}, err
	}
	events, err := theirs.all(ctx)
	if err != nil {
		return result{}, err
	}
	load, err := loaded(ctx, s, prefix, log)
	if err != nil {
		return result{}, err
	}
	r := compare(events, ours.events, s.verbose)
	rows := compareLoad(ours.events, load, w.changesFor(s.major))
	fmt.Printf("workload=%s events=%d differing=%d documented=%d load_rows=%d load_differing=%d\n", w.name, r.events, r.differing, r.documented, rows.events, rows.differing)
	r.differing += rows.differing
	return r, nil
}

// setUp makes a fresh database with the tables, one publication for both, and a slot for each, at the same place.
func (s settings) setUp(ctx context.Context, w workload, prefix string) error {
	_ = s.script(ctx, nil, "debezium.sh", "stop")
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the source: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, sql := range []string{
		"select pg_terminate_backend(active_pid) from pg_replication_slots where database = '" + database + "' and active",
		"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '" + database + "'",
		"select pg_replication_origin_drop(roname) from pg_replication_origin",
		"drop database if exists " + database + " with (force)", "create database " + database + " " + w.options,
		"alter database " + database + " set logical_decoding_work_mem = '64kB'", // larger transactions are streamed while they run
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
	}
	db, err := pgx.Connect(ctx, s.url(database))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	var tables string
	if _, err := db.Exec(ctx, w.schemaFor(s.major)); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	if err := db.QueryRow(ctx, `
		select string_agg(c.oid::regclass || ' ' || coalesce(obj_description(c.oid, 'pg_class'), ''), ', ') from pg_class c
		where c.relnamespace = 'feed'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`).Scan(&tables); err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	more := ""
	if s.major >= 18 {
		more = w.since18
	}
	for _, sql := range []string{
		"create publication conformance for table " + tables + " with (publish_via_partition_root = true" + more + ")",
		"select pg_create_logical_replication_slot('conformance_ours', 'pgoutput')",
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare replication: %w", err)
		}
	}
	state, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return fmt.Errorf("make a folder for Debezium: %w", err)
	}
	return s.script(ctx, []string{
		"CDC_PG_PORT=" + strconv.Itoa(s.pgPort), "CDC_PG_DB=" + database, "CDC_KAFKA=127.0.0.1:" + strconv.Itoa(s.kafkaPort), "CDC_SCHEMA=feed",
		"CDC_SLOT=conformance_debezium", "CDC_PUBLICATION=conformance", "CDC_PUBLICATION_MODE=disabled", "CDC_PREFIX=" + prefix, "CDC_STATE=" + state,
		"DEBEZIUM_REST_PORT=" + strconv.Itoa(s.connectPort),
	}, "debezium.sh", "start", "feed")
}

// work runs the workload: each statement that ends its line is sent as one query.
func (s settings) work(ctx context.Context, w workload, debezium *consumer) error {
	db, err := pgx.Connect(ctx, s.url(database))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	for n, sql := range strings.SplitAfter(w.changesFor(s.major)+endSQL, ";\n") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		// The first mark gives both a commit before, which an empty transaction of an older server may have given one of them alone.
		if word, _, _ := strings.Cut(sql, " "); n == 0 || word == "alter" || word == "create" || word == "drop" {
			if _, err := db.Exec(ctx, fmt.Sprintf("insert into %s values (%d)", markTopic, n)); err != nil {
				return fmt.Errorf("workload: mark: %w", err)
			}
			if err := debezium.marked(ctx, n); err != nil {
				return fmt.Errorf("%w, before %.60s", err, sql)
			}
		}
		if _, err := db.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("workload: %.120s: %w", sql, err)
		}
	}
	return nil
}

// errShort tells that a feed did not reach the end of the workload.
var errShort = errors.New("the feed did not reach the end of the workload")
