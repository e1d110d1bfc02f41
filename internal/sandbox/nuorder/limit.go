package nuorder

import (
	"strconv"
	"time"
)

const (
	overConcurrency = "over the concurrency limit"
	overRate        = "over the rate limit"
)

// bucket is a token bucket; its rate may change from call to call.
type bucket struct {
	tokens float64
	last   time.Time
}

// take takes one token at a moment.
func (b *bucket) take(now time.Time, l Limits) bool {
	burst := float64(l.Burst)
	if burst == 0 {
		burst = max(l.Rate, 1)
	}
	if b.last.IsZero() {
		b.tokens = burst
	} else if gone := now.Sub(b.last).Seconds(); gone > 0 {
		b.tokens = min(burst, b.tokens+gone*l.Rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// limit refuses a call that is one too many; the zero answer lets it pass.
func (p *portal) limit(s *Server, e *Entry) answer {
	l := s.Limits()
	switch {
	case l.Concurrency > 0 && e.InFlight > int64(l.Concurrency):
		e.Reason = overConcurrency
	case l.Rate > 0 && !p.takeToken(s.cfg.Now(), l):
		e.Reason = overRate
	default:
		return answer{}
	}
	a := fail(429, "Too many requests")
	if l.RetryAfter > 0 {
		a.retryAfter = strconv.Itoa(l.RetryAfter)
	}
	return a
}

func (p *portal) takeToken(now time.Time, l Limits) bool {
	p.rateMu.Lock()
	defer p.rateMu.Unlock()
	return p.rate.take(now, l)
}
