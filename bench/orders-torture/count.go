package main

import (
	"context"
	"fmt"
	"log/slog"

	"nubridge/internal/ledger"
	"nubridge/orders"
	"nubridge/sink/nuorder"
)

// result is what the outer world shows at the end; nothing of it is taken from the bridge's word alone.
type result struct {
	omsOrders, lost, doubled, renumbered, notProcessed, quarantined, kills, seconds int
	// found counts the doubles that the bridge names, of those that there are.
	found int
	// waiting are orders that are not in the OMS and wait for a person.
	waiting int
}

// processedImpliesCreated looks from outside, in the middle of everything: what NuORDER shows as Processed is in the OMS. // I5
func (w *world) processedImpliesCreated(ctx context.Context) error {
	ids, err := w.client.OrderIDs(ctx, nuorder.Processed)
	if err != nil {
		return err
	}
	references := make([]string, len(ids))
	for n, id := range ids {
		references[n] = ledger.Reference(environment, id)
	}
	var missing []string
	err = w.pool.QueryRow(ctx, `select coalesce(array_agg(r), '{}') from unnest($1::text[]) as r
		where not exists (select from oms.sales_orders o where o.external_ref = r)`, references).Scan(&missing)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d orders are Processed at NuORDER and not in the OMS, the first is %s", len(missing), missing[0])
	}
	return nil
}

// count compares NuORDER and the OMS, order by order.
func (w *world) count(ctx context.Context, log *slog.Logger) (*result, error) {
	state, err := w.portal.State(brand)
	if err != nil {
		return nil, err
	}
	inOMS := map[string][]string{}
	rows, err := w.pool.Query(ctx, `select external_ref, order_no::text from oms.sales_orders where external_ref is not null order by order_no`)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var reference, number string
		if err := rows.Scan(&reference, &number); err != nil {
			return nil, err
		}
		inOMS[reference] = append(inOMS[reference], number)
	}
	named, err := w.named(ctx, log)
	if err != nil {
		return nil, err
	}
	intents := ledger.NewIntents(w.ledgerPool)
	r := &result{}
	for _, o := range state.Orders {
		id := fmt.Sprint(o["_id"])
		numbers := inOMS[ledger.Reference(environment, id)]
		i, err := intents.Get(ctx, environment, id)
		if err != nil {
			return nil, err
		}
		person := i != nil && i.State == ledger.Quarantined
		if person {
			r.quarantined++
		}
		switch {
		case len(numbers) == 0 && person:
			r.waiting++
		case len(numbers) == 0:
			r.lost++
			fmt.Printf("lost: %s, row %+v\n", id, i)
		default:
			r.omsOrders++
		}
		if len(numbers) > 1 {
			r.doubled++
			if named[id] {
				r.found++
			} else {
				fmt.Printf("doubled and not found: %s has %v\n", id, numbers)
			}
		}
		if person || len(numbers) == 0 {
			continue
		}
		if o["status"] != "processed" {
			r.notProcessed++
			fmt.Printf("not processed: %s is %v\n", id, o["status"])
		}
		for _, n := range numbers {
			if o["order_number"] == n {
				r.renumbered++
				break
			}
		}
	}
	return r, nil
}

// named gives the orders whose doubles the bridge shows to a person: in its list, or in the audit.
func (w *world) named(ctx context.Context, log *slog.Logger) (map[string]bool, error) {
	omsClient, err := newOMS(w.oms.URL, w.pool, log)
	if err != nil {
		return nil, err
	}
	intents := ledger.NewIntents(w.ledgerPool)
	poller, err := orders.New(orders.Deps{
		Portal: nuorder.NewOrderPortal(w.client, nil), OMS: omsClient, Intents: intents,
		Lock: ledger.NewPollerLock(w.ledgerPool, "audit"), Log: log,
	}, pollerConfig(w.settle, nil))
	if err != nil {
		return nil, err
	}
	audit, err := poller.Audit(ctx, 0)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, f := range audit.Findings {
		if f.Kind == orders.DoubledInOMS {
			named[f.NuORDERID] = true
			continue
		}
		if !w.unbounded || f.Kind == orders.MissingInOMS {
			fmt.Printf("audit: %s %s: %s\n", f.Kind, f.NuORDERID, f.Text)
		}
	}
	doubles, err := intents.Doubles(ctx, environment)
	if err != nil {
		return nil, err
	}
	for _, d := range doubles {
		named[d.NuORDERID] = true
	}
	return named, nil
}

// tell prints the closing line and tells whether everything held.
func (r *result) tell(w *world) bool {
	held := r.lost == 0 && r.notProcessed == 0 && r.omsOrders+r.waiting == w.placed && r.renumbered+r.quarantined >= w.placed
	if w.unbounded {
		held = held && r.found == r.doubled
		fmt.Printf("orders-torture unbounded approved=%d oms_orders=%d lost=%d doubled=%d found=%d renumbered=%d quarantined=%d kills=%d seed=%d\n",
			w.placed, r.omsOrders, r.lost, r.doubled, r.found, r.renumbered, r.quarantined, r.kills, w.seed)
		return held
	}
	held = held && r.doubled == 0
	fmt.Printf("orders-torture approved=%d oms_orders=%d lost=%d doubled=%d renumbered=%d quarantined=%d kills=%d seed=%d\n",
		w.placed, r.omsOrders, r.lost, r.doubled, r.renumbered, r.quarantined, r.kills, w.seed)
	return held
}
