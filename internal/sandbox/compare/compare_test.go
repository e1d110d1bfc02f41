package compare_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/compare"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
)

const portal = "brand"

// world is a reference OMS and a NuORDER sandbox that the test itself keeps in step, by calls of its own.
type world struct {
	t      *testing.T
	pool   *pgxpool.Pool
	desk   *oms.Desk
	portal *nuorder.Server
	url    string
	client *http.Client
	config compare.Config
}

func newWorld(t *testing.T, sizes oms.Sizes) *world {
	t.Helper()
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := oms.Generate(t.Context(), pool, sizes); err != nil {
		t.Fatal(err)
	}
	server, err := nuorder.New(nuorder.Config{Seed: 1, Portals: []nuorder.Portal{{
		Name: portal, ConsumerKey: "ck", ConsumerSecret: "cs", Token: "t", TokenSecret: "ts",
		Warehouses: []nuorder.Warehouse{{Code: "default"}, {Code: "west"}, {Code: "3pl"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	client := oauth1.NewConfig("ck", "cs").Client(oauth1.NoContext, oauth1.NewToken("t", "ts"))
	today := time.Now().UTC()
	return &world{
		t: t, pool: pool, desk: oms.NewDesk(pool, nil), portal: server, url: web.URL, client: client,
		config: compare.Config{Environment: "sandbox", Since: today.AddDate(0, 0, -30), Today: today},
	}
}

func (w *world) send(method, path string, body []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %d %s\n%s", method, path, resp.StatusCode, text, body)
	}
}

// sendAll sends what a query makes: a key and a body in each row.
func (w *world) sendAll(method, path, sql string, args ...any) {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), sql, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	type one struct{ Key, Body string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[one])
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	for _, o := range all {
		w.send(method, strings.ReplaceAll(path, "{key}", o.Key), []byte(o.Body))
	}
}

// fill brings the whole OMS to NuORDER.
func (w *world) fill() {
	w.sendAll("PUT", "/api/product/new/force", `select c.style_color_id::text, json_build_object('brand_id', c.style_color_id::text,
		'style_number', s.item_number, 'season', s.season_code, 'color', c.color_description, 'color_code', c.color_code, 'name', s.item_number,
		'description', trim(concat(s.description_1, ' ', s.description_2)), 'category', s.style_group, 'department', s.department_code,
		'available_from', c.available_from, 'available_until', c.available_until,
		'active', s.status = 'Active' and c.status = 'Active', 'archived', s.status <> 'Active' or c.status <> 'Active',
		'images', case when c.image_url is null then '[]' else json_build_array(c.image_url) end,
		'sizes', (select json_agg(json_build_object('size', k.size, 'upc', k.upc) order by k.position) from oms.skus k where k.style_color_id = c.style_color_id),
		'pricing', (select json_object_agg(x.currency, json_build_object('wholesale', x.w, 'retail', x.r, 'disabled', false)) from (
			select currency, max(price) filter (where price_type = 1) as w, max(price) filter (where price_type = 2) as r
			from oms.style_prices p where p.style_id = c.style_id group by 1) x))::text
		from oms.style_colors c join oms.styles s using (style_id) order by c.style_color_id`)
	w.sendAll("PUT", "/api/company/new/force", companyBodies)
	w.sendAll("POST", "/api/inventory/external_id/{key}", stockBodies)
}

const companyBodies = `select c.customer_id, json_build_object('name', c.name, 'code', c.customer_id, 'currency_code', c.currency, 'discount', c.discount_rate,
	'surcharge', c.tax_rate, 'payment_terms', coalesce(t.description, ''), 'phone_office', c.phone, 'active', c.status = 'Active',
	'addresses', (select json_agg(json_build_object('type', case when a.kind = 'billing' then 'billing' else 'shipping' end,
		'display_name', case a.kind when 'store' then a.store_number when 'billing' then 'Billing Address' else 'Shipping Address' end,
		'billing_code', case when a.kind = 'billing' then a.code end, 'shipping_code', case when a.kind <> 'billing' then a.code end,
		'default_billing', a.kind = 'billing' and a.is_default, 'default_shipping', a.kind = 'shipping' and a.is_default,
		'line_1', f.line_1, 'line_2', f.line_2, 'city', f.city, 'state', f.state, 'zip', f.zip, 'country', f.country) order by a.kind, a.code)
		from oms.customer_addresses a join oms.customer_addresses f on f.address_id = case when a.line_1 <> '' then a.address_id else
			(select b.address_id from oms.customer_addresses b where b.customer_id = a.customer_id and b.kind = 'billing') end
		where a.customer_id = c.customer_id))::text
	from oms.customers c left join oms.terms t using (terms_code) order by 1`

const stockBodies = `with rows as (
		select k.style_color_id, w.warehouse_no, 'immediate' as name, k.position, k.size, greatest(coalesce(s.on_hand - s.allocated, 0), 0) as quantity
		from oms.skus k cross join oms.warehouses w left join oms.stock s using (sku_id, warehouse_no)
		union all
		select k.style_color_id, p.warehouse_no, to_char(case when p.due_date < (now() at time zone 'utc')::date then (now() at time zone 'utc')::date else p.due_date end, 'MM/DD/YYYY'),
			k.position, k.size, sum(l.qty_ordered - l.qty_received)
		from oms.purchase_order_lines l join oms.purchase_orders p using (po_number) join oms.skus k using (sku_id)
		where p.status = 'Open' group by 1, 2, 3, 4, 5 having sum(l.qty_ordered - l.qty_received) > 0
	), deliveries as (
		select style_color_id, warehouse_no, json_build_object('name', name, 'sizes', json_agg(json_build_object('size', size, 'quantity', quantity) order by position)) as wip
		from rows group by 1, 2, name
	), houses as (
		select style_color_id, json_build_object('warehouse', (array['default', 'west', '3pl'])[warehouse_no], 'prebook', false, 'wip', json_agg(wip)) as house
		from deliveries group by style_color_id, warehouse_no
	)
	select style_color_id::text, json_build_object('inventory', json_agg(house))::text from houses group by 1`

// orderBodies are the orders, as created at NuORDER; $1 chooses them.
const orderBodies = `select o.order_no::text, json_build_object('order_number', o.order_no::text, 'external_id', o.order_no::text, 'status', 'processed',
	'currency_code', o.currency, 'customer_po_number', o.po_number, 'discount', o.discount_rate, 'notes', o.notes, 'start_ship', o.ship_start, 'end_ship', o.ship_end,
	'retailer', json_build_object('retailer_code', o.customer_id, 'buyer_email', c.email),
	'billing_address', json_build_object('code', bill_to_code, 'line_1', bill_line_1, 'line_2', bill_line_2, 'city', bill_city, 'state', bill_state, 'zip', bill_zip, 'country', bill_country),
	'shipping_address', json_build_object('code', ship_to_code, 'line_1', ship_line_1, 'line_2', ship_line_2, 'city', ship_city, 'state', ship_state, 'zip', ship_zip, 'country', ship_country),
	'line_items', (select json_agg(json_build_object('product', json_build_object('brand_id', k.style_color_id::text), 'warehouse', (array['default', 'west', '3pl'])[l.warehouse_no],
		'ship_start', coalesce(l.ship_start, o.ship_start), 'ship_end', coalesce(l.ship_end, o.ship_end), 'prebook', l.prebook,
		'sizes', json_build_array(json_build_object('size', k.size, 'quantity', l.quantity, 'price', l.price))) order by l.line_no)
		from oms.sales_order_lines l join oms.skus k using (sku_id) where l.order_no = o.order_no),
	'shipments', coalesce((select json_agg(json_build_object('type', 'ship', 'status', 'shipped', 'shipment_date', i.ship_date,
		'tracking_numbers', string_to_array(i.tracking_number, ','),
		'line_items', (select json_agg(json_build_object('brand_id', k.style_color_id::text, 'sizes', json_build_array(json_build_object('size', k.size, 'quantity', x.quantity))))
			from oms.invoice_lines x join oms.sales_order_lines l on l.order_no = o.order_no and l.line_no = x.line_no join oms.skus k using (sku_id) where x.invoice_no = i.invoice_no)))
		from oms.invoices i where i.order_no = o.order_no and i.status = 'Posted' and i.tracking_number <> ''), '[]'))::text
	from oms.sales_orders o join oms.customers c using (customer_id) where o.order_no = any($1)`

func (w *world) compare() compare.Result {
	w.t.Helper()
	state, err := w.portal.State(portal)
	if err != nil {
		w.t.Fatal(err)
	}
	result, err := compare.Run(w.t.Context(), w.pool, state, w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) wantNone(when string) compare.Result {
	w.t.Helper()
	result := w.compare()
	for i, d := range result.Differences {
		if i == 20 {
			w.t.Fatalf("%s: %d more differences", when, len(result.Differences)-i)
		}
		w.t.Errorf("%s: %s", when, d)
	}
	return result
}

func (w *world) bornHere() []int64 {
	rows, err := w.pool.Query(w.t.Context(), "select order_no from oms.sales_orders where external_ref is null and order_date >= $1::date", w.config.Since)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// importOrder lets a buyer order, and takes the order into the OMS as the bridge would.
func (w *world) importOrder() int64 {
	w.t.Helper()
	ctx := w.t.Context()
	var brand, size, upc string
	if err := w.pool.QueryRow(ctx, `select c.style_color_id::text, k.size, k.upc from oms.styles s join oms.style_colors c using (style_id) join oms.skus k using (style_color_id)
		join oms.stock t using (sku_id) where s.status = 'Active' and t.warehouse_no = 1 and t.on_hand - t.allocated > 20 order by sku_id limit 1`).Scan(&brand, &size, &upc); err != nil {
		w.t.Fatal(err)
	}
	placed, err := w.portal.PlaceOrder(portal, map[string]any{
		"status": "approved", "retailer": map[string]any{"retailer_code": "C10001"}, "notes": "gift wrap", "customer_po_number": "B-1",
		"line_items": []any{map[string]any{"product": map[string]any{"brand_id": brand}, "warehouse": "default", "sizes": []any{map[string]any{"size": size, "quantity": 4}}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	order := placed[0]
	text, _ := json.Marshal(order)
	var seen struct {
		ID      string          `json:"_id"`
		Number  string          `json:"order_number"`
		Start   string          `json:"start_ship"`
		End     string          `json:"end_ship"`
		Address json.RawMessage `json:"shipping_address"`
		Lines   []struct {
			Sizes []struct{ Price decimal.Decimal }
		} `json:"line_items"`
	}
	if err := json.Unmarshal(text, &seen); err != nil {
		w.t.Fatal(err)
	}
	no, err := w.desk.CreateOrder(ctx, oms.NewOrder{
		ExternalRef: "sandbox:" + seen.ID, CustomerID: "C10001", Notes: "gift wrap", PONumber: "B-1", ShipStart: seen.Start[:10], ShipEnd: seen.End[:10],
		Lines: []oms.NewLine{{UPC: upc, Quantity: 4, Price: seen.Lines[0].Sizes[0].Price}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.send("POST", "/api/order/"+seen.ID+"/processed", nil)
	w.send("POST", "/api/order/number/"+seen.Number, fmt.Appendf(nil, `{"order_number":"%d"}`, no))
	return no
}

func small() oms.Sizes {
	return oms.Sizes{Seed: 3, Styles: 24, Customers: 24, PurchaseOrders: 12, OldOrders: 10, RecentOrders: 8}
}

func TestEqualWorldsHaveNoDifferenceAndEveryPlantedOneIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small())
	w.fill()
	w.sendAll("PUT", "/api/order/new", orderBodies, w.bornHere())
	no := w.importOrder()
	result := w.wantNone("after the load")
	if result.Objects["product"] != 96 || result.Objects["company"] != 24 || result.Objects["inventory"] != 96 || result.Objects["order"] != 9 {
		t.Errorf("compared %v", result.Objects)
	}
	// a full shipment turns the order Shipped
	if _, err := w.desk.Invoice(t.Context(), no, oms.Shipment{Carrier: "UPS", Tracking: []string{"1Z2", "1Z1"}}); err != nil {
		t.Fatal(err)
	}
	if len(w.compare().Differences) == 0 {
		t.Error("a shipment that NuORDER does not know is no difference")
	}
	w.sendAll("POST", "/api/order/number/{key}", `select key, json_build_object('shipments', body::json -> 'shipments')::text from (`+orderBodies+`) as o (key, body)`, []int64{no})
	w.sendAll("POST", "/api/inventory/external_id/{key}", stockBodies)
	w.wantNone("after the shipment")

	planted, err := compare.Plant(w.portal, portal, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	sorts := map[string]bool{}
	for _, p := range planted {
		sorts[p.What] = true
	}
	if len(planted) != 20 || len(sorts) < 15 {
		t.Errorf("%d planted, of %d sorts", len(planted), len(sorts))
	}
	differences := w.compare().Differences
	for _, p := range compare.Unnamed(planted, differences) {
		t.Errorf("not named: %+v", p)
	}
	if t.Failed() {
		for _, d := range differences {
			t.Log(d)
		}
	}
}

func TestEveryDeskActionIsADifferenceUntilSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small())
	w.fill()
	w.sendAll("PUT", "/api/order/new", orderBodies, w.bornHere())
	w.wantNone("after the load")
	ctx := t.Context()
	var item, season, upc string
	if err := w.pool.QueryRow(ctx, "select item_number, season_code, upc from oms.styles join oms.style_colors c using (style_id) join oms.skus using (style_color_id) where styles.status = 'Active' and c.status = 'Active' order by sku_id limit 1").
		Scan(&item, &season, &upc); err != nil {
		t.Fatal(err)
	}
	born := w.bornHere()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"product: price", func(ctx context.Context) error { return w.desk.ChangePrice(ctx, item, season, 1, "USD", "1.23") }},
		{"company: ship-to", func(ctx context.Context) error {
			return w.desk.AddShipTo(ctx, "C10002", oms.Address{Code: "NEW", Line1: "1 New", Country: "US"})
		}},
		{"inventory: receipt", func(ctx context.Context) error { return w.desk.ReceiveStock(ctx, upc, 1, 1000) }},
		{"inventory: P/O moved", func(ctx context.Context) error {
			return w.desk.MovePurchaseOrder(ctx, "PO-70001", w.config.Today.AddDate(0, 0, 200))
		}},
		{"order: edit", func(ctx context.Context) error {
			return w.desk.EditOrder(ctx, born[0], oms.OrderEdit{Quantities: map[int]int{1: 99}})
		}},
		{"order: cancel", func(ctx context.Context) error { return w.desk.CancelOrder(ctx, born[1]) }},
		{"order: new", func(ctx context.Context) error {
			_, err := w.desk.CreateOrder(ctx, oms.NewOrder{CustomerID: "C10001", Lines: []oms.NewLine{{UPC: upc, Quantity: 1, Price: decimal.NewFromInt(5)}}})
			return err
		}},
		{"company: new", func(ctx context.Context) error {
			return w.desk.CreateCustomer(ctx, oms.NewCustomer{ID: "N1", Name: "New", Billing: oms.Address{Code: "BILL", Line1: "1 New", Country: "US"}})
		}},
	} {
		before := map[compare.Difference]bool{}
		for _, d := range w.compare().Differences {
			before[d] = true
		}
		if err := step.do(ctx); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		kind, _, _ := strings.Cut(step.what, ":")
		named := false
		for _, d := range w.compare().Differences {
			named = named || d.Kind == kind && !before[d]
		}
		if !named {
			t.Errorf("%s: no new difference", step.what)
		}
	}
	if err := w.desk.DiscontinueStyle(ctx, item, season); err != nil {
		t.Fatal(err)
	}
	archived := 0
	for _, d := range w.compare().Differences {
		if d.Field == "archived" {
			archived++
		}
	}
	if archived == 0 {
		t.Error("a discontinued style is no difference")
	}
}

func TestCancelledOrdersAreExpectedAsTheyEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small())
	w.fill()
	born := w.bornHere()
	w.sendAll("PUT", "/api/order/new", orderBodies, born)
	w.wantNone("after the load")
	ctx := t.Context()

	// cancelled whole: by its status alone, whatever else it holds
	if err := w.desk.CancelOrder(ctx, born[0]); err != nil {
		t.Fatal(err)
	}
	// cancelled after one piece of one line has shipped: cut down to that piece, which makes it Shipped
	if _, err := w.desk.Invoice(ctx, born[2], oms.Shipment{Tracking: []string{"1Z7"}, Quantities: map[int]int{1: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.desk.CancelOrder(ctx, born[2]); err != nil {
		t.Fatal(err)
	}
	// cancelled before it was ever sent: not there
	no, err := w.desk.CreateOrder(ctx, oms.NewOrder{CustomerID: "C10001", Lines: []oms.NewLine{{UPC: w.upc(), Quantity: 1, Price: decimal.NewFromInt(5)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.desk.CancelOrder(ctx, no); err != nil {
		t.Fatal(err)
	}
	w.send("POST", fmt.Sprintf("/api/order/number/%d/cancelled", born[0]), nil)
	w.sendAll("POST", "/api/order/number/{key}", `select key, jsonb_set(body::jsonb, '{line_items}', jsonb_build_array(jsonb_set(body::jsonb #> '{line_items,0}', '{sizes,0,quantity}', '1')))::text
		from (`+orderBodies+`) as o (key, body)`, []int64{born[2]})
	w.sendAll("POST", "/api/inventory/external_id/{key}", stockBodies)
	w.wantNone("after the cancels")
}

func (w *world) upc() (upc string) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), "select min(upc) from oms.skus").Scan(&upc); err != nil {
		w.t.Fatal(err)
	}
	return upc
}

func TestComparisonOfTheDemoIsFast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oms.Sizes{Seed: 1})
	state, err := w.portal.State(portal)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	result, err := compare.Run(t.Context(), w.pool, state, w.config)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(started)
	t.Logf("%v objects, %v fields in %v", result.Objects, result.Fields, took)
	if len(result.Differences) != 800+300+800+result.Objects["order"] {
		t.Errorf("%d differences to an empty portal", len(result.Differences))
	}
	if took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
