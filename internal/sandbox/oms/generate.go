package oms

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Sizes says how much data Generate makes. The zero value of a field takes its default, a negative one makes none.
type Sizes struct {
	// Seed decides every value; equal seeds and dates give equal data.
	Seed uint64
	// Today is the day that dates are counted from; default is the present day in UTC.
	Today time.Time
	// Styles (default 200), Colors of each style (default 4) and SizesPerRun (default 6).
	Styles, Colors, SizesPerRun int
	// Customers (default 300).
	Customers int
	// PurchaseOrders (default 40), each over some thirty skus.
	PurchaseOrders int
	// OldOrders are sales orders of one to three years ago (default 150).
	OldOrders int
	// RecentOrders are open sales orders of the last ten days (default 20).
	RecentOrders int
}

func (s Sizes) withDefaults() Sizes {
	for _, f := range []struct {
		field  *int
		normal int
	}{
		{&s.Styles, 200},
		{&s.Colors, 4},
		{&s.SizesPerRun, 6},
		{&s.Customers, 300},
		{&s.PurchaseOrders, 40},
		{&s.OldOrders, 150},
		{&s.RecentOrders, 20},
	} {
		switch {
		case *f.field == 0:
			*f.field = f.normal
		case *f.field < 0:
			*f.field = 0
		}
	}
	if s.Today.IsZero() {
		s.Today = time.Now()
	}
	s.Today = s.Today.UTC().Truncate(24 * time.Hour)
	s.Colors = min(s.Colors, len(palette))
	return s
}

// Summary counts the rows that Generate made, by table.
type Summary map[string]int64

// generator holds the rows of all tables until they are copied.
type generator struct {
	sizes  Sizes
	rand   *rand.Rand
	tables []*table
	byName map[string]*table

	styles    []*genStyle
	skus      []*genSKU
	customers []*genCustomer
	stock     map[stockKey]*genStock
	stockRows []*genStock
}

type table struct {
	name    string
	columns []string
	rows    [][]any
}

// Generate fills the empty tables of the reference OMS, in one transaction, by COPY.
func Generate(ctx context.Context, pool *pgxpool.Pool, sizes Sizes) (Summary, error) {
	g := newGenerator(sizes)
	g.makeBasics()
	g.makeCatalog()
	g.makeCustomers()
	g.makeStock()
	g.makePurchaseOrders()
	g.makeOrders()
	g.writeStock()
	sum := Summary{}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, t := range g.tables {
			n, err := tx.CopyFrom(ctx, pgx.Identifier{"oms", t.name}, t.columns, pgx.CopyFromRows(t.rows))
			if err != nil {
				return fmt.Errorf("copy into oms.%s: %w", t.name, err)
			}
			sum[t.name] = n
		}
		return followIdentities(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, "analyze"); err != nil {
		return nil, fmt.Errorf("analyze: %w", err)
	}
	return sum, nil
}

func newGenerator(sizes Sizes) *generator {
	sizes = sizes.withDefaults()
	g := &generator{sizes: sizes, rand: rand.New(rand.NewPCG(sizes.Seed, 0x0f)), byName: map[string]*table{}, stock: map[stockKey]*genStock{}}
	for _, t := range tableColumns {
		name, columns, _ := strings.Cut(t, ": ")
		tab := &table{name: name, columns: strings.Split(columns, " ")}
		g.tables = append(g.tables, tab)
		g.byName[name] = tab
	}
	return g
}

// tableColumns are the tables, parents first, with the columns that are written.
var tableColumns = []string{ //nolint:gochecknoglobals // a constant in all but form
	"seasons: season_code description",
	"departments: department_code description",
	"terms: terms_code description",
	"sales_reps: rep_code name email",
	"warehouses: warehouse_no name",
	"size_runs: size_run_code description",
	"size_run_sizes: size_run_code position size",
	"price_types: price_type description",
	"styles: style_id item_number season_code department_code style_group description_1 description_2 size_run_code status custom",
	"style_colors: style_color_id style_id color_code color_description status available_from available_until image_url",
	"skus: sku_id style_color_id position size upc",
	"style_prices: style_id price_type currency price",
	"size_prices: sku_id price_type currency price",
	"customers: customer_id name status currency terms_code discount_rate tax_rate rep_code phone email custom",
	"customer_addresses: address_id customer_id kind code store_number is_default line_1 line_2 city state zip country",
	"purchase_orders: po_number vendor warehouse_no due_date status",
	"purchase_order_lines: po_number line_no sku_id qty_ordered qty_received",
	"sales_orders: order_no customer_id status po_number order_date ship_start ship_end currency discount_rate terms_code rep_code notes " +
		"bill_to_code bill_line_1 bill_line_2 bill_city bill_state bill_zip bill_country " +
		"ship_to_code ship_line_1 ship_line_2 ship_city ship_state ship_zip ship_country",
	"sales_order_lines: order_no line_no sku_id warehouse_no quantity price ship_start ship_end notes",
	"invoices: invoice_no order_no status invoice_date ship_date carrier tracking_number",
	"invoice_lines: invoice_no line_no quantity",
	"stock: sku_id warehouse_no on_hand allocated",
}

func (g *generator) add(name string, values ...any) {
	t := g.byName[name]
	if len(values) != len(t.columns) {
		panic(fmt.Sprintf("oms.%s has %d columns, got %d values", name, len(t.columns), len(values)))
	}
	t.rows = append(t.rows, values)
}

// followIdentities sets the identity counters past the keys that were written by hand.
func followIdentities(ctx context.Context, tx pgx.Tx) error {
	for table, column := range map[string]string{
		"styles": "style_id", "style_colors": "style_color_id", "skus": "sku_id", "customer_addresses": "address_id",
		"sales_orders": "order_no", "invoices": "invoice_no",
	} {
		sql := fmt.Sprintf("select setval(pg_get_serial_sequence('oms.%[1]s', '%[2]s'), max(%[2]s)) from oms.%[1]s having max(%[2]s) is not null", table, column)
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set the counter of oms.%s: %w", table, err)
		}
	}
	return nil
}

// pick gives one of several values.
func pick[T any](g *generator, from []T) T { return from[g.rand.IntN(len(from))] }

// chance is true in so many of a hundred cases.
func (g *generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

// between gives a number from low to high, both included.
func (g *generator) between(low, high int) int { return low + g.rand.IntN(high-low+1) }

// day gives the day so many days from today.
func (g *generator) day(offset int) time.Time { return g.sizes.Today.AddDate(0, 0, offset) }

// money writes cents as PostgreSQL's numeric reads it.
func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps of strings come here
	}
	return string(text)
}
