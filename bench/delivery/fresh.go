package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

// fresh changes products and stock at an even pace, one row in one transaction, and looks when NuORDER answered. The portal
// allows five times that many calls. What a bridge needs to begin is told, and not part of it.
func (w *world) fresh(ctx context.Context, f *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.unlimited(); err != nil {
		return err
	}
	if err := w.again(ctx, setup{rate: 1000, concurrency: 8}, 1); err != nil {
		return err
	}
	if err := w.begins(ctx); err != nil {
		return err
	}
	const pace = 200
	b := w.bridges[0]
	before := b.look()
	took, err := w.paced(ctx, pace, w.s.seconds*pace, func(ctx context.Context, n int) error {
		_, err := w.Pool.Exec(ctx, "update oms.style_colors set image_url = $1 where style_color_id = (select min(style_color_id) + $2 from oms.style_colors)",
			marker(n), int64(n)%w.products)
		return err
	})
	f.fresh50, f.fresh99 = percentile(took, 0.5), percentile(took, 0.99)
	w.say("  %.3f ms CPU of the bridge per change", float64(b.cpuSince(before).Microseconds())/1000/float64(max(len(took), 1)))
	return err
}

// begins waits until a first change is through, which the bridge finds when it starts.
func (w *world) begins(ctx context.Context) error {
	began, seen := time.Now(), lastDone(w.NuORDER)
	const first = "https://images.example/first.jpg"
	if _, err := w.Pool.Exec(ctx, "update oms.style_colors set image_url = $1 where style_color_id = (select max(style_color_id) from oms.style_colors)", first); err != nil {
		return err
	}
	err := w.until(ctx, "the first change", time.Minute, func() (bool, error) {
		return slices.ContainsFunc(w.NuORDER.Journal(nuorder.JournalQuery{Since: seen}), func(e nuorder.Entry) bool {
			return e.Committed && strings.Contains(e.Request, first)
		}), nil
	})
	w.say("  a change made as soon as the bridge had taken its place in the ledger was through after %.1f s", time.Since(began).Seconds())
	return err
}

func marker(n int) string { return fmt.Sprintf("https://images.example/mark-%d-.jpg", n) }

// edit changes orders while a bulk load runs at the limit.
func (w *world) edit(ctx context.Context, f *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.NuORDER.SetLimits(w.limits()); err != nil {
		return err
	}
	if err := w.again(ctx, setup{rate: w.s.rate, concurrency: 8, orders: true}, 1); err != nil {
		return err
	}
	if err := w.until(ctx, "the orders", time.Minute, func() (bool, error) {
		var n int
		err := w.store.Pool().QueryRow(ctx, "select count(*) from objects where kind = 'order' and known").Scan(&n)
		return n >= 10, err
	}); err != nil {
		return err
	}
	if err := w.doubtAll(ctx); err != nil {
		return err
	}
	const pace = 5
	before, begin := w.NuORDER.Counts(), time.Now()
	took, err := w.paced(ctx, pace, w.s.seconds*pace, func(ctx context.Context, n int) error {
		_, err := w.Pool.Exec(ctx, `update oms.sales_orders set notes = $1 where order_no = (
            select order_no from oms.sales_orders where status = 'Open' and order_date > current_date - 25 order by order_no offset $2 limit 1)`, marker(n), n%10)
		return err
	})
	f.edit99 = percentile(took, 0.99)
	after := w.NuORDER.Counts()
	w.say("  meanwhile %.0f stock lists a second were loaded", float64(after.WritesByKind["inventory"]-before.WritesByKind["inventory"])/time.Since(begin).Seconds())
	return err
}

// paced makes changes at an even pace and gives the times from just before each commit to the answer of the call that carried
// it. A change that another one of the same document overtook is not among them.
func (w *world) paced(ctx context.Context, pace, total int, change func(context.Context, int) error) ([]time.Duration, error) {
	seen := lastDone(w.NuORDER)
	at, found := make([]time.Time, total), make([]bool, total)
	var took []time.Duration
	var mu sync.Mutex
	collect := func() {
		entries := w.NuORDER.Journal(nuorder.JournalQuery{Since: seen})
		mu.Lock()
		defer mu.Unlock()
		for _, e := range entries {
			seen = e.Done
			if n, ok := marked(e.Request); ok && e.Committed && n < total && !found[n] && !at[n].IsZero() {
				found[n] = true
				took = append(took, e.End.Sub(at[n]))
			}
		}
	}
	// More than one hand changes rows, so that a slow commit does not slow the pace.
	numbers := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var hands sync.WaitGroup
	defer hands.Wait()
	for range 4 {
		hands.Go(func() {
			for n := range numbers {
				mu.Lock()
				at[n] = time.Now()
				mu.Unlock()
				if err := change(ctx, n); err != nil {
					cancel(err)
				}
			}
		})
	}
	defer close(numbers)
	tick := time.NewTicker(time.Second / time.Duration(pace))
	defer tick.Stop()
	begin := time.Now()
	for n := range total {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		select {
		case numbers <- n:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if n%pace == 0 {
			collect()
		}
	}
	spent := time.Since(begin)
	err := w.until(ctx, "the last changes", 20*time.Second, func() (bool, error) { collect(); return found[total-1], nil })
	w.say("  %.0f changes a second: %d of %d seen one by one, p50 %.0f ms, p90 %.0f ms, p99 %.0f ms, longest %.0f ms", float64(total)/spent.Seconds(),
		len(took), total, percentile(took, 0.5), percentile(took, 0.9), percentile(took, 0.99), percentile(took, 1))
	return took, err
}

func lastDone(s *nuorder.Server) (last uint64) {
	for _, e := range s.Journal(nuorder.JournalQuery{}) {
		last = max(last, e.Done)
	}
	return last
}

func marked(body string) (n int, ok bool) {
	_, rest, ok := strings.Cut(body, "/mark-")
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscanf(rest, "%d-", &n)
	return n, err == nil
}
