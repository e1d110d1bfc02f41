package nuorder_test

import (
	"context"
	"strings"
	"testing"

	"nubridge/sink/nuorder"
)

func TestOrdersAreShownWithTheCodesOfWarehouses(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	asked := 0
	p := nuorder.NewOrderPortal(w.client, func(context.Context) (map[string]string, error) {
		asked++
		return map[string]string{"aaaaaaaaaaaaaaaaaaaaaaa2": "west"}, nil
	})
	made, err := w.server.PlaceOrder("brand", map[string]any{
		"status": "approved", "retailer": map[string]any{"retailer_code": "C1"}, "currency_code": "USD", "line_items": []any{
			map[string]any{"product": map[string]any{"brand_id": "B-1"}, "warehouse": "2", "sizes": []any{map[string]any{"size": "S", "quantity": 1, "price": 10}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made[0]["_id"].(string)
	for range 2 {
		raw, err := p.Order(t.Context(), id)
		if err != nil || !strings.Contains(string(raw), `"warehouse":"west"`) || asked != 1 {
			t.Fatalf("%s, %v, asked %d times", raw, err, asked)
		}
	}
	if ids, err := p.OrderIDs(t.Context(), "Approved"); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("listed %v %v", ids, err)
	}
	if raw, err := p.SetOrderStatus(t.Context(), id, "processed"); err != nil || !strings.Contains(string(raw), `"warehouse":"west"`) {
		t.Errorf("marked: %s %v", raw, err)
	}
	if raw, err := p.SetOrderStatus(t.Context(), id, "processed"); err != nil || raw != nil {
		t.Errorf("marked again: %s %v", raw, err)
	}
}
