package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// equal waits until both ends are equal and the bridge is at rest, and then judges the invariants.
func (w *world) equal(ctx context.Context, what string, patience time.Duration) {
	r := w.run
	begin := time.Now()
	rest, why := w.rest(ctx, patience)
	r.expect(rest, "%s: both ends equal after %.1f s (%d acts, %d refused)", what, time.Since(begin).Seconds(), w.desk.done, w.desk.failed)
	for _, line := range why {
		r.say("     %s", line)
	}
	w.judge(ctx, what)
}

// rest waits until there are no differences, no open requests, and the groups have read all.
func (w *world) rest(ctx context.Context, patience time.Duration) (bool, []string) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	begin, told := time.Now(), time.Duration(0)
	end := begin.Add(patience)
	quiet := 0
	var why []string
	for {
		why = w.unrest(ctx)
		if len(why) == 0 {
			if quiet++; quiet >= 3 {
				return true, nil
			}
		} else {
			quiet = 0
		}
		if w.allDead() {
			return false, append(why, "no bridge runs; see "+w.running[len(w.running)-1].log)
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return false, why
		}
		if next := time.Since(begin).Truncate(20 * time.Second); next > told {
			told = next
			w.run.say("     not at rest after %v: %v", next, why)
		}
		<-tick.C
	}
}

// allDead tells whether every instance has ended.
func (w *world) allDead() bool {
	return !slices.ContainsFunc(w.running, func(b *bridge) bool { return !b.dead.Load() })
}

// unrest names what is not as it will be.
func (w *world) unrest(ctx context.Context) (why []string) {
	diffs, err := w.differences(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	for _, d := range diffs[:min(len(diffs), 6)] {
		why = append(why, d.String())
	}
	if len(diffs) > 6 {
		why = append(why, fmt.Sprintf("and %d more differences", len(diffs)-6))
	}
	var open, intents int
	if err := w.ledgerDB.QueryRow(ctx, `select (select count(*) from requests where not_before <= now() and flow <> 'orders_in'),
		(select count(*) from order_intents where state not in ('NUMBERED', 'WITHDRAWN'))`).Scan(&open, &intents); err != nil {
		return append(why, err.Error())
	}
	if open > 0 {
		why = append(why, fmt.Sprintf("%d requests are open", open))
	}
	if intents > 0 {
		why = append(why, fmt.Sprintf("%d orders are under way", intents))
	}
	behind, err := w.behind(ctx)
	if err != nil {
		return append(why, err.Error())
	}
	return append(why, behind...)
}

// judge holds the invariants against what the ledger, the OMS and NuORDER say.
func (w *world) judge(ctx context.Context, what string) {
	r := w.run
	refs, err := w.references(ctx)
	if err != nil {
		r.expect(false, "%s: %v", what, err)
		return
	}
	lost, doubled := 0, 0
	w.desk.mu.Lock()
	for id := range w.desk.placed {
		switch n := refs[id]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
	}
	placed := len(w.desk.placed)
	w.desk.mu.Unlock()
	r.lost, r.doubled = r.lost+lost, r.doubled+doubled
	r.expect(lost+doubled == 0, "%s: %d buyers' orders, lost %d, doubled %d", what, placed, lost, doubled)
	w.identity(ctx, what)
	w.noParked(ctx, what)
	w.watch.look(ctx)
	r.setBack += len(w.watch.reordered)
	if n := len(w.watch.reordered) + len(w.watch.early); n > 0 {
		r.expect(false, "%s: set back %v, processed too early %v", what, w.watch.reordered, slices.Compact(w.watch.early))
		w.watch.reordered, w.watch.early = nil, nil
	}
}

// identity is I1 from the ledger alone, and read against the records in the log.
func (w *world) identity(ctx context.Context, what string) {
	rows, err := w.ledgerDB.Query(ctx, `
		select c.flow, c.read, c.delivered + c.unchanged + c.superseded + c.filtered,
			(select coalesce(sum(touches), 0)::bigint from waiting w where w.flow = c.flow), (select coalesce(sum(touches), 0)::bigint from parked p where p.flow = c.flow)
		from counters c order by 1`)
	if err != nil {
		w.run.expect(false, "%s: %v", what, err)
		return
	}
	defer rows.Close()
	all, err := w.checkpoints(ctx)
	if err != nil {
		w.run.expect(false, "%s: %v", what, err)
		return
	}
	logged := map[string]int64{}
	for _, c := range all {
		n, _ := w.tail.of(partition{c.topic, c.partition})
		logged[c.flow] += n
	}
	bad, flows := "", 0
	for rows.Next() {
		var flow string
		var read, settled, waiting, parked int64
		if err := rows.Scan(&flow, &read, &settled, &waiting, &parked); err != nil {
			w.run.expect(false, "%s: %v", what, err)
			return
		}
		flows++
		records := logged[flow]
		if read != settled+waiting+parked || read < records {
			bad += fmt.Sprintf(" %s read %d, settled %d, waiting %d, parked %d, records %d;", flow, read, settled, waiting, parked, records)
		}
	}
	w.run.expect(bad == "" && flows > 0 && rows.Err() == nil, "%s: every touch is counted once in %d flows%s", what, flows, bad)
}

func (w *world) noParked(ctx context.Context, what string) {
	list, err := w.parked(ctx)
	w.run.expect(err == nil && len(list) == 0, "%s: nothing is parked, paused or halted %v", what, list)
}

// parked lists parked keys, paused flows and questions about orders.
func (w *world) parked(ctx context.Context) (list []string, err error) {
	rows, err := w.ledgerDB.Query(ctx, `select flow || ' ' || key || ' ' || code || ': ' || text from parked
		union all select flow || ' paused: ' || code || ' ' || reason from flows where paused
		union all select 'order ' || nuorder_id || ' ' || state || ' ' || code || ': ' || reason from order_intents where state in ('HELD', 'QUARANTINED') or changed_at is not null
		order by 1 limit 8`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		list = append(list, line)
	}
	return list, rows.Err()
}
