package oms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// line is a checked line of an order.
type line struct {
	NewLine
	sku, no int
}

// resolve finds the sku of each line and checks it.
func (w *orderWriter) resolve(ctx context.Context, o NewOrder) ([]line, error) {
	if len(o.Lines) == 0 {
		w.refuse("lines", "lines_empty", "an order has at least one line")
	}
	normal, warehouses, err := w.warehouses(ctx)
	if err != nil {
		return nil, err
	}
	var lines []line
	for i, l := range o.Lines {
		at := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
		if l.WarehouseNo == 0 {
			l.WarehouseNo = normal
		}
		sku, err := w.sku(ctx, l)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			w.refuse(at("sku"), "sku_unknown", "there is no such sku: %s", first(l.UPC, fmt.Sprintf("%s %s %s %s", l.ItemNumber, l.SeasonCode, l.ColorCode, l.Size)))
		case err != nil:
			return nil, fmt.Errorf("look up a sku: %w", err)
		}
		if l.Quantity <= 0 {
			w.refuse(at("quantity"), "quantity_not_positive", "the quantity must be a whole number above zero, got %d", l.Quantity)
		}
		if l.Price.IsNegative() || !l.Price.Equal(l.Price.Round(2)) {
			w.refuse(at("price"), "price_invalid", "the price must have no more than two decimals and not be negative")
		}
		if !slices.Contains(warehouses, l.WarehouseNo) {
			w.refuse(at("warehouse_no"), "warehouse_unknown", "there is no active warehouse %d", l.WarehouseNo)
		}
		lines = append(lines, line{NewLine: l, sku: sku, no: i + 1})
	}
	return lines, nil
}

func (w *orderWriter) warehouses(ctx context.Context) (normal int, all []int, err error) {
	rows, err := w.tx.Query(ctx, "select warehouse_no from oms.warehouses where status = 'Active' order by 1")
	if err != nil {
		return 0, nil, fmt.Errorf("read the warehouses: %w", err)
	}
	if all, err = pgx.CollectRows(rows, pgx.RowTo[int]); err != nil {
		return 0, nil, fmt.Errorf("read the warehouses: %w", err)
	}
	if len(all) > 0 {
		normal = all[0]
	}
	return normal, all, nil
}

func (w *orderWriter) sku(ctx context.Context, l NewLine) (int, error) {
	var id int
	if l.UPC != "" {
		err := w.tx.QueryRow(ctx, "select sku_id from oms.skus where upc = $1", l.UPC).Scan(&id)
		return id, err
	}
	err := w.tx.QueryRow(ctx, `select k.sku_id from oms.styles s join oms.style_colors c using (style_id) join oms.skus k using (style_color_id)
		where s.item_number = $1 and s.season_code = $2 and c.color_code = $3 and k.size = $4`,
		l.ItemNumber, l.SeasonCode, l.ColorCode, l.Size).Scan(&id)
	return id, err
}

func (w *orderWriter) insertHead(ctx context.Context, o NewOrder) (int64, error) {
	var no int64
	err := w.tx.QueryRow(ctx, `insert into oms.sales_orders (external_ref, customer_id, po_number, order_date, ship_start, ship_end, currency,
			discount_rate, terms_code, rep_code, notes,
			bill_to_code, bill_line_1, bill_line_2, bill_city, bill_state, bill_zip, bill_country,
			ship_to_code, ship_line_1, ship_line_2, ship_city, ship_state, ship_zip, ship_country, custom)
		values ($1, $2, $3, $4::text::date, $5::text::date, $6::text::date, $7, $8::text::numeric, $9, $10, $11,
			$12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
		returning order_no`,
		orNull(o.ExternalRef), o.CustomerID, o.PONumber, o.OrderDate, o.ShipStart, o.ShipEnd, o.Currency,
		o.DiscountRate.String(), orNull(o.TermsCode), orNull(o.RepCode), o.Notes,
		o.BillTo.Code, o.BillTo.Line1, o.BillTo.Line2, o.BillTo.City, o.BillTo.State, o.BillTo.Zip, o.BillTo.Country,
		o.ShipTo.Code, o.ShipTo.Line1, o.ShipTo.Line2, o.ShipTo.City, o.ShipTo.State, o.ShipTo.Zip, o.ShipTo.Country, o.Custom).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("store the order: %w", err)
	}
	return no, nil
}

// insertLines stores the lines and promises their stock to the order.
func (w *orderWriter) insertLines(ctx context.Context, order int64, lines []line) error {
	batch := &pgx.Batch{}
	for _, l := range lines {
		batch.Queue(`insert into oms.sales_order_lines (order_no, line_no, sku_id, warehouse_no, quantity, price, ship_start, ship_end, prebook, notes)
			values ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::date, $8::text::date, $9, $10)`,
			order, l.no, l.sku, l.WarehouseNo, l.Quantity, l.Price.String(), orNull(l.ShipStart), orNull(l.ShipEnd), l.Prebook, l.Notes)
	}
	// in the order of the keys, so that two orders never wait for each other
	slices.SortFunc(lines, func(a, b line) int { return 10*(a.sku-b.sku) + a.WarehouseNo - b.WarehouseNo })
	for _, l := range lines {
		if l.Prebook {
			continue // made for the order, not taken from stock
		}
		queueAllocation(batch, l.sku, l.WarehouseNo, l.Quantity)
	}
	if err := w.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store the order's lines: %w", err)
	}
	return nil
}

// queueAllocation adds to what is promised of a sku; a negative quantity gives back.
func queueAllocation(batch *pgx.Batch, sku, warehouse, quantity int) {
	batch.Queue(`insert into oms.stock (sku_id, warehouse_no, allocated) values ($1, $2, $3)
		on conflict (sku_id, warehouse_no) do update set allocated = oms.stock.allocated + excluded.allocated`, sku, warehouse, quantity)
}
