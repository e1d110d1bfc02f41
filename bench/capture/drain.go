package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// standstill is how long a target may make no progress before its run is given up.
const standstill = 90 * time.Second

// entry is how often a target runs in a scenario.
type entry struct {
	target string
	runs   int
}

// drain100 drains a backlog at 100 rows a transaction.
func (b *bench) drain100(ctx context.Context) error {
	n, p := b.s.runs, b.s.peerRuns
	return b.backlog(ctx, "drain", "tx100", b.s.rows, 100, []float64{0.3, 0.6, 0.95},
		entry{"floor", n}, entry{"floor-gulp", n}, entry{"nubridge", n}, entry{"debezium-tuned", n}, entry{"debezium", p}, entry{"baseline", p})
}

// drain1 drains a backlog at one row a transaction.
func (b *bench) drain1(ctx context.Context) error {
	n, p := min(3, b.s.runs), min(1, b.s.peerRuns)
	return b.backlog(ctx, "tx1", "tx1", b.s.tx1Rows, 1, nil,
		entry{"floor", n}, entry{"floor-gulp", n}, entry{"nubridge", n}, entry{"debezium-tuned", p}, entry{"debezium", p}, entry{"baseline", p})
}

// big drains one transaction.
func (b *bench) big(ctx context.Context) error {
	n, p := min(2, b.s.runs), min(1, b.s.peerRuns)
	return b.backlog(ctx, "big", "bigtx", b.s.bigRows, b.s.bigRows, []float64{0.5, 0.98},
		entry{"floor", n}, entry{"nubridge", n}, entry{"debezium-tuned", p})
}

// backlog writes the changes once; each run drains them through a copy of the slot that was made before, so that all read the
// same bytes of the log.
func (b *bench) backlog(ctx context.Context, scenario, schema string, n, txRows int, kills []float64, entries ...entry) error {
	if err := makeSchema(ctx, b.pool, schema); err != nil {
		return err
	}
	if _, err := b.pool.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", baseSlot); err != nil {
		return err
	}
	defer func() {
		if err := b.dropSlot(ctx, baseSlot); err != nil {
			fmt.Fprintln(os.Stderr, "drop slot:", err)
		}
	}()
	began := time.Now()
	if err := load(ctx, b.pool, schema, n, txRows); err != nil {
		return err
	}
	if _, err := b.pool.Exec(ctx, "checkpoint"); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %d changes written in %s\n", scenario, n, time.Since(began).Round(time.Millisecond))
	for round := range rounds(entries) {
		for _, e := range entries {
			if round >= e.runs || !b.s.wants(strings.TrimSuffix(e.target, "-gulp")) {
				continue
			}
			f := b.newFeed(e.target, schema, "stream", n)
			if _, err := b.pool.Exec(ctx, "select pg_copy_logical_replication_slot($1, $2)", baseSlot, f.slot); err != nil {
				return fmt.Errorf("copy slot: %w", err)
			}
			run := b.drainOnce
			if strings.HasPrefix(e.target, "floor") {
				run = b.floorOnce
			}
			err := run(ctx, scenario, f)
			b.clean(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", e.target, err)
			}
		}
	}
	if !b.s.kills || len(kills) == 0 || !b.s.wants("nubridge") {
		return nil
	}
	f := b.newFeed("nubridge", schema, "stream", n)
	if _, err := b.pool.Exec(ctx, "select pg_copy_logical_replication_slot($1, $2)", baseSlot, f.slot); err != nil {
		return fmt.Errorf("copy slot: %w", err)
	}
	err := b.killed(ctx, scenario, f, kills)
	b.clean(ctx, f)
	return err
}

func rounds(entries []entry) int {
	n := 0
	for _, e := range entries {
		n = max(n, e.runs)
	}
	return n
}

// want is how many records the target writes.
func (f *feed) want() int64 { return f.wantOf(f.rows) }

// wantOf is how many it writes of some of the rows.
func (f *feed) wantOf(rows int) int64 {
	if f.mode == "stream" && f.tombstones() {
		rows += rows / groupChanges
	}
	return int64(rows)
}

// ids is how many rows the workload touches.
func (f *feed) ids() int {
	if f.mode == "snapshot" {
		return f.rows
	}
	return f.rows / groupChanges * groupRows
}

// drainOnce runs the target until the broker has acknowledged every record, then reads them all and checks them.
func (b *bench) drainOnce(ctx context.Context, scenario string, f *feed) error {
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	if err := makeTopics(ctx, b.admin, b.s.partitions, f.topics()...); err != nil {
		return err
	}
	awaitQuiet(ctx, b.s.quiet)
	machine := readMachine(b.s.cache)
	p := watchTopics(ctx, b.admin, pollEvery, f.want(), f.topics()...)
	defer p.close()
	t, err := f.start()
	if err != nil {
		return err
	}
	defer t.stop()
	b.startProfile(f, t)
	failed := p.await(ctx, t, standstill)
	used := readMachine(b.s.cache).since(machine)
	p.settle(ctx, 400*time.Millisecond) // a fence's markers count as records: the last ones may still be on their way
	r := sample{Target: f.target, Scenario: scenario, Rows: f.rows, Usage: usageOf(t.usage(), used)}
	if failed == nil {
		r.rates(p, f)
	}
	t.stop()
	p.settle(ctx, 400*time.Millisecond)
	v, err := b.check(ctx, f)
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("%w; its log is %s; found %+v", err, f.log(), v)
	}
	r.Verdict = v
	return b.record(r)
}

// rates are rows a second over three stretches: from the start, from the first record, over the second half.
func (r *sample) rates(p *progress, f *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	per := float64(f.rows) / float64(p.want) // tombstones are no row changes
	rate := func(from time.Time, had int64) float64 {
		return float64(p.want-had) * per / max(1e-3, p.at.Sub(from).Seconds())
	}
	r.Seconds, r.First = p.at.Sub(p.started).Seconds(), p.first.Sub(p.started).Seconds()
	r.WithStart, r.AfterFirst, r.Warm = rate(p.started, 0), rate(p.first, p.firstCount), rate(p.half, p.halfCount)
}

// floorOnce runs a loop that only receives.
func (b *bench) floorOnce(ctx context.Context, scenario string, f *feed) error {
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	awaitQuiet(ctx, b.s.quiet)
	machine := readMachine(b.s.cache)
	t, err := f.start()
	if err != nil {
		return err
	}
	defer t.stop()
	out, err := awaitFloor(ctx, f, t)
	if err != nil {
		return err
	}
	used := readMachine(b.s.cache).since(machine)
	r := sample{Target: f.target, Scenario: scenario, Rows: out.Rows, Usage: usageOf(t.usage(), used), Seconds: out.Seconds, First: out.First}
	r.WithStart, r.AfterFirst, r.Warm = float64(out.Rows)/out.Seconds, out.Loop, out.Loop
	r.Verdict.Bytes = int(out.Bytes / int64(max(1, out.Rows)))
	return b.record(r)
}

// killed kills nubridge at fractions of the way, starts it again at once, and counts what came twice or not at all.
func (b *bench) killed(ctx context.Context, scenario string, f *feed, at []float64) error {
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	if err := makeTopics(ctx, b.admin, b.s.partitions, f.topics()...); err != nil {
		return err
	}
	p := watchTopics(ctx, b.admin, pollEvery, f.want(), f.topics()...)
	defer p.close()
	t, err := f.start()
	if err != nil {
		return err
	}
	defer func() { t.stop() }()
	for _, part := range at {
		if err := p.reach(ctx, t, int64(part*float64(f.want()))); err != nil {
			return fmt.Errorf("before the kill at %.2f: %w; its log is %s", part, err, f.log())
		}
		t.kill()
		if t, err = f.start(); err != nil {
			return err
		}
	}
	failed := p.await(ctx, t, standstill)
	p.settle(ctx, 2*time.Second)
	t.stop()
	v, err := b.check(ctx, f)
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("%w; its log is %s; found %+v", err, f.log(), v)
	}
	return b.record(sample{Target: f.target, Scenario: scenario, Kills: len(at), Rows: f.rows, Verdict: v})
}

// check reads every record of a run.
func (b *bench) check(ctx context.Context, f *feed) (verdict, error) {
	v := newVerifier(f, f.ids())
	err := readAll(ctx, f.broker(), b.admin, v.take, f.topics()...)
	return v.verdict(), err
}

// startProfile starts the profiler that was asked for; it ends by itself.
func (b *bench) startProfile(f *feed, t *process) {
	if b.s.profile == "" || f.target != "nubridge" {
		return
	}
	words := append(strings.Fields(b.s.profile), strconv.Itoa(t.cmd.Process.Pid))
	if _, err := launch(b.dir, f.dir+"/profile.log", nil, words...); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
	}
}
