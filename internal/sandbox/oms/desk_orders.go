package oms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CreateOrder creates an order that is born in the OMS, and gives its number. The errors are those of the API: *RefusedError
// and *DuplicateError.
func (d *Desk) CreateOrder(ctx context.Context, o NewOrder) (int64, error) {
	return createOrder(ctx, d.pool, o, o.ExternalRef != "", d.now().UTC())
}

// OrderEdit is what changes of an order. Nil fields stay.
type OrderEdit struct {
	PONumber, Notes    *string
	ShipStart, ShipEnd *string // YYYY-MM-DD
	// Quantities by line number; zero removes the line.
	Quantities map[int]int
	// Prices by line number, written as in "35.00".
	Prices map[int]string
	// Add are lines to add behind the last one.
	Add []NewLine
}

// EditOrder changes an open order and what of the stock is promised to it, in one transaction.
func (d *Desk) EditOrder(ctx context.Context, order int64, e OrderEdit) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update oms.sales_orders set po_number = coalesce($2, po_number), notes = coalesce($3, notes),
				ship_start = coalesce($4::text::date, ship_start), ship_end = coalesce($5::text::date, ship_end)
			where order_no = $1 and status = 'Open'`, order, e.PONumber, e.Notes, e.ShipStart, e.ShipEnd)
		if err := changed(tag.RowsAffected(), fmt.Sprintf("edit open order %d", order), err); err != nil {
			return err
		}
		for no, price := range e.Prices {
			if _, err := tx.Exec(ctx, "update oms.sales_order_lines set price = $3::text::numeric where order_no = $1 and line_no = $2", order, no, price); err != nil {
				return fmt.Errorf("set a price of order %d: %w", order, err)
			}
		}
		for no, quantity := range e.Quantities {
			if err := setQuantity(ctx, tx, order, no, quantity); err != nil {
				return err
			}
		}
		return d.addLines(ctx, tx, order, e.Add)
	})
}

// setQuantity changes a line and its allocation; zero removes it.
func setQuantity(ctx context.Context, tx pgx.Tx, order int64, no, quantity int) error {
	var sku, warehouse, old int
	var prebook bool
	err := tx.QueryRow(ctx, "select sku_id, warehouse_no, quantity, prebook from oms.sales_order_lines where order_no = $1 and line_no = $2 for update", order, no).
		Scan(&sku, &warehouse, &old, &prebook)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("line %d of order %d: %w", no, order, ErrNothingChanged)
	}
	if err != nil {
		return fmt.Errorf("read line %d of order %d: %w", no, order, err)
	}
	var shipped int
	if err := tx.QueryRow(ctx, shippedOfLine, order, no).Scan(&shipped); err != nil {
		return fmt.Errorf("read what is shipped of line %d of order %d: %w", no, order, err)
	}
	batch := &pgx.Batch{}
	if quantity == 0 {
		batch.Queue("delete from oms.sales_order_lines where order_no = $1 and line_no = $2", order, no)
	} else {
		batch.Queue("update oms.sales_order_lines set quantity = $3 where order_no = $1 and line_no = $2", order, no, quantity)
	}
	if !prebook {
		queueAllocation(batch, sku, warehouse, max(quantity-shipped, 0)-max(old-shipped, 0))
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("set line %d of order %d: %w", no, order, err)
	}
	return nil
}

const shippedOfLine = `select coalesce(sum(l.quantity), 0)::int from oms.invoices i join oms.invoice_lines l using (invoice_no)
	where i.order_no = $1 and l.line_no = $2 and i.status = 'Posted'`

func (d *Desk) addLines(ctx context.Context, tx pgx.Tx, order int64, add []NewLine) error {
	if len(add) == 0 {
		return nil
	}
	var last int
	if err := tx.QueryRow(ctx, "select coalesce(max(line_no), 0) from oms.sales_order_lines where order_no = $1", order).Scan(&last); err != nil {
		return fmt.Errorf("read the lines of order %d: %w", order, err)
	}
	w := &orderWriter{tx: tx, today: d.now().UTC()}
	lines, err := w.resolve(ctx, NewOrder{Lines: add})
	if err != nil {
		return err
	}
	if len(w.reasons) > 0 {
		return &RefusedError{Reasons: w.reasons}
	}
	for i := range lines {
		lines[i].no += last
	}
	return w.insertLines(ctx, order, lines)
}

// CancelOrder cancels an open order and gives its stock back.
func (d *Desk) CancelOrder(ctx context.Context, order int64) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update oms.sales_orders set status = 'Cancelled' where order_no = $1 and status = 'Open'", order)
		if err := changed(tag.RowsAffected(), fmt.Sprintf("cancel open order %d", order), err); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update oms.stock s set allocated = s.allocated - w.open from (
				select l.sku_id, l.warehouse_no, sum(greatest(l.quantity - coalesce((select sum(i.quantity) from oms.invoices v join oms.invoice_lines i using (invoice_no)
					where v.order_no = l.order_no and i.line_no = l.line_no and v.status = 'Posted'), 0), 0))::int as open
				from oms.sales_order_lines l where l.order_no = $1 and not l.prebook group by 1, 2) w
			where s.sku_id = w.sku_id and s.warehouse_no = w.warehouse_no`, order)
		if err != nil {
			return fmt.Errorf("give back the stock of order %d: %w", order, err)
		}
		return nil
	})
}

// Shipment is what leaves the house with one invoice.
type Shipment struct {
	Carrier  string
	Tracking []string
	// Quantities by line number; nil ships all that is open.
	Quantities map[int]int
}

// Invoice ships goods of an open order: it posts an invoice, takes the goods from stock, and closes the order when nothing is
// left open. It gives the invoice's number.
func (d *Desk) Invoice(ctx context.Context, order int64, s Shipment) (int64, error) {
	var no int64
	err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		var open bool
		if err := tx.QueryRow(ctx, "select status = 'Open' from oms.sales_orders where order_no = $1 for update", order).Scan(&open); err != nil || !open {
			return errors.Join(fmt.Errorf("invoice order %d, which must be open", order), err)
		}
		lines, err := openLines(ctx, tx, order)
		if err != nil {
			return err
		}
		today := d.now().UTC()
		err = tx.QueryRow(ctx, `insert into oms.invoices (order_no, invoice_date, ship_date, carrier, tracking_number)
			values ($1, $2, $2, $3, $4) returning invoice_no`, order, today, s.Carrier, strings.Join(s.Tracking, ",")).Scan(&no)
		if err != nil {
			return fmt.Errorf("post an invoice: %w", err)
		}
		return ship(ctx, tx, order, no, lines, s.Quantities)
	})
	return no, err
}

type openLine struct {
	No, SKU, Warehouse, Open int
	Prebook                  bool
}

func openLines(ctx context.Context, tx pgx.Tx, order int64) ([]openLine, error) {
	rows, err := tx.Query(ctx, `select l.line_no, l.sku_id, l.warehouse_no, (l.quantity - coalesce((select sum(i.quantity) from oms.invoices v join oms.invoice_lines i using (invoice_no)
			where v.order_no = l.order_no and i.line_no = l.line_no and v.status = 'Posted'), 0))::int, l.prebook
		from oms.sales_order_lines l where l.order_no = $1 order by 1`, order)
	if err != nil {
		return nil, fmt.Errorf("read the open lines of order %d: %w", order, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[openLine])
	if err != nil {
		return nil, fmt.Errorf("read the open lines of order %d: %w", order, err)
	}
	return lines, nil
}

func ship(ctx context.Context, tx pgx.Tx, order, invoice int64, lines []openLine, quantities map[int]int) error {
	batch, left, shipped := &pgx.Batch{}, 0, 0
	for _, l := range lines {
		quantity := max(l.Open, 0)
		if quantities != nil {
			quantity = quantities[l.No]
		}
		if quantity > max(l.Open, 0) || quantity < 0 {
			return fmt.Errorf("ship %d of line %d of order %d: %d are open", quantity, l.No, order, l.Open)
		}
		left += max(l.Open, 0) - quantity
		if quantity == 0 {
			continue
		}
		shipped += quantity
		batch.Queue("insert into oms.invoice_lines (invoice_no, line_no, quantity) values ($1, $2, $3)", invoice, l.No, quantity)
		allocated := quantity
		if l.Prebook {
			allocated = 0
		}
		batch.Queue("update oms.stock set on_hand = greatest(on_hand - $3, 0), allocated = allocated - $4 where sku_id = $1 and warehouse_no = $2",
			l.SKU, l.Warehouse, quantity, allocated)
	}
	if shipped == 0 {
		return fmt.Errorf("ship order %d: nothing is open: %w", order, ErrNothingChanged)
	}
	if left == 0 {
		batch.Queue("update oms.sales_orders set status = 'Closed' where order_no = $1", order)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("ship order %d: %w", order, err)
	}
	return nil
}

// CorrectTracking sets other tracking numbers on an invoice.
func (d *Desk) CorrectTracking(ctx context.Context, invoice int64, tracking ...string) error {
	return d.change(ctx, "correct the tracking number", "update oms.invoices set tracking_number = $2 where invoice_no = $1", invoice, strings.Join(tracking, ","))
}

// VoidInvoice voids an invoice: the goods are back in stock, promised to the order, which is open again.
func (d *Desk) VoidInvoice(ctx context.Context, invoice int64) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update oms.invoices set status = 'Void' where invoice_no = $1 and status = 'Posted'", invoice)
		if err := changed(tag.RowsAffected(), fmt.Sprintf("void posted invoice %d", invoice), err); err != nil {
			return err
		}
		for _, sql := range []string{
			`update oms.stock s set on_hand = s.on_hand + w.back, allocated = s.allocated + w.promised from (
				select l.sku_id, l.warehouse_no, sum(i.quantity)::int as back, coalesce(sum(i.quantity) filter (where not l.prebook), 0)::int as promised
				from oms.invoices v join oms.invoice_lines i using (invoice_no)
				join oms.sales_order_lines l on l.order_no = v.order_no and l.line_no = i.line_no where v.invoice_no = $1 group by 1, 2) w
			where s.sku_id = w.sku_id and s.warehouse_no = w.warehouse_no`,
			`update oms.sales_orders set status = 'Open' where status = 'Closed' and order_no = (select order_no from oms.invoices where invoice_no = $1)`,
		} {
			if _, err := tx.Exec(ctx, sql, invoice); err != nil {
				return fmt.Errorf("void invoice %d: %w", invoice, err)
			}
		}
		return nil
	})
}
