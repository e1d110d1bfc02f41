package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

// bulk loads an empty portal. Every product needs one call for itself and one for its stock; the ideal is that many at the
// portal's limit.
func (w *world) bulk(ctx context.Context, f *figures) error {
	b, err := w.run(ctx)
	if err != nil {
		return err
	}
	if err := w.openStore(ctx); err != nil {
		return err
	}
	var began time.Time
	begin, told := time.Now(), time.Now()
	ideal := float64(2*w.products) / w.s.rate
	err = w.until(ctx, "the load", time.Duration(3*ideal*float64(time.Second))+time.Minute, func() (bool, error) {
		c := w.NuORDER.Counts()
		if time.Since(told) > 2*time.Second {
			fmt.Fprintf(os.Stderr, "  %5.1fs %v\n", time.Since(begin).Seconds(), c.WritesByKind)
			told = time.Now()
		}
		if began.IsZero() && c.Calls > 0 {
			began = time.Now()
		}
		return c.WritesByKind["product"] >= uint64(w.products) && c.WritesByKind["inventory"] >= uint64(w.products), nil
	})
	c := w.NuORDER.Counts()
	if err != nil {
		return fmt.Errorf("%w: %d calls, writes %v, statuses %v: %s", err, c.Calls, c.WritesByKind, c.ByStatus, b.log.String())
	}
	f.bulk = time.Since(began).Seconds() / ideal
	b.look(w)
	f.cpu = float64(b.cpu.Microseconds()) / 1000 / float64(c.Calls)
	fmt.Printf("  calls %d for %d documents, writes %v, statuses %v\n", c.Calls, 2*w.products, c.WritesByKind, c.ByStatus)
	return w.rests(ctx, time.Minute)
}

// replay asks for everything again while all is in step.
func (w *world) replay(ctx context.Context, f *figures) error {
	before := w.NuORDER.Counts().Calls
	_, err := w.store.Pool().Exec(ctx, `insert into requests (environment, flow, key, reason, rank)
        select environment, case kind when 'stock' then 'inventory' when 'product' then 'products' else 'customers' end, key, 'replay', 4
        from objects where kind in ('product', 'stock', 'company') on conflict do nothing`)
	if err != nil {
		return err
	}
	err = w.rests(ctx, 5*time.Minute)
	f.replay = float64(w.NuORDER.Counts().Calls - before)
	return err
}

// burst changes many rows of a tenth of the products, in many transactions.
func (w *world) burst(ctx context.Context, f *figures) error {
	before := w.NuORDER.Counts()
	some := w.products / 10
	for round := range 25 {
		_, err := w.Pool.Exec(ctx, `update oms.style_colors set image_url = $1 where style_color_id in
            (select style_color_id from oms.style_colors order by style_color_id limit $2)`, fmt.Sprintf("https://images.example/%d.jpg", round), some)
		if err != nil {
			return err
		}
		_, err = w.Pool.Exec(ctx, `update oms.stock set on_hand = on_hand + 1 where (sku_id, warehouse_no) in (
            select distinct on (k.style_color_id) s.sku_id, s.warehouse_no from oms.stock s join oms.skus k using (sku_id)
            where k.style_color_id in (select style_color_id from oms.style_colors order by style_color_id limit $1)
            order by k.style_color_id, s.sku_id, s.warehouse_no)`, some)
		if err != nil {
			return err
		}
	}
	if err := w.rests(ctx, 5*time.Minute); err != nil {
		return err
	}
	after := w.NuORDER.Counts()
	f.burst = float64(after.Calls - before.Calls)
	fmt.Printf("  %d row changes over %d products made %.0f calls\n", 50*some, some, f.burst)
	return nil
}

// fresh changes single products at an even pace and looks when NuORDER answered.
func (w *world) fresh(ctx context.Context, f *figures) error {
	if err := w.again(ctx, 1000, 4, 1); err != nil {
		return err
	}
	if err := w.NuORDER.SetLimits(nuorder.Limits{}); err != nil {
		return err
	}
	const pace = 200
	took, err := w.paced(ctx, pace, w.s.seconds*pace, "image", func(ctx context.Context, n int) error {
		_, err := w.Pool.Exec(ctx, "update oms.style_colors set image_url = $1 where style_color_id = (select min(style_color_id) + $2 from oms.style_colors)",
			marker(n), int64(n)%w.products)
		return err
	})
	f.fresh50, f.fresh99 = percentile(took, 0.5), percentile(took, 0.99)
	return err
}

func marker(n int) string { return fmt.Sprintf("https://images.example/mark-%d-.jpg", n) }

// edit changes orders while a bulk load runs at the limit.
func (w *world) edit(ctx context.Context, f *figures) error {
	if err := w.again(ctx, w.s.rate, 4, 1); err != nil {
		return err
	}
	if err := w.NuORDER.SetLimits(w.limits()); err != nil {
		return err
	}
	if err := w.doubtAll(ctx); err != nil {
		return err
	}
	const pace = 5
	took, err := w.paced(ctx, pace, w.s.seconds*pace, "order", func(ctx context.Context, n int) error {
		_, err := w.Pool.Exec(ctx, `update oms.sales_orders set notes = $1 where order_no = (
            select order_no from oms.sales_orders where status = 'Open' and order_date > current_date - 25 order by order_no offset $2 limit 1)`, marker(n), n%10)
		return err
	})
	f.edit99 = percentile(took, 0.99)
	return err
}

// paced makes changes at an even pace and gives the times from each commit to the answer of the call that carried it.
func (w *world) paced(ctx context.Context, pace, total int, what string, change func(context.Context, int) error) ([]time.Duration, error) {
	w.NuORDER.ClearJournal()
	at := make([]time.Time, total)
	tick := time.NewTicker(time.Second / time.Duration(pace))
	defer tick.Stop()
	var took []time.Duration
	seen, found := uint64(0), make([]bool, total)
	collect := func() {
		for _, e := range w.NuORDER.Journal(nuorder.JournalQuery{Since: seen}) {
			seen = e.Done
			if n, ok := marked(e.Request); ok && e.Committed && n < total && !found[n] && !at[n].IsZero() {
				found[n] = true
				took = append(took, e.End.Sub(at[n]))
			}
		}
	}
	for n := range total {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		at[n] = time.Now()
		if err := change(ctx, n); err != nil {
			return nil, err
		}
		if n%pace == 0 {
			collect()
		}
	}
	err := w.until(ctx, "the last changes", 20*time.Second, func() (bool, error) { collect(); return found[total-1], nil })
	fmt.Printf("  %s: %d of %d changes seen one by one, p50 %.0f ms, p90 %.0f ms, p99 %.0f ms\n", what, len(took), total, percentile(took, 0.5), percentile(took, 0.9), percentile(took, 0.99))
	return took, err
}

func marked(body string) (n int, ok bool) {
	_, rest, ok := strings.Cut(body, "/mark-")
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscanf(rest, "%d-", &n)
	return n, err == nil
}

// again stops the bridges and starts as many with other limits.
func (w *world) again(ctx context.Context, rate float64, concurrency, instances int) error {
	for _, b := range w.bridges {
		if err := w.stop(b); err != nil {
			return err
		}
	}
	w.bridges = nil
	if err := w.configure(rate, concurrency); err != nil {
		return err
	}
	for range instances {
		if _, err := w.run(ctx); err != nil {
			return err
		}
	}
	return w.until(ctx, "the start", time.Minute, func() (bool, error) {
		var n int
		err := w.store.Pool().QueryRow(ctx, "select count(*) from instances where expires_at > now()").Scan(&n)
		return n == instances, err
	})
}

// busy measures how well a portal that answers late is used while a backlog stands: the calls made against those that the
// limits allow.
func (w *world) busy(delay time.Duration) func(context.Context, *figures) error {
	return func(ctx context.Context, f *figures) error {
		if err := w.backlog(ctx, delay, w.s.rate, 4, 1); err != nil {
			return err
		}
		defer w.NuORDER.ClearFaults()
		w.NuORDER.ClearJournal()
		began := time.Now()
		if err := w.wait(ctx, time.Duration(w.s.seconds)*time.Second); err != nil {
			return err
		}
		seconds, taken := time.Since(began).Seconds(), 0.0
		calls := w.NuORDER.Journal(nuorder.JournalQuery{})
		for _, e := range calls {
			taken += e.End.Sub(e.Start).Seconds()
		}
		// Whichever of the two limits binds: calls per second, or four under way at once.
		share := max(float64(len(calls))/(w.s.rate*seconds), taken/(4*seconds))
		fmt.Printf("  %.1f calls/s, %.2f under way\n", float64(len(calls))/seconds, taken/seconds)
		if delay < 100*time.Millisecond {
			f.busy20 = share
		} else {
			f.busy300 = share
		}
		return nil
	}
}

// backlog starts bridges on a backlog before a portal that answers late, and waits until it is worked on.
func (w *world) backlog(ctx context.Context, delay time.Duration, rate float64, concurrency, instances int) error {
	if err := w.again(ctx, rate, concurrency, instances); err != nil {
		return err
	}
	if _, err := w.NuORDER.AddFault(nuorder.Fault{ID: "late", Kind: "slow", Delay: nuorder.Duration(delay)}); err != nil {
		return err
	}
	if err := w.doubtAll(ctx); err != nil {
		return err
	}
	return w.wait(ctx, 5*time.Second)
}

func (w *world) wait(ctx context.Context, d time.Duration) error {
	end, more := time.Now().Add(d), time.Now().Add(time.Second)
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

// three runs three instances against a portal that refuses the sixth call at once.
func (w *world) three(ctx context.Context, f *figures) error {
	if err := w.NuORDER.SetLimits(nuorder.Limits{Concurrency: 5, RetryAfter: 1}); err != nil {
		return err
	}
	if err := w.backlog(ctx, 20*time.Millisecond, 1000, 5, 3); err != nil {
		return err
	}
	defer w.NuORDER.ClearFaults()
	w.NuORDER.ClearJournal()
	if err := w.wait(ctx, time.Duration(w.s.seconds)*time.Second); err != nil {
		return err
	}
	c := w.NuORDER.Counts()
	f.refused = float64(c.Throttled) / float64(max(c.Calls, 1))
	fmt.Printf("  %d calls, %d refused, at most %d at once\n", c.Calls, c.Throttled, c.MaxInFlight)
	return nil
}
