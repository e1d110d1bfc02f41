package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// heldBack is a record whose route needs a look-up that cannot be proven to see its transaction yet.
type heldBack struct {
	record *record
	source source
	keys   []mapper.Key
	hops   []mapper.Hop
	change *cdc.Record
	// everything tells that the record empties a table, which names no row: any document may have changed.
	everything bool
}

const holdRetry = 25 * time.Millisecond

// intake takes records from the log and puts their touches on the board. While the board is full it takes nothing. // I9
func (l *Loop) intake(ctx context.Context) {
	fetches := make(chan cdc.Fetch) // no capacity: one fetch waits at most
	polls, stop := context.WithCancel(ctx)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		l.poll(polls, fetches)
	}()
	defer func() { stop(); <-finished }()
	var held []heldBack
	for ctx.Err() == nil {
		source := fetches
		if l.board.full(l.config.Window) {
			source = nil
		}
		var retry, again <-chan time.Time
		if len(held) > 0 {
			retry = time.After(holdRetry)
		}
		if l.board.orphaned() {
			l.reclaim(ctx)
			again = time.After(orphanRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.board.room:
		case f := <-source:
			held = append(held, l.fetched(ctx, f)...)
			held = l.hop(ctx, held)
		case <-retry:
			held = l.hop(ctx, held)
		case <-again:
		}
	}
}

// poll hands fetches over, backing off while the log fails.
func (l *Loop) poll(ctx context.Context, out chan<- cdc.Fetch) {
	for failures := 0; ctx.Err() == nil; {
		f, err := l.Log.Poll(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if fault.KindOf(err) == fault.Halt {
				l.halt(err)
				return
			}
			if failures++; failures == 1 || failures%30 == 0 {
				l.Logger.Warn("the log cannot be read", "error", err, "failures", failures)
			}
			pause(ctx, l.backoff(failures))
			continue
		}
		failures = 0
		select {
		case out <- f:
		case <-ctx.Done():
			return
		}
	}
}

// fetched takes in one fetch and gives back the records that need hops.
func (l *Loop) fetched(ctx context.Context, f cdc.Fetch) []heldBack {
	l.at(PointFetched)
	l.board.mu.Lock()
	for _, p := range f.Revoked {
		l.board.drop(p)
		delete(l.board.orphans, p)
	}
	l.board.mu.Unlock()
	for _, a := range f.Assigned {
		if !l.assume(ctx, a) {
			return nil
		}
	}
	var hops []heldBack
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	for i := range f.Records {
		rec := &f.Records[i]
		t := l.board.tracks[rec.Partition]
		if t == nil || rec.Offset < t.next {
			continue // handed out late, after a rebalance
		}
		if h := l.route(t, rec); h != nil {
			hops = append(hops, *h)
		}
	}
	for p, next := range f.Passed {
		if t := l.board.tracks[p]; t != nil {
			t.through = max(t.through, next)
		}
	}
	wake(l.board.work)
	return hops
}

// route puts the touches of one record on the board, or gives it back if it needs hops.
func (l *Loop) route(t *track, rec *cdc.Record) *heldBack {
	r := &record{track: t, offset: rec.Offset, position: rec.Position}
	t.add(r)
	l.board.records++
	if rec.Op == cdc.OpTombstone || rec.Op == cdc.OpMessage || len(rec.Value) == 0 {
		r.routeless = true
		return nil
	}
	change, err := l.decoder.Decode(rec)
	if err != nil {
		l.unreadable(r, rec, "record_unreadable", err)
		return nil
	}
	src := source{rec.XID, rec.Position.Commit, rec.Position.Epoch}
	if rec.Op == cdc.OpTruncate && l.Everything != nil && slices.Contains(l.Mapper.Tables(l.config.Flow), change.Schema+"."+change.Table) {
		r.open = 1
		return &heldBack{record: r, source: src, change: rec, everything: true}
	}
	touches, err := l.Mapper.Route(l.config.Flow, change)
	if err != nil {
		l.unreadable(r, rec, "record_unroutable", err)
		return nil
	}
	if len(touches.Hops) > 0 {
		r.open = 1
		return &heldBack{record: r, source: src, keys: touches.Keys, hops: touches.Hops, change: rec}
	}
	l.touches(r, rec, src, touches.Keys)
	return nil
}

// touches puts the keys of a routed record on the board; the mutex is held.
func (l *Loop) touches(r *record, rec *cdc.Record, src source, keys []mapper.Key) {
	if len(keys) == 0 {
		r.routeless = true
		return
	}
	rank := ledger.RankOf(l.config.Flow)
	if rec.Op == cdc.OpRead && rank != ledger.RankOrders {
		rank = ledger.RankBulk
	}
	now := l.Now()
	if rec.Op == cdc.OpRead {
		now = time.Time{} // a snapshot's rows are all there already: nothing to hold them back for
	}
	for _, key := range distinct(keys) {
		if rec.Op == cdc.OpRead && l.board.entries[key] == nil && l.board.reads.cover(key, rec.Position) {
			r.covered++
			continue
		}
		r.open++
		l.board.touch(&touched{
			key: key, touch: touch{record: r, repeat: r.track.repeat(r.offset, key)},
			source: src, commit: rec.CommitTime, came: now, trace: rec.Trace, rank: rank,
		})
	}
}

// distinct leaves out keys that came before; most records have one.
func distinct(keys []mapper.Key) []mapper.Key {
	if len(keys) < 2 {
		return keys
	}
	seen := make(map[mapper.Key]struct{}, len(keys))
	out := make([]mapper.Key, 0, len(keys))
	for _, key := range keys {
		if _, twice := seen[key]; !twice {
			seen[key] = struct{}{}
			out = append(out, key)
		}
	}
	return out
}

// unreadable parks a record that no document can be named for, under a key of its own. // I7
func (l *Loop) unreadable(r *record, rec *cdc.Record, code string, err error) {
	if e, ok := errors.AsType[*mapper.RouteError](err); ok {
		code = "column_missing"
		err = e
	}
	key := mapper.Key(fmt.Sprintf("record|%s|%d|%d", rec.Partition.Topic, rec.Partition.ID, rec.Offset))
	r.open = 1
	e := &entry{key: key, state: busy, rank: ledger.RankBulk}
	l.board.entries[key] = e
	l.board.touches++
	l.board.busy++
	t := &turn{entry: e, key: key, touches: []touch{{record: r, repeat: r.track.repeat(r.offset, key)}}, position: rec.Position, trace: rec.Trace}
	cause := &ledger.Cause{Code: code, Rule: "readable", Text: err.Error()}
	// The board is locked and the settler may wait for it: hand over without waiting for room.
	l.board.stray = append(l.board.stray, outcome{turn: t, settlement: ledger.Settlement{
		Object:      ledger.Object{ObjectID: ledger.ObjectID{Environment: l.config.Environment, Kind: l.config.Flow.Kind(), Key: key}},
		Disposition: ledger.Parked, Doubt: ledger.RestoreDoubt, Cause: cause, Trace: rec.Trace,
	}})
	wake(l.board.strays)
}

// hop resolves the records whose transaction every read sees by now, and gives back the others, which wait by themselves.
// A look-up that does not see the row's own transaction could miss its documents. // decision 2
func (l *Loop) hop(ctx context.Context, held []heldBack) []heldBack {
	if len(held) == 0 {
		return nil
	}
	wants := make([]mapper.Want, len(held))
	for i, h := range held {
		wants[i] = mapper.Want{XID: h.source.xid, Commit: h.source.commit, Epoch: h.source.epoch}
	}
	visible, err := l.Reader.Visible(ctx, wants)
	if err != nil {
		l.failed(ctx, "transactions cannot be proven", err)
		return held
	}
	var ready, wait []heldBack
	everything := false
	args := map[mapper.HopID][][]string{}
	for i, h := range held {
		if !visible[i] {
			wait = append(wait, h)
			continue
		}
		ready = append(ready, h)
		everything = everything || h.everything
		for _, hop := range h.hops {
			args[hop.ID] = append(args[hop.ID], hop.Values)
		}
	}
	answers := map[mapper.HopID][][]mapper.Key{}
	for id, values := range args {
		keys, err := l.Reader.Hop(ctx, id, values)
		if fault.KindOf(err) == fault.Reject {
			return l.isolateHops(ctx, held, err)
		}
		if err != nil {
			l.failed(ctx, "routes cannot be looked up", err)
			return held
		}
		answers[id] = keys
	}
	if everything { // I1: what is asked for is stored before the record settles
		if err := l.Everything(ctx, "a table was emptied"); err != nil {
			l.failed(ctx, "the documents of an emptied table cannot be listed", err)
			return held
		}
	}
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	for _, h := range ready {
		keys := h.keys
		for _, hop := range h.hops {
			keys = append(keys, answers[hop.ID][0]...)
			answers[hop.ID] = answers[hop.ID][1:]
		}
		h.record.open = 0
		if !h.record.track.lost {
			l.touches(h.record, h.change, h.source, keys)
		}
	}
	wake(l.board.work)
	return wait
}

// isolateHops finds the records whose look-up the queries cannot take, by halves, and parks them. // I7
func (l *Loop) isolateHops(ctx context.Context, held []heldBack, err error) []heldBack {
	if len(held) > 1 {
		half := len(held) / 2
		return append(l.hop(ctx, slices.Clone(held[:half])), l.hop(ctx, slices.Clone(held[half:]))...)
	}
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if h := held[0]; !h.record.track.lost {
		l.unreadable(h.record, h.change, fault.CodeOf(err), err)
	}
	return nil
}

// failed deals with a failure of the database behind the documents, which concerns no key in particular.
func (l *Loop) failed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	if fault.KindOf(err) == fault.Halt {
		l.halt(err)
		return
	}
	now := l.Now()
	l.gate.throttle(fault.CodeOf(err), what, now, now.Add(time.Second))
	l.Logger.Warn("the flow is held up", "cause", what, "code", fault.CodeOf(err), "error", err)
	pause(ctx, 100*time.Millisecond)
}

// halt ends the run, which gives the cause; the first one stays.
func (l *Loop) halt(err error) { l.gate.halt(err, l.Now()) }

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
