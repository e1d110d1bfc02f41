package nuorder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nubridge/internal/fault"
)

func newTestGate(change func(*Config), shares Shares) *gate {
	c := Config{Limits: Limits{Rate: 1e6, Burst: 1000}}
	if change != nil {
		change(&c)
	}
	if shares == nil {
		shares = Alone{}
	}
	return newGate(c.withDefaults(), shares, time.Now)
}

func TestACallThatBecomesUrgentOvertakesThoseThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(func(c *Config) { c.Limits.Start, c.Limits.Max = 1, 1 }, nil)
		holder, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		urgent := make(chan struct{})
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for _, w := range []struct {
			name string
			rank Rank
			ctx  context.Context
		}{{"stock 1", RankInventory, t.Context()}, {"company", RankBulk, withUrgent(t.Context(), urgent)}, {"stock 2", RankInventory, t.Context()}} {
			wg.Go(func() {
				ticket, err := g.enter(w.ctx, ClassCompanies, w.rank)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, w.name)
				mu.Unlock()
				ticket.done(nil)
			})
			synctest.Wait()
		}
		close(urgent)
		synctest.Wait()
		holder.done(nil)
		wg.Wait()
		if want := []string{"company", "stock 1", "stock 2"}; !slices.Equal(order, want) {
			t.Fatalf("served %v, want %v", order, want)
		}
	})
}

func TestAnAnsweredCallGivesItsPlaceOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(func(c *Config) { c.Limits.Start, c.Limits.Max = 1, 1 }, nil)
		first, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		entered := make(chan *ticket)
		for range 2 {
			go func() {
				next, err := g.enter(t.Context(), ClassProducts, RankBulk)
				if err != nil {
					t.Error(err)
				}
				entered <- next
			}()
		}
		first.answered()
		second := <-entered
		first.done(nil)
		synctest.Wait()
		select {
		case <-entered:
			t.Fatal("one answer gave its place to two calls")
		default:
		}
		second.answered()
		second.done(nil)
		(<-entered).done(nil)
		if s := g.inFlight; s != 0 {
			t.Fatalf("%d calls in flight at the end", s)
		}
	})
}

func TestLowerRankGoesFirstAndEqualRanksInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(func(c *Config) { c.Limits.Start, c.Limits.Max = 1, 1 }, nil)
		holder, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i, r := range []Rank{RankBulk, RankInventory, RankOrders, RankInventory, RankProducts, RankParents, RankOrders} {
			wg.Go(func() {
				ticket, err := g.enter(t.Context(), ClassProducts, r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				ticket.done(nil)
			})
			synctest.Wait()
		}
		holder.done(nil)
		wg.Wait()
		if want := []int{2, 6, 5, 4, 1, 3, 0}; !slices.Equal(order, want) {
			t.Fatalf("served %v, want %v", order, want)
		}
	})
}

func TestRateIsKeptAndUsedUp(t *testing.T) {
	t.Parallel()
	for _, latency := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			g := newTestGate(func(c *Config) { c.Limits = Limits{Rate: 200, Max: 8, Start: 8} }, nil)
			began := time.Now()
			var wg sync.WaitGroup
			left := int64(2000)
			for range 50 {
				wg.Go(func() {
					for atomic.AddInt64(&left, -1) >= 0 {
						ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
						if err != nil {
							t.Error(err)
							return
						}
						<-time.After(latency) // the answer's time, on the test's clock
						ticket.done(nil)
					}
				})
			}
			wg.Wait()
			// 2000 calls at 200/s are 10 s, less the burst.
			if took := time.Since(began); took < 9900*time.Millisecond || took > 10400*time.Millisecond {
				t.Errorf("latency %s: 2000 calls took %s", latency, took)
			}
		})
	}
}

func refusal(code string, kind fault.Kind, after time.Duration) error {
	return &fault.Error{Kind: kind, Code: code, After: after}
}

func TestRetryAfterSeenByOneBindsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(nil, nil)
		one, err := g.enter(t.Context(), ClassOrderReads, RankOrders)
		if err != nil {
			t.Fatal(err)
		}
		one.done(refusal(CodeTooManyRequests, fault.Throttle, 30*time.Second))
		_, err = g.enter(t.Context(), ClassProducts, RankBulk)
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Throttle || e.Code != CodeTooManyRequests || e.After != 30*time.Second {
			t.Fatalf("got %v", err)
		}
		// What is left is short enough to be waited out.
		<-time.After(28*time.Second + time.Millisecond)
		began := time.Now()
		ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 1900*time.Millisecond || waited > 2100*time.Millisecond {
			t.Fatalf("waited %s", waited)
		}
		ticket.done(nil)
	})
}

// others is the Shares of an instance among several.
type others struct {
	share Share
	told  time.Time
}

func (o *others) Share() Share              { return o.share }
func (o *others) Throttled(until time.Time) { o.told = until }

func TestSharesBindAndAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &others{share: Share{Concurrency: 1, Rate: 10, NotBefore: time.Now().Add(time.Minute)}}
		g := newTestGate(nil, o)
		if _, err := g.enter(t.Context(), ClassProducts, RankBulk); fault.KindOf(err) != fault.Throttle {
			t.Fatalf("another's throttle does not bind: %v", err)
		}
		o.share.NotBefore = time.Time{}
		ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.enter(ctx, ClassProducts, RankBulk); fault.CodeOf(err) != CodeDeadlineClose {
			t.Fatalf("a second call went through a share of one: %v", err)
		}
		ticket.done(refusal(CodeTooManyRequests, fault.Throttle, 5*time.Second))
		if want := time.Now().Add(5 * time.Second); !o.told.Equal(want) {
			t.Fatalf("told %s, want %s", o.told, want)
		}
	})
}

// Three instances with shares of a portal that refuses the sixth call at once and more than its rate are hardly ever refused.
func TestInstancesTogetherKeepThePortalsLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var inside, peak atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 3 {
			share := Share{Rate: 200.0 / 3, Concurrency: []int{2, 2, 1}[i]}
			g := newTestGate(func(c *Config) { c.Limits = Limits{Rate: 200, Max: 5} }, &others{share: share})
			left := int64(400)
			for range 10 {
				wg.Go(func() {
					for atomic.AddInt64(&left, -1) >= 0 {
						ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
						if err != nil {
							t.Error(err)
							return
						}
						peak.Store(max(peak.Load(), inside.Add(1)))
						<-time.After(12 * time.Millisecond)
						inside.Add(-1)
						ticket.done(nil)
					}
				})
			}
		}
		wg.Wait()
		if took := time.Since(began); peak.Load() > 5 || took < 5900*time.Millisecond || took > 6300*time.Millisecond {
			t.Fatalf("peak %d, 1200 calls in %s", peak.Load(), took)
		}
	})
}

func TestBreakerOpensPausesAndProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(nil, nil)
		call := func(class Class, err error) error {
			ticket, refused := g.enter(t.Context(), class, RankBulk)
			if refused == nil {
				ticket.done(err)
			}
			return refused
		}
		// Refusals, cancellations and throttles say nothing against the service.
		for _, code := range []string{CodeBadRequest, CodeNotFound, CodeCancelled} {
			for range 30 {
				if err := call(ClassProducts, refusal(code, fault.Reject, 0)); err != nil {
					t.Fatalf("%s opened the breaker: %v", code, err)
				}
			}
		}
		for range 5 {
			if err := call(ClassProducts, refusal(CodeServerError, fault.Retry, 0)); err != nil {
				t.Fatal(err)
			}
		}
		e, ok := errors.AsType[*fault.Error](call(ClassProducts, nil))
		if !ok || e.Kind != fault.Throttle || e.Code != CodeBreakerOpen || e.After != 15*time.Second {
			t.Fatalf("got %v", e)
		}
		if err := call(ClassOrderReads, nil); err != nil {
			t.Fatalf("another class is refused: %v", err)
		}
		if s := g.stats().Breakers[ClassProducts]; s.State != "open" || s.Opened != 1 || s.Resumes.IsZero() {
			t.Fatalf("stats %+v", s)
		}
		<-time.After(15*time.Second + time.Millisecond)
		probe, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		if err := call(ClassProducts, nil); fault.CodeOf(err) != CodeBreakerOpen {
			t.Fatalf("a second call beside the probe: %v", err)
		}
		probe.done(nil)
		if err := call(ClassProducts, nil); err != nil {
			t.Fatalf("after the probe: %v", err)
		}
	})
}

func TestOnePoisonRequestDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	g := newTestGate(nil, nil)
	fail := func(n uint64, status int) error {
		ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err == nil {
			ticket.request = &request{method: http.MethodPost, route: "product/{id}", args: []string{fmt.Sprint(n)}}
			ticket.done(&fault.Error{Kind: fault.Retry, Code: CodeServerError, Err: &AnswerError{Status: status}})
		}
		return err
	}
	for range 100 {
		if err := fail(7, 500); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(4) {
		if err := fail(i, 500); err != nil {
			t.Fatal(err)
		}
	}
	if err := fail(5, 500); fault.CodeOf(err) != CodeBreakerOpen {
		t.Fatalf("five requests failed and the breaker is closed: %v", err)
	}
}

func TestUnauthorizedPausesTheClientAndForbiddenItsClass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(nil, nil)
		ticket, _ := g.enter(t.Context(), ClassPrices, RankBulk)
		ticket.done(refusal(CodeForbidden, fault.Throttle, time.Second))
		if _, err := g.enter(t.Context(), ClassPrices, RankBulk); fault.CodeOf(err) != CodeForbidden {
			t.Fatalf("got %v", err)
		}
		ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		ticket.done(refusal(CodeUnauthorized, fault.Throttle, 30*time.Second))
		if _, err := g.enter(t.Context(), ClassOrderReads, RankOrders); fault.CodeOf(err) != CodeUnauthorized {
			t.Fatalf("got %v", err)
		}
		<-time.After(30 * time.Second)
		if _, err := g.enter(t.Context(), ClassOrderReads, RankOrders); err != nil {
			t.Fatalf("after the pause: %v", err)
		}
	})
}

func TestThrottleWithoutATimeDoubles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(func(c *Config) { c.MaxWait = time.Minute }, nil)
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 32} {
			ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
			if err != nil {
				t.Fatal(err)
			}
			e := &fault.Error{Kind: fault.Throttle, Code: CodeTooManyRequests}
			ticket.done(e)
			if e.After != want*time.Second {
				t.Fatalf("told to wait %s, want %s", e.After, want*time.Second)
			}
		}
		ticket, err := g.enter(t.Context(), ClassProducts, RankBulk)
		if err != nil {
			t.Fatal(err)
		}
		ticket.done(nil)
		if g.storms != 0 {
			t.Fatal("a success does not end the storm")
		}
	})
}

// A portal with a fixed ceiling of calls in flight refuses few of many calls, and the client ends just below it.
func TestConcurrencyFindsAFixedCeiling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ceiling := rapid.IntRange(1, 12).Draw(t, "ceiling")
		c := newConcurrency(4, 16)
		now, refused := time.Unix(0, 0), 0
		const calls = 20_000
		for range calls {
			began := now
			now = now.Add(time.Millisecond)
			if inFlight := c.limit; inFlight > ceiling {
				refused++
				c.refused(began, now, inFlight)
			} else {
				c.success(inFlight)
			}
			if c.limit < 1 || c.limit > 16 {
				t.Fatalf("limit %d", c.limit)
			}
		}
		if refused*100 > calls {
			t.Fatalf("%d of %d refused", refused, calls)
		}
		if c.limit < ceiling && c.grown > 2*growEvery*ceiling {
			t.Fatalf("limit %d stays below the ceiling %d", c.limit, ceiling)
		}
	})
}

func TestGateNeverLetsMoreInThanItsLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(rt, "most")
		calls := rapid.IntRange(1, 60).Draw(rt, "calls")
		cancelled := rapid.IntRange(0, 10).Draw(rt, "cancelled")
		synctest.Test(t, func(t *testing.T) {
			g := newTestGate(func(c *Config) { c.Limits.Max, c.Limits.Start = most, most }, nil)
			var inside, peak, served atomic.Int64
			var wg sync.WaitGroup
			for i := range calls {
				ctx := t.Context()
				if i < cancelled {
					short, cancel := context.WithTimeout(ctx, time.Duration(i)*time.Millisecond)
					defer cancel()
					ctx = short
				}
				wg.Go(func() {
					ticket, err := g.enter(ctx, ClassProducts, Rank(i%5))
					if err != nil {
						return
					}
					peak.Store(max(peak.Load(), inside.Add(1)))
					<-time.After(5 * time.Millisecond)
					inside.Add(-1)
					served.Add(1)
					ticket.done(nil)
				})
			}
			wg.Wait()
			if peak.Load() > int64(most) || served.Load() < int64(calls-cancelled) || g.inFlight != 0 || len(g.queue) != 0 {
				t.Errorf("peak %d of %d, served %d of %d, left %d and %d", peak.Load(), most, served.Load(), calls, g.inFlight, len(g.queue))
			}
		})
	})
}

func TestRetryBudgetBoundsRetries(t *testing.T) {
	t.Parallel()
	b := newBudget(0.2, 10)
	retries := 0
	for range 1000 {
		b.earn()
		for b.spend() {
			retries++
		}
	}
	if retries < 190 || retries > 210 {
		t.Fatalf("%d retries for 1000 calls", retries)
	}
}
