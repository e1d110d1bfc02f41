package sink

import (
	"fmt"
	"sync"

	"nubridge/internal/ledger"
)

// guards compare what was done in this hour, by all instances, with what may be. What was begun here and is not settled yet counts
// too, so that its deliveries in flight never pass a limit; those of the other instances are not known before they are settled, so that
// each begins no more than its part of what is left. The flow pauses once as much is settled as may be.
type guards struct {
	mu    sync.Mutex
	state ledger.FlowState
	// begun and ended count the deliveries of this loop by action, since its start.
	begun, ended map[string]int64
	// base is what had ended before the state was read: what was begun beyond it is perhaps not in the state.
	base map[string]int64
}

// guarded is what a guard says to a delivery.
type guarded byte

const (
	mayGo guarded = iota
	mustWait
	mustPause
)

// ending tells what has ended by now; it is asked before the state is read.
func (g *guards) ending() map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]int64, len(g.ended))
	for action, n := range g.ended {
		out[action] = n
	}
	return out
}

// loaded takes a state over that was read after ending.
func (g *guards) loaded(f ledger.FlowState, ended map[string]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state, g.base = f, ended
}

// begin counts a delivery, or says why it must not begin.
func (g *guards) begin(t *turn, action string, limits Guards) (verdict guarded, why ledger.Pausing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit, done := limits.Updates, g.state.Updates
	switch action {
	case "create":
		limit, done = limits.Creates, g.state.Creates
	case "archive":
		limit, done = limits.Archivals, g.state.Archivals
	}
	switch {
	case limit > 0 && done >= limit:
		return mustPause, ledger.Pausing{
			Code: "guard_" + action, Action: action, Limit: limit,
			Reason: fmt.Sprintf("%d of kind %s were done in this hour, which is the limit; look whether the change is meant, then resume", done, action),
		}
	case limit > 0 && g.begun[action]-g.base[action] >= max(1, (limit-done)/max(1, g.state.Instances)):
		return mustWait, ledger.Pausing{}
	}
	if g.begun == nil {
		g.begun, g.ended = map[string]int64{}, map[string]int64{}
	}
	g.begun[action]++
	t.guarded = action
	return mayGo, ledger.Pausing{}
}

// end notes that the delivery of a turn is settled, or put back.
func (g *guards) end(t *turn) {
	if t.guarded == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended[t.guarded]++
	t.guarded = ""
}
