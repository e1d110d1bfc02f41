package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

func offsetScenarios() []scenario {
	return []scenario{{name: "offsets", smoke: true, play: offsets}}
}

// offsets are reset by Kafka's own tools while the bridge is down.
func offsets(ctx context.Context, w *world) error {
	b, err := w.load(ctx)
	if err != nil {
		return err
	}
	w.desk.during(ctx, 4*time.Second, 15)
	w.equal(ctx, "before", patience)
	if _, err := b.stop(30 * time.Second); err != nil {
		w.run.expect(false, "stop: %v", err)
	}
	for _, flow := range []string{"products", "customers", "inventory", "order_edits", "order_creation", "shipments"} {
		if err := w.setOffsets(ctx, flow, func(int64) int64 { return 0 }); err != nil {
			return err
		}
	}
	seen := w.watch.last()
	if b, err = w.start(); err != nil {
		return err
	}
	pause(ctx, 6*time.Second)
	w.equal(ctx, "offsets set back to the beginning", patience)
	// The daily pass over all stock may take a step meanwhile.
	writes, stock := w.writes(seen)
	w.run.expect(len(writes) == 0 && len(stock) <= 2, "offsets set back: %d writes for what was in step %v, %d of the daily pass over the stock", len(writes), writes[:min(len(writes), 5)], len(stock))
	if _, err := b.stop(30 * time.Second); err != nil {
		w.run.expect(false, "stop: %v", err)
	}
	if err := w.setOffsets(ctx, "products", func(next int64) int64 { return next + 3 }); err != nil {
		return err
	}
	if err := w.deleteGroup(ctx, "customers"); err != nil {
		return err
	}
	if b, err = w.start(); err != nil {
		return err
	}
	w.desk.during(ctx, 10*time.Second, 15)
	text, err := os.ReadFile(b.log)
	if err != nil {
		return err
	}
	w.run.expect(bytes.Contains(text, []byte("offset_ahead")) || bytes.Contains(text, []byte("offset_out_of_range")), "offsets ahead: the flow halts")
	w.run.expect(bytes.Contains(text, []byte("offset_expired")), "offsets expired: the flow halts")
	w.run.expect(!b.dead.Load(), "offsets ahead and expired: the bridge lives")
	return nil
}

// writes lists what was written since a call, of stock apart.
func (w *world) writes(since uint64) (writes, stock []string) {
	for _, e := range w.NuORDER.Journal(nuorder.JournalQuery{Since: since}) {
		switch {
		case !e.Committed:
		case strings.Contains(e.Path, "/inventory"):
			stock = append(stock, e.Path)
		default:
			writes = append(writes, e.Method+" "+e.Path)
		}
	}
	return writes, stock
}
