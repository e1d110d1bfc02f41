package sink

import (
	"time"

	"nubridge/internal/ledger"
)

// calm says when keys that changed are held back. One that changed alone waits a moment for company, so that a batch is worth its
// statements. In a burst each waits until it was left alone, so that many changes of many documents make one call for each.
type calm struct {
	// linger is how long the first change of a key waits, in a large transaction ten times as long: whether it begins a burst shows
	// by then.
	linger time.Duration
	// quiet is how long a key must have been left alone in a burst, most how long it is held at most.
	quiet, most time.Duration
	// many changes within a window make a burst.
	many   int
	window time.Duration

	// begun is when the present window began, now and before count its changes and those of the one before.
	begun       time.Time
	now, before int
}

const (
	calmLinger = 10 * time.Millisecond
	calmWindow = 250 * time.Millisecond
	calmMany   = 200
	// calmLarge is from how many changes on a transaction is large.
	calmLarge = 64
	// calmMost is how many times Quiet a key is held at most.
	calmMost = 20
)

func newCalm(quiet time.Duration) calm {
	return calm{linger: min(calmLinger, quiet), quiet: quiet, most: calmMost * quiet, many: calmMany, window: calmWindow}
}

// came counts a change.
func (c *calm) came(at time.Time) {
	c.turn(at)
	c.now++
}

// turn begins a new window when the present one is over.
func (c *calm) turn(at time.Time) {
	switch gone := at.Sub(c.begun); {
	case gone < c.window:
	case gone < 2*c.window:
		c.begun, c.before, c.now = c.begun.Add(c.window), c.now, 0
	default:
		c.begun, c.before, c.now = at, 0, 0
	}
}

// burst tells whether many changes came within the last window.
func (c *calm) burst(at time.Time) bool {
	c.turn(at)
	left := 1 - float64(at.Sub(c.begun))/float64(c.window)
	return float64(c.now)+left*float64(c.before) > float64(c.many)
}

// hold gives until when a key is held back, zero if it is not. Orders are never held, nor is what did not change: requests, and
// the rows of a snapshot, which are all there already.
func (c *calm) hold(e *entry, now time.Time) time.Time {
	if e.came.IsZero() || e.rank == ledger.RankOrders {
		return time.Time{}
	}
	until := e.came.Add(c.linger)
	if e.large {
		until = e.came.Add(10 * c.linger)
	}
	if c.burst(now) {
		until = e.last.Add(c.quiet)
		if most := e.came.Add(c.most); until.After(most) {
			until = most
		}
	}
	if !until.After(now) {
		return time.Time{}
	}
	return until
}
