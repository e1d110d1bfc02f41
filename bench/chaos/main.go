// Command chaos is the adversary: it runs the bridge as child processes in a local world, acts at random at both far ends, breaks
// one thing after the other, and then asks whether everything is equal, nothing was lost, doubled or set back, and nothing is
// parked that should not be.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// run is one run of the program.
type run struct {
	seed   uint64
	smoke  bool
	keep   bool
	dir    string
	binary string

	faults, asExpected     int
	lost, doubled, setBack int
	memory                 int
	scenario               string
	begin                  time.Time
}

func (r *run) say(format string, args ...any) {
	fmt.Printf("%6.1fs %-14s %s\n", time.Since(r.begin).Seconds(), r.scenario, fmt.Sprintf(format, args...))
}

// expect counts one fault and whether it ended as it should.
func (r *run) expect(ok bool, what string, args ...any) {
	r.faults++
	word := "ok  "
	if ok {
		r.asExpected++
	} else {
		word = "FAIL"
	}
	r.say("%s %s", word, fmt.Sprintf(what, args...))
}

func (r *run) noteMemory(mib int) { r.memory = max(r.memory, mib) }

// memoryLimit is the most that one bridge may hold, in MiB.
const memoryLimit = 150

func main() {
	r := &run{begin: time.Now()}
	flag.Uint64Var(&r.seed, "seed", 0, "seed of all dice; 0 takes one from the clock")
	flag.BoolVar(&r.smoke, "smoke", false, "short and small")
	flag.BoolVar(&r.keep, "keep", false, "keep logs and configurations")
	only := flag.String("only", "", "scenarios to run, separated by commas; all by default")
	flag.StringVar(&r.binary, "bridge", "", "the program under test; built from ./cmd/nubridge by default")
	flag.Parse()
	if r.seed == 0 {
		r.seed = uint64(time.Now().UnixNano()) % 1_000_000_007
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := r.all(ctx, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func (r *run) all(ctx context.Context, only string) (bool, error) {
	var err error
	if r.dir, err = os.MkdirTemp("", "nubridge-chaos"); err != nil {
		return false, err
	}
	if r.keep {
		fmt.Println("folder", r.dir)
	} else {
		defer func() { _ = os.RemoveAll(r.dir) }()
	}
	if r.binary == "" {
		r.binary = filepath.Join(r.dir, "nubridge")
		build := exec.CommandContext(ctx, "go", "build", "-o", r.binary, "./cmd/nubridge")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return false, fmt.Errorf("build the bridge: %w", err)
		}
	}
	fmt.Printf("chaos: seed %d\n", r.seed)
	wanted := strings.Split(only, ",")
	for _, s := range scenarios() {
		if only != "" && !slices.Contains(wanted, s.name) || only == "" && r.smoke && !s.smoke {
			continue
		}
		r.scenario = s.name
		if err := r.play(ctx, s); err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	r.scenario = "end"
	r.expect(r.memory < memoryLimit, "the most memory that a bridge held: %d MiB, %d allowed", r.memory, memoryLimit)
	fmt.Printf("chaos faults=%d as_expected=%d lost=%d doubled=%d reordered=%d rss_mib=%d seed=%d seconds=%.0f\n",
		r.faults, r.asExpected, r.lost, r.doubled, r.setBack, r.memory, r.seed, time.Since(r.begin).Seconds())
	return r.faults == r.asExpected && r.lost+r.doubled+r.setBack == 0, nil
}

// scenario breaks things in one world.
type scenario struct {
	name  string
	smoke bool
	settings
	play func(ctx context.Context, w *world) error
}

func (r *run) play(ctx context.Context, s scenario) error {
	w, err := r.newWorld(ctx, s.settings)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	if err := s.play(ctx, w); err != nil {
		return err
	}
	for _, b := range w.running {
		if !b.dead.Load() {
			r.noteMemory(b.rss())
		}
	}
	for _, line := range w.readLogs() {
		r.expect(false, "log: %s", line)
	}
	return ctx.Err()
}
