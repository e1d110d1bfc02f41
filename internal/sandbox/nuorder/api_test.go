package nuorder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nubridge/internal/sandbox/nuorder"
)

func TestProductIsCreatedOnceAndUpsertedByForce(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	first := w.want(201, "PUT", "/api/product/new", productBody("A1")).doc(t)
	again := w.want(409, "PUT", "/api/product/new", productBody("A1")).doc(t)
	if again["_id"] != first["_id"] || again["code"] != json.Number("409") {
		t.Errorf("conflict %v", again)
	}
	body := productBody("A1")
	body["season"], body["sizes"] = "FW26", l{m{"size": "M", "upc": "x"}, m{"size": "L"}}
	moved := w.want(200, "PUT", "/api/product/new/force", body).doc(t)
	if moved["_id"] != first["_id"] || moved["season"] != "FW26" {
		t.Errorf("brand_id did not keep its product: %v", moved["_id"])
	}
	if a, b := sizeID(first, "M"), sizeID(moved, "M"); a != b || a == "" {
		t.Errorf("size M changed its id from %q to %q", a, b)
	}
	if moved["description"] != "" || moved["active"] != true || moved["__pending_initial_pricing"] != false {
		t.Errorf("defaults: %v", moved)
	}
	got := w.want(200, "GET", "/api/product/external_id/A1-RED", nil).doc(t)
	if sub := got["pricing"].(m)["USD"].(m)["wholesale"]; sub != json.Number("35.10") {
		t.Errorf("wholesale became %v", sub)
	}
	other := productBody("A1")
	other["brand_id"], other["season"] = "A1-NEW", "FW26"
	w.want(409, "PUT", "/api/product/new/force", other)
	if r := w.want(404, "GET", "/api/product/5f0000000000000000000000", nil); r.message() != "product not found" {
		t.Errorf("message %q", r.message())
	}
}

func sizeID(product m, size string) string {
	for _, s := range product["sizes"].([]any) {
		if s.(m)["size"] == size {
			return s.(m)["_id"].(string)
		}
	}
	return ""
}

func TestMalformedProductsAreRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *nuorder.Config) {
		c.Portals[0].Schemas = map[string][]nuorder.Field{"product": {{Key: "division", AllowedValues: []string{"Men", "Women"}}}}
	})
	for name, change := range map[string]func(m){
		"no style": func(b m) { delete(b, "style_number") }, "empty color": func(b m) { b["color"] = "" }, "no sizes": func(b m) { delete(b, "sizes") },
		"size twice": func(b m) { b["sizes"] = l{m{"size": "S"}, m{"size": "S"}} }, "price as text": func(b m) { b["pricing"] = m{"USD": m{"wholesale": "3"}} },
		"negative": func(b m) { b["pricing"] = m{"USD": m{"wholesale": -1}} }, "date": func(b m) { b["available_from"] = "01/02/2026" },
		"active": func(b m) { b["active"] = "Y" }, "not allowed": func(b m) { b["division"] = "Dogs" }, "style as number": func(b m) { b["style_number"] = 7 },
	} {
		body := productBody("A1")
		change(body)
		if r := w.do("PUT", "/api/product/new/force", body); r.status != 400 || r.message() == "" {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	w.want(400, "PUT", "/api/product/new/force", `{"style_number":`)
	st, err := w.srv.State("")
	if err != nil || len(st.Products) != 0 {
		t.Errorf("stored %d, %v", len(st.Products), err)
	}
}

func TestWrongVerbIsPlainTextAndUnknownPathIsJSON(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	r := w.want(500, "POST", "/api/company/new", m{})
	if r.text != "Oops, there was a problem!" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %q %s", r.text, r.header)
	}
	w.want(404, "GET", "/api/nothing", nil)
	r = w.want(200, "GET", "/api/schemas/product", nil)
	if r.header.Get("ETag") == "" || len(r.header.Get("Request-Token")) != 13 || r.header.Get("X-Powered-By") != "Express" {
		t.Errorf("headers %v", r.header)
	}
	if again := w.want(200, "GET", "/api/schemas/product", nil); again.header.Get("ETag") != r.header.Get("ETag") {
		t.Error("the tag depends on the order of keys")
	}
}

func TestCaseFoldingChangesWhatIsStored(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.switches(func(s *nuorder.Switches) { s.Case = "fold" })
	body := productBody("a1")
	body["brand_id"] = "A1-Red"
	p := w.want(201, "PUT", "/api/product/new/force", body).doc(t)
	if p["brand_id"] != "a1-red" || p["style_number"] != "A1" || p["name"] != "shirt a1" || p["color"] != "RED" {
		t.Errorf("stored %v %v %v %v", p["brand_id"], p["style_number"], p["name"], p["color"])
	}
	w.want(200, "PUT", "/api/product/new/force", body)
	w.want(404, "GET", "/api/product/external_id/A1-Red", nil)
	w.want(200, "POST", "/api/inventory/external_id/a1-red", stockBody(3))
	w.switches(func(s *nuorder.Switches) { s.PathCase = "folded" })
	w.want(200, "GET", "/api/product/external_id/A1-Red", nil)
}

func TestCompanyAddressRules(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	billing := m{"line_1": "1 Main St", "country": "US", "type": "billing"}
	shipping := m{"line_1": "2 Side St", "country": "US", "type": "Shipping"}
	both := m{"line_1": "3 Road", "country": "US"}
	for name, c := range map[string]struct {
		addresses l
		status    int
	}{
		"none":            {l{}, 201},
		"both":            {l{both}, 200},
		"one of each":     {l{billing, shipping}, 200},
		"only billing":    {l{billing}, 400},
		"only shipping":   {l{shipping}, 400},
		"no country":      {l{both, m{"city": "Rome", "line_1": "x"}}, 400},
		"no line 1":       {l{both, m{"zip": "1", "country": "US"}}, 400},
		"unknown type":    {l{both, m{"type": "store"}}, 400},
		"two defaults":    {l{m{"default_billing": true}, m{"default_billing": true}}, 400},
		"default misfits": {l{billing, m{"line_1": "x", "country": "US", "type": "shipping", "default_billing": true}}, 400},
	} {
		body := companyBody("C" + name)
		body["addresses"] = c.addresses
		r := w.do("PUT", "/api/company/new/force", body)
		if (r.status < 300) != (c.status < 300) {
			t.Errorf("%s: got %d %s, want %d", name, r.status, r.text, c.status)
		}
	}
	body := companyBody("CX")
	co := w.want(201, "PUT", "/api/company/new", body).doc(t)
	first := co["addresses"].([]any)[0].(m)
	if first["default_billing"] != true || first["default_shipping"] != nil {
		t.Errorf("defaults %v", first)
	}
	if again := w.want(409, "PUT", "/api/company/new", body).doc(t); again["_id"] != co["_id"] {
		t.Errorf("conflict %v", again)
	}
	for _, k := range []string{"name", "code", "currency_code"} {
		b := companyBody("CY")
		delete(b, k)
		w.want(400, "PUT", "/api/company/new/force", b)
	}
}

func TestBuyersBelongToACompany(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.want(404, "PUT", "/api/company/code/C1/add/buyer", m{"name": "Ann", "email": "ann@shop.example"})
	w.want(201, "PUT", "/api/company/new", companyBody("C1"))
	w.want(200, "PUT", "/api/company/code/C1/add/buyer", m{"name": "Ann", "email": "ann@shop.example"})
	w.want(409, "PUT", "/api/company/code/C1/add/buyer", m{"name": "Ann", "email": "Ann@shop.example"})
	w.want(200, "POST", "/api/company/code/C1/update/buyer/ann@shop.example", m{"title": "Head"})
	co := w.want(200, "PUT", "/api/company/new/force", companyBody("C1")).doc(t)
	if b := co["buyers"].([]any); len(b) != 1 || b[0].(m)["title"] != "Head" {
		t.Errorf("an upsert touched the buyers: %v", b)
	}
	w.want(200, "DELETE", "/api/company/code/C1/buyer/ann@shop.example", nil)
	w.want(404, "DELETE", "/api/company/code/C1/buyer/ann@shop.example", nil)
	w.switches(func(s *nuorder.Switches) { s.BuyerCreate = "broken" })
	w.want(500, "PUT", "/api/company/code/C1/add/buyer", m{"name": "Ann", "email": "ann@shop.example"})
}

func TestInventoryIsReplacedWholeAndSeenByBothCalls(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	st, err := w.srv.State("")
	if err != nil {
		t.Fatal(err)
	}
	wh, p := st.Warehouses[1], st.Products[0]
	sku := sizeID(p, "M")
	row := m{"warehouse_id": wh.ID, "sku_id": sku, "display_name": "future", "prebook": false, "period_start": "07/01/2026", "quantity": 4, "active": true}
	w.want(200, "PUT", "/api/v3.0/warehouse/"+wh.ID+"/replenishments", m{"replenishments": l{row}})
	w.want(409, "POST", "/api/v3.0/warehouse/"+wh.ID+"/sku/"+sku+"/replenishments", row)
	got := w.want(200, "GET", "/api/inventory/external_id/A1-RED", nil).doc(t)["inventory"].([]any)
	if len(got) != 2 || got[1].(m)["warehouse"] != "NY" || got[1].(m)["wip"].([]any)[0].(m)["name"] != "07/01/2026" {
		t.Errorf("classic view of a v3 row: %v", got)
	}
	w.want(200, "POST", "/api/inventory/external_id/A1-RED", m{"inventory": l{m{"warehouse": "default", "wip": l{
		m{"name": "immediate", "sizes": l{m{"size": "S", "quantity": 1}}},
	}}}})
	got = w.want(200, "GET", "/api/inventory/external_id/A1-RED", nil).doc(t)["inventory"].([]any)
	want := []any{m{"warehouse": "default", "prebook": false, "wip": []any{m{"name": "immediate", "sizes": []any{
		m{"size": "S", "upc": "A11", "quantity": json.Number("1")},
	}}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("what was left out was not wiped:\n%s", d)
	}
	w.want(200, "DELETE", "/api/v3.0/warehouse/"+st.Warehouses[0].ID+"/sku/"+sizeID(p, "S")+"/replenishments", nil)
	w.want(200, "PUT", "/api/inventory/flags", m{"product_ids": l{p["_id"]}})
	w.switches(func(s *nuorder.Switches) { s.Inventory = "v3" })
	w.want(404, "POST", "/api/inventory/external_id/A1-RED", stockBody(1))
}

func TestMalformedInventoryLeavesTheOldFigures(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.switches(func(s *nuorder.Switches) { s.UnstableKeys = false })
	before := w.want(200, "GET", "/api/inventory/external_id/A1-RED", nil).text
	good := func() m { return m{"name": "immediate", "sizes": l{m{"size": "S", "quantity": 1}}} }
	for name, elements := range map[string]l{
		"unknown warehouse": {m{"warehouse": "LA", "wip": l{good()}}},
		"warehouse twice":   {m{"warehouse": "default", "wip": l{good()}}, m{"warehouse": "default", "wip": l{good()}}},
		"unknown size":      {m{"warehouse": "default", "wip": l{good(), m{"name": "06/01/2026", "sizes": l{m{"size": "s", "quantity": 1}}}}}},
		"date form":         {m{"warehouse": "default", "wip": l{m{"name": "2026-06-01", "sizes": l{}}}}},
		"fraction":          {m{"warehouse": "default", "wip": l{m{"name": "immediate", "sizes": l{m{"size": "S", "quantity": 1.5}}}}}},
		"negative":          {m{"warehouse": "default", "wip": l{m{"name": "immediate", "sizes": l{m{"size": "S", "quantity": -1}}}}}},
	} {
		if r := w.do("POST", "/api/inventory/external_id/A1-RED", m{"inventory": elements}); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if after := w.want(200, "GET", "/api/inventory/external_id/A1-RED", nil).text; after != before {
		t.Errorf("figures changed from %s to %s", before, after)
	}
}

func TestPriceSheetRowsFailInsideA200(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	r := w.want(200, "PUT", "/api/pricesheet/VIP", m{"currency_code": "USD", "pricing": l{
		m{"brand_id": "A1-RED", "wholesale": 30}, m{"brand_id": "none", "wholesale": 30}, m{"style_number": "A2", "season": "SS26", "color": "RED", "wholesale": "x"},
	}}).doc(t)
	if len(r["updates"].([]any)) != 1 || len(r["errors"].([]any)) != 2 {
		t.Errorf("got %v", r)
	}
	sheet := w.want(200, "GET", "/api/pricesheet/VIP", nil).doc(t)["pricing"].([]any)
	if len(sheet) != 1 || sheet[0].(m)["retail"] != json.Number("70") {
		t.Errorf("sheet %v", sheet)
	}
	rows := w.want(200, "POST", "/api/product/external_id/A2-RED/pricesheets", l{m{"template": "VIP", "wholesale": 1}, m{"wholesale": 1}}).body.([]any)
	if rows[0].(m)["success"] != true || rows[1].(m)["success"] != false {
		t.Errorf("rows %v", rows)
	}
	w.want(200, "DELETE", "/api/product/external_id/A2-RED/pricesheets", nil)
}

func TestListsByDateSeasonAndPage(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	if got := w.want(200, "GET", "/api/products/modified/after/1/1/2000", nil).body.([]any); len(got) != 2 {
		t.Errorf("after 2000: %d", len(got))
	}
	if got := w.want(200, "GET", "/api/products/created/before/1/1/2000", nil).body.([]any); len(got) != 0 {
		t.Errorf("before 2000: %d", len(got))
	}
	if got := w.want(200, "GET", "/api/companies/modified/after/1/1/2000", nil).body.([]any); len(got) != 1 {
		t.Errorf("companies: %d", len(got))
	}
	first := w.want(200, "GET", "/api/products/season/SS26/list?__limit=1", nil).body.([]any)
	if len(first) != 1 {
		t.Fatalf("limit: %v", first)
	}
	next := w.want(200, "GET", "/api/products/season/SS26/list?__last_id="+first[0].(string), nil).body.([]any)
	if len(next) != 1 || next[0] == first[0] {
		t.Errorf("next page: %v", next)
	}
	w.switches(func(s *nuorder.Switches) { s.Pagination, s.PageSize = "forced", 1 })
	if got := w.want(200, "GET", "/api/products/season/SS26/list", nil).body.([]any); len(got) != 1 {
		t.Errorf("forced page: %v", got)
	}
	w.want(400, "GET", "/api/products/modified/after/13/1/2000", nil)
}
