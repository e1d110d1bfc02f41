package nuorder

import (
	"testing"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// TestReadBackTakesNothingForEqualThatIsNot lists ways in which a portal writes what it was sent, and differences that look like them.
func TestReadBackTakesNothingForEqualThatIsNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ours, stored, differs string }{
		{`{"name":"a"}`, `{"name":"a","_id":"1","created_on":"x","active":true}`, ""},
		{`{"name":"a"}`, `{"name":"A"}`, "name"},
		{`{"name":"a b"}`, `{"name":"a  b"}`, "name"},
		{`{"name":""}`, `{}`, ""},
		{`{"name":null}`, `{"name":""}`, ""},
		{`{"name":""}`, `{"name":"left"}`, "name"},
		{`{"name":"a"}`, `{}`, "name"},
		{`{"active":false}`, `{}`, "active"},
		{`{"active":true}`, `{"active":false}`, "active"},
		{`{"discount":5}`, `{"discount":"5.00"}`, ""},
		{`{"discount":5}`, `{"discount":5.01}`, "discount"},
		{`{"discount":0}`, `{}`, "discount"},
		{`{"code":"007"}`, `{"code":7}`, "code"},
		{`{"code":"7"}`, `{"code":7}`, ""},
		{`{"pricing":{"USD":{"wholesale":10.006}}}`, `{"pricing":{"USD":{"wholesale":10.01,"disabled":false}}}`, ""},
		{`{"pricing":{"USD":{"wholesale":10.01}}}`, `{"pricing":{"USD":{"wholesale":10.006}}}`, "pricing.USD.wholesale"},
		{`{"pricing":{"USD":{"wholesale":10}}}`, `{"pricing":{"USD":{"wholesale":10},"EUR":{"wholesale":9}}}`, "pricing.EUR"},
		{`{"pricing":{"USD":{"wholesale":10}}}`, `{"pricing":{"USD":{"wholesale":10,"disabled":true}}}`, "pricing.USD.disabled"},
		{`{"sizes":[{"size":"S"},{"size":"M"}]}`, `{"sizes":[{"size":"S","_id":"1"},{"size":"M","_id":"2","size_order":2}]}`, ""},
		{`{"sizes":[{"size":"S"},{"size":"M"}]}`, `{"sizes":[{"size":"M"},{"size":"S"}]}`, "sizes[0].size"},
		{`{"sizes":[{"size":"S"}]}`, `{"sizes":[{"size":"S"},{"size":"M"}]}`, "sizes"},
		{`{"sizes":[{"size":"S"}]}`, `{"sizes":[{"size":"S","upc":"1"}]}`, "sizes[0].upc"},
		{`{"seasons":[]}`, `{}`, ""},
		{`{"available_from":"2026-01-31"}`, `{"available_from":"2026-01-31T00:00:00.000Z"}`, ""},
		{`{"available_from":"2026-01-31"}`, `{"available_from":1769817600000}`, ""},
		{`{"available_from":"2026-01-31"}`, `{"available_from":"2026-02-01T00:00:00.000Z"}`, "available_from"},
	} {
		got, err := readBack([]byte(c.ours), []byte(c.stored))
		if err != nil || got != c.differs {
			t.Errorf("%s against %s differs in %q, %v; want %q", c.ours, c.stored, got, err, c.differs)
		}
	}
	if _, err := readBack([]byte(`{"name":"a"}`), []byte(`[]`)); err == nil {
		t.Error("a list was taken for a document")
	}
}

// TestCaseIsFoldedForAllProductsOrForNone holds a portal to what it shows of others.
func TestCaseIsFoldedForAllProductsOrForNone(t *testing.T) {
	t.Parallel()
	const ours = `{"brand_id":"B-1","name":"Shirt","style_number":"s1"}`
	for _, c := range []struct {
		stored, other, differs string
	}{
		{`{"_id":"1","brand_id":"b-1","name":"shirt","style_number":"S1"}`, `{"_id":"2","brand_id":"x","name":"y","style_number":"Z"}`, ""},
		{`{"_id":"1","brand_id":"b-1","name":"shirt","style_number":"s1"}`, `{"_id":"2","brand_id":"x","name":"y","style_number":"Z"}`, "brand_id"},
		{`{"_id":"1","brand_id":"b-1","name":"shirt","style_number":"S1"}`, `{"_id":"2","brand_id":"x","name":"Y","style_number":"Z"}`, "brand_id"},
	} {
		r := NewProducts(newTestClient(t), nil)
		var stored, other Product
		if err := decode([]byte(c.stored), &stored); err != nil {
			t.Fatal(err)
		}
		if err := decode([]byte(c.other), &other); err != nil {
			t.Fatal(err)
		}
		r.Observe([]*Product{&stored, &other})
		seen, err := r.Compare(t.Context(), mapper.Body{Flow: mapper.Products, RemoteKey: "B-1", JSON: []byte(ours)}, ledger.Object{}, &stored)
		if err != nil || seen.Differs != c.differs {
			t.Errorf("%s beside %s differs in %q, %v; want %q", c.stored, c.other, seen.Differs, err, c.differs)
		}
	}
}

// TestStockIsComparedByWarehouseDeliveryAndSize knows no difference between ways to name them, and every other one.
func TestStockIsComparedByWarehouseDeliveryAndSize(t *testing.T) {
	t.Parallel()
	r := NewStock(newTestClient(t), nil)
	product := &ledger.Object{Identity: map[string]string{identityWarehouse + "default": "w1", identityWarehouse + "Main": "w1"}}
	const ours = `{"inventory":[{"warehouse":"default","prebook":false,"wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3},{"size":"M","quantity":0}]},{"name":"01/31/2027","sizes":[{"size":"S","quantity":7}]}]}]}`
	for stored, same := range map[string]bool{
		ours: true,
		`[{"warehouse":"Main","wip":[{"name":"2027-01-31T00:00:00.000Z","sizes":[{"size":"S","quantity":"7"}]},{"name":"Immediate","sizes":[{"size":"M","quantity":0},{"size":"S","quantity":3}]}]}]`:                            true,
		`[{"warehouse":"w1","wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3},{"size":"M","quantity":0}]},{"name":"01/31/2027","sizes":[{"size":"S","quantity":7}]}]}]`:                                              true,
		`{"inventory":[{"warehouse":"default","prebook":true,"wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3},{"size":"M","quantity":0}]},{"name":"01/31/2027","sizes":[{"size":"S","quantity":7}]}]}]}`:            false,
		`{"inventory":[{"warehouse":"default","wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3}]},{"name":"01/31/2027","sizes":[{"size":"S","quantity":7}]}]}]}`:                                                     false,
		`{"inventory":[{"warehouse":"default","wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3},{"size":"M","quantity":0},{"size":"L","quantity":1}]},{"name":"01/31/2027","sizes":[{"size":"S","quantity":7}]}]}]}`: false,
		`{"inventory":[{"warehouse":"default","wip":[{"name":"immediate","sizes":[{"size":"S","quantity":3},{"size":"M","quantity":0}]},{"name":"02/01/2027","sizes":[{"size":"S","quantity":7}]}]}]}`:                           false,
		`{"inventory":[]}`: false,
	} {
		a, err := r.figuresOf([]byte(ours), product)
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.figuresOf(inventoryOf([]byte(stored)), product)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.differ(b); (got == "") != same {
			t.Errorf("against %s: differs in %q", stored, got)
		}
	}
}

func newTestClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Config{BaseURL: "https://portal.example"}, Deps{Credentials: func() Credentials { return Credentials{} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
