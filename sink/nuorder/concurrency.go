package nuorder

import "time"

// concurrency adapts the number of calls in flight: additive growth while calls succeed, a cut when the portal refuses or fails.
// It remembers the number that was refused and tries it again only after many successes, so that a portal with a fixed ceiling
// refuses few calls. A refusal tells a ceiling only if as many calls were not served before: one that comes after many successes has
// another reason, and so has one of a lone call. The gate's lock guards it.
type concurrency struct {
	limit, ceiling int // ceiling is the largest number not known to be refused, 0 if none is known
	most           int
	served         []int // successes by how many calls were in flight, since as many were refused last
	grown          int   // successes at the limit since it was changed
	calm           int   // successes since the ceiling was learned
	probe          int   // how many of these allow one try above the ceiling; doubles with each ceiling that is learned
	dry            int   // refusals in a row, without a success between them
	shared         bool  // other instances call the portal too: what they do decides which call is refused
	cutAt          time.Time
}

const (
	// growEvery successes per place in use allow one more.
	growEvery = 4
	// enough successes per call in flight make it unlikely that their number is what the portal refuses, where nobody else calls it;
	// before a portal that others call too, enoughShared.
	enough       = 2
	enoughShared = 50
	// storm is how many refusals in a row tell of another reason, also where others call too.
	storm = 3
	// probeFirst successes after a ceiling was learned allow one try above it, in the end probeMost.
	probeFirst = 500
	probeMost  = 16 * probeFirst
)

func newConcurrency(start, most int) concurrency {
	return concurrency{limit: start, most: most, served: make([]int, most+1)}
}

// success counts a call that ended well while inFlight calls, itself included, were under way.
func (c *concurrency) success(inFlight int) {
	c.calm, c.dry = c.calm+1, 0
	c.served[min(inFlight, c.most)]++
	if c.ceiling > 0 && c.limit > c.ceiling && c.proven(c.limit) {
		c.ceiling = 0 // more are served: there may be room for yet more
	}
	if inFlight < c.limit || c.limit >= c.most {
		return // the limit was not what held anybody back
	}
	c.grown++
	switch {
	case c.grown < growEvery*c.limit:
	case c.ceiling == 0 || c.limit < c.ceiling || c.limit == c.ceiling && c.calm >= c.probe:
		c.limit, c.grown = c.limit+1, 0
	}
}

// proven tells that the portal has served calls while n were in flight since it last refused as many.
func (c *concurrency) proven(n int) bool {
	sum := 0
	for _, s := range c.served[min(n, c.most):] {
		sum += s
	}
	if c.shared {
		return sum >= enoughShared*n
	}
	return sum >= enough*n
}

// refused lowers the limit after a 429 for a call that began at a time; calls begun before the last cut say nothing new.
// It tells whether the limit could still be lowered.
func (c *concurrency) refused(began, now time.Time, inFlight int) bool {
	if began.Before(c.cutAt) {
		return true
	}
	n := min(c.limit, inFlight)
	proven, lowered := c.proven(n), c.limit > 1
	clear(c.served[n:])
	c.dry++
	switch {
	case n <= 1 && (!c.shared || c.dry >= storm): // not the number of calls is what the portal cannot have
		c.ceiling, c.probe = 0, 0
		c.cut(1, now)
	case proven: // once is no reason to do less; a second time soon is
		c.cut(c.limit, now)
	default:
		if to := max(1, n-1); to != c.ceiling || n > c.ceiling {
			c.ceiling, c.calm = to, 0
			c.probe = min(max(2*c.probe, probeFirst), probeMost)
		}
		c.cut(max(1, c.limit/2), now)
	}
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
	c.limit, c.grown, c.cutAt = to, 0, now
}
