package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/oms"
)

// desk does random things at both ends. Every change of a style, customer or order carries a revision that only rises.
type desk struct {
	w        *world
	dice     *rand.Rand
	styles   []int64
	skus     []sku
	people   []string
	pos      []string
	revision int64
	born     int
	done     int
	failed   int
	last     error

	mu     sync.Mutex
	placed map[string]bool // _ids of buyers' orders
}

type sku struct {
	upc, brand, size, price string
}

func newDesk(ctx context.Context, w *world) (*desk, error) {
	d := &desk{w: w, dice: rand.New(rand.NewPCG(w.run.seed, 3)), placed: map[string]bool{}}
	for _, q := range []struct {
		sql string
		to  any
	}{
		{"select style_id from oms.styles where status = 'Active' order by 1", &d.styles},
		{"select customer_id from oms.customers where status = 'Active' and currency = 'USD' order by 1", &d.people},
		{"select po_number from oms.purchase_orders where status = 'Open' order by 1", &d.pos},
	} {
		rows, err := w.Pool.Query(ctx, q.sql)
		if err != nil {
			return nil, err
		}
		switch to := q.to.(type) {
		case *[]int64:
			*to, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		case *[]string:
			*to, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			return nil, err
		}
	}
	rows, err := w.Pool.Query(ctx, `select k.upc, c.style_color_id::text, k.size, p.price::text
		from oms.skus k join oms.style_colors c using (style_color_id) join oms.styles s using (style_id)
		join oms.style_prices p on p.style_id = s.style_id and p.price_type = 1 and p.currency = 'USD'
		where s.status = 'Active' and c.status = 'Active' order by k.sku_id`)
	if err != nil {
		return nil, err
	}
	d.skus, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sku, err error) {
		return s, row.Scan(&s.upc, &s.brand, &s.size, &s.price)
	})
	return d, err
}

func (d *desk) isPlaced(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.placed[id]
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// work acts so many times a second until the context ends.
func (d *desk) work(ctx context.Context, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.act(ctx)
		}
	}
}

// during acts for a while.
func (d *desk) during(ctx context.Context, length time.Duration, perSecond int) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	d.work(ctx, perSecond)
}

// act does one random thing; what the OMS refuses is counted and forgotten.
func (d *desk) act(ctx context.Context) {
	// What is begun is ended: a transaction cut by the end of the scenario says nothing about the bridge.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	acts := []func(context.Context) error{
		d.revise, d.revise, d.revise, d.price, d.reviseCustomer, d.reviseCustomer, d.shipTo, d.dropAddress, d.stock, d.stock, d.stock, d.move, d.status,
		d.create, d.edit, d.edit, d.edit, d.invoice, d.invoice, d.tracking, d.cancel, d.buy, d.buy,
	}
	d.done++
	if err := pick(d.dice, acts)(ctx); err != nil {
		d.failed++
		d.last = err
	}
}

func (d *desk) exec(ctx context.Context, sql string, args ...any) error {
	_, err := d.w.Pool.Exec(ctx, sql, args...)
	return err
}

func (d *desk) rev() string {
	d.revision++
	return fmt.Sprintf("rev %d", d.revision)
}

func (d *desk) revise(ctx context.Context) error {
	return d.exec(ctx, "update oms.styles set description_2 = $2 where style_id = $1", pick(d.dice, d.styles), d.rev())
}

func (d *desk) price(ctx context.Context) error {
	return d.exec(ctx, "update oms.style_prices set price = price + 0.25 where style_id = $1 and price_type <= 2", pick(d.dice, d.styles))
}

func (d *desk) status(ctx context.Context) error {
	return d.exec(ctx, `update oms.style_colors set status = case status when 'Active' then 'Inactive' else 'Active' end
		where style_color_id = (select min(style_color_id) from oms.style_colors where style_id = $1)`, pick(d.dice, d.styles))
}

func (d *desk) reviseCustomer(ctx context.Context) error {
	return d.exec(ctx, "update oms.customers set phone = $2 where customer_id = $1", pick(d.dice, d.people), d.rev())
}

func (d *desk) shipTo(ctx context.Context) error {
	d.born++
	return d.w.Desk.AddShipTo(ctx, pick(d.dice, d.people), oms.Address{
		Code: fmt.Sprintf("X%d", d.born), Line1: fmt.Sprintf("%d Chaos Road", d.born), City: "Reno", State: "NV", Zip: "89501", Country: "US",
	})
}

func (d *desk) dropAddress(ctx context.Context) error {
	return d.exec(ctx, "delete from oms.customer_addresses where code = $1", fmt.Sprintf("X%d", 1+d.dice.IntN(d.born+1)))
}

func (d *desk) stock(ctx context.Context) error {
	return d.w.Desk.ReceiveStock(ctx, pick(d.dice, d.skus).upc, 1+d.dice.IntN(3), 1+d.dice.IntN(20))
}

func (d *desk) move(ctx context.Context) error {
	return d.w.Desk.MovePurchaseOrder(ctx, pick(d.dice, d.pos), time.Now().UTC().AddDate(0, 0, 1+d.dice.IntN(90)))
}

func (d *desk) create(ctx context.Context) error {
	o := oms.NewOrder{CustomerID: pick(d.dice, d.people), PONumber: fmt.Sprint("B", d.done)}
	seen := map[string]bool{}
	for range 1 + d.dice.IntN(3) {
		s := pick(d.dice, d.skus)
		if !seen[s.upc] {
			o.Lines = append(o.Lines, oms.NewLine{UPC: s.upc, Quantity: 1 + d.dice.IntN(9), Price: decimal.RequireFromString(s.price), WarehouseNo: 1})
		}
		seen[s.upc] = true
	}
	_, err := d.w.Desk.CreateOrder(ctx, o)
	return err
}

// someOrder is a random open order.
func (d *desk) someOrder(ctx context.Context) (no int64, err error) {
	err = d.w.Pool.QueryRow(ctx, "select order_no from oms.sales_orders where status = 'Open' order by md5(order_no::text || $1) limit 1", fmt.Sprint(d.dice.IntN(1000))).Scan(&no)
	return no, err
}

func (d *desk) edit(ctx context.Context) error {
	no, err := d.someOrder(ctx)
	if err != nil {
		return err
	}
	e := oms.OrderEdit{Notes: new(d.rev())}
	if d.dice.IntN(2) == 0 {
		var line, quantity int
		if err := d.w.Pool.QueryRow(ctx, "select line_no, quantity from oms.sales_order_lines where order_no = $1 order by 1 limit 1", no).Scan(&line, &quantity); err != nil {
			return err
		}
		e.Quantities = map[int]int{line: quantity + 1 + d.dice.IntN(5)}
	}
	return d.w.Desk.EditOrder(ctx, no, e)
}

func (d *desk) cancel(ctx context.Context) error {
	no, err := d.someOrder(ctx)
	if err != nil {
		return err
	}
	// What a cancelled order born in the OMS has shipped is only at NuORDER if the order was: no order is cancelled after a shipment
	// that may not have been sent.
	var some bool
	if err := d.w.Pool.QueryRow(ctx, `select exists (select from oms.invoices i join oms.sales_orders o using (order_no)
		where order_no = $1 and external_ref is null)`, no).Scan(&some); err != nil || some {
		return err
	}
	return d.w.Desk.CancelOrder(ctx, no)
}

func (d *desk) invoice(ctx context.Context) error {
	no, err := d.someOrder(ctx)
	if err != nil {
		return err
	}
	s := oms.Shipment{Carrier: "UPS", Tracking: []string{fmt.Sprintf("1Z%08d", d.done)}}
	if d.dice.IntN(2) == 0 {
		s.Quantities = map[int]int{1: 1}
	}
	_, err = d.w.Desk.Invoice(ctx, no, s)
	return err
}

func (d *desk) tracking(ctx context.Context) error {
	var no int64
	err := d.w.Pool.QueryRow(ctx, "select invoice_no from oms.invoices where status = 'Posted' order by md5(invoice_no::text || $1) limit 1", fmt.Sprint(d.dice.IntN(1000))).Scan(&no)
	if err != nil {
		return err
	}
	return d.w.Desk.CorrectTracking(ctx, no, fmt.Sprintf("1ZC%07d", d.done))
}

// buy approves a buyer's order at NuORDER.
func (d *desk) buy(context.Context) error {
	s, t := pick(d.dice, d.skus), pick(d.dice, d.skus)
	lines := []any{}
	for i, k := range []sku{s, t} {
		if i == 1 && (s.brand == t.brand || d.dice.IntN(2) == 0) {
			continue
		}
		lines = append(lines, map[string]any{
			"product": map[string]any{"brand_id": k.brand}, "warehouse": "default",
			"sizes": []any{map[string]any{"size": k.size, "upc": k.upc, "quantity": 1 + d.dice.IntN(5), "price": 41.5}},
		})
	}
	orders, err := d.w.NuORDER.PlaceOrder("", map[string]any{
		"status": "approved", "currency_code": "USD", "customer_po_number": fmt.Sprint("N", d.done),
		"retailer": map[string]any{"retailer_code": pick(d.dice, d.people), "buyer_email": "buyer@example.com"}, "line_items": lines,
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range orders {
		d.placed[fmt.Sprint(o["_id"])] = true
	}
	return nil
}
