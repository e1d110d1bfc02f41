package nuorder_test

import (
	"context"
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
)

func bornFacts() map[string]string { return map[string]string{"reference": "", "date": "2026-11-01"} }

func TestOMSBornOrderIsCreatedOnceAndThenEdited(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	d := w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts(), ledger.Delivered)
	got := w.at(d.Object.RemoteID)
	if got["order_number"] != "600001" || got["status"] != "processed" {
		t.Errorf("created as %v in status %v", got["order_number"], got["status"])
	}
	w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts(), ledger.Filtered)
	w.mustTurn(mapper.OrderEdits, "600001", orderBody("600001", line(2, 4)), bornFacts(), ledger.Delivered)
	if got := w.units(d.Object.RemoteID); got != "S2 M4" {
		t.Error(got)
	}
	if born, _, err := w.intents.BornInOMS(t.Context(), "test", d.Object.RemoteID, "600001"); err != nil || !born {
		t.Errorf("the poller would take it for a buyer's: %v %v", born, err)
	}
}

func TestLostAnswerOfACreateIsResolvedByNumber(t *testing.T) {
	t.Parallel()
	for name, stage := range map[string]bool{"after it was stored": true, "before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOrderWorld(t, false, nil)
			w.cutNext("PUT", "/api/order/new", stage)
			if _, err := w.turn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts()); fault.KindOf(err) != fault.Retry {
				t.Fatalf("got %v", err)
			}
			d, err := w.turn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts())
			if !stage {
				// Not there: it may be late until the window is over.
				if fault.CodeOf(err) != "create_settling" {
					t.Fatalf("got %v", err)
				}
				w.eventually(func() bool {
					d, err = w.turn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts())
					return err == nil
				})
			}
			if err != nil || d.Disposition != ledger.Delivered {
				t.Fatalf("%v %v", d.Disposition, err)
			}
			ids, err := w.client.OrderIDs(t.Context(), "processed")
			if err != nil || len(ids) != 1 || ids[0] != d.Object.RemoteID {
				t.Errorf("orders at NuORDER: %v %v", ids, err)
			}
		})
	}
}

func TestNumberOfAnotherOrderIsParkedAndOldOrdersAreLinked(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id, number := w.place(1, 1)
	w.parks(mapper.OrderCreation, number, orderBody(number, line(1, 1)), bornFacts(), "number_taken")
	old := map[string]string{"reference": "", "date": "2025-12-31"}
	d := w.mustTurn(mapper.OrderCreation, number, orderBody(number, line(1, 1)), old, ledger.Unchanged)
	if d.Object.RemoteID != id || !d.Object.Known {
		t.Errorf("linked to %+v", d.Object)
	}
	w.mustTurn(mapper.OrderCreation, "4711", orderBody("4711", line(1, 1)), old, ledger.Filtered)
	w.mustTurn(mapper.Shipments, "4711", shipments(shipment("T", 1, 0)), old, ledger.Filtered)
}

func TestShipmentsFollowTheInvoices(t *testing.T) {
	t.Parallel()
	positions(t, func(t *testing.T, w *orderWorld) {
		d := w.mustTurn(mapper.Shipments, "600001", shipments(shipment("T1", 1, 0)), bornFacts(), ledger.Waiting)
		if len(d.WaitFor) != 1 || d.WaitFor[0].Flow != mapper.OrderCreation {
			t.Errorf("waits for %v", d.WaitFor)
		}
		d = w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 3)), bornFacts(), ledger.Delivered)
		id := d.Object.RemoteID
		d = w.mustTurn(mapper.Shipments, "600001", shipments(shipment("T1", 1, 0)), bornFacts(), ledger.Delivered)
		if d.Object.Identity["open_units"] != "4" || w.at(id)["status"] != "processed" {
			t.Errorf("partial: open %s, status %v", d.Object.Identity["open_units"], w.at(id)["status"])
		}
		// Another invoice: all is shipped.
		w.mustTurn(mapper.Shipments, "600001", shipments(shipment("T1", 1, 0), shipment("T2", 1, 3)), bornFacts(), ledger.Delivered)
		if got := w.at(id)["status"]; got != "shipped" {
			t.Error("full:", got)
		}
		// The first is voided, the second gets another tracking number.
		d = w.mustTurn(mapper.Shipments, "600001", shipments(shipment("T3", 1, 3)), bornFacts(), ledger.Delivered)
		if d.Object.Identity["open_units"] != "1" || w.at(id)["status"] != "processed" {
			t.Errorf("after the void: open %s, status %v", d.Object.Identity["open_units"], w.at(id)["status"])
		}
	})
}

// cutNext cuts the connection of the next such request, after it was stored or before.
func (w *orderWorld) cutNext(method, path string, stored bool) {
	w.t.Helper()
	if _, err := w.server.AddFault(portal.Fault{Kind: "cut", AfterCommit: stored, Method: method, Path: path, Count: 1}); err != nil {
		w.t.Fatal(err)
	}
}

// eventually tries until it holds, for five seconds.
func (w *orderWorld) eventually(holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			w.t.Fatal("it never came to hold")
		case <-tick.C:
		}
	}
}

// TestAnOrderInDoubtIsSentAgainByItsCreation asks the flow that adopted an order, and whose edit got no answer: when that comes late, what
// stands now is sent after it.
func TestAnOrderInDoubtIsSentAgainByItsCreation(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	id := w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(1, 1)), bornFacts(), ledger.Delivered).Object.RemoteID
	w.mustTurn(mapper.OrderEdits, "600001", orderBody("600001", line(2, 2)), bornFacts(), ledger.Delivered)
	w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 2)), bornFacts(), ledger.Filtered)

	if _, err := w.client.UpdateOrder(t.Context(), id, []byte(`{"line_items":[`+line(1, 1)+`]}`)); err != nil {
		t.Fatal(err)
	}
	o := w.object(mapper.OrderCreation, "600001")
	o.InDoubt = true
	w.objects.mu.Lock()
	w.objects.objects[o.ObjectID] = o
	w.objects.mu.Unlock()
	w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, 2)), bornFacts(), ledger.Delivered)
	if got := w.units(id); got != "S2 M2" {
		t.Error("the order has", got)
	}
}
