package nuorder

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nubridge/internal/fault"
)

// portal answers after a while or refuses at once.
type portal struct {
	begins func() (takes time.Duration, serves bool)
	ends   func() // what it served
}

// backlog keeps calls standing before a gate for a time. It gives how many were served in each second, and how many were refused.
func backlog(ctx context.Context, g *gate, total time.Duration, p portal) (served []int, refused int) {
	began := time.Now()
	served = make([]int, total/time.Second)
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				ticket, err := g.enter(ctx, ClassProducts, RankBulk)
				if err != nil {
					<-time.After(100 * time.Millisecond)
					continue
				}
				takes, ok := p.begins()
				<-time.After(takes)
				mu.Lock()
				if at := int(time.Since(began) / time.Second); !ok {
					refused++
				} else if at < len(served) {
					served[at]++
				}
				mu.Unlock()
				if !ok {
					ticket.done(refusal(CodeTooManyRequests, fault.Throttle, time.Second))
					continue
				}
				p.ends()
				ticket.done(nil)
			}
		})
	}
	wg.Wait()
	return served, refused
}

// refusing is a portal that answers after 300 ms and refuses some calls.
func refusing(refuses func() bool) portal {
	return portal{begins: func() (time.Duration, bool) {
		if refuses() {
			return 5 * time.Millisecond, false
		}
		return 300 * time.Millisecond, true
	}, ends: func() {}}
}

// tenASecond are a usual portal's limits: answers after 300 ms need three calls in flight to use them.
func tenASecond(c *Config) {
	c.Limits.Rate, c.Limits.Burst, c.Limits.Start, c.Limits.Max = 10, 5, 4, 10
}

func sum(of []int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

func TestAStormOfRefusalsIsOverWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		served, refused := backlog(t.Context(), newTestGate(tenASecond, nil), 120*time.Second, refusing(func() bool {
			at := time.Since(began)
			return at > 10*time.Second && at < 70*time.Second
		}))
		if n := sum(served[80:]); n < 380 || refused > 100 {
			t.Fatalf("%d calls in the 40 s that begin 10 s after the storm, want 380 of 400; %d in its 60 s were refused, want 100 at most; by second %v", n, refused, served)
		}
	})
}

// A portal that refuses a call now and then, whatever their number, is not called less for it. Each refusal costs the second that it
// asks for.
func TestARareRefusalIsNoCeiling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share float64
		want  int
	}{{0.005, 5400}, {0.02, 4000}, {0.1, 1900}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(1, 2))
			served, refused := backlog(t.Context(), newTestGate(tenASecond, nil), 600*time.Second, refusing(func() bool {
				mu.Lock()
				defer mu.Unlock()
				return r.Float64() < c.share
			}))
			if n := sum(served); n < c.want {
				t.Errorf("one of %.0f refused: %d of 6,000 calls in ten minutes, want %d; %d were refused", 1/c.share, n, c.want, refused)
			}
		})
	}
}

// together is what three instances know of each other: how many they are, and until when the portal wants to be left alone.
type together struct {
	mu    sync.Mutex
	until time.Time
}

func (s *together) Share() Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Share{NotBefore: s.until, Instances: 3}
}

func (s *together) Throttled(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
}

// Three instances that were told of ten places each find theirs before a portal that refuses the sixth call of them all.
func TestThreeClientsShareACeiling(t *testing.T) {
	t.Parallel()
	for _, answer := range []time.Duration{50 * time.Millisecond, 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 2))
			var mu sync.Mutex
			var wg sync.WaitGroup
			flying, total, refused := 0, 0, 0
			shares := &together{}
			p := portal{begins: func() (time.Duration, bool) {
				mu.Lock()
				defer mu.Unlock()
				if flying >= 5 {
					return 2 * time.Millisecond, false
				}
				flying++
				return time.Duration(float64(answer) * (0.7 + 0.6*r.Float64())), true
			}, ends: func() {
				mu.Lock()
				defer mu.Unlock()
				flying--
			}}
			for range 3 {
				wg.Go(func() {
					g := newTestGate(func(c *Config) { c.Limits.Rate, c.Limits.Burst, c.Limits.Start, c.Limits.Max = 200, 10, 1, 10 }, shares)
					served, no := backlog(t.Context(), g, time.Minute, p)
					mu.Lock()
					defer mu.Unlock()
					total, refused = total+sum(served), refused+no
				})
			}
			wg.Wait()
			// Each refusal costs all of them the second that the portal asks for.
			if best := int(5 * (time.Minute - time.Duration(refused)*time.Second) / answer); total < best*9/10 || refused*50 > total {
				t.Errorf("answers after %v: %d calls, %d refused; want %d calls, and one in fifty refused at most", answer, total, refused, best*9/10)
			}
		})
	}
}
