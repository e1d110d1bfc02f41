package nuorder

import "time"

// concurrency adapts the number of calls in flight: additive growth while calls succeed, a cut when the portal refuses or fails.
// It remembers the number that was refused last and tries it again only after many successes, so that a portal with a fixed
// ceiling refuses few calls. The gate's lock guards it.
type concurrency struct {
	limit, ceiling int // ceiling is the largest number not known to be refused, 0 if none ever was
	most           int
	successes      int
	probe          int // successes at the ceiling before one more is tried; doubles with each refusal
	cutAt          time.Time
}

const (
	// growEvery successes per place in use allow one more.
	growEvery = 4
	// probeFirst successes at the ceiling allow one try above it: at most one refusal in a thousand calls.
	probeFirst = 1000
	probeMost  = 64 * probeFirst
)

func newConcurrency(start, most int) concurrency {
	return concurrency{limit: start, most: most}
}

// success counts a call that ended well while inFlight calls, itself included, were under way.
func (c *concurrency) success(inFlight int) {
	if inFlight < c.limit || c.limit >= c.most {
		return // the limit was not what held anybody back
	}
	c.successes++
	need := growEvery * c.limit
	if c.ceiling > 0 && c.limit >= c.ceiling {
		need = c.probe
	}
	if c.successes < need {
		return
	}
	c.successes = 0
	c.limit++
	if c.ceiling > 0 {
		c.ceiling = max(c.ceiling, c.limit)
	}
}

// refused halves the limit after a 429 for a call that began at a time; calls begun before the last cut say nothing new.
// It tells whether the limit could still be lowered.
func (c *concurrency) refused(began, now time.Time, inFlight int) bool {
	if began.Before(c.cutAt) {
		return true
	}
	lowered := c.limit > 1
	c.ceiling = max(1, min(c.limit, inFlight)-1)
	c.probe = min(max(2*c.probe, probeFirst), probeMost)
	c.cut(max(1, c.limit/2), now)
	return lowered
}

// failed lowers the limit by a quarter after a 5xx or a missing answer, never below two, so that one endpoint that hangs does not
// hold up all others.
func (c *concurrency) failed(began, now time.Time) {
	if began.Before(c.cutAt) {
		return
	}
	c.cut(max(min(2, c.limit), c.limit*3/4), now)
}

func (c *concurrency) cut(to int, now time.Time) {
	c.limit, c.successes, c.cutAt = to, 0, now
}
