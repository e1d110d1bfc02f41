package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// snapshot copies a full table, without a slot before.
func (b *bench) snapshot(ctx context.Context) error {
	const schema = "snap"
	if err := makeSchema(ctx, b.pool, schema); err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, b.pool, schema, b.s.snapshotRows); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "snapshot: %d rows written in %s\n", b.s.snapshotRows, time.Since(began).Round(time.Millisecond))
	n, p := min(3, b.s.runs), min(1, b.s.peerRuns)
	entries := []entry{{"copy", n}, {"nubridge", n}, {"debezium-tuned", n}, {"debezium", p}, {"baseline", p}}
	for round := range rounds(entries) {
		for _, e := range entries {
			wanted := b.s.wants(e.target) || e.target == "copy" && b.s.wants("floor")
			if round >= e.runs || !wanted {
				continue
			}
			f := b.newFeed(e.target, schema, "snapshot", b.s.snapshotRows)
			run := b.drainOnce
			if e.target == "copy" {
				run = b.floorOnce
			}
			err := run(ctx, "snapshot", f)
			b.clean(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", e.target, err)
			}
		}
	}
	if !b.s.kills || !b.s.wants("nubridge") {
		return nil
	}
	f := b.newFeed("nubridge", schema, "snapshot", b.s.snapshotRows)
	err := b.killed(ctx, "snapshot", f, []float64{0.3, 0.7, 0.98})
	b.clean(ctx, f)
	return err
}
