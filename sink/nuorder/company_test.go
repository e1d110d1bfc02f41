package nuorder

import (
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
			if !order && bulk[2].Sub(bulk[0]) > time.Millisecond {
				t.Errorf("the calls went at %v, want them together", bulk)
			}
		})
	}
}
