package oms_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
)

func newOMS(t *testing.T, sizes oms.Sizes) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.Pool(t)
	if made, err := oms.Apply(t.Context(), pool); err != nil || !made {
		t.Fatalf("apply the schema: made %t, %v", made, err)
	}
	if _, err := oms.Generate(t.Context(), pool, sizes); err != nil {
		t.Fatal(err)
	}
	return pool
}

func small() oms.Sizes {
	return oms.Sizes{Seed: 7, Today: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), Styles: 20, Customers: 12, PurchaseOrders: 20, OldOrders: 12, RecentOrders: 8}
}

func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestDefaultSizesAreThoseOfTheDemo(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	sum, err := oms.Generate(t.Context(), pool, oms.Sizes{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v in %v", sum, time.Since(started))
	for table, want := range map[string]int64{"styles": 200, "style_colors": 800, "skus": 4800, "customers": 300, "warehouses": 3, "price_types": 5} {
		if sum[table] != want {
			t.Errorf("%d rows in %s, want %d", sum[table], table, want)
		}
	}
	for what, sql := range map[string]string{
		"an archived style":                 "select count(*) from oms.styles where status <> 'Active'",
		"an empty shipping address":         "select count(*) from oms.customer_addresses where kind = 'shipping' and line_1 = ''",
		"a chain store":                     "select count(*) from oms.customer_addresses where kind = 'store'",
		"a late purchase order":             "select count(*) from oms.purchase_orders where status = 'Open' and due_date < current_date",
		"allocated stock":                   "select count(*) from oms.stock where allocated > 0",
		"a recent order":                    "select count(*) from oms.sales_orders where order_date >= current_date - 11",
		"an old order":                      "select count(*) from oms.sales_orders where order_date < current_date - 360",
		"an invoice without tracking":       "select count(*) from oms.invoices where tracking_number = ''",
		"an invoice with several trackings": "select count(*) from oms.invoices where tracking_number like '%,%'",
		"a customer in euro":                "select count(*) from oms.customers where currency = 'EUR'",
		"a discount":                        "select count(*) from oms.customers where discount_rate > 0",
		"an item in two seasons":            "select count(*) from (select from oms.styles group by item_number having count(*) > 1) x",
	} {
		if count(t, pool, sql) == 0 {
			t.Errorf("the data holds no %s", what)
		}
	}
	for what, sql := range map[string]string{
		"stock below what is promised":     "select count(*) from oms.stock where on_hand < allocated or on_hand < 0",
		"a promise that no open line made": allocationsThatDiffer,
		"a second line of one sku":         "select count(*) from (select from oms.sales_order_lines group by order_no, sku_id having count(*) > 1) x",
		"an order without lines":           "select count(*) from oms.sales_orders where order_no not in (select order_no from oms.sales_order_lines)",
		"an invoice beyond its order": `select count(*) from oms.invoice_lines i join oms.invoices v using (invoice_no)
			left join oms.sales_order_lines l on l.order_no = v.order_no and l.line_no = i.line_no where i.quantity > coalesce(l.quantity, 0)`,
	} {
		if n := count(t, pool, sql); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
}

const allocationsThatDiffer = `select count(*) from oms.stock s left join (
	select l.sku_id, l.warehouse_no, sum(greatest(l.quantity - coalesce((select sum(i.quantity) from oms.invoice_lines i join oms.invoices v using (invoice_no)
		where v.order_no = l.order_no and i.line_no = l.line_no and v.status = 'Posted'), 0), 0)) as open
	from oms.sales_order_lines l join oms.sales_orders o using (order_no) where o.status = 'Open' and not l.prebook group by 1, 2) w using (sku_id, warehouse_no)
	where s.allocated <> coalesce(w.open, 0)`

func TestEqualSeedsGiveEqualData(t *testing.T) {
	t.Parallel()
	sum := func() map[string]string {
		pool, sums := newOMS(t, small()), map[string]string{}
		for _, table := range []string{"styles", "skus", "style_prices", "customers", "customer_addresses", "stock", "purchase_order_lines", "sales_orders", "sales_order_lines", "invoices"} {
			var text string
			if err := pool.QueryRow(t.Context(), "select md5(string_agg(t::text, ' ' order by t::text)) from oms."+table+" t").Scan(&text); err != nil {
				t.Fatal(err)
			}
			sums[table] = text
		}
		return sums
	}
	if diff := cmp.Diff(sum(), sum()); diff != "" {
		t.Error(diff)
	}
}
