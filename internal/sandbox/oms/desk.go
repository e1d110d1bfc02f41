package oms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNothingChanged tells that an action at the desk met no record.
var ErrNothingChanged = errors.New("no such record in the OMS")

// Desk does what people at an OMS do all day. Each method is one transaction, committed when it returns.
type Desk struct {
	pool *pgxpool.Pool
	now  func() time.Time
}

// NewDesk makes a desk over a database with the reference OMS's schema; now is the clock, nil for the system's.
func NewDesk(pool *pgxpool.Pool, now func() time.Time) *Desk {
	if now == nil {
		now = time.Now
	}
	return &Desk{pool: pool, now: now}
}

// ChangePrice sets one price of a style. The price is written as in "35.00".
func (d *Desk) ChangePrice(ctx context.Context, item, season string, priceType int, currency, price string) error {
	return d.change(ctx, "change a price", `update oms.style_prices p set price = $5::text::numeric from oms.styles s
		where p.style_id = s.style_id and s.item_number = $1 and s.season_code = $2 and p.price_type = $3 and p.currency = $4`,
		item, season, priceType, currency, price)
}

// DiscontinueStyle takes a style out of the line.
func (d *Desk) DiscontinueStyle(ctx context.Context, item, season string) error {
	return d.SetStyleStatus(ctx, item, season, "Discontinued")
}

// SetStyleStatus sets a style Active, Inactive or Discontinued.
func (d *Desk) SetStyleStatus(ctx context.Context, item, season, status string) error {
	return d.change(ctx, "set the status of a style", "update oms.styles set status = $3 where item_number = $1 and season_code = $2", item, season, status)
}

// NewCustomer is a customer to add.
type NewCustomer struct {
	ID, Name string
	// Currency is USD when empty.
	Currency string
	// TermsCode, DiscountRate and RepCode may be empty.
	TermsCode, DiscountRate, RepCode string
	Billing                          Address
	// Shipping is left empty when nil: goods go to the billing address then.
	Shipping *Address
}

// CreateCustomer adds a customer with a billing and a shipping address.
func (d *Desk) CreateCustomer(ctx context.Context, c NewCustomer) error {
	shipping := Address{Code: "SHIP"}
	if c.Shipping != nil {
		shipping = *c.Shipping
	}
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into oms.customers (customer_id, name, currency, terms_code, discount_rate, rep_code)
			values ($1, $2, $3, $4, $5::text::numeric, $6)`, c.ID, c.Name, first(c.Currency, "USD"), orNull(c.TermsCode),
			first(c.DiscountRate, "0"), orNull(c.RepCode)); err != nil {
			return fmt.Errorf("add customer %s: %w", c.ID, err)
		}
		if err := addAddress(ctx, tx, c.ID, "billing", "", true, c.Billing); err != nil {
			return err
		}
		return addAddress(ctx, tx, c.ID, "shipping", "", true, shipping)
	})
}

// AddShipTo adds a shipping address to a customer; its code must be new to the customer.
func (d *Desk) AddShipTo(ctx context.Context, customer string, a Address) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		return addAddress(ctx, tx, customer, "shipping", "", false, a)
	})
}

// AddStore adds a chain-store address to a customer.
func (d *Desk) AddStore(ctx context.Context, customer, storeNumber string, a Address) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		return addAddress(ctx, tx, customer, "store", storeNumber, false, a)
	})
}

func addAddress(ctx context.Context, tx pgx.Tx, customer, kind, store string, isDefault bool, a Address) error {
	_, err := tx.Exec(ctx, `insert into oms.customer_addresses (customer_id, kind, code, store_number, is_default, line_1, line_2, city, state, zip, country)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		customer, kind, a.Code, orNull(store), isDefault, a.Line1, a.Line2, a.City, a.State, a.Zip, a.Country)
	if err != nil {
		return fmt.Errorf("add a %s address to customer %s: %w", kind, customer, err)
	}
	return nil
}

// ReceiveStock adds goods to what is on hand of a sku in a warehouse; a negative quantity takes away.
func (d *Desk) ReceiveStock(ctx context.Context, upc string, warehouse, quantity int) error {
	return d.change(ctx, "receive stock", `insert into oms.stock (sku_id, warehouse_no, on_hand)
		select sku_id, $2::int, $3::int from oms.skus where upc = $1
		on conflict (sku_id, warehouse_no) do update set on_hand = oms.stock.on_hand + excluded.on_hand`, upc, warehouse, quantity)
}

// MovePurchaseOrder sets another due date for a purchase order.
func (d *Desk) MovePurchaseOrder(ctx context.Context, number string, due time.Time) error {
	return d.change(ctx, "move a purchase order", "update oms.purchase_orders set due_date = $2::text::date where po_number = $1", number, due.Format(time.DateOnly))
}

// ReceivePurchaseOrder takes in all that is open on a purchase order.
func (d *Desk) ReceivePurchaseOrder(ctx context.Context, number string) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into oms.stock (sku_id, warehouse_no, on_hand)
			select l.sku_id, p.warehouse_no, sum(l.qty_ordered - l.qty_received)::int from oms.purchase_orders p join oms.purchase_order_lines l using (po_number)
			where p.po_number = $1 and p.status = 'Open' group by 1, 2
			on conflict (sku_id, warehouse_no) do update set on_hand = oms.stock.on_hand + excluded.on_hand`, number); err != nil {
			return fmt.Errorf("take in purchase order %s: %w", number, err)
		}
		if _, err := tx.Exec(ctx, "update oms.purchase_order_lines set qty_received = qty_ordered where po_number = $1", number); err != nil {
			return fmt.Errorf("take in the lines of purchase order %s: %w", number, err)
		}
		tag, err := tx.Exec(ctx, "update oms.purchase_orders set status = 'Received' where po_number = $1 and status = 'Open'", number)
		return changed(tag.RowsAffected(), "take in purchase order "+number, err)
	})
}

// change runs one statement that must meet a record.
func (d *Desk) change(ctx context.Context, what, sql string, args ...any) error {
	tag, err := d.pool.Exec(ctx, sql, args...)
	return changed(tag.RowsAffected(), what, err)
}

func changed(rows int64, what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if rows == 0 {
		return fmt.Errorf("%s: %w", what, ErrNothingChanged)
	}
	return nil
}
