package sink

import (
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
)

// calm says when keys that changed are held back. One that changed alone waits a moment for company, so that a batch is worth its
// statements. In a burst each waits until it was left alone, and where the burst changes keys again and again until the burst is over, so
// that many changes of many documents make one call for each.
type calm struct {
	// linger is how long the first change of a key waits, in a large transaction a whole window: whether it begins a burst shows
	// by then, also where the log comes late.
	linger time.Duration
	// quiet is how long a key must have been left alone in a burst, or the burst be over; most is how long it is held at most.
	quiet, most time.Duration
	// many changes within a window make a burst.
	many   int
	window time.Duration

	// large is the newest commit of a large transaction, largeFrom the oldest of those that came without a window between them, largeAt
	// when the newest row of one came.
	large, largeFrom cdc.LSN
	largeAt          time.Time
	// last is when the newest change of a burst came, lag how long after its commit. Of those that came since the burst began, first touched a key that was not held,
	// again one that an earlier transaction had touched.
	last         time.Time
	lag          time.Duration
	first, again int

	// counts of changes by window, the last ones.
	counts [calmRing]struct {
		window int64
		n      int
	}
}

const (
	calmLinger = 10 * time.Millisecond
	calmWindow = 250 * time.Millisecond
	calmMany   = 200
	// calmLarge is from how many changes on a transaction is large.
	calmLarge = 64
	// calmBacklog is how long after its commit a change is taken to come from a backlog.
	calmBacklog = 5 * time.Second
	calmRing    = 64
	// calmMost is how many times Quiet a key is held at most.
	calmMost = 20
)

func newCalm(quiet time.Duration) calm {
	return calm{
		linger: min(calmLinger, quiet), quiet: quiet, most: calmMost * quiet,
		many: calmMany, window: calmWindow,
	}
}

// came counts a change of a key and tells the moment that it counts at: its commit, for changes that come together because they were
// held up on their way are no burst. What was committed long ago comes from a backlog, in which many changes of one document follow
// each other fast: it counts when it came, and is not live.
func (c *calm) came(e *entry, p cdc.Position, at, commit time.Time) (live bool) {
	live = !commit.IsZero() && at.Sub(commit) <= calmBacklog
	before := e.moment
	if e.moment = at; live {
		e.moment = commit
	}
	w := c.windowOf(e.moment)
	if slot := &c.counts[w&(calmRing-1)]; slot.window == w {
		slot.n++
	} else {
		slot.window, slot.n = w, 1
	}
	if c.burst(e.moment) {
		if at.Sub(c.last) > c.quiet {
			c.first, c.again = 0, 0
		}
		c.last, c.lag = at, at.Sub(e.moment)
	}
	switch {
	case e.came.IsZero():
		e.came = at
		c.first++
	case e.moment.Sub(before) > c.linger: // rows of one transaction, or of some that were made together, do not come again
		c.again++
	}
	e.last = at
	if p.Index >= calmLarge {
		e.large = true
		if at.Sub(c.largeAt) > c.window {
			c.large, c.largeFrom = p.Commit, p.Commit
		}
		c.large, c.largeFrom, c.largeAt = max(c.large, p.Commit), min(c.largeFrom, p.Commit), at
	}
	return live
}

// isLarge tells whether a commit is one of the large ones that came last, or between them.
func (c *calm) isLarge(at cdc.LSN) bool { return c.large > 0 && c.largeFrom <= at && at <= c.large }

// repeats tells whether the burst changes keys again and again: a fifth of its changes do.
func (c *calm) repeats() bool { return 4*c.again > c.first }

func (c *calm) windowOf(moment time.Time) int64 { return moment.UnixNano() / int64(c.window) }

func (c *calm) count(w int64) float64 {
	if slot := c.counts[w&(calmRing-1)]; slot.window == w {
		return float64(slot.n)
	}
	return 0
}

// burst tells whether many changes were made within a window at a moment.
func (c *calm) burst(moment time.Time) bool {
	w := c.windowOf(moment)
	left := 1 - float64(moment.UnixNano()-w*int64(c.window))/float64(c.window)
	return max(c.count(w)+left*c.count(w-1), c.count(w+1)+left*c.count(w)) > float64(c.many)
}

// hold gives until when a key is held back, zero if it is not. Orders are never held, nor is what did not change: requests, and
// the rows of a snapshot, which are all there already.
func (c *calm) hold(e *entry, now time.Time) time.Time {
	if e.came.IsZero() || e.rank == ledger.RankOrders {
		return time.Time{}
	}
	until := c.until(e, e.came)
	if !until.After(now) {
		return time.Time{}
	}
	return until
}

// until is when a key that came at a moment need not be held any more. A key that has not changed since it was taken is held for what it
// is part of alone.
func (c *calm) until(e *entry, came time.Time) time.Time {
	until := came.Add(c.linger)
	if e.large || c.isLarge(e.position.Commit) {
		until = came.Add(c.window)
	}
	if c.burst(e.moment) {
		if !e.last.IsZero() {
			until = e.last.Add(c.quiet)
		}
		if over := c.last.Add(c.quiet + c.lag); c.repeats() && over.After(until) {
			until = over // what comes late may also pause on its way
		}
		if most := came.Add(c.most); until.After(most) {
			until = most
		}
	}
	return until
}
