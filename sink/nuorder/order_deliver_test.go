package nuorder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/migrations"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// orderWorld is a portal with one customer and one product, and the Remotes of the order flows over a real intent log.
type orderWorld struct {
	*world
	intents *ledger.Intents
	orders  *nuorder.Orders
	remotes map[mapper.Flow]sink.Remote
	db      *pgxpool.Pool
}

func newOrderWorld(t *testing.T, merge bool, change func(*nuorder.OrdersConfig)) *orderWorld {
	t.Helper()
	w := &orderWorld{world: newWorld(t, func(s *portal.Switches) {
		s.UnknownFields = "refuse" // an answer that is sent back holds what no client sends
		if merge {
			s.Arrays, s.Case, s.SameStatus, s.BelowShipped, s.ZeroQuantity = "merge", "fold", 200, "refuse", "accept"
		}
	}, nil)}
	pool := pgtest.Pool(t)
	names, err := fs.Glob(migrations.Files(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "---- create above")
		if _, err := pool.Exec(t.Context(), up); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	w.db, w.intents = pool, ledger.NewIntents(pool)
	cfg := nuorder.OrdersConfig{Environment: "test", Unreferenced: true, Since: "2026-01-01", Merge: merge, CreateSettle: 100 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	if w.orders, err = nuorder.NewOrders(w.client, w.intents, slog.New(slog.DiscardHandler), cfg); err != nil {
		t.Fatal(err)
	}
	w.remotes = map[mapper.Flow]sink.Remote{
		mapper.OrderEdits: nuorder.NewOrderEdits(w.orders), mapper.OrderCreation: nuorder.NewOrderCreation(w.orders),
		mapper.Shipments: nuorder.NewShipments(w.orders),
	}
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.must(mapper.Customers, "C1", "C1", `{"name":"One","code":"C1","currency_code":"USD","addresses":[
		{"display_name":"Main","line_1":"1 Main","city":"Reno","country":"US","type":"both","default_billing":true,"default_shipping":true,"billing_code":"B","shipping_code":"S"}]}`, ledger.Delivered)
	return w
}

// line is a line of product one.
func line(s, m int) string {
	var sizes []string
	for i, q := range []int{s, m} {
		if q >= 0 {
			sizes = append(sizes, fmt.Sprintf(`{"size":%q,"quantity":%d,"price":10.00}`, "SM"[i:i+1], q))
		}
	}
	return `{"product":{"brand_id":"B-1"},"ship_start":"2027-01-01","ship_end":"2027-02-01","sizes":[` + strings.Join(sizes, ",") + `]}`
}

func orderBody(number string, lines ...string) string {
	return fmt.Sprintf(`{"order_number":%q,"external_id":%q,"currency_code":"USD","customer_po_number":"PO","start_ship":"2027-01-01","end_ship":"2027-02-01",
		"ship_start":"2027-01-01","ship_end":"2027-02-01","retailer":{"retailer_code":"C1"},"line_items":[%s]}`, number, number, strings.Join(lines, ","))
}

func shipment(tracking string, s, m int) string {
	var sizes []string
	for i, q := range []int{s, m} {
		if q > 0 {
			sizes = append(sizes, fmt.Sprintf(`{"size":%q,"quantity":%d}`, "SM"[i:i+1], q))
		}
	}
	return fmt.Sprintf(`{"type":"ship","status":"shipped","tracking_numbers":[%q],"shipment_date":"2027-01-05","line_items":[
		{"brand_id":"B-1","sizes":[%s]}]}`, tracking, strings.Join(sizes, ","))
}

func shipments(list ...string) string { return `{"shipments":[` + strings.Join(list, ",") + `]}` }

// turn does what the loop does with one document.
func (w *orderWorld) turn(flow mapper.Flow, key, body string, facts map[string]string) (sink.Delivery, error) {
	w.t.Helper()
	if facts = maps.Clone(facts); facts != nil {
		facts["number"] = key
	}
	b := mapper.Body{Flow: flow, Key: mapper.Key(key), RemoteKey: key, JSON: []byte(body), Filtered: body == "", Facts: facts}
	d, err := w.remotes[flow].Deliver(w.t.Context(), sink.Work{
		Environment: "test", Body: b, Object: w.object(flow, mapper.Key(key)), Deadline: time.Now().Add(20 * time.Second),
	})
	if err == nil {
		w.objects.mu.Lock()
		w.objects.objects[d.Object.ObjectID] = d.Object
		w.objects.mu.Unlock()
	}
	return d, err
}

func (w *orderWorld) mustTurn(flow mapper.Flow, key, body string, facts map[string]string, want ledger.Disposition) sink.Delivery {
	w.t.Helper()
	d, err := w.turn(flow, key, body, facts)
	if err != nil {
		w.t.Fatalf("%s %s: %v", flow, key, err)
	}
	if d.Disposition != want {
		w.t.Fatalf("%s %s: %s, want %s", flow, key, d.Disposition, want)
	}
	return d
}

func (w *orderWorld) parks(flow mapper.Flow, key, body string, facts map[string]string, code string) {
	w.t.Helper()
	_, err := w.turn(flow, key, body, facts)
	if fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != code {
		w.t.Fatalf("%s %s: got %v, want it parked as %s", flow, key, err, code)
	}
}

// place places an approved order and gives its _id and number.
func (w *orderWorld) place(s, m int) (string, string) {
	w.t.Helper()
	made, err := w.server.PlaceOrder("brand", map[string]any{
		"status": "approved", "retailer": map[string]any{"retailer_code": "C1"}, "currency_code": "USD", "start_ship": "2027-01-01", "end_ship": "2027-02-01",
		"customer_po_number": "PO", "line_items": []any{map[string]any{"product": map[string]any{"brand_id": "B-1"}, "sizes": []any{
			map[string]any{"size": "S", "quantity": s, "price": 10}, map[string]any{"size": "M", "quantity": m, "price": 10},
		}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(made[0]["_id"]), fmt.Sprint(made[0]["order_number"])
}

// imported places an order and takes it to MARKED as the poller would; it gives _id and old number.
func (w *orderWorld) imported(omsNumber string) (string, string) {
	w.t.Helper()
	return w.importedOf(omsNumber, 2, 3)
}

func (w *orderWorld) importedOf(omsNumber string, pieces, more int) (string, string) {
	w.t.Helper()
	id, number := w.place(pieces, more)
	ctx := w.t.Context()
	err := ledger.NewPollerLock(w.db, "test").Hold(ctx, "test", func(ctx context.Context, fence int64) error {
		if _, err := w.intents.See(ctx, "test", fence, "test", []ledger.Sighting{{NuORDERID: id, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}); err != nil {
			return err
		}
		i, err := w.intents.Get(ctx, "test", id)
		if err != nil {
			return err
		}
		raw, err := w.client.Order(ctx, id)
		if err != nil {
			return err
		}
		body := string(raw.Raw)
		i, err = w.intents.Move(ctx, i, ledger.Move{To: ledger.Created, Step: "created", Fence: fence, Number: &number, OMSNumber: &omsNumber, Order: &body})
		if err != nil {
			return err
		}
		if _, err := w.client.SetOrderStatus(ctx, id, nuorder.Processed); err != nil {
			return err
		}
		_, err = w.intents.Move(ctx, i, ledger.Move{To: ledger.Marked, Step: "marked", Fence: fence})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id, number
}

func (w *orderWorld) at(id string) map[string]any {
	w.t.Helper()
	o, err := w.client.Order(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(o.Raw, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// units tells what is ordered per size.
func (w *orderWorld) units(id string) string {
	w.t.Helper()
	o, err := w.client.Order(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	sums := map[string]string{}
	for _, l := range o.Lines {
		for _, s := range l.Sizes {
			sums[string(s.Size)] += string(s.Quantity)
		}
	}
	return fmt.Sprint("S", sums["S"], " M", sums["M"])
}
