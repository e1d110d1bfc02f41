package nuorder_test

import (
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// denied runs a delivery while every write answers 404, and wants it to be tried again with the object in doubt.
func (w *world) denied(done bool, flow mapper.Flow, key mapper.Key, deliver func() (sink.Delivery, error)) {
	w.t.Helper()
	m := &missing{path: "/api/", done: done}
	w.missing.Store(m)
	_, err := deliver()
	w.missing.Store(nil)
	if m.told.Load() == 0 || fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != nuorder.CodeContradicts {
		w.t.Fatalf("%s %s after %d calls: got %v, want a retry because the answer contradicts", flow, key, m.told.Load(), err)
	}
	o := w.object(flow, key)
	o.InDoubt = true
	w.objects.mu.Lock()
	w.objects.objects[o.ObjectID] = o
	w.objects.mu.Unlock()
}

// TestNotFoundOfWhatIsThereIsTriedAgain answers writes with 404 although NuORDER has the document, or is to make it, whether they are
// carried out or not: nothing is parked, and nothing is taken for gone.
func TestNotFoundOfWhatIsThereIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"done": true, "undone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			for _, c := range []struct {
				flow                    mapper.Flow
				key, remote, body, next string
			}{
				{mapper.Products, "1", "B-1", product("one", ""), product("two", "")},
				{mapper.Customers, "C-1", "C-1", company, company},
				{mapper.Inventory, "1", "B-1", stock(5), stock(7)},
			} {
				both := []string{c.body, c.next, ""}
				if c.flow == mapper.Inventory {
					w.must(c.flow, c.key, c.remote, c.body, ledger.Delivered) // without the product's stock there is no _id to deny
					both = both[1:]
				}
				for _, body := range both {
					w.denied(done, c.flow, mapper.Key(c.key), func() (sink.Delivery, error) { return w.deliver(c.flow, c.key, c.remote, body) })
					w.must(c.flow, c.key, c.remote, body, ledger.Delivered)
				}
				if c.flow == mapper.Products {
					w.must(c.flow, c.key, c.remote, c.body, ledger.Delivered) // stock of what is archived is no matter here
				}
			}
			if len(w.objects.doubted) != 0 {
				t.Errorf("doubted %v", w.objects.doubted)
			}
		})
	}
}

// TestNotFoundOfAnOrderThatIsThereIsTriedAgain does the same with orders.
func TestNotFoundOfAnOrderThatIsThereIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"done": true, "undone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOrderWorld(t, false, func(c *nuorder.OrdersConfig) { c.CreateSettle = 1 })
			id, _ := w.imported("500001")
			w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
			cancelled := ref(id)
			cancelled["cancelled"] = "true"
			for _, c := range []struct {
				flow  mapper.Flow
				key   string
				body  string
				facts map[string]string
			}{
				{mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), ref(id)},
				{mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), cancelled},
				{mapper.OrderCreation, "600001", orderBody("600001", line(1, 1)), bornFacts()},
			} {
				w.denied(done, c.flow, mapper.Key(c.key), func() (sink.Delivery, error) { return w.turn(c.flow, c.key, c.body, c.facts) })
				w.mustTurn(c.flow, c.key, c.body, c.facts, ledger.Delivered)
			}
			if got := w.at(id)["status"]; got != "cancelled" {
				t.Error("the order is", got)
			}
		})
	}
}

// TestAConflictOfADocumentWithItselfIsTriedAgain answers updates with 409 and the _id of the very document.
func TestAConflictOfADocumentWithItselfIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	refused := func(method, path, id string, flow mapper.Flow, key mapper.Key, deliver func() (sink.Delivery, error)) {
		t.Helper()
		w.conflict.Store(&conflict{method, path, `{"code":409,"message":"exists","_id":"` + id + `"}`})
		if _, err := deliver(); w.conflict.Load() != nil || fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != nuorder.CodeContradicts {
			t.Fatalf("%s %s: got %v, want a retry because the answer contradicts", flow, key, err)
		}
	}
	for _, c := range []struct {
		flow                          mapper.Flow
		path, key, remote, body, next string
	}{
		{mapper.Products, "/api/product/", "1", "B-1", product("one", ""), product("two", "")},
		{mapper.Customers, "/api/company/", "C-1", "C-1", company, company},
		{mapper.Inventory, "/api/inventory/", "1", "B-1", stock(5), stock(7)},
	} {
		id := w.must(c.flow, c.key, c.remote, c.body, ledger.Delivered).Object.RemoteID
		refused("POST", c.path+id, id, c.flow, mapper.Key(c.key), func() (sink.Delivery, error) { return w.deliver(c.flow, c.key, c.remote, c.next) })
	}
	id, old := w.imported("500001")
	first := orderBody("500001", line(2, 3))
	w.conflict.Store(&conflict{"POST", "/api/order/number/" + old, `{"code":409,"message":"exists","_id":"` + id + `"}`})
	w.mustTurn(mapper.OrderEdits, "500001", first, ref(id), ledger.Delivered)
	if got := w.at(id)["order_number"]; got != "500001" || w.conflict.Load() != nil {
		t.Error("the number is", got)
	}
	cancelled := ref(id)
	cancelled["cancelled"] = "true"
	refused("POST", "/api/order/number/500001", id, mapper.OrderEdits, "500001", func() (sink.Delivery, error) {
		return w.turn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), ref(id))
	})
	refused("POST", "/api/order/number/500001/cancelled", id, mapper.OrderEdits, "500001", func() (sink.Delivery, error) {
		return w.turn(mapper.OrderEdits, "500001", first, cancelled)
	})
}
