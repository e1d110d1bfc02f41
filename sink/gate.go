package sink

import (
	"sync"
	"time"

	"nubridge/internal/fault"
)

// State says whether a flow works.
type State string

// The states of a flow.
const (
	Running   State = "running"
	Throttled State = "throttled" // told to wait; goes on by itself
	Paused    State = "paused"    // stored in the ledger; a person resumes it
	Halted    State = "halted"    // going on would lose or corrupt; the run has ended, or is about to
)

// Standing is the state with its cause.
type Standing struct {
	State State
	// Code is stable; Reason is for people.
	Code, Reason string
	Since        time.Time
}

// gate holds back the dispatcher and tells why.
type gate struct {
	mu sync.Mutex
	// cause is why the flow halted; gone is closed when it did.
	cause     error
	since     time.Time
	gone      chan struct{}
	paused    *Standing
	throttled Standing
	until     time.Time
}

func newGate() *gate { return &gate{gone: make(chan struct{})} }

// halt stops the flow for the life of the loop; the first cause stays.
func (g *gate) halt(cause error, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		g.cause, g.since = cause, now
		close(g.gone)
	}
}

// halted gives why the flow halted, nil if it did not.
func (g *gate) halted() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// pause shows what the ledger says; nil opens it.
func (g *gate) pause(s *Standing) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed = (g.paused == nil) != (s == nil)
	g.paused = s
	return changed
}

// throttle holds the flow back until a time.
func (g *gate) throttle(code, reason string, now, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		if !g.until.After(now) {
			g.throttled = Standing{Throttled, code, reason, now}
		}
		g.until = until
		g.throttled.Code, g.throttled.Reason = code, reason
	}
}

// standing gives the state, and until when a throttle lasts.
func (g *gate) standing(now time.Time) (Standing, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.cause != nil:
		return Standing{Halted, fault.CodeOf(g.cause), g.cause.Error(), g.since}, time.Time{}
	case g.paused != nil:
		return *g.paused, time.Time{}
	case g.until.After(now):
		return g.throttled, g.until
	default:
		return Standing{State: Running}, time.Time{}
	}
}
