package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// dispatch takes due keys in batches, owns and reads them, settles those that need no call, and hands the others to lanes.
func (l *Loop) dispatch(ctx, work context.Context) {
	for ctx.Err() == nil {
		now := l.Now()
		standing, until := l.gate.standing(now)
		var turns []*turn
		next := until
		if standing.State == Running {
			if room := l.room(); room > 0 {
				turns, next = l.board.take(now, min(room, l.config.Batch))
			}
		}
		if len(turns) > 0 {
			l.batch(work, turns) // its leases are taken to their end, whatever stops
			continue
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(next.Sub(now), time.Millisecond))
		}
		select {
		case <-ctx.Done():
		case <-l.board.work:
		case <-timer:
		}
	}
}

// room is how many keys may be taken now. While enough are under way to keep the lanes busy it waits for room for a batch: a
// statement for each key would cost more than its call.
func (l *Loop) room() int {
	limit, flying := l.flight.get(), l.board.flying()
	room := limit - flying
	if flying >= limit/2 && room < limit/4 && !l.board.urgent() {
		return 0
	}
	return room
}

const restBulk = 500 * time.Millisecond

// batch brings keys as far as their lane. Whatever it cannot bring further is put back, never lost.
func (l *Loop) batch(ctx context.Context, turns []*turn) {
	turns = l.provable(ctx, turns)
	turns = l.own(ctx, turns)
	turns = l.read(ctx, turns)
	if len(turns) == 0 {
		return
	}
	if err := l.rekey(ctx, turns); err != nil {
		l.failed(ctx, "identities cannot be looked up", err)
		l.release(turns, ledger.RestoreDoubt, l.Now().Add(l.config.BackoffBase))
		return
	}
	turns = slices.DeleteFunc(turns, func(t *turn) bool { return l.settledWithoutCall(t) })
	tried := len(turns)
	turns = l.parents(ctx, turns)
	if tried > 1 && 2*len(turns) < tried {
		// The parents are being loaded too. Whoever waits for one is released by it: trying all others first would read each twice.
		l.board.restBulk(l.Now().Add(restBulk))
	}
	l.loadBodies(ctx, turns)
	for _, t := range turns {
		l.lanes[laneOf(t.key, len(l.lanes))] <- t
	}
}

func laneOf(key mapper.Key, lanes int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}

// provable leaves out keys that were touched by several transactions not all of which every read sees yet. A single one is
// proven by the read itself.
func (l *Loop) provable(ctx context.Context, turns []*turn) []*turn {
	var wants []mapper.Want
	var owner []*turn
	for _, t := range turns {
		for _, s := range t.sources {
			if len(t.sources) > 1 {
				wants, owner = append(wants, mapper.Want{Key: t.key, XID: s.xid, Commit: s.commit, Epoch: s.epoch}), append(owner, t)
			}
		}
	}
	if len(wants) == 0 {
		return turns
	}
	visible, err := l.Reader.Visible(ctx, wants)
	if err != nil {
		l.failed(ctx, "transactions cannot be proven", err)
		l.putBack(turns, l.Now().Add(l.config.BackoffBase))
		return nil
	}
	hidden := map[*turn]bool{}
	for i, ok := range visible {
		if !ok {
			hidden[owner[i]] = true
		}
	}
	return slices.DeleteFunc(turns, func(t *turn) bool {
		if hidden[t] {
			l.notYetVisible(t)
		}
		return hidden[t]
	})
}

// takenAgain is how long a key rests that someone else owns, after so many times. Most leases are given back long before they end: the
// flows of one order, which a single change of it wakes, need a few milliseconds each.
func takenAgain(times int) time.Duration {
	wait := 20 * time.Millisecond << min(times, 3)
	return wait/2 + rand.N(wait)
}

// own takes the leases; keys that someone else owns wait for the end of that lease at most. // decision 4
func (l *Loop) own(ctx context.Context, turns []*turn) []*turn {
	if len(turns) == 0 {
		return nil
	}
	keys, byKey := make([]mapper.Key, len(turns)), make(map[mapper.Key]*turn, len(turns))
	for i, t := range turns {
		keys[i], byKey[t.key] = t.key, t
	}
	owned, err := l.Ledger.Own(ctx, l.config.owning(keys))
	if err != nil {
		l.failed(ctx, "the ledger cannot be written", err)
		l.putBack(turns, l.Now().Add(l.config.BackoffBase))
		return nil
	}
	for key, left := range owned.Taken {
		t := byKey[key]
		wait := min(left, takenAgain(t.entry.taken))
		t.entry.taken++
		l.board.putBack(t, l.Now().Add(max(wait, 5*time.Millisecond)))
	}
	mine := make([]*turn, 0, len(owned.Objects))
	for i := range owned.Objects {
		t := byKey[owned.Objects[i].Key]
		t.entry.taken = 0
		t.object, t.deadline, t.owned = owned.Objects[i], owned.Deadline, l.Now()
		t.parked, t.isParked = owned.Parked[t.key]
		mine = append(mine, t)
	}
	return mine
}

// read reads and maps the documents of owned keys.
func (l *Loop) read(ctx context.Context, turns []*turn) []*turn {
	if len(turns) == 0 {
		return nil
	}
	wants := make([]mapper.Want, len(turns))
	for i, t := range turns {
		wants[i] = mapper.Want{Key: t.key}
		for _, s := range t.sources {
			if s.epoch > wants[i].Epoch || s.epoch == wants[i].Epoch && s.commit >= wants[i].Commit {
				wants[i] = mapper.Want{Key: t.key, XID: s.xid, Commit: s.commit, Epoch: s.epoch}
			}
		}
	}
	docs, err := l.documents(ctx, wants)
	if fault.KindOf(err) == fault.Reject {
		// A query cannot take the key of one of them: it alone is parked. // I7
		if len(turns) == 1 {
			l.unmappable(turns[0], err)
			return nil
		}
		half := len(turns) / 2
		return slices.Concat(l.read(ctx, turns[:half:half]), l.read(ctx, turns[half:]))
	}
	if err != nil {
		l.failed(ctx, "documents cannot be read", err)
		l.release(turns, ledger.RestoreDoubt, l.Now().Add(l.config.BackoffBase))
		return nil
	}
	out := turns[:0]
	for i, t := range turns {
		if docs[i].NotYetVisible {
			l.done <- outcome{turn: t, hidden: true, settlement: l.settlement(t, ledger.Released, ledger.RestoreDoubt)}
			continue
		}
		t.read = readAt{docs[i].Epoch, docs[i].At}
		t.body, err = l.Mapper.Body(l.config.Flow, t.key, docs[i].Document)
		if err != nil {
			l.unmappable(t, err)
			continue
		}
		t.hash = sha256.Sum256(t.body.JSON)
		out = append(out, t)
	}
	return out
}

// documents reads, and gives stock what no database of the OMS knows.
func (l *Loop) documents(ctx context.Context, wants []mapper.Want) ([]mapper.Read, error) {
	var open []mapper.OpenOrder
	if l.OpenOrders != nil && l.config.Flow == mapper.Inventory {
		var err error
		if open, err = l.OpenOrders(ctx); err != nil {
			return nil, fmt.Errorf("read the open orders: %w", err)
		}
	}
	docs, err := l.Reader.Read(ctx, l.config.Flow, wants)
	if err != nil || len(open) == 0 {
		return docs, err
	}
	for i := range docs {
		if docs[i].Document != nil {
			docs[i].Document.SetOpenOrders(open)
		}
	}
	return docs, nil
}

func (l *Loop) unmappable(t *turn, err error) {
	if fault.KindOf(err) == fault.Halt {
		l.halt(err)
		l.release([]*turn{t}, ledger.RestoreDoubt, l.Now())
		return
	}
	code := fault.CodeOf(err)
	if code == "unknown" {
		code = "mapping_failed"
	}
	l.park(t, &ledger.Cause{Code: code, Rule: "mapping", Text: err.Error()}, ledger.RestoreDoubt, 0)
}

// settledWithoutCall settles what needs no call: broken rules, changes of a parked key that mend nothing, equal bodies, and keys that
// are filtered and were never sent.
func (l *Loop) settledWithoutCall(t *turn) bool {
	b := &t.body
	switch {
	case len(b.Violations) > 0:
		v := b.Violations[0]
		l.park(t, &ledger.Cause{Code: "invalid", Field: v.Field, Rule: v.Rule, Value: v.Value, Text: v.Text, Violations: b.Violations}, ledger.RestoreDoubt, 0)
	case t.isParked && !t.force && len(t.parked) > 0 && bytes.Equal(t.parked, t.hash[:]):
		l.finish(t, l.settlement(t, ledger.Parked, ledger.RestoreDoubt)) // absorbed
	case b.Filtered && !t.object.Known && !t.object.InDoubt && t.object.RemoteID == "":
		l.finish(t, l.settlement(t, ledger.Filtered, ledger.ClearDoubt))
	case l.equal(t):
		d := ledger.Unchanged
		if b.Filtered {
			d = ledger.Filtered
		}
		s := l.settlement(t, d, ledger.ClearDoubt)
		s.Object.Position = t.position
		l.finish(t, s)
	default:
		return false
	}
	return true
}

// equal tells whether NuORDER is known to hold this very body. In doubt is not unchanged. // decision 5
func (l *Loop) equal(t *turn) bool {
	if !l.config.compares() || t.object.InDoubt {
		return false
	}
	part, sent := t.object.Parts[ledger.PartOf(l.config.Flow)]
	return sent && part.Hash == t.hash
}

// canary tells whether the mode selects a key: by list, or by a share that stays the same keys.
func (l *Loop) canary(key mapper.Key) bool {
	if slices.Contains(l.config.CanaryKeys, key) {
		return true
	}
	sum := sha256.Sum256([]byte(key))
	return float64(uint16(sum[0])<<8|uint16(sum[1])) < l.config.CanaryShare*65536
}

// parents makes keys wait whose parents are not known to be at NuORDER. In shadow nothing waits: what is sent of the parents is stored, too.
func (l *Loop) parents(ctx context.Context, turns []*turn) []*turn {
	var refs, firsts []mapper.Ref
	for _, t := range turns {
		if t.object.Known {
			refs = append(refs, t.body.Parents...)
		} else {
			firsts = append(firsts, t.body.Parents...)
		}
	}
	known, err := l.Ledger.Known(ctx, l.config.Environment, refs)
	var first map[mapper.Ref]ledger.Object
	if err == nil {
		first, err = l.Ledger.Parents(ctx, l.config.Environment, firsts)
	}
	if err != nil {
		l.failed(ctx, "parents cannot be looked up", err)
		l.release(turns, ledger.RestoreDoubt, l.Now().Add(l.config.BackoffBase))
		return nil
	}
	for _, t := range turns {
		if t.object.Known || len(t.body.Parents) == 0 {
			continue
		}
		t.parents = make(map[mapper.Ref]ledger.Object, len(t.body.Parents))
		for _, ref := range t.body.Parents {
			if o, ok := first[ref]; ok {
				t.parents[ref] = o
				known[ref] = true
			}
		}
	}
	return slices.DeleteFunc(turns, func(t *turn) bool {
		if l.shadowed(t.key) {
			return false
		}
		var missing []mapper.Ref
		for _, ref := range t.body.Parents {
			if !known[ref] && !slices.Contains(missing, ref) {
				missing = append(missing, ref)
			}
		}
		if len(missing) == 0 {
			return false
		}
		s := l.settlement(t, ledger.Waiting, ledger.RestoreDoubt)
		s.WaitFor = missing
		l.finish(t, s)
		return true
	})
}

// loadBodies fetches the last delivered bodies where the Remote may need them: to archive, to cancel, and for orders.
func (l *Loop) loadBodies(ctx context.Context, turns []*turn) {
	objects := map[mapper.Key]*ledger.Object{}
	for _, t := range turns {
		if (t.body.Filtered || !l.config.compares()) && len(t.object.Parts) > 0 {
			objects[t.key] = &t.object
		}
	}
	if len(objects) == 0 {
		return
	}
	if err := l.Ledger.Bodies(ctx, l.config.Environment, l.config.Flow.Kind(), objects); err != nil {
		// The lane finds the body missing and reads what NuORDER holds.
		l.Logger.Warn("last bodies cannot be loaded", "error", err)
	}
}
