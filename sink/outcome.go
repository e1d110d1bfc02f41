package sink

import (
	"math/rand/v2"
	"time"

	"nubridge/internal/ledger"
)

// outcome is the end of a turn, to be settled.
type outcome struct {
	turn       *turn
	settlement ledger.Settlement
	// again puts the key back: after a release, at that time.
	again time.Time
	// hidden tells that the key's transaction is not yet visible.
	hidden bool
	// failed counts towards the key's back-off.
	failed bool
	// asked tells that a call was under way, so that a lost lease puts the object in doubt.
	asked bool
	// late tells that a call got no answer and may yet be carried out.
	late bool
}

func (l *Loop) settlement(t *turn, d ledger.Disposition, doubt ledger.Doubt) ledger.Settlement {
	return ledger.Settlement{Object: t.object, Disposition: d, Doubt: doubt, Request: t.request, Trace: t.trace}
}

func (l *Loop) finish(t *turn, s ledger.Settlement) { l.done <- outcome{turn: t, settlement: s} }

// park ends a turn with a cause that a person must look at.
func (l *Loop) park(t *turn, cause *ledger.Cause, doubt ledger.Doubt, calls int) {
	s := l.settlement(t, ledger.Parked, doubt)
	s.Cause, s.Hash, s.Calls = cause, t.hash[:], calls
	if len(t.body.JSON) == 0 {
		s.Hash = nil // nothing was mapped: every later change is tried
	}
	l.finish(t, s)
}

// release gives leases back and puts the keys back until a time.
func (l *Loop) release(turns []*turn, doubt ledger.Doubt, again time.Time) {
	for _, t := range turns {
		l.done <- outcome{turn: t, settlement: l.settlement(t, ledger.Released, doubt), again: again}
	}
}

// putBack puts keys back that were never owned.
func (l *Loop) putBack(turns []*turn, again time.Time) {
	for _, t := range turns {
		l.board.putBack(t, again)
	}
}

// notYetVisible puts a key back that is not owned; it waits alone, which is no failure.
func (l *Loop) notYetVisible(t *turn) {
	t.entry.hidden++
	l.board.putBack(t, l.Now().Add(visibleAgain(t.entry.hidden)))
}

// visibleAgain is when a key that was hidden so often is looked at again.
func visibleAgain(times int) time.Duration {
	return min(5*time.Millisecond<<min(times, 10), time.Second)
}

// backoff is capped, with full jitter.
func (l *Loop) backoff(attempts int) time.Duration {
	limit := min(l.config.BackoffBase<<min(attempts, 20), l.config.BackoffCap)
	if limit <= 0 {
		limit = l.config.BackoffCap
	}
	return rand.N(limit) + time.Millisecond
}
