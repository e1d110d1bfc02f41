package day

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
)

// buyer places an order at NuORDER, which becomes an OMS order whose number NuORDER then shows.
func (p *Player) buyer(ctx context.Context, d *props) error {
	var number, id string
	err := p.play(ctx, step{
		"NuORDER: a buyer's order is approved; the OMS has it",
		func(ctx context.Context) error {
			orders, err := p.World.NuORDER.PlaceOrder("", map[string]any{
				"status": "approved", "currency_code": "USD", "customer_po_number": "PO-7781", "notes": "Deliver to the back door",
				"retailer": map[string]any{"retailer_code": d.customer, "buyer_email": "buyer@example.com"},
				"line_items": []any{map[string]any{
					"product": map[string]any{"brand_id": d.brand}, "warehouse": "default",
					"sizes": []any{
						map[string]any{"size": d.size[0], "quantity": 12, "price": 41.5},
						map[string]any{"size": d.size[1], "quantity": 6, "price": 41.5},
					},
				}},
			})
			if err != nil {
				return err
			}
			number, id = text(orders[0]["order_number"]), text(orders[0]["_id"])
			return p.PollOrders(ctx)
		},
		func(ctx context.Context) (bool, error) {
			err := p.World.Pool.QueryRow(ctx, "select order_no from oms.sales_orders where external_ref like '%:' || $1", id).Scan(&d.order)
			if errors.Is(err, pgx.ErrNoRows) {
				return false, nil
			}
			return err == nil, err
		},
	})
	if err != nil {
		return err
	}
	nothing := func(context.Context) error { return nil }
	for _, s := range []step{
		{
			fmt.Sprintf("NuORDER: order %s is marked processed", number), nothing,
			p.shows("orders", id, func(v map[string]any) bool { return v["status"] == "processed" }),
		},
		{
			fmt.Sprintf("NuORDER: order number %s is replaced by the OMS number %d", number, d.order), nothing,
			p.shows("orders", id, func(v map[string]any) bool { return text(v["order_number"]) == strconv.FormatInt(d.order, 10) }),
		},
	} {
		if err := p.play(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// desk edits the buyer's order, and creates an order for a customer that NuORDER does not know yet.
func (p *Player) desk(ctx context.Context, d *props) error {
	err := p.play(ctx, step{
		fmt.Sprintf("OMS: order %d is edited to 20 pieces of %s", d.order, d.size[0]),
		func(ctx context.Context) error {
			return p.World.Desk.EditOrder(ctx, d.order, oms.OrderEdit{Quantities: map[int]int{1: 20}, Notes: new("Ring twice")})
		},
		p.shows("orders", strconv.FormatInt(d.order, 10), func(v map[string]any) bool {
			for _, l := range list(v["line_items"]) {
				for _, s := range list(dig(l, "sizes")) {
					if text(dig(s, "quantity")) == "20" {
						return true
					}
				}
			}
			return false
		}),
	})
	if err != nil {
		return err
	}
	return p.born(ctx, d)
}

// born creates a customer and at once an order for it. The customer's call is made slow, so that the order must wait.
func (p *Player) born(ctx context.Context, d *props) error {
	fault, err := p.World.NuORDER.AddFault(nuorder.Fault{Kind: "slow", Method: "PUT", Path: "/api/company/**", Count: 1, Delay: nuorder.Duration(400 * time.Millisecond)})
	if err != nil {
		return err
	}
	defer p.World.NuORDER.ClearFaults(fault)
	err = p.play(ctx, step{
		"OMS: an order is born for a customer that NuORDER does not know; it waits",
		func(ctx context.Context) error {
			err := p.World.Desk.CreateCustomer(ctx, oms.NewCustomer{
				ID: "C90001", Name: "Larkspur & Daughters", Billing: oms.Address{Line1: "1 Mill Lane", City: "Portland", State: "OR", Zip: "97201", Country: "US"},
			})
			if err != nil {
				return err
			}
			d.born, err = p.World.Desk.CreateOrder(ctx, oms.NewOrder{
				CustomerID: "C90001", PONumber: "LARK-1",
				Lines: []oms.NewLine{{UPC: d.upc[1], Quantity: 4, Price: decimal.RequireFromString("41.50"), WarehouseNo: 1}},
			})
			return err
		},
		func(ctx context.Context) (bool, error) {
			n, err := p.Waiting(ctx)
			return n > 0, err
		},
	})
	if err != nil {
		return err
	}
	return p.play(ctx, step{
		fmt.Sprintf("NuORDER: the customer is there; order %d is released and created", d.born),
		func(context.Context) error { return nil },
		p.shows("orders", strconv.FormatInt(d.born, 10), func(v map[string]any) bool {
			return text(dig(v, "retailer", "retailer_code")) == "C90001"
		}),
	})
}

// shipping invoices the buyer's order in two parts.
func (p *Player) shipping(ctx context.Context, d *props) error {
	order := strconv.FormatInt(d.order, 10)
	shipments := func(v map[string]any) int { return len(list(v["shipments"])) }
	for _, s := range []step{
		{
			fmt.Sprintf("OMS: a first invoice with tracking ships 8 pieces of order %s", order),
			func(ctx context.Context) error {
				_, err := p.World.Desk.Invoice(ctx, d.order, oms.Shipment{Carrier: "UPS", Tracking: []string{"1Z0001"}, Quantities: map[int]int{1: 8}})
				return err
			},
			p.shows("orders", order, func(v map[string]any) bool { return shipments(v) == 1 && v["status"] == "processed" }),
		},
		{
			fmt.Sprintf("OMS: a second invoice ships the rest; order %s is shipped", order),
			func(ctx context.Context) error {
				_, err := p.World.Desk.Invoice(ctx, d.order, oms.Shipment{Carrier: "UPS", Tracking: []string{"1Z0002", "1Z0003"}})
				return err
			},
			p.shows("orders", order, func(v map[string]any) bool { return shipments(v) == 2 && v["status"] == "shipped" }),
		},
	} {
		if err := p.play(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
