package nuorder

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"nubridge/internal/fault"
)

// breaker is the circuit breaker of one endpoint class. An answer below 500 is a success: the service is well. Cancelled calls
// and 429 are excluded. The library does not tell how long it stays open, so we keep our own clock.
type breaker struct {
	class Class
	two   *gobreaker.TwoStepCircuitBreaker[struct{}]
	open  time.Duration
	// resumes is the Unix nanosecond from which a probe is let through, zero while closed.
	resumes atomic.Int64
	state   atomic.Int32
	opened  atomic.Int64
	probing atomic.Bool
	// told is called when the state changes; it must not ask the breaker anything. It may be nil.
	told func(state string)
	// failed is the request that was answered with 500 last.
	failed atomic.Uint64
}

// errRepeat stands for a 500 that the same request got before: a poison body says nothing against the service. // I7
var errRepeat = errors.New("the same request failed before") //nolint:gochecknoglobals // A sentinel.

// telling gives what an end tells of the service: itself, or errRepeat if one request alone keeps failing.
func (b *breaker) telling(r *request, err error) error {
	a, ok := errors.AsType[*AnswerError](err)
	if !ok || a.Status != http.StatusInternalServerError {
		return err
	}
	if sum := r.sum(); b.failed.Swap(sum) == sum {
		return errRepeat
	}
	return err
}

func newBreaker(class Class, c BreakerConfig, now func() time.Time) *breaker {
	b := &breaker{class: class, open: c.Open}
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         string(class),
		MaxRequests:  1,
		Interval:     c.Window,
		BucketPeriod: c.Window / 10,
		Timeout:      c.Open,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			seen := n.TotalSuccesses + n.TotalFailures
			return n.ConsecutiveFailures >= c.Consecutive || seen >= c.Least && float64(n.TotalFailures) >= c.Ratio*float64(seen)
		},
		// Runs under the library's lock: it must not ask the breaker anything.
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.state.Store(int32(to))
			if b.told != nil {
				b.told(to.String())
			}
			switch to {
			case gobreaker.StateOpen:
				b.opened.Add(1)
				b.resumes.Store(now().Add(c.Open).UnixNano())
			case gobreaker.StateClosed:
				b.resumes.Store(0)
			case gobreaker.StateHalfOpen:
			}
		},
		IsSuccessful: func(err error) bool { return !isSick(err) },
		IsExcluded:   isExcluded,
	})
	return b
}

// isSick tells whether the failure says that the service is not well.
func isSick(err error) bool {
	switch fault.CodeOf(err) {
	case CodeServerError, CodeUnavailable, CodeNoAnswer, CodeUnreachable, CodeTLS, CodeTimeout, CodeUnreadable, CodeAnswerTooLarge, CodeUnexpectedStatus:
		return err != nil
	}
	return false
}

// isExcluded tells whether the failure says nothing about the service.
func isExcluded(err error) bool {
	switch fault.CodeOf(err) {
	case CodeTooManyRequests, CodeCancelled, CodeDeadlineClose, CodeSigning, CodeAddressRefused:
		return err != nil
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, errRepeat)
}

// peek refuses early, without using up a token, while the breaker is surely open.
func (b *breaker) peek(now time.Time) error {
	state := gobreaker.State(b.state.Load())
	if state == gobreaker.StateOpen && now.UnixNano() < b.resumes.Load() || state == gobreaker.StateHalfOpen && b.probing.Load() {
		return b.refusal(now)
	}
	return nil
}

// probes tells that the breaker waits for what calls show.
func (b *breaker) probes() bool { return gobreaker.State(b.state.Load()) != gobreaker.StateClosed }

// allow lets a call through; its end must be reported by done.
func (b *breaker) allow(now time.Time) (done func(error), err error) {
	settle, err := b.two.Allow()
	if err != nil {
		return nil, b.refusal(now)
	}
	if gobreaker.State(b.state.Load()) != gobreaker.StateHalfOpen {
		return settle, nil
	}
	b.probing.Store(true)
	return func(err error) {
		b.probing.Store(false)
		settle(err)
	}, nil
}

// refusal is a throttle, so that the flow pauses and nothing is parked.
func (b *breaker) refusal(now time.Time) error {
	after := time.Unix(0, b.resumes.Load()).Sub(now)
	// While a probe is under way its answer comes soon.
	after = min(max(after, 250*time.Millisecond), b.open)
	e := fault.New(fault.Throttle, CodeBreakerOpen, "calls of class %s are suspended after repeated failures", b.class)
	e.After = after
	e.Hint = "NuORDER does not answer properly; the bridge tries again by itself and catches up"
	return e
}
