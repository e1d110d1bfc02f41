// Command delivery measures the way from the OMS to NuORDER on this machine: a bulk load against the portal's limit, how busy
// a slow portal is kept, the bridge's own cost, refusals with three instances, calls for a burst and for a replay, how fresh
// the shop window is, and the naive way beside it. It closes with one line for scripts.
//
// The bridge runs in processes of its own, whose processor time and memory are read from the kernel; portal, OMS, database and
// broker run outside of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

type settings struct {
	program  string
	products int
	rate     float64
	seconds  int
	rows     int
	only     string
	brokers  string
	profile  string
	verbose  bool
}

func main() {
	var s settings
	flag.StringVar(&s.program, "program", "./nubridge", "the bridge")
	flag.IntVar(&s.products, "products", 20_000, "products of 12 sizes")
	flag.Float64Var(&s.rate, "rate", 200, "the portal's limit in calls per second")
	flag.IntVar(&s.seconds, "seconds", 30, "how long each of the timed parts takes")
	flag.IntVar(&s.rows, "rows", 5_000_000, "objects in the ledger of the part ledger")
	flag.StringVar(&s.only, "only", "", "names of parts, with commas; those of the closing line if empty")
	flag.StringVar(&s.brokers, "kafka", "", "host:port of a real Kafka, with commas; a broker in this process if empty")
	flag.StringVar(&s.profile, "profile", "", "folder for the CPU profiles of the bridges")
	flag.BoolVar(&s.verbose, "v", false, "show what the bridge logs")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func usage() {
	out := flag.CommandLine.Output()
	fmt.Fprintln(out, "delivery measures the way from the OMS to NuORDER.\n\nParts, in their order; those with a star are of the closing line:")
	for _, p := range (*world)(nil).parts() {
		star := " "
		if p.line {
			star = "*"
		}
		fmt.Fprintf(out, "  %s %-10s %s\n", star, p.name, p.about)
	}
	fmt.Fprintln(out, "\nParts that need a loaded portal load it first, unmeasured, if the part bulk did not.\n\nFlags:")
	flag.PrintDefaults()
}

// part is one measure.
type part struct {
	name, about string
	line        bool
	run         func(context.Context, *figures) error
}

func (w *world) parts() []part {
	return []part{
		{"bulk", "products and stock into an empty portal at its limit: time against the ideal, calls, cost per document, memory", true, w.bulk},
		{"replay", "all that is in step is replayed by the bridge's own command: calls", true, w.replay},
		{"burst", "50 row changes of each of a tenth of the products, at most 2,000: calls", true, w.burst},
		{"fresh", "200 changes a second: the time from commit to NuORDER's answer", true, w.fresh},
		{"edit", "order edits while a bulk load runs at the limit: the time from commit to NuORDER's answer", true, w.edit},
		{"busy20", "how busy a portal that answers after 20 ms is kept, with 4 calls in flight", true, w.busy(20 * time.Millisecond)},
		{"busy300", "the same after 300 ms", true, w.busy(300 * time.Millisecond)},
		{"three", "three instances before a portal that refuses the sixth call at once, told so and not told so: refusals", true, w.three},
		{"naive", "one call per row change, in order: calls, and how busy the portal is kept", true, w.naive},
		{"idle", "a bridge with all flows and nothing to do: processor time and memory", false, w.idle},
		{"scale", "1 to 5 environments by 1 to 3 instances: calls a second, cost, memory", false, w.scale},
		{"takeover", "one of three instances is killed, or stopped, while rows change: the longest time from commit to answer", false, w.takeover},
		{"ledger", "own and settle on a ledger of -rows objects: time, table and index size", false, w.ledger},
	}
}

// figures are those of the closing line; one that was not measured is negative.
type figures struct {
	bulk, busy20, busy300, cpu, refused, burst, replay, fresh50, fresh99, edit99 float64
}

func run(ctx context.Context, s settings) (err error) {
	chosen, err := choose((*world)(nil).parts(), s.only)
	if err != nil {
		return err
	}
	w, err := start(ctx, s)
	if w != nil {
		defer func() { err = errors.Join(err, w.end(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	f := figures{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1}
	line := true
	for _, p := range w.parts() {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		line = line && p.line
		w.say("%s: %s", p.name, p.about)
		began, before := time.Now(), w.load()
		if err := p.run(ctx, &f); err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, w.logs())
		}
		w.say("  %s took %.1f s; %s; most memory of a bridge so far %d MiB", p.name, time.Since(began).Seconds(), w.spent(before), w.peak()>>10)
	}
	if !line {
		return nil
	}
	_, err = fmt.Fprintf(os.Stdout, "bench-delivery bulk_vs_ideal=%.3f busy_20ms=%.3f busy_300ms=%.3f cpu_ms_per_doc=%.3f refused_share=%.4f calls_per_burst=%.0f replay_calls=%.0f fresh_p50_ms=%.0f fresh_p99_ms=%.0f edit_p99_under_load_ms=%.0f rss_mib=%d\n",
		f.bulk, f.busy20, f.busy300, f.cpu, f.refused, f.burst, f.replay, f.fresh50, f.fresh99, f.edit99, w.peak()>>10)
	return err
}

// choose gives the names of the parts to run, and refuses those that do not exist.
func choose(parts []part, only string) ([]string, error) {
	var all, line []string
	for _, p := range parts {
		all = append(all, p.name)
		if p.line {
			line = append(line, p.name)
		}
	}
	if only == "" {
		return line, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no part %q; expected some of %s", name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return -1
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[min(int(float64(len(all))*p), len(all)-1)].Microseconds()) / 1000
}
