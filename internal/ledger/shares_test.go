package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"nubridge/internal/ledger"
)

func TestSharesNeverExceedTheLimitAndAThrottleBindsAllWithinASecond(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = s.Listen(ctx) })
	limits := ledger.Limits{Rate: 10, InFlight: 5}
	var all []*ledger.Shares
	add := func(ctx context.Context) {
		m, err := ledger.NewShares(s, env, fmt.Sprint("i", len(all)), limits, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		running.Go(func() { _ = m.Run(ctx) })
	}
	sums := func() (rate float64, flying, least int) {
		least = limits.InFlight
		for _, m := range all {
			share := m.Share()
			rate, flying, least = rate+share.Rate, flying+share.InFlight, min(least, share.InFlight)
		}
		if rate > limits.Rate+1e-9 || flying > limits.InFlight {
			t.Fatalf("the shares sum up to %v and %d", rate, flying)
		}
		return rate, flying, least
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		limit := time.After(8 * time.Second)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !ok() {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("never happened: %s", what)
			}
		}
	}
	add(ctx)
	until("one has all", func() bool { rate, flying, _ := sums(); return rate == 10 && flying == 5 })
	add(ctx)
	third, leave := context.WithCancel(ctx)
	add(third)
	until("three share all", func() bool { rate, flying, least := sums(); return rate > 9.99 && flying == 5 && least == 1 })
	all[0].Throttled(time.Now().Add(time.Minute))
	began := time.Now()
	until("all are bound", func() bool {
		for _, m := range all {
			if time.Until(m.Share().NotBefore) < 50*time.Second {
				return false
			}
		}
		return true
	})
	if took := time.Since(began); took > time.Second {
		t.Fatalf("binding all took %v", took)
	}
	leave()
	until("two share all", func() bool { rate, flying, least := sums(); return rate > 9.99 && flying == 5 && least == 0 })
}
