package nuorder

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// Stats gives a picture of the client's state; it never blocks for long.
func (c *Client) Stats() Stats {
	s := c.gate.stats()
	s.Budget = c.budget.left()
	s.Skew = time.Duration(c.skew.Load())
	return s
}

func (g *gate) stats() Stats {
	s := Stats{Breakers: make(map[Class]BreakerStats, len(g.breakers))}
	for class, b := range g.breakers {
		bs := BreakerStats{State: gobreaker.State(b.state.Load()).String(), Opened: b.opened.Load()}
		if at := b.resumes.Load(); at != 0 {
			bs.Resumes = time.Unix(0, at)
		}
		s.Breakers[class] = bs
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Calls, s.InFlight, s.Waiting = g.granted, g.inFlight, len(g.queue)
	s.Limit, s.Rate = g.conc.limit, float64(g.limiter.Limit())
	if p := g.pauses[""]; p.until.After(now) {
		s.PausedUntil, s.PauseCode = p.until, p.cause.Code
	}
	return s
}
