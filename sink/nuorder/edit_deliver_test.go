package nuorder_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

func ref(id string) map[string]string {
	return map[string]string{"reference": "test:" + id, "date": "2026-11-01"}
}

// positions runs a test with arrays replaced and merged.
func positions(t *testing.T, test func(t *testing.T, w *orderWorld)) {
	t.Helper()
	for name, merge := range map[string]bool{"replace": false, "merge": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newOrderWorld(t, merge, nil))
		})
	}
}

func TestImportedOrderGetsItsNumberAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, number := w.imported("500001")
	d := w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
	if d.Calls != 1 {
		t.Errorf("%d calls for the number alone", d.Calls)
	}
	got := w.at(id)
	if got["order_number"] != "500001" || got["external_id"] != nil {
		t.Errorf("after the renumbering: number %v, external id %v", got["order_number"], got["external_id"])
	}
	if _, err := w.client.OrderByNumber(t.Context(), number); err == nil {
		t.Error("the old number still answers")
	}
	i, err := w.intents.Get(t.Context(), "test", id)
	if err != nil || i.State != ledger.Numbered {
		t.Fatalf("intent %+v, %v", i, err)
	}
	// The same body again is the baseline; a change is sent whole.
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(5, 3)), ref(id), ledger.Delivered)
	if got := w.units(id); got != "S5 M3" {
		t.Error(got)
	}
	w.mustTurn(mapper.OrderCreation, "500001", orderBody("500001", line(5, 3)), ref(id), ledger.Filtered)
}

func TestEventBeforeTheAnswerProvesAndWaitsForTheMark(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, _ := w.place(2, 3)
	d := w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Waiting)
	if len(d.WaitFor) != 1 || d.WaitFor[0] != (mapper.Ref{Flow: mapper.OrdersIn, Key: mapper.Key(id)}) {
		t.Errorf("waits for %v", d.WaitFor)
	}
	i, err := w.intents.Get(t.Context(), "test", id)
	if err != nil || i == nil || i.State != ledger.Created || i.OMSNumber != "500001" {
		t.Fatalf("intent %+v, %v", i, err)
	}
	w.parks(mapper.OrderEdits, "500002", orderBody("500002", line(2, 3)), ref(id), "order_doubled")
}

func TestChangeInTheOMSBeforeItsFirstEventIsSent(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, _ := w.imported("500001")
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 7)), ref(id), ledger.Delivered)
	if got := w.units(id); got != "S2 M7" {
		t.Error(got)
	}
}

func TestForeignAndUnreferencedOrdersAreFiltered(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, func(c *nuorder.OrdersConfig) { c.Unreferenced = false })
	for _, flow := range []mapper.Flow{mapper.OrderEdits, mapper.OrderCreation, mapper.Shipments} {
		for _, reference := range []string{"", "production:abc", "testing:abc", "somebody"} {
			facts := map[string]string{"reference": reference, "date": "2026-11-01"}
			if d := w.mustTurn(flow, "7", orderBody("7", line(1, 1)), facts, ledger.Filtered); d.Calls != 0 {
				t.Errorf("%s with reference %q made %d calls", flow, reference, d.Calls)
			}
		}
	}
}

func TestRenameTargetTakenIsParkedNamingBoth(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	other, _ := w.place(1, 1)
	if _, err := w.client.UpdateOrder(t.Context(), other, []byte(`{"order_number":"500001"}`)); err != nil {
		t.Fatal(err)
	}
	id, _ := w.imported("500001")
	w.parks(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), "number_taken")
}

func TestLinesAreRemovedByBothKindsOfUpdate(t *testing.T) {
	t.Parallel()
	positions(t, func(t *testing.T, w *orderWorld) {
		id, _ := w.imported("500001")
		w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
		w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, -1)), ref(id), ledger.Delivered)
		if got := w.units(id); got != "S2 M" {
			t.Error("removed:", got)
		}
		w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(0, 4)), ref(id), ledger.Delivered)
		if got := w.units(id); got != "S M4" {
			t.Error("zero:", got)
		}
	})
}

func TestCancelsAndWhatHasShipped(t *testing.T) {
	t.Parallel()
	positions(t, func(t *testing.T, w *orderWorld) {
		// All lines zero, nothing shipped: cancelled.
		zero, _ := w.imported("1")
		w.mustTurn(mapper.OrderEdits, "1", orderBody("1", line(2, 3)), ref(zero), ledger.Delivered)
		w.mustTurn(mapper.OrderEdits, "1", orderBody("1", line(0, 0)), ref(zero), ledger.Delivered)
		if got := w.at(zero)["status"]; got != "cancelled" {
			t.Error("all lines zero:", got)
		}
		w.parks(mapper.OrderEdits, "1", orderBody("1", line(1, 1)), ref(zero), "order_cancelled_at_nuorder")
		// Partly shipped: quantities may not fall below it, nor lines go, and a cancel cuts to what has shipped.
		id, _ := w.imported("2")
		w.mustTurn(mapper.OrderEdits, "2", orderBody("2", line(2, 3)), ref(id), ledger.Delivered)
		w.mustTurn(mapper.Shipments, "2", shipments(shipment("T1", 1, 2)), ref(id), ledger.Delivered)
		w.parks(mapper.OrderEdits, "2", orderBody("2", line(2, 1)), ref(id), "quantity_below_shipped")
		w.parks(mapper.OrderEdits, "2", orderBody("2", line(2, -1)), ref(id), "shipped_line_removed")
		cancelled := ref(id)
		cancelled["cancelled"] = "true"
		w.mustTurn(mapper.OrderEdits, "2", orderBody("2", line(2, 3)), cancelled, ledger.Delivered)
		if got := w.units(id); got != "S1 M2" || w.at(id)["status"] != "shipped" {
			t.Error("cancel after a partial shipment:", got, w.at(id)["status"])
		}
	})
}

func TestOrderThatIsGoneFromTheOMSIsCancelled(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, _ := w.imported("1")
	w.mustTurn(mapper.OrderEdits, "1", orderBody("1", line(2, 3)), ref(id), ledger.Delivered)
	w.mustTurn(mapper.OrderEdits, "1", "", nil, ledger.Delivered)
	if got := w.at(id)["status"]; got != "cancelled" {
		t.Error(got)
	}
	w.mustTurn(mapper.OrderEdits, "9", "", nil, ledger.Filtered)
}

func TestCancelPutsTheStockOfItsLinesInDoubtAfterTheCall(t *testing.T) {
	t.Parallel()
	var w *orderWorld
	var id string
	var brands []string
	w = newOrderWorld(t, false, func(c *nuorder.OrdersConfig) {
		c.DoubtStock = func(_ context.Context, _ string, _, named []string, _ string) (int, error) {
			if got := w.at(id)["status"]; got != "cancelled" {
				t.Errorf("the stock was put in doubt while the order was %v", got)
			}
			brands = append(brands, named...)
			return len(named), nil
		}
	})
	id, _ = w.imported("500001")
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
	facts := ref(id)
	facts["cancelled"] = "true"
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), facts, ledger.Delivered)
	if len(brands) == 0 {
		t.Error("the stock of the order's lines was not put in doubt")
	}
}

// NuORDER moves its own stock when an order comes or changes, whoever sent it; what has not changed moves nothing.
func TestOrdersOfTheOMSPutTheStockTheyMoveInDoubt(t *testing.T) {
	t.Parallel()
	var told []string
	w := newOrderWorld(t, false, func(c *nuorder.OrdersConfig) {
		c.DoubtStock = func(_ context.Context, _ string, ids, brands []string, reason string) (int, error) {
			told = append(told, fmt.Sprint(reason, " ", len(ids)+len(brands)))
			return len(ids) + len(brands), nil
		}
	})
	expect := func(step string, want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("%s: told %q, want %q", step, told, want)
		}
		told = nil
	}
	w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts(), ledger.Delivered)
	expect("create", "order_created 1")
	body := strings.Replace(orderBody("600001", line(2, 3)), "{", `{"notes":"Ring twice",`, 1)
	w.mustTurn(mapper.OrderEdits, "600001", body, bornFacts(), ledger.Delivered)
	expect("a note")
	w.mustTurn(mapper.OrderEdits, "600001", orderBody("600001", line(2, 4)), bornFacts(), ledger.Delivered)
	expect("a quantity", "order_edited 1")
	id, _ := w.imported("500001")
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), ref(id), ledger.Delivered)
	expect("the baseline")
	id, _ = w.imported("500002")
	w.mustTurn(mapper.OrderEdits, "500002", orderBody("500002", line(2, 9)), ref(id), ledger.Delivered)
	expect("changed before the first event", "order_edited 1")
	prebook := strings.ReplaceAll(line(2, 3), `"ship_start"`, `"prebook":true,"ship_start"`)
	w.mustTurn(mapper.OrderCreation, "600002", orderBody("600002", prebook), bornFacts(), ledger.Delivered)
	expect("prebook takes none")
}

func TestNoteWrittenInTheOMSBeforeItsFirstEventIsSent(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, _ := w.imported("500001")
	body := strings.Replace(orderBody("500001", line(2, 3)), "{", `{"notes":"Call before delivery",`, 1)
	w.mustTurn(mapper.OrderEdits, "500001", body, ref(id), ledger.Delivered)
	if got := w.at(id)["notes"]; got != "Call before delivery" {
		t.Errorf("notes %v", got)
	}
}

func TestCancelWaitsForWhatHasShipped(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, func(c *nuorder.OrdersConfig) { c.Shipments = true })
	id, _ := w.imported("500001")
	facts := ref(id)
	facts["cancelled"], facts["shipped"] = "true", "2"
	d := w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), facts, ledger.Waiting)
	if len(d.WaitFor) != 1 || d.WaitFor[0] != (mapper.Ref{Flow: mapper.Shipments, Key: "500001"}) {
		t.Errorf("waits for %v", d.WaitFor)
	}
	if got := w.at(id)["status"]; got != "processed" {
		t.Errorf("the order is %v", got)
	}
	facts["shipped"] = "0"
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(2, 3)), facts, ledger.Delivered)
	if got := w.at(id)["status"]; got != "cancelled" {
		t.Errorf("the order is %v", got)
	}
}

// The OMS raises a quantity and ships it at once, before the edits flow has looked at the imported order for the first time.
func TestShipmentOfMoreThanWasImportedWaitsForTheEdit(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, true, nil) // the portal refuses more shipped than ordered
	id, _ := w.imported("500001")
	d := w.mustTurn(mapper.Shipments, "500001", shipments(shipment("T1", 4, 3)), ref(id), ledger.Waiting)
	if len(d.WaitFor) != 1 || d.WaitFor[0] != (mapper.Ref{Flow: mapper.OrderEdits, Key: "500001"}) {
		t.Errorf("waits for %v", d.WaitFor)
	}
	w.mustTurn(mapper.OrderEdits, "500001", orderBody("500001", line(4, 3)), ref(id), ledger.Delivered)
	w.mustTurn(mapper.Shipments, "500001", shipments(shipment("T1", 4, 3)), ref(id), ledger.Delivered)
	if got := w.at(id)["status"]; got != "shipped" {
		t.Errorf("the order is %v", got)
	}
}

func TestShipmentsOfACancelledOrderThatWasNeverSentWaitForNothing(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	facts := map[string]string{"reference": "", "date": "2026-11-01", "cancelled": "true"}
	if d := w.mustTurn(mapper.Shipments, "500009", `{"shipments":[]}`, facts, ledger.Filtered); d.Calls != 0 {
		t.Errorf("%d calls", d.Calls)
	}
}

func TestAnOrderInStepMakesNoCall(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	cancelled := func(reference string) map[string]string {
		facts := ref(reference)
		facts["cancelled"] = "true"
		return facts
	}
	none := func(what, key, body string, facts map[string]string) {
		t.Helper()
		if d := w.mustTurn(mapper.OrderEdits, key, body, facts, ledger.Unchanged); d.Calls != 0 {
			t.Errorf("%s: %d calls", what, d.Calls)
		}
	}
	first, edited := orderBody("1", line(2, 3)), orderBody("1", line(4, 3))
	id, _ := w.imported("1")
	w.mustTurn(mapper.OrderEdits, "1", first, ref(id), ledger.Delivered)
	none("the baseline again", "1", first, ref(id))
	w.mustTurn(mapper.OrderEdits, "1", edited, ref(id), ledger.Delivered)
	none("an edit again", "1", edited, ref(id))
	object := w.object(mapper.OrderEdits, "1")
	object.InDoubt = true
	w.objects.objects[object.ObjectID] = object
	if d := w.mustTurn(mapper.OrderEdits, "1", edited, ref(id), ledger.Delivered); d.Calls == 0 {
		t.Error("an order in doubt was not sent")
	}
	object = w.object(mapper.OrderEdits, "1")
	object.InDoubt = false // as settling does
	w.objects.objects[object.ObjectID] = object
	w.mustTurn(mapper.OrderEdits, "1", edited, cancelled(id), ledger.Delivered)
	if got := w.at(id)["status"]; got != "cancelled" {
		t.Error("the cancel of an order whose body is in step:", got)
	}
	none("a cancel again", "1", edited, cancelled(id))

	// What the creation has sent is no edit.
	born := map[string]string{"date": "2026-11-01"}
	third := orderBody("3", line(1, 1))
	w.mustTurn(mapper.OrderCreation, "3", third, born, ledger.Delivered)
	none("the order as it was created", "3", strings.Replace(third, `{"order_number"`, `{"status":"processed","order_number"`, 1), born)

	cut, _ := w.imported("2")
	second := orderBody("2", line(2, 3))
	w.mustTurn(mapper.OrderEdits, "2", second, ref(cut), ledger.Delivered)
	w.mustTurn(mapper.Shipments, "2", shipments(shipment("T1", 1, 2)), ref(cut), ledger.Delivered)
	// The OMS wrote a note and cancelled, all at once.
	second = strings.Replace(second, `{"order_number"`, `{"notes":"too late","order_number"`, 1)
	w.mustTurn(mapper.OrderEdits, "2", second, cancelled(cut), ledger.Delivered)
	if got := w.units(cut); got != "S1 M2" || w.at(cut)["notes"] != "too late" {
		t.Error("cut to what has shipped:", got, w.at(cut)["notes"])
	}
	none("a cut again", "2", second, cancelled(cut))
	w.mustTurn(mapper.OrderEdits, "2", second, ref(cut), ledger.Delivered)
	if got := w.units(cut); got != "S2 M3" {
		t.Error("opened again in the OMS:", got)
	}
}
