package nuorder_test

import (
	"encoding/json"
	"testing"

	"nubridge/internal/sandbox/nuorder"
)

// Each case is one call that answers otherwise once a switch is turned.
func TestEverySwitchTurnsItsAnswer(t *testing.T) {
	t.Parallel()
	product := func(change func(m)) m {
		b := productBody("A1")
		change(b)
		return b
	}
	order := func(change func(m)) m {
		b := orderBody("7", orderLine("A1-RED", map[string]int{"S": 1}))
		change(b)
		return b
	}
	line := func(b m) m { return b["line_items"].(l)[0].(m) }
	ship := l{m{"type": "box", "status": "sent", "line_items": l{m{"brand_id": "A1-RED", "sizes": l{m{"size": "S", "quantity": 2}}}}}}
	for name, c := range map[string]struct {
		method, path  string
		body          any
		before, after int
		change        func(*nuorder.Switches)
	}{
		"dates in":        {"PUT", "/api/product/new/force", product(func(b m) { b["available_from"] = "2026-01-02T00:00:00Z" }), 400, 200, func(s *nuorder.Switches) { s.DatesIn = []string{"iso"} }},
		"slash dates":     {"PUT", "/api/product/new/force", product(func(b m) { b["available_from"] = "2026/01/02" }), 200, 400, func(s *nuorder.Switches) { s.DatesIn = []string{"dash"} }},
		"text numbers":    {"PUT", "/api/product/new/force", product(func(b m) { b["pricing"] = m{"USD": m{"wholesale": "3.5"}} }), 400, 200, func(s *nuorder.Switches) { s.NumbersAsText = true }},
		"unknown fields":  {"PUT", "/api/product/new/force", product(func(b m) { b["ship_date"] = "x" }), 200, 400, func(s *nuorder.Switches) { s.UnknownFields = "refuse" }},
		"line as shown":   {"PUT", "/api/order/new", order(func(b m) { line(b)["product"].(m)["color_code"] = "RED" }), 201, 400, func(s *nuorder.Switches) { s.UnknownFields = "refuse" }},
		"update verb":     {"PUT", "/api/product/external_id/A1-RED", m{"name": "n"}, 500, 200, func(s *nuorder.Switches) { s.UpdateVerbs = []string{"POST", "PUT"} }},
		"product replace": {"POST", "/api/product/external_id/A1-RED", m{"name": "n"}, 200, 400, func(s *nuorder.Switches) { s.ProductUpdate = "replace" }},
		"company replace": {"POST", "/api/company/code/C1", m{"name": "n"}, 200, 400, func(s *nuorder.Switches) { s.CompanyUpdate = "replace" }},
		"wip dates": {
			"POST", "/api/inventory/external_id/A1-RED",
			m{"inventory": l{m{"warehouse": "default", "wip": l{m{"name": "2026-06-01", "sizes": l{}}}}}},
			400, 200, func(s *nuorder.Switches) { s.WIPDates = []string{"dash"} },
		},
		"path case":      {"GET", "/api/product/external_id/a1-red", nil, 404, 200, func(s *nuorder.Switches) { s.PathCase = "folded" }},
		"zero quantity":  {"PUT", "/api/order/new", order(func(b m) { line(b)["sizes"].(l)[0].(m)["quantity"] = 0 }), 400, 201, func(s *nuorder.Switches) { s.ZeroQuantity = "accept" }},
		"zero price":     {"PUT", "/api/order/new", order(func(b m) { line(b)["sizes"].(l)[0].(m)["price"] = 0 }), 400, 201, func(s *nuorder.Switches) { s.ZeroPrice = "accept" }},
		"external id":    {"PUT", "/api/order/new", order(func(b m) { delete(b, "external_id") }), 400, 201, func(s *nuorder.Switches) { s.RequireExternalID = false }},
		"line dates":     {"PUT", "/api/order/new", order(func(b m) { delete(line(b), "ship_start") }), 400, 201, func(s *nuorder.Switches) { s.RequireLineDates = false }},
		"buyer email":    {"PUT", "/api/order/new", order(func(m) {}), 201, 400, func(s *nuorder.Switches) { s.RequireBuyerEmail = true }},
		"order dates":    {"PUT", "/api/order/new", order(func(m) {}), 201, 400, func(s *nuorder.Switches) { s.OrderDates = "start_ship" }},
		"below shipped":  {"PUT", "/api/order/new", order(func(b m) { b["shipments"] = ship }), 201, 400, func(s *nuorder.Switches) { s.BelowShipped = "refuse" }},
		"shipments own":  {"PUT", "/api/order/new", order(func(b m) { b["shipments"] = ship }), 201, 400, func(s *nuorder.Switches) { s.Shipments = "own" }},
		"shipment types": {"PUT", "/api/order/new", order(func(b m) { b["shipments"] = ship }), 201, 400, func(s *nuorder.Switches) { s.ShipmentTypes = []string{"parcel"} }},
		"shipment words": {"PUT", "/api/order/new", order(func(b m) { b["shipments"] = ship }), 201, 400, func(s *nuorder.Switches) { s.ShipmentStatuses = []string{"shipped"} }},
		"same status":    {"POST", "/api/order/number/open/approved", nil, 304, 200, func(s *nuorder.Switches) { s.SameStatus = 200 }},
		"locked":         {"POST", "/api/order/number/gone", m{"notes": "x"}, 200, 400, func(s *nuorder.Switches) { s.CancelledLocked = true }},
		"bare number":    {"POST", "/api/order/open", m{"notes": "x"}, 404, 200, func(s *nuorder.Switches) { s.NumberPath = "both" }},
		"inventory v3":   {"GET", "/api/inventory/external_id/A1-RED", nil, 200, 404, func(s *nuorder.Switches) { s.Inventory = "v3" }},
		"page limit":     {"GET", "/api/orders/approved/list?__limit=x", nil, 400, 200, func(s *nuorder.Switches) { s.Pagination = "off" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for turned, want := range []int{c.before, c.after} {
				w := stocked(t, nil)
				for _, n := range []string{"open", "gone"} {
					w.want(201, "PUT", "/api/order/new", orderBody(n, orderLine("A1-RED", map[string]int{"S": 1})))
				}
				w.want(200, "POST", "/api/order/number/gone/cancel", nil)
				if turned == 1 {
					w.switches(c.change)
				}
				if r := w.do(c.method, c.path, c.body); r.status != want {
					t.Errorf("turned=%d: got %d %s, want %d", turned, r.status, r.text, want)
				}
			}
		})
	}
}

func TestSwitchesThatChangeWhatIsAnswered(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.switches(func(s *nuorder.Switches) {
		s.DatesOut, s.UnknownFields, s.SizePricing, s.ClassicAnswer, s.FreezeModified = "epoch", "drop", false, "array", false
	})
	body := productBody("A1")
	body["company_name"], body["available_from"] = "x", "2026-01-02"
	body["sizes"] = l{m{"size": "S", "pricing": m{"USD": m{"wholesale": 1}}}, m{"size": "M"}}
	p := w.want(200, "PUT", "/api/product/new/force", body).doc(t)
	if p["company_name"] != nil || p["available_from"] != json.Number("1767312000000") || p["sizes"].([]any)[0].(m)["pricing"] != nil {
		t.Errorf("product %v %v %v", p["company_name"], p["available_from"], p["sizes"])
	}
	if r := w.want(200, "POST", "/api/inventory/external_id/A1-RED", stockBody(1)).body.([]any); len(r) != 1 {
		t.Errorf("classic answer %v", r)
	}
	w.switches(func(s *nuorder.Switches) { s.DecrementOnAPI = true; s.GiveBackOnCancel = false })
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
	w.want(200, "POST", "/api/order/number/7/cancel", nil)
	if got := figures(t, w, "A1-RED"); got != 6 {
		t.Errorf("stock %d after an order by API that gave nothing back", got)
	}
}

func TestLenientSwitchesAreValid(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	if err := w.srv.SetSwitches(nuorder.LenientSwitches()); err != nil {
		t.Fatal(err)
	}
	w.want(200, "GET", "/api/schemas/order", nil)
	w.want(404, "GET", "/api/schemas/shoe", nil)
	w.want(200, "GET", "/api/v3.1/catalogs", nil)
}
