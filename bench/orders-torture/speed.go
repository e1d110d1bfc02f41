package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	sandbox "nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/orders"
	"nubridge/orders/oms"
	"nubridge/sink/nuorder"
)

const speedWorkers = 8

// speed measures the way of orders with twenty lines each against what the two far ends give alone to eight callers. All three and
// the database share the machine, so the far ends' own work counts against the bridge.
func speed(ctx context.Context, o options, server *postgres.Server, log *slog.Logger) (bool, error) {
	w, err := newWorld(ctx, o, server)
	if err != nil {
		return false, err
	}
	defer w.close()
	w.api.ClearFaults()
	w.api.SetSearchLag(0)
	w.portal.ClearFaults()
	if o.latency > 0 {
		if err := w.api.AddFault(sandbox.Fault{Kind: sandbox.Slow, Delay: o.latency}); err != nil {
			return false, err
		}
		if _, err := w.portal.AddFault(portal.Fault{Kind: "slow", Path: "/api/**", Delay: portal.Duration(o.latency)}); err != nil {
			return false, err
		}
	}
	omsAlone, err := w.omsAlone(ctx, o.count, log)
	if err != nil {
		return false, err
	}
	nuorderAlone, err := w.nuorderAlone(ctx, o.count)
	if err != nil {
		return false, err
	}
	bridge, err := w.bridgeSpeed(ctx, o.count, log)
	if err != nil {
		return false, err
	}
	rate := func(d time.Duration) float64 { return float64(o.count) / d.Seconds() }
	slowest := min(rate(omsAlone), rate(nuorderAlone))
	fmt.Printf("orders-speed orders=%d lines=20 latency_ms=%d oms_alone_per_s=%.0f nuorder_alone_per_s=%.0f bridge_per_s=%.0f vs_slowest=%.2f\n",
		o.count, o.latency.Milliseconds(), rate(omsAlone), rate(nuorderAlone), rate(bridge), rate(bridge)/slowest)
	return rate(bridge) >= slowest/2, nil
}

// large places approved orders of twenty lines and gives their ids.
func (w *world) large(n int) ([]string, error) {
	ids := make([]string, 0, n)
	for range n {
		var lines []any
		seen := map[string]bool{}
		for _, s := range w.skus {
			if seen[s.brandID] || len(lines) == 20 {
				continue
			}
			seen[s.brandID] = true
			lines = append(lines, map[string]any{
				"product": map[string]any{"brand_id": s.brandID},
				"sizes":   []any{map[string]any{"size": s.size, "upc": s.upc, "quantity": 3, "price": 10.5}},
			})
		}
		made, err := w.portal.PlaceOrder(brand, map[string]any{
			"status": "approved", "currency_code": "USD", "line_items": lines,
			"retailer": map[string]any{"retailer_code": w.customers[0]},
		})
		if err != nil {
			return nil, err
		}
		ids = append(ids, fmt.Sprint(made[0]["_id"]))
	}
	return ids, nil
}

func parallel(ctx context.Context, n int, do func(ctx context.Context, n int) error) (time.Duration, error) {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(speedWorkers)
	for k := range n {
		group.Go(func() error { return do(ctx, k) })
	}
	err := group.Wait()
	return time.Since(began), err
}

// omsAlone creates orders by the OMS's API, and nothing else.
func (w *world) omsAlone(ctx context.Context, n int, log *slog.Logger) (time.Duration, error) {
	ids, err := w.large(1)
	if err != nil {
		return 0, err
	}
	sample, err := w.client.Order(ctx, ids[0])
	if err != nil {
		return 0, err
	}
	if _, err := w.client.SetOrderStatus(ctx, ids[0], nuorder.Processed); err != nil {
		return 0, err
	}
	client, err := newOMS(w.oms.URL, w.pool, log)
	if err != nil {
		return 0, err
	}
	drafts := make([]oms.Draft, n)
	for k := range drafts {
		if drafts[k], err = client.Draft(oms.Order{Environment: "alone", Reference: fmt.Sprint("alone:", k), JSON: sample.Raw}); err != nil {
			return 0, err
		}
	}
	return parallel(ctx, n, func(ctx context.Context, k int) error {
		a, err := client.Create(ctx, drafts[k])
		if err == nil && a.Outcome != oms.Created {
			err = fmt.Errorf("create: %s: %s", a.Outcome, a.Reason)
		}
		return err
	})
}

// nuorderAlone reads, marks and renumbers orders at NuORDER, and nothing else.
func (w *world) nuorderAlone(ctx context.Context, n int) (time.Duration, error) {
	ids, err := w.large(n)
	if err != nil {
		return 0, err
	}
	return parallel(ctx, n, func(ctx context.Context, k int) error {
		o, err := w.client.Order(ctx, ids[k])
		if err != nil {
			return err
		}
		if _, err := w.client.SetOrderStatus(ctx, ids[k], nuorder.Processed); err != nil {
			return err
		}
		body, err := json.Marshal(map[string]string{"order_number": fmt.Sprint("alone-", k)})
		if err != nil {
			return err
		}
		_, err = w.client.UpdateOrderByNumber(ctx, string(o.OrderNumber), body)
		return err
	})
}

// bridgeSpeed takes orders the whole way, from the poll to the number.
func (w *world) bridgeSpeed(ctx context.Context, n int, log *slog.Logger) (time.Duration, error) {
	if _, err := w.large(n); err != nil {
		return 0, err
	}
	client, err := newOMS(w.oms.URL, w.pool, log)
	if err != nil {
		return 0, err
	}
	intents := ledger.NewIntents(w.ledgerPool)
	shared, err := nuorder.NewOrders(w.client, intents, log, nuorder.OrdersConfig{Environment: environment})
	if err != nil {
		return 0, err
	}
	c := pollerConfig(w.settle, nil)
	c.Workers, c.Sweep = 2*speedWorkers, time.Millisecond
	p, err := orders.New(orders.Deps{
		Portal: nuorder.NewOrderPortal(w.client, nil), OMS: client, Intents: intents, Numbers: shared, Log: log,
		Lock: ledger.NewPollerLock(w.ledgerPool, "speed"),
	}, c)
	if err != nil {
		return 0, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { stop(); <-ended }()
	began := time.Now()
	go func() {
		defer close(ended)
		if err := p.Run(running); err != nil && running.Err() == nil {
			log.Error("the poller ended", slog.Any("error", err))
		}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var done int
		err := w.ledgerPool.QueryRow(ctx, `select count(*) from order_intents where environment = $1 and state = 'NUMBERED'`, environment).Scan(&done)
		if err != nil || done == n {
			return time.Since(began), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ended:
			return 0, errors.New("the poller ended")
		case <-tick.C:
		}
	}
}
