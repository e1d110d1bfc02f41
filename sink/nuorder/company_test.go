package nuorder

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallsThatTheRateHoldsBackGoTogetherAndOrdersDoNotWaitForCompany lets three bulk calls and an order wait for a token each.
func TestCallsThatTheRateHoldsBackGoTogetherAndOrdersDoNotWaitForCompany(t *testing.T) {
	t.Parallel()
	for _, order := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := newTestGate(func(c *Config) { c.Limits = Limits{Rate: 10, Burst: 4, Max: 16, Start: 16} }, nil)
			enter := func(r Rank) time.Time {
				ticket, err := g.enter(t.Context(), ClassProducts, r)
				if err != nil {
					t.Error(err)
					return time.Time{}
				}
				defer ticket.done(nil)
				return time.Now()
			}
			for range 4 {
				enter(RankBulk) // what the burst allows
			}
			began := time.Now()
			var bulk [3]time.Time
			var wg sync.WaitGroup
			for i := range bulk {
				wg.Go(func() { bulk[i] = enter(RankBulk) })
			}
			synctest.Wait()
			last := 300 * time.Millisecond
			if order {
				if took := enter(RankOrders).Sub(began); took > 110*time.Millisecond {
					t.Errorf("the order waited %v, want no longer than for its token", took)
				}
				last += 100 * time.Millisecond
			}
			wg.Wait()
			for _, at := range bulk {
				if took := at.Sub(began); took > last+10*time.Millisecond {
					t.Errorf("a call waited %v, want at most %v", took, last)
				}
			}
			slices.SortFunc(bulk[:], time.Time.Compare)
			if !order && bulk[2].Sub(bulk[0]) > time.Millisecond {
				t.Errorf("the calls went at %v, want them together", bulk)
			}
		})
	}
}

// TestInstancesBeginTogetherWithWhatOneBeginsWith gives one of three instances its share and counts what it has under way at first.
func TestInstancesBeginTogetherWithWhatOneBeginsWith(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ share, want int }{{30, 4}, {15, 2}, {10, 1}, {1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			g := newTestGate(func(conf *Config) { conf.Limits.Start, conf.Limits.Max = 4, 30 }, fixedShare(c.share))
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var mu sync.Mutex
			under := 0
			for range 8 {
				wg.Go(func() {
					if ticket, err := g.enter(ctx, ClassProducts, RankBulk); err == nil {
						mu.Lock()
						under++
						mu.Unlock()
						<-ctx.Done()
						ticket.done(nil)
					}
				})
			}
			synctest.Wait()
			mu.Lock()
			if under != c.want {
				t.Errorf("with a share of %d of 30 places %d calls are under way, want %d", c.share, under, c.want)
			}
			mu.Unlock()
			cancel()
			wg.Wait()
		})
	}
}

type fixedShare int

func (s fixedShare) Share() Share      { return Share{Concurrency: int(s)} }
func (fixedShare) Throttled(time.Time) {}
