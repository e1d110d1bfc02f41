package nuorder_test

import (
	"maps"
	"testing"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// TestAnOrderThatShippedInPartAndWasCancelledBeforeNuORDERKnewItIsMadeWithWhatShipped gives the buyer what he has: the order is made,
// gets its shipment, and is cut down to it, in whatever order the flows come to it.
func TestAnOrderThatShippedInPartAndWasCancelledBeforeNuORDERKnewItIsMadeWithWhatShipped(t *testing.T) {
	t.Parallel()
	for name, merge := range map[string]bool{"replaced": false, "merged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			partShipped(t, newOrderWorld(t, merge, func(c *nuorder.OrdersConfig) { c.Creation, c.Shipments = true, true }))
		})
	}
}

func partShipped(t *testing.T, w *orderWorld) {
	facts := bornFacts()
	maps.Copy(facts, map[string]string{"cancelled": "true", "shipped": "1"})
	body, sent := orderBody("600001", line(2, 3)), shipments(shipment("T1", 1, 0))
	for _, first := range []struct {
		flow mapper.Flow
		body string
	}{{mapper.OrderEdits, body}, {mapper.Shipments, sent}} {
		d := w.mustTurn(first.flow, "600001", first.body, facts, ledger.Waiting)
		if len(d.WaitFor) != 1 || d.WaitFor[0].Flow != mapper.OrderCreation {
			t.Errorf("%s waits for %v", first.flow, d.WaitFor)
		}
	}
	id := w.mustTurn(mapper.OrderCreation, "600001", body, facts, ledger.Delivered).Object.RemoteID
	if d := w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Waiting); d.WaitFor[0].Flow != mapper.Shipments {
		t.Errorf("the edit waits for %v", d.WaitFor)
	}
	w.mustTurn(mapper.Shipments, "600001", sent, facts, ledger.Delivered)
	w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Delivered)
	if got := w.units(id); got != "S1 M" || w.at(id)["status"] != "shipped" {
		t.Errorf("at NuORDER %s in status %v", got, w.at(id)["status"])
	}
	w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Unchanged)
}

// TestNuORDERIsAskedOnceForAnOrderThatIsNotToBeMade costs a replay of old and of cancelled orders no call.
func TestNuORDERIsAskedOnceForAnOrderThatIsNotToBeMade(t *testing.T) {
	t.Parallel()
	w := newOrderWorld(t, false, nil)
	cancelled := bornFacts()
	cancelled["cancelled"] = "true"
	for number, facts := range map[string]map[string]string{"600001": {"reference": "", "date": "2025-12-31"}, "600002": cancelled} {
		if d := w.mustTurn(mapper.OrderCreation, number, orderBody(number, line(1, 1)), facts, ledger.Filtered); d.Calls != 1 {
			t.Errorf("%s: first %d calls", number, d.Calls)
		}
		if d := w.mustTurn(mapper.OrderCreation, number, orderBody(number, line(1, 1)), facts, ledger.Filtered); d.Calls != 0 {
			t.Errorf("%s: then %d calls", number, d.Calls)
		}
	}
	// The cancelled one is taken up again.
	w.mustTurn(mapper.OrderCreation, "600002", orderBody("600002", line(1, 1)), bornFacts(), ledger.Delivered)
}

// TestALineThatWasAddedShippedAndCancelledGoesIntoTheOrderFirst has the OMS add a line, ship of it and cancel the rest before NuORDER
// was told of the line: the edit waits for the shipment, which is refused until the edit has told of the line. It is refused once.
func TestALineThatWasAddedShippedAndCancelledGoesIntoTheOrderFirst(t *testing.T) {
	t.Parallel()
	for name, merge := range map[string]bool{"replaced": false, "merged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOrderWorld(t, merge, func(c *nuorder.OrdersConfig) { c.Creation, c.Shipments = true, true })
			id := w.mustTurn(mapper.OrderCreation, "600001", orderBody("600001", line(2, -1)), bornFacts(), ledger.Delivered).Object.RemoteID
			facts := bornFacts()
			maps.Copy(facts, map[string]string{"cancelled": "true", "shipped": "1"})
			body, sent := orderBody("600001", line(2, 3)), shipments(shipment("T1", 0, 1))
			for n := range 2 {
				d := w.mustTurn(mapper.Shipments, "600001", sent, facts, ledger.Waiting)
				if refused := d.Calls > 0; refused != (n == 0) || d.WaitFor[0].Flow != mapper.OrderEdits {
					t.Errorf("the shipment waits for %v after %d calls at turn %d", d.WaitFor, d.Calls, n+1)
				}
			}
			for n := range 2 {
				d := w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Waiting)
				if d.Told != (n == 0) || d.Told != (d.Calls > 0) || d.WaitFor[0].Flow != mapper.Shipments {
					t.Errorf("the edit waits for %v after %d calls at turn %d, told %t", d.WaitFor, d.Calls, n+1, d.Told)
				}
			}
			w.mustTurn(mapper.Shipments, "600001", sent, facts, ledger.Delivered)
			w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Delivered)
			if got := w.units(id); got != "S M1" || w.at(id)["status"] != "shipped" {
				t.Errorf("at NuORDER %s in status %v", got, w.at(id)["status"])
			}
			w.mustTurn(mapper.OrderEdits, "600001", body, facts, ledger.Unchanged)
		})
	}
}
