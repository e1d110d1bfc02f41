package oms

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Order is a sales order as the API shows it. Numbers of money are texts.
type Order struct {
	no           int64
	OrderNo      string          `json:"order_no"`
	ExternalRef  string          `json:"external_ref,omitempty"`
	CustomerID   string          `json:"customer_id"`
	Status       string          `json:"status"`
	PONumber     string          `json:"po_number"`
	OrderDate    string          `json:"order_date"`
	ShipStart    string          `json:"ship_start"`
	ShipEnd      string          `json:"ship_end"`
	Currency     string          `json:"currency"`
	DiscountRate string          `json:"discount_rate"`
	TermsCode    string          `json:"terms_code,omitempty"`
	RepCode      string          `json:"rep_code,omitempty"`
	Notes        string          `json:"notes"`
	BillTo       Address         `json:"bill_to"`
	ShipTo       Address         `json:"ship_to"`
	Custom       json.RawMessage `json:"custom"`
	Lines        []OrderLine     `json:"lines"`
}

// OrderLine is one line of a sales order as the API shows it.
type OrderLine struct {
	LineNo      int    `json:"line_no"`
	UPC         string `json:"upc"`
	ItemNumber  string `json:"item_number"`
	SeasonCode  string `json:"season_code"`
	ColorCode   string `json:"color_code"`
	Size        string `json:"size"`
	Quantity    int    `json:"quantity"`
	Price       string `json:"price"`
	WarehouseNo int    `json:"warehouse_no"`
	ShipStart   string `json:"ship_start,omitempty"`
	ShipEnd     string `json:"ship_end,omitempty"`
	Prebook     bool   `json:"prebook"`
	Notes       string `json:"notes"`
}

// readOrders reads at most maxSearched orders with their lines, oldest first, in one statement.
func readOrders(ctx context.Context, pool *pgxpool.Pool, where string, arg any) ([]Order, error) {
	rows, err := pool.Query(ctx, `select order_no, coalesce(external_ref, ''), customer_id, status, po_number, order_date::text, ship_start::text,
			ship_end::text, currency, discount_rate::text, coalesce(terms_code, ''), coalesce(rep_code, ''), notes,
			bill_to_code, bill_line_1, bill_line_2, bill_city, bill_state, bill_zip, bill_country,
			ship_to_code, ship_line_1, ship_line_2, ship_city, ship_state, ship_zip, ship_country, custom::text,
			coalesce((select json_agg(json_build_object('line_no', l.line_no, 'upc', k.upc, 'item_number', s.item_number, 'season_code', s.season_code,
				'color_code', c.color_code, 'size', k.size, 'quantity', l.quantity, 'price', l.price::text, 'warehouse_no', l.warehouse_no,
				'ship_start', coalesce(l.ship_start::text, ''), 'ship_end', coalesce(l.ship_end::text, ''), 'prebook', l.prebook, 'notes', l.notes)
				order by l.line_no)
			from oms.sales_order_lines l join oms.skus k using (sku_id) join oms.style_colors c using (style_color_id) join oms.styles s using (style_id)
			where l.order_no = o.order_no), '[]')::text
		from oms.sales_orders o where `+where+fmt.Sprintf(" order by order_no limit %d", maxSearched), arg)
	if err != nil {
		return nil, fmt.Errorf("read sales orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil {
		return nil, fmt.Errorf("read sales orders: %w", err)
	}
	return orders, nil
}

func scanOrder(row pgx.CollectableRow) (Order, error) {
	var o Order
	var custom, lines string
	b, s := &o.BillTo, &o.ShipTo
	err := row.Scan(&o.no, &o.ExternalRef, &o.CustomerID, &o.Status, &o.PONumber, &o.OrderDate, &o.ShipStart,
		&o.ShipEnd, &o.Currency, &o.DiscountRate, &o.TermsCode, &o.RepCode, &o.Notes,
		&b.Code, &b.Line1, &b.Line2, &b.City, &b.State, &b.Zip, &b.Country,
		&s.Code, &s.Line1, &s.Line2, &s.City, &s.State, &s.Zip, &s.Country, &custom, &lines)
	if err != nil {
		return o, err
	}
	o.OrderNo, o.Custom = number(o.no), json.RawMessage(custom)
	return o, json.Unmarshal([]byte(lines), &o.Lines)
}
