package main

import (
	"context"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

// busy measures how well a portal that answers late is used while a backlog stands: whichever of its two limits binds, calls
// per second or four calls under way at once.
func (w *world) busy(delay time.Duration) func(context.Context, *figures) error {
	return func(ctx context.Context, f *figures) error {
		if err := w.loaded(ctx); err != nil {
			return err
		}
		limits := w.limits()
		limits.Concurrency = 4
		if err := w.backlog(ctx, limits, delay, setup{rate: w.s.rate, concurrency: 4}, 1); err != nil {
			return err
		}
		defer w.NuORDER.ClearFaults()
		calls, flying, refused, err := w.observe(ctx)
		if err != nil {
			return err
		}
		share := max(calls/w.s.rate, flying/4)
		w.say("  %.1f calls/s of %.0f, %.2f under way of 4, %d refused: %.3f busy", calls, w.s.rate, flying, refused, share)
		if delay < 100*time.Millisecond {
			f.busy20 = share
		} else {
			f.busy300 = share
		}
		return nil
	}
}

// backlog starts bridges on a backlog before a portal that answers late, and waits until it is worked on.
func (w *world) backlog(ctx context.Context, l nuorder.Limits, delay time.Duration, s setup, instances int) error {
	if err := w.NuORDER.SetLimits(l); err != nil {
		return err
	}
	if err := w.again(ctx, s, instances); err != nil {
		return err
	}
	if _, err := w.NuORDER.AddFault(nuorder.Fault{ID: "late", Kind: "slow", Delay: nuorder.Duration(delay)}); err != nil {
		return err
	}
	return w.keep(ctx, 5*time.Second)
}

// keep keeps a backlog standing for a time.
func (w *world) keep(ctx context.Context, d time.Duration) error {
	end, more := time.Now().Add(d), time.Now()
	return w.until(ctx, "the time", 2*d, func() (bool, error) {
		if time.Now().After(more) { // a small portal is through with its backlog before the time is over
			more = time.Now().Add(time.Second)
			if err := w.doubtAll(ctx); err != nil {
				return false, err
			}
		}
		return time.Now().After(end), nil
	})
}

// observe gives the calls per second over the measured time, how many were under way on average, and how many were refused.
func (w *world) observe(ctx context.Context) (calls, flying float64, refused uint64, err error) {
	w.NuORDER.ClearJournal()
	began := time.Now()
	if err := w.keep(ctx, time.Duration(w.s.seconds)*time.Second); err != nil {
		return 0, 0, 0, err
	}
	ended := time.Now()
	// Calls that began before count from the beginning, those that are under way are left out: at most four of each.
	taken := 0.0
	entries := w.NuORDER.Journal(nuorder.JournalQuery{})
	for _, e := range entries {
		if e.Status != 429 {
			calls++
		}
		if e.End.After(began) && e.Start.Before(ended) {
			taken += min(e.End.Sub(began), e.End.Sub(e.Start)).Seconds()
		}
	}
	seconds := ended.Sub(began).Seconds()
	return calls / seconds, taken / seconds, w.NuORDER.Counts().Throttled, nil
}

// three runs three instances before a portal that refuses the sixth call at once: configured with five, and configured with
// thirty, so that they must find it out.
func (w *world) three(ctx context.Context, f *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	defer w.NuORDER.ClearFaults()
	for _, configured := range []int{5, 30} {
		limits := nuorder.Limits{Concurrency: 5, RetryAfter: 1}
		w.NuORDER.ClearJournal()
		if err := w.backlog(ctx, limits, 20*time.Millisecond, setup{rate: 1000, concurrency: configured}, 3); err != nil {
			return err
		}
		// The start counts too: that is when the limit is found.
		start := w.NuORDER.Counts()
		calls, flying, refused, err := w.observe(ctx)
		if err != nil {
			return err
		}
		all := float64(start.Calls) + calls*float64(w.s.seconds) + float64(refused)
		share := float64(start.Throttled+refused) / max(all, 1)
		w.say("  configured with %d in flight: %.0f calls, %d refused in the first 5 s, %d after: %.4f; %.1f calls/s, %.2f under way of 5",
			configured, all, start.Throttled, refused, share, calls, flying)
		f.refused = max(f.refused, share)
		if err := w.stopAll(); err != nil {
			return err
		}
	}
	return nil
}

// idle measures what a bridge costs that has nothing to do.
func (w *world) idle(ctx context.Context, _ *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.again(ctx, setup{rate: w.s.rate, concurrency: 8, orders: true}, 1); err != nil {
		return err
	}
	if err := w.rests(ctx, time.Minute); err != nil {
		return err
	}
	b := w.bridges[0]
	before := b.look()
	if err := w.until(ctx, "the time", time.Duration(2*w.s.seconds)*time.Second, func() (bool, error) {
		return time.Since(before.at) > time.Duration(w.s.seconds)*time.Second, nil
	}); err != nil {
		return err
	}
	now := b.look()
	w.say("  %.1f ms CPU a second, %d MiB", (now.cpu-before.cpu).Seconds()*1000/now.at.Sub(before.at).Seconds(), now.rss>>10)
	return nil
}
