package orders_test

import (
	"testing"

	"nubridge/internal/fault"
	"nubridge/orders"
)

func TestOrdersAreReadWhateverTheFormOfTheirScalars(t *testing.T) {
	t.Parallel()
	o, err := orders.ParseOrder([]byte(`{"_id":"a","status":"Approved","order_number":100596,"external_id":null,"line_items":[
		{"product":{"brand_id":7},"warehouse":null,"prebook":"true","sizes":[{"size":10,"quantity":"2"},{"size":"M","quantity":3.0}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if o.Number != "100596" || o.Status != "approved" || o.ExternalID != "" || len(o.Lines) != 2 || !o.Lines[0].Prebook || o.Lines[0].BrandID != "7" {
		t.Errorf("got %+v", o)
	}
	for _, bad := range []string{``, `[]`, `"x"`, `{}`, `{"_id":"a"}`, `{"_id":"a","status":"approved","line_items":7}`} {
		if _, err := orders.ParseOrder([]byte(bad)); fault.KindOf(err) != fault.Retry {
			t.Errorf("%q gave %v", bad, err)
		}
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(`{"_id":"a","status":"approved","line_items":[{"sizes":[{"quantity":1e9}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := orders.ParseOrder(raw)
		if err == nil && (o.ID == "" || o.Status == "") {
			t.Errorf("%q was taken for an order", raw)
		}
	})
}
