package nuorder_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nubridge/internal/sandbox/nuorder"
)

func TestOrdersAreCheckedBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	for name, change := range map[string]func(m){
		"unknown company": func(b m) { b["retailer"] = m{"retailer_code": "nobody"} },
		"unknown product": func(b m) {
			b["line_items"] = l{orderLine("A1-RED", map[string]int{"S": 1}), orderLine("A9-RED", map[string]int{"S": 1})}
		},
		"unknown size":     func(b m) { b["line_items"].(l)[0].(m)["sizes"] = l{m{"size": "XXL", "quantity": 1, "price": 1}} },
		"no number":        func(b m) { delete(b, "order_number") },
		"no external id":   func(b m) { delete(b, "external_id") },
		"no lines":         func(b m) { b["line_items"] = l{} },
		"zero quantity":    func(b m) { b["line_items"] = l{orderLine("A1-RED", map[string]int{"S": 0})} },
		"zero price":       func(b m) { b["line_items"].(l)[0].(m)["sizes"] = l{m{"size": "S", "quantity": 1, "price": 0}} },
		"no dates":         func(b m) { delete(b, "ship_start") },
		"no line dates":    func(b m) { delete(b["line_items"].(l)[0].(m), "ship_end") },
		"discount":         func(b m) { b["discount"] = 101 },
		"unknown status":   func(b m) { b["status"] = "edited" },
		"wrong warehouse":  func(b m) { b["line_items"].(l)[0].(m)["warehouse"] = "LA" },
		"foreign shipment": func(b m) { b["shipments"] = l{m{"line_items": l{orderLine("A2-RED", map[string]int{"S": 1})}}} },
	} {
		body := orderBody("500", orderLine("A1-RED", map[string]int{"S": 1}))
		change(body)
		if r := w.do("PUT", "/api/order/new", body); r.status != 400 || r.message() == "" {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if st, _ := w.srv.State(""); len(st.Orders) != 0 {
		t.Errorf("%d orders are half stored", len(st.Orders))
	}
	if c := w.srv.Counts(); c.WritesByKind["order"] != 0 {
		t.Errorf("writes %v", c.WritesByKind)
	}
	o := w.want(201, "PUT", "/api/order/new", orderBody("500", orderLine("A1-RED", map[string]int{"S": 2, "M": 1}))).doc(t)
	if o["total"] != json.Number("105.3") || o["total_quantity"] != json.Number("3") || o["start_ship"] != "2026-03-01T00:00:00.000Z" {
		t.Errorf("order %v %v %v", o["total"], o["total_quantity"], o["start_ship"])
	}
	if r := w.want(409, "PUT", "/api/order/new", orderBody("500", orderLine("A1-RED", map[string]int{"S": 1}))).doc(t); r["_id"] != o["_id"] {
		t.Errorf("conflict %v", r)
	}
	if got := w.want(200, "GET", "/api/order/number/500?__populate=__payments", nil).doc(t); got["_id"] != o["_id"] || got["__metadata"] == nil {
		t.Errorf("by number: %v", got)
	}
}

func TestStatusMachine(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	all := []string{"draft", "review", "pending", "approved", "processed", "shipped", "cancelled"}
	allowed := map[string]bool{
		"draft>review": true, "draft>pending": true, "review>pending": true, "review>approved": true, "review>processed": true,
		"pending>review": true, "pending>approved": true, "pending>processed": true, "approved>processed": true, "processed>shipped": true,
	}
	for i, from := range all {
		for j, to := range all {
			body := orderBody(fmt.Sprintf("%d-%d", i, j), orderLine("A1-RED", map[string]int{"S": 1}))
			body["status"] = from
			o := w.want(201, "PUT", "/api/order/new", body).doc(t)
			want := 400
			switch {
			case from == to:
				want = 304
			case allowed[from+">"+to] || to == "cancelled":
				want = 200
			}
			r := w.do("POST", "/api/order/"+o["_id"].(string)+"/"+to, nil)
			if r.status != want {
				t.Errorf("%s to %s: got %d %s, want %d", from, to, r.status, r.text, want)
			}
			if r.status == 200 && (r.doc(t)["status"] != to || r.doc(t)["modified_on"] != o["modified_on"]) {
				t.Errorf("%s to %s: status %v, modified_on moved from %v to %v", from, to, r.doc(t)["status"], o["modified_on"], r.doc(t)["modified_on"])
			}
		}
	}
}

func TestStatusVerbsAndWordsFollowTheSwitches(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	for i, c := range []struct {
		change       func(*nuorder.Switches)
		method, path string
		body         any
		status       int
	}{
		{func(*nuorder.Switches) {}, "POST", "process", nil, 200},
		{func(*nuorder.Switches) {}, "PUT", "processed", nil, 200},
		{func(*nuorder.Switches) {}, "POST", "status", m{"status": "PROCESSED"}, 200},
		{func(s *nuorder.Switches) { s.StatusWords = "action" }, "POST", "processed", nil, 404},
		{func(s *nuorder.Switches) { s.StatusWords = "status" }, "POST", "process", nil, 404},
		{func(s *nuorder.Switches) { s.StatusVerbs = []string{"PUT"} }, "POST", "processed", nil, 500},
		{func(s *nuorder.Switches) { s.StatusForms = "body" }, "POST", "processed", nil, 404},
		{func(s *nuorder.Switches) { s.StatusForms = "path" }, "POST", "status", m{"status": "processed"}, 404},
		{func(s *nuorder.Switches) { s.RefuseStatus = []string{"approved>*"} }, "POST", "processed", nil, 400},
		{func(*nuorder.Switches) {}, "POST", "edited", nil, 404},
	} {
		if err := w.srv.SetSwitches(nuorder.DefaultSwitches()); err != nil {
			t.Fatal(err)
		}
		n := fmt.Sprint(600 + i)
		w.want(201, "PUT", "/api/order/new", orderBody(n, orderLine("A1-RED", map[string]int{"S": 1})))
		w.switches(c.change)
		if r := w.do(c.method, "/api/order/number/"+n+"/"+c.path, c.body); r.status != c.status {
			t.Errorf("case %d: %s %s: got %d %s, want %d", i, c.method, c.path, r.status, r.text, c.status)
		}
	}
	w.want(404, "POST", "/api/order/number/none/process", nil)
	if r := w.want(200, "GET", "/api/orders/edited/list", nil); r.text != "[]" {
		t.Errorf("unknown status word lists %s", r.text)
	}
}

func TestRenameForgetsTheOldNumberAndNeverTakesAnothers(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	placed, err := w.srv.PlaceOrder("", m{"retailer": m{"retailer_code": "C1"}, "line_items": l{orderLine("A1-RED", map[string]int{"S": 1})}})
	if err != nil {
		t.Fatal(err)
	}
	number, id := placed[0]["order_number"].(string), placed[0]["_id"].(string)
	other := w.want(201, "PUT", "/api/order/new", orderBody("OMS-2", orderLine("A1-RED", map[string]int{"S": 1}))).doc(t)
	if r := w.want(409, "POST", "/api/order/number/"+number, m{"order_number": "OMS-2"}).doc(t); r["_id"] != other["_id"] {
		t.Errorf("conflict names %v", r["_id"])
	}
	w.want(200, "POST", "/api/order/number/"+number, m{"order_number": "OMS-1"})
	w.want(404, "GET", "/api/order/number/"+number, nil)
	w.want(404, "POST", "/api/order/number/"+number, m{"order_number": "OMS-1"})
	if got := w.want(200, "GET", "/api/order/number/OMS-1", nil).doc(t); got["_id"] != id {
		t.Errorf("new number leads to %v", got["_id"])
	}
	w.want(200, "POST", "/api/order/number/OMS-1", m{"order_number": "OMS-1"})
	w.want(500, "PUT", "/api/order/"+id, m{"notes": "x"})
	w.switches(func(s *nuorder.Switches) { s.NumberPath = "bare"; s.UpdateVerbs = []string{"PUT"} })
	w.want(200, "PUT", "/api/order/OMS-1", m{"notes": "x"})
	w.want(404, "PUT", "/api/order/number/OMS-1", m{"notes": "x"})
}

func TestShippedFollowsFromTheShipments(t *testing.T) {
	t.Parallel()
	for _, arrays := range []string{"replace", "merge"} {
		for _, place := range []string{"inside", "own"} {
			t.Run(arrays+" "+place, func(t *testing.T) {
				t.Parallel()
				w := stocked(t, nil)
				w.switches(func(s *nuorder.Switches) { s.Arrays, s.Shipments = arrays, place })
				w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 3}), orderLine("A2-RED", map[string]int{"M": 2})))
				w.want(200, "POST", "/api/order/number/7/processed", nil)
				ship := func(status string, ships ...any) m {
					t.Helper()
					path := "/api/order/number/7"
					if place == "own" {
						path += "/shipments"
					}
					o := w.want(200, "POST", path, m{"shipments": ships}).doc(t)
					if o["status"] != status {
						t.Errorf("status %v, want %s", o["status"], status)
					}
					return o
				}
				one := m{"tracking_numbers": l{"T1"}, "line_items": l{m{"brand_id": "A1-RED", "sizes": l{m{"size": "S", "quantity": 3}}}}}
				two := m{"tracking_numbers": l{"T2"}, "line_items": l{m{"brand_id": "A2-RED", "sizes": l{m{"size": "M", "quantity": 2}}}}}
				less := m{"tracking_numbers": l{"T2"}, "line_items": l{m{"brand_id": "A2-RED", "sizes": l{m{"size": "M", "quantity": 1}}}}}
				o := ship("processed", one, less)
				if st := o["__shipment_status"].([]any); len(st) != 2 || st[1].(m)["open"] != json.Number("1") {
					t.Errorf("open remainder %v", st)
				}
				if o = ship("shipped", one, two); len(o["shipments"].([]any)) != 2 {
					t.Errorf("shipments %v", o["shipments"])
				}
				ship("processed", one, less)
			})
		}
	}
}

func TestLinesAreReplacedOrMerged(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 3, "M": 1})))
	o := w.want(200, "POST", "/api/order/number/7", m{"line_items": l{orderLine("A2-RED", map[string]int{"M": 2})}}).doc(t)
	if n := len(o["line_items"].([]any)); n != 1 {
		t.Errorf("replaced: %d lines", n)
	}
	w.want(400, "POST", "/api/order/number/7", m{"line_items": l{}})
	w.switches(func(s *nuorder.Switches) { s.Arrays = "merge" })
	o = w.want(200, "POST", "/api/order/number/7", m{"line_items": l{orderLine("A1-RED", map[string]int{"S": 1})}}).doc(t)
	if n := len(o["line_items"].([]any)); n != 2 {
		t.Errorf("merged: %d lines", n)
	}
	o = w.want(200, "POST", "/api/order/number/7", m{"line_items": l{orderLine("A2-RED", map[string]int{"M": 0}), orderLine("A1-RED", map[string]int{"S": 5})}}).doc(t)
	if n := len(o["line_items"].([]any)); n != 1 || o["total_quantity"] != json.Number("5") {
		t.Errorf("taken out: %d lines, %v units", n, o["total_quantity"])
	}
	keep := w.want(200, "POST", "/api/order/number/7", m{"notes": "hello"}).doc(t)
	if len(keep["line_items"].([]any)) != 1 || keep["notes"] != "hello" {
		t.Errorf("an absent key touched lines: %v", keep)
	}
}

func TestListsLagBehindTheStatus(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
	w.switches(func(s *nuorder.Switches) { s.ListLagCalls = 2 })
	for i, n := range []int{0, 0, 1} {
		if got := w.want(200, "GET", "/api/orders/approved/list", nil).body.([]any); len(got) != n {
			t.Errorf("read %d lists %d", i, len(got))
		}
	}
	w.switches(func(s *nuorder.Switches) {
		s.ListLagCalls, s.ListLag, s.ClockWindow = 0, nuorder.Duration(time.Hour), nuorder.Duration(3*time.Hour)
	})
	if got := w.want(200, "GET", "/api/orders/approved/detail", nil).body.([]any); len(got) != 0 {
		t.Errorf("lists %d before the lag is over", len(got))
	}
	w.srv.SetSkew(61 * time.Minute)
	if got := w.want(200, "GET", "/api/orders/approved/detail", nil).body.([]any); len(got) != 1 {
		t.Errorf("lists %d after it", len(got))
	}
}

// figures sums a product's stock at hand and to come.
func figures(t *testing.T, w *world, brand string) (sum int64) {
	t.Helper()
	st, err := w.srv.State("")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range st.Inventory {
		for _, r := range e["rows"].([]any) {
			if n, isNumber := r.(m)["quantity"].(json.Number); isNumber && e["brand_id"] == brand {
				i, _ := n.Int64()
				sum += i
			}
		}
	}
	return sum
}

func TestSubmittedOrdersTakeStockAndCancelledOnesGiveItBack(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	place := func(status string, line m) string {
		t.Helper()
		o, err := w.srv.PlaceOrder("", m{"status": status, "retailer": m{"retailer_code": "C1"}, "line_items": l{line}})
		if err != nil {
			t.Fatal(err)
		}
		return o[0]["_id"].(string)
	}
	steps := []struct {
		name string
		do   func() error
		want int64
	}{{"start", func() error { return nil }, 25}}
	draft := place("draft", orderLine("A1-RED", map[string]int{"S": 4}))
	bought := place("review", orderLine("A1-RED", map[string]int{"M": 12}))
	prebook := orderLine("A1-RED", map[string]int{"S": 9})
	prebook["prebook"] = true
	place("pending", prebook)
	steps[0].want = 25 - 12
	steps = append(steps, []struct {
		name string
		do   func() error
		want int64
	}{
		{"submit", func() error { return w.srv.SubmitOrder("", draft, "") }, 9},
		{"approve", func() error { return w.srv.ApproveOrder("", draft) }, 9},
		{"edit", func() error {
			_, err := w.srv.EditOrder("", draft, m{"line_items": l{orderLine("A1-RED", map[string]int{"S": 6})}})
			return err
		}, 7},
		{"reject", func() error { return w.srv.RejectOrder("", draft) }, 13},
		{"cancel", func() error { return w.srv.CancelOrder("", bought) }, 25},
	}...)
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if got := figures(t, w, "A1-RED"); got != s.want {
			t.Errorf("%s: stock %d, want %d", s.name, got, s.want)
		}
	}
	if err := w.srv.ApproveOrder("", bought); err == nil {
		t.Error("a cancelled order was approved")
	}
}

func TestStockIsWholeAgainAfterEveryOrderIsCancelled(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		var ids []string
		for range rapid.IntRange(1, 6).Draw(rt, "orders") {
			o, err := w.srv.PlaceOrder("", m{"retailer": m{"retailer_code": "C1"}, "line_items": l{orderLine(
				rapid.SampledFrom([]string{"A1-RED", "A2-RED"}).Draw(rt, "brand"),
				map[string]int{"S": rapid.IntRange(0, 20).Draw(rt, "S"), "M": rapid.IntRange(0, 20).Draw(rt, "M")})}})
			if err != nil {
				rt.Fatal(err)
			}
			ids = append(ids, o[0]["_id"].(string))
		}
		for _, id := range rapid.Permutation(ids).Draw(rt, "cancel") {
			if err := w.srv.CancelOrder("", id); err != nil {
				rt.Fatal(err)
			}
		}
		for _, brand := range []string{"A1-RED", "A2-RED"} {
			if got := figures(t, w, brand); got != 25 {
				rt.Fatalf("%s has %d of 25", brand, got)
			}
		}
	})
}

func TestSplitGivesSuffixesAndOneGroup(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	late := orderLine("A2-RED", map[string]int{"M": 1})
	late["ship_start"] = "2026-05-01"
	got, err := w.srv.PlaceOrder("", m{
		"order_number": "900", "split": "ship", "retailer": m{"retailer_code": "C1"},
		"line_items": l{orderLine("A1-RED", map[string]int{"S": 1}), late},
	})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d orders, %v", len(got), err)
	}
	if got[0]["order_number"] != "900-1" || got[1]["order_number"] != "900-2" || got[0]["order_group_id"] != got[1]["order_group_id"] || got[0]["_id"] == got[1]["_id"] {
		t.Errorf("siblings %v %v", got[0]["order_number"], got[1]["order_number"])
	}
	w.want(404, "GET", "/api/order/number/900", nil)
	w.want(200, "GET", "/api/order/number/900-2", nil)
}

func TestBulkOrdersHaveOneSiblingForEachDoor(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	body := companyBody("C1")
	body["addresses"] = append(body["addresses"].(l), m{"line_1": "3 Far St", "country": "US", "type": "shipping", "shipping_code": "S2"})
	w.want(200, "PUT", "/api/company/new/force", body)
	late := orderLine("A2-RED", map[string]int{"M": 1})
	late["ship_start"] = "2026-05-01"
	place := m{
		"order_number": "900", "split": "ship", "doors": l{"S1", "S2"}, "retailer": m{"retailer_code": "C1"},
		"line_items": l{orderLine("A1-RED", map[string]int{"S": 1}), late},
	}
	got, err := w.srv.PlaceOrder("", place)
	if err != nil || len(got) != 4 {
		t.Fatalf("%d orders, %v", len(got), err)
	}
	for i, n := range []string{"900-1-A", "900-1-B", "900-2-A", "900-2-B"} {
		if o := w.want(200, "GET", "/api/order/number/"+n, nil).doc(t); o["_id"] != got[i]["_id"] || o["shipping_address"].(m)["code"] != []string{"S1", "S2"}[i%2] {
			t.Errorf("%s: %v at %v", n, o["_id"], o["shipping_address"])
		}
	}
	if got := figures(t, w, "A1-RED"); got != 23 {
		t.Errorf("two doors left %d of 25", got)
	}
	place["doors"] = l{"S9"}
	if _, err := w.srv.PlaceOrder("", place); err == nil {
		t.Error("an unknown door was taken")
	}
}

func TestUserEditIsMarkedAndMaySendTheOrderBack(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
	o, err := w.srv.EditOrder("", "7", m{"notes": "more", "to_pending": true})
	if err != nil || o["edited"] != true || o["edited_on"] == "" || o["status"] != "pending" {
		t.Errorf("edited %v %v %v, %v", o["edited"], o["edited_on"], o["status"], err)
	}
}
