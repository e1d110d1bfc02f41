package sink

import (
	"context"
	"maps"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// Outcomes are gathered for a moment, and for longer while a backlog stands: a statement costs much the same for few keys as for many.
const (
	settleLinger  = 30 * time.Millisecond
	backlogLinger = 120 * time.Millisecond
	settleMost    = 500
	commitEvery   = 200 * time.Millisecond
	progressTick  = 100 * time.Millisecond
)

// settle writes outcomes to the ledger in batches and commits offsets after them, until done is closed. // I2
func (l *Loop) settle(ctx context.Context) {
	s := &settler{Loop: l}
	tick := time.NewTicker(progressTick)
	defer tick.Stop()
	for open := true; open; {
		var batch []outcome
		select {
		case o, ok := <-l.done:
			if open = ok; ok {
				batch = append(batch, o)
				open = l.gather(&batch)
			}
		case <-l.board.strays:
		case <-tick.C:
		}
		s.apply(ctx, append(batch, l.strays()...))
	}
	s.commitNow(ctx, true)
}

// gather takes what has come, and what comes within the linger while other keys are under way. It costs nobody time: the answer is
// there already. Only a key that begins to wait is soon written down, so that its parent's settlement finds it.
func (l *Loop) gather(batch *[]outcome) (open bool) {
	wait := settleLinger
	if (*batch)[0].settlement.Disposition != ledger.Waiting && l.board.backlog() > l.config.InFlight {
		wait = backlogLinger
	}
	linger := time.NewTimer(wait)
	defer linger.Stop()
	for len(*batch) < settleMost && len(*batch) < l.board.flying() {
		select {
		case o, ok := <-l.done:
			if !ok {
				return false
			}
			*batch = append(*batch, o)
			if o.settlement.Disposition == ledger.Waiting && wait > settleLinger {
				wait = settleLinger
				linger.Reset(wait)
			}
		case <-linger.C:
			return true
		}
	}
	return true
}

func (l *Loop) strays() []outcome {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	out := l.board.stray
	l.board.stray = nil
	return out
}

// settler is the one goroutine that settles.
type settler struct {
	*Loop
	seq       int64
	committed time.Time
	next      map[cdc.Partition]int64
}

// apply settles a batch; it does not give up before the context ends, and nothing else goes on meanwhile.
func (s *settler) apply(ctx context.Context, batch []outcome) {
	if len(batch) == 0 && !s.progress() {
		s.commitNow(ctx, false)
		return
	}
	for failures := 1; ; {
		settling, tracks, passed := s.build(batch)
		s.seq++
		settling.Seq = s.seq
		s.points(batch)
		out, err := s.write(ctx, batch, settling)
		for err != nil {
			if ctx.Err() != nil {
				s.Logger.Error("stopped before the ledger took the settlements; they are repeated after the start", "keys", len(batch), "error", err)
				return
			}
			if failures == 1 || failures%20 == 0 {
				s.Logger.Error("the ledger cannot be written; delivery stands still", "error", err, "failures", failures)
			}
			now := s.Now()
			s.gate.throttle("ledger_unavailable", "the ledger cannot be written", now, now.Add(time.Second))
			pause(ctx, s.backoff(min(failures, 4)))
			failures++
			out, err = s.write(ctx, batch, settling) // the same sequence number: a repeat is known
		}
		if len(out.Stale) > 0 {
			batch = s.stale(ctx, batch, out.Stale)
			continue
		}
		s.at(PointSettled)
		s.settled(ctx, batch, tracks, passed, settling, out)
		return
	}
}

// write notes calls without an answer before the settlement takes the doubt from their objects.
func (s *settler) write(ctx context.Context, batch []outcome, settling *ledger.Settling) (ledger.Outcome, error) {
	var late []mapper.Key
	for i := range batch {
		if batch[i].late {
			late = append(late, batch[i].turn.key)
		}
	}
	if err := s.Ledger.Late(ctx, s.config.Environment, s.config.Flow, late, s.config.Late); err != nil {
		return ledger.Outcome{}, err
	}
	return s.Ledger.Settle(ctx, settling)
}

// points passes the points that depend on what is about to be settled.
func (s *settler) points(batch []outcome) {
	for i := range batch {
		switch batch[i].settlement.Disposition {
		case ledger.Parked:
			s.at(PointParking)
		case ledger.Delivered:
			s.at(PointReleasing)
		}
	}
}

// progress tells whether a mark can move without any settlement.
func (s *settler) progress() bool {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	for _, t := range s.board.tracks {
		if next, _, passes := t.mark(); passes.records > 0 || next > t.next {
			return true
		}
	}
	return false
}

// build makes the statement: it closes the touches of the batch, so that the marks are those after it.
func (s *settler) build(batch []outcome) (*ledger.Settling, []*track, []int) {
	b := s.board
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range batch {
		if o := &batch[i]; o.final() {
			for _, t := range o.turn.touches {
				t.record.open--
			}
		}
	}
	settling := &ledger.Settling{
		Environment: s.config.Environment, Flow: s.config.Flow, Instance: s.config.owner(), ParentRank: ledger.RankOf(s.config.Flow),
	}
	tracks := make([]*track, 0, len(b.tracks))
	index := make(map[*track]int, len(b.tracks))
	passed := make([]int, 0, len(b.tracks))
	for _, t := range b.tracks {
		next, last, passes := t.mark()
		index[t] = len(tracks)
		tracks, passed = append(tracks, t), append(passed, passes.records)
		settling.Partitions = append(settling.Partitions, ledger.Progress{
			Partition: t.partition, Token: t.token, Next: next, Last: last, Filtered: passes.filtered, Superseded: passes.covered,
		})
	}
	for i := range batch {
		o := &batch[i]
		m := o.settlement
		if o.final() {
			m.Touches = map[int]int64{}
			s.count(&m, o.turn, index, settling.Partitions)
		}
		settling.Settlements = append(settling.Settlements, m)
	}
	return settling, tracks, passed
}

// count counts the touches of a settled turn, each once. // I1
func (s *settler) count(m *ledger.Settlement, t *turn, index map[*track]int, parts []ledger.Progress) {
	for _, touch := range t.touches {
		i, mine := index[touch.record.track]
		switch {
		case !mine: // its partition belongs to others now, who count it
		case touch.repeat:
			parts[i].Repeats++
		default:
			m.Touches[i]++
			if touch.record.offset >= parts[i].Next {
				parts[i].Above = append(parts[i].Above, ledger.SettledTouch{Offset: touch.record.offset, Key: t.key})
			}
		}
	}
}

// final tells whether the turn's touches are settled, as opposed to put back.
func (o *outcome) final() bool { return o.settlement.Disposition != ledger.Released }

// stale takes out the settlements whose lease went to someone else. Bytes of theirs may still arrive at NuORDER: the object
// is in doubt again, and whoever owns it now sends it again. // I3
func (s *settler) stale(ctx context.Context, batch []outcome, at []int) []outcome {
	s.board.mu.Lock()
	for i := range batch {
		if batch[i].final() {
			for _, t := range batch[i].turn.touches {
				t.record.open++
			}
		}
	}
	s.board.mu.Unlock()
	lost := make(map[int]bool, len(at))
	for _, i := range at {
		lost[i] = true
	}
	kept := batch[:0:0]
	for i := range batch {
		if !lost[i] {
			kept = append(kept, batch[i])
			continue
		}
		t := batch[i].turn
		s.guards.end(t)
		if batch[i].asked {
			s.doubt(ctx, t)
		}
		s.Logger.Warn("a lease was lost before it was settled", "asked", batch[i].asked)
		s.board.putBack(t, s.Now().Add(s.config.BackoffBase))
	}
	return kept
}

func (s *settler) doubt(ctx context.Context, t *turn) {
	for failures := 1; ; failures++ {
		err := s.Ledger.Doubt(ctx, s.config.Environment, s.config.Flow, keysOf(t), "lease lost")
		if err == nil || ctx.Err() != nil {
			return
		}
		s.Logger.Error("an object cannot be marked in doubt", "error", err, "failures", failures)
		pause(ctx, s.backoff(min(failures, 4)))
	}
}

// settled brings the board in line with the ledger and commits.
func (s *settler) settled(ctx context.Context, batch []outcome, tracks []*track, passed []int, settling *ledger.Settling, out ledger.Outcome) {
	b := s.board
	now := s.Now()
	b.mu.Lock()
	lost := make(map[int]bool, len(out.Lost))
	for _, i := range out.Lost {
		lost[i] = true
		if p := tracks[i].partition; b.tracks[p] == tracks[i] {
			b.drop(p)
			b.orphans[p] = now
		}
	}
	for i, t := range tracks {
		if lost[i] || t.lost {
			continue
		}
		t.pass(passed[i], settling.Partitions[i].Next, settling.Partitions[i].Last)
		b.records -= passed[i]
	}
	for i := range batch {
		s.guards.end(batch[i].turn)
		if batch[i].final() {
			b.reads.settled(batch[i].turn, batch[i].settlement.Disposition)
			s.Measures.settled(ctx, &s.config, &batch[i], now)
			b.finish(batch[i].turn)
		}
	}
	b.mu.Unlock()
	for i := range batch {
		if o := &batch[i]; !o.final() {
			s.putAside(o, now)
		}
	}
	s.observe(ctx, batch)
	wake(b.work)
	wake(b.room)
	s.commitNow(ctx, false)
}

func (s *settler) putAside(o *outcome, now time.Time) {
	t, due := o.turn, o.again
	switch {
	case o.hidden:
		t.entry.hidden++
		due = now.Add(visibleAgain(t.entry.hidden))
	case o.failed:
		t.entry.attempts++
	}
	s.board.putBack(t, due)
}

// commitNow commits the marks that moved, not too often, and the last ones before the end.
func (s *settler) commitNow(ctx context.Context, last bool) {
	now := s.Now()
	if !last && now.Sub(s.committed) < commitEvery {
		return
	}
	s.board.mu.Lock()
	next := map[cdc.Partition]int64{}
	for p, t := range s.board.tracks {
		if t.next > t.committed {
			next[p] = t.next
		}
	}
	s.board.mu.Unlock()
	if len(next) == 0 {
		return
	}
	s.committed = now
	if err := s.commit(ctx, next); err != nil {
		// The ledger knows: what is read twice is recognised.
		if s.next == nil || !maps.Equal(s.next, next) {
			s.Logger.Warn("offsets cannot be committed", "error", err)
		}
		s.next = next
		return
	}
	s.at(PointCommitted)
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	for p, n := range next {
		if t := s.board.tracks[p]; t != nil {
			t.committed = max(t.committed, n)
		}
	}
}

// commit serialises commits of the intake and the settler.
func (l *Loop) commit(ctx context.Context, next map[cdc.Partition]int64) error {
	l.commits.Lock()
	defer l.commits.Unlock()
	return l.Log.Commit(ctx, next)
}
