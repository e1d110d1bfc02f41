// Command delivery measures the way from the OMS to NuORDER on this machine: a bulk load against the portal's limit, how busy
// a slow portal is kept, the bridge's own cost, refusals with three instances, calls for a burst and for a replay, and how
// fresh the shop window is. It closes with one line for scripts.
//
//	go run ./bench/delivery -program ./nubridge
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
	"time"

	"nubridge/internal/ledger"
)

type settings struct {
	program  string
	products int
	rate     float64
	seconds  int
	only     string
}

func main() {
	var s settings
	flag.StringVar(&s.program, "program", "./nubridge", "the bridge")
	flag.IntVar(&s.products, "products", 20_000, "products of 12 sizes")
	flag.Float64Var(&s.rate, "rate", 200, "the portal's limit in calls per second")
	flag.IntVar(&s.seconds, "seconds", 20, "how long the timed parts take")
	flag.StringVar(&s.only, "only", "", "names of parts, with commas; all if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// figures are those of the closing line.
type figures struct {
	bulk, busy20, busy300, cpu, refused, burst, replay, fresh50, fresh99, edit99 float64
}

func run(ctx context.Context, s settings) (err error) {
	w, err := start(ctx, s)
	if w != nil && w.World != nil {
		defer func() { err = errors.Join(err, w.Stop(context.WithoutCancel(ctx))) }()
		defer func() {
			for _, b := range w.bridges {
				_ = b.cmd.Process.Kill()
			}
			_ = os.RemoveAll(w.dir)
		}()
	}
	if err != nil {
		return err
	}
	var f figures
	for _, part := range []struct {
		name string
		run  func(context.Context, *figures) error
	}{
		{"bulk load", w.bulk},
		{"replay", w.replay},
		{"burst", w.burst},
		{"fresh", w.fresh},
		{"edit under load", w.edit},
		{"busy at 20 ms", w.busy(20 * time.Millisecond)},
		{"busy at 300 ms", w.busy(300 * time.Millisecond)},
		{"three instances", w.three},
	} {
		if s.only != "" && !slices.Contains(strings.Split(s.only, ","), part.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, part.name)
		began := time.Now()
		if err := part.run(ctx, &f); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(os.Stderr, "  %.1fs %+v rss=%d MiB\n", time.Since(began).Seconds(), f, w.peakRSS/1024)
	}
	fmt.Printf("bench-delivery bulk_vs_ideal=%.3f busy_20ms=%.3f busy_300ms=%.3f cpu_ms_per_doc=%.3f refused_share=%.4f calls_per_burst=%.0f replay_calls=%.0f fresh_p50_ms=%.0f fresh_p99_ms=%.0f edit_p99_under_load_ms=%.0f rss_mib=%d\n",
		f.bulk, f.busy20, f.busy300, f.cpu, f.refused, f.burst, f.replay, f.fresh50, f.fresh99, f.edit99, w.peakRSS/1024)
	return nil
}

// openStore waits for the ledger that the bridge makes.
func (w *world) openStore(ctx context.Context) error {
	return w.until(ctx, "the ledger", time.Minute, func() (bool, error) {
		var err error
		w.store, err = ledger.Open(ctx, w.DatabaseURL, "nubridge")
		return err == nil, nil
	})
}

func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return -1
	}
	slices.Sort(all)
	return float64(all[min(int(float64(len(all))*p), len(all)-1)].Microseconds()) / 1000
}
