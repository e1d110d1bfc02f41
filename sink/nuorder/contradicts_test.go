package nuorder_test

import (
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

const another = "ffffffffffffffffffffffff"

// contradicted wants an answer to be found out, and leaves the object in doubt as the loop does.
func (w *world) contradicted(what string, flow mapper.Flow, key mapper.Key, err error) {
	w.t.Helper()
	if w.lie.Load() != nil {
		w.t.Fatalf("%s: the call was not made", what)
	}
	if fault.CodeOf(err) != nuorder.CodeContradicts || fault.KindOf(err) != fault.Retry {
		w.t.Fatalf("%s: got %v, want a retry because the answer contradicts", what, err)
	}
	o := w.object(flow, key)
	o.InDoubt = true
	w.objects.mu.Lock()
	w.objects.objects[o.ObjectID] = o
	w.objects.mu.Unlock()
}

func TestASuccessThatShowsAnotherDocumentIsNone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.lie.Store(&lie{method: "PUT", path: "/api/product/new/force", undone: `{"_id":"` + another + `","brand_id":"X-9"}`})
		_, err := w.deliver(mapper.Products, "1", "B-1", product("one", ""))
		w.contradicted("create of a product", mapper.Products, "1", err)
		id := w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered).Object.RemoteID

		w.lie.Store(&lie{method: "POST", path: "/api/product/", replace: [2]string{id, another}})
		_, err = w.deliver(mapper.Products, "1", "B-1", product("two", ""))
		w.contradicted("update of a product", mapper.Products, "1", err)
		if got := w.must(mapper.Products, "1", "B-1", product("two", ""), ledger.Delivered).Object.RemoteID; got != id || w.stored(id)["name"] != "two" {
			t.Errorf("the product is %s, want %s: %v", got, id, w.stored(id))
		}

		const company = `{"name":"One","code":"C1","currency_code":"USD"}`
		w.lie.Store(&lie{method: "PUT", path: "/api/company/new/force", undone: `{"_id":"` + another + `","code":"C9"}`})
		_, err = w.deliver(mapper.Customers, "C1", "C1", company)
		w.contradicted("create of a company", mapper.Customers, "C1", err)
		id = w.must(mapper.Customers, "C1", "C1", company, ledger.Delivered).Object.RemoteID
		w.lie.Store(&lie{method: "POST", path: "/api/company/", replace: [2]string{id, another}})
		_, err = w.deliver(mapper.Customers, "C1", "C1", company)
		w.contradicted("update of a company", mapper.Customers, "C1", err)
		if got := w.must(mapper.Customers, "C1", "C1", company, ledger.Delivered).Object.RemoteID; got != id {
			t.Errorf("the company is %s, want %s", got, id)
		}
	})
}

func TestAnOrderIsOnlyWhatItsAnswerShows(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, old := w.imported("500001")
	other, _ := w.place(1, 1)
	number := w.at(other)["order_number"]

	// A renumbering whose answer shows another order, which keeps its own number.
	w.lie.Store(&lie{method: "POST", path: "/api/order/number/" + old, replace: [2]string{id, other}})
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
	if w.at(id)["order_number"] != "500001" || w.at(other)["order_number"] != number {
		t.Errorf("numbers %v and %v, want 500001 and %v", w.at(id)["order_number"], w.at(other)["order_number"], number)
	}
	// One whose answer still shows the old number, and that was not carried out.
	late, was := w.imported("500002")
	w.lie.Store(&lie{method: "POST", path: "/api/order/number/" + was, undone: `{"_id":"` + late + `","order_number":"` + was + `"}`})
	w.mustTurn(mapper.OrderEdits, "500002", orderBody("500002", line(2, 3)), ref(late), ledger.Delivered)
	if got := w.at(late)["order_number"]; got != "500002" {
		t.Errorf("the number is %v, want 500002", got)
	}

	// An edit whose answer shows another order.
	w.lie.Store(&lie{method: "POST", path: "/api/order/number/500001", replace: [2]string{id, another}})
	_, err := w.turn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), ref(id))
	w.contradicted("an edit", mapper.OrderEdits, "500001", err)
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), ref(id), ledger.Delivered)
	if got := w.units(id); got != "S4 M3" {
		t.Error("after the edit:", got)
	}

	// A cancel that changed nothing.
	facts := ref(id)
	facts["cancelled"] = "true"
	w.lie.Store(&lie{method: "POST", path: "/api/order/number/500001/cancelled", undone: `{"_id":"` + id + `","order_number":"500001","status":"processed"}`})
	_, err = w.turn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), facts)
	w.contradicted("a cancel", mapper.OrderEdits, "500001", err)
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), facts, ledger.Delivered)
	if got := w.at(id)["status"]; got != "cancelled" {
		t.Error("the order is", got)
	}

	// A mark that changed nothing.
	portal := nuorder.NewOrderPortal(w.client, nil)
	w.lie.Store(&lie{method: "POST", path: "/api/order/" + other + "/processed", undone: `{"_id":"` + other + `","status":"approved"}`})
	_, err = portal.SetOrderStatus(t.Context(), other, "processed")
	w.contradicted("a mark", mapper.OrderEdits, "9", err)
	if _, err := portal.SetOrderStatus(t.Context(), other, "processed"); err != nil || w.at(other)["status"] != "processed" {
		t.Errorf("the order is %v, %v", w.at(other)["status"], err)
	}

	// A create whose answer shows another number: the number tells whether it was carried out.
	w.lie.Store(&lie{method: "PUT", path: "/api/order/new", replace: [2]string{`"600001"`, `"600009"`}})
	_, err = w.turn(mapper.OrderCreation, "600001", orderBody("600001", line(1, 1)), bornFacts())
	w.contradicted("a create", mapper.OrderCreation, "600001", err)
	w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(1, 1)), bornFacts(), ledger.Delivered)
}
