package nuorder_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// newRows makes a world whose portal takes replenishments, with a product in it.
func newRows(t *testing.T, known map[string]string) *world {
	t.Helper()
	w := newWorld(t, func(s *portal.Switches) { s.Inventory = "both" }, func(c *nuorder.Config) {
		c.Dialect.Replenishments, c.Dialect.Warehouses = true, known
	})
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	return w
}

// inDoubt puts the stock in doubt, as the loop does after an answer that was lost, or takes the doubt from it.
func (w *world) inDoubt(doubt bool) {
	o := w.object(mapper.Inventory, "1")
	o.InDoubt = doubt
	w.objects.mu.Lock()
	w.objects.objects[o.ObjectID] = o
	w.objects.mu.Unlock()
}

// delivery is stock of which seven come on a day.
func delivery(day string) string { return strings.Replace(stock(5), "12/31/2099", day, 1) }

// TestNotFoundOfReplenishmentsThatAreTakenIsTriedAgain answers the writes of rows, and the call that has them shown, with 404.
func TestNotFoundOfReplenishmentsThatAreTakenIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{true, false} {
		for _, path := range []string{"/api/v3.0/", "/api/inventory/flags"} {
			t.Run(fmt.Sprint(path, done), func(t *testing.T) {
				t.Parallel()
				w := newRows(t, nil)
				for _, body := range []string{stock(5), stock(7), ""} {
					m := &missing{path: path, done: done}
					w.missing.Store(m)
					_, err := w.deliver(mapper.Inventory, "1", "B-1", body)
					w.missing.Store(nil)
					if body == "" && w.object(mapper.Inventory, "1").RemoteID == "" || m.told.Load() == 0 || fault.KindOf(err) != fault.Retry {
						t.Fatalf("after %d calls: got %v, want a retry", m.told.Load(), err)
					}
					w.inDoubt(true)
					w.must(mapper.Inventory, "1", "B-1", body, ledger.Delivered)
				}
				if got := w.quantities(); got != "S immediate 0, M immediate 0, S later 0" || len(w.objects.doubted) != 0 {
					t.Errorf("got %s, doubted %v", got, w.objects.doubted)
				}
			})
		}
	}
}

// TestAWarehouseThatTheProductDoesNotListIsAReject names a warehouse that the portal does not have.
func TestAWarehouseThatTheProductDoesNotListIsAReject(t *testing.T) {
	t.Parallel()
	w := newRows(t, map[string]string{"default": "aaaaaaaaaaaaaaaaaaaaaaa9"})
	_, err := w.deliver(mapper.Inventory, "1", "B-1", stock(5))
	if fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != nuorder.CodeNotFound || !strings.Contains(err.Error(), "warehouse") {
		t.Fatalf("got %v, want a reject that tells of warehouses", err)
	}
}

// TestReplenishmentsOfALostWriteAreTakenOut loses the answer of a write whose delivery is on another day when it is tried again.
func TestReplenishmentsOfALostWriteAreTakenOut(t *testing.T) {
	t.Parallel()
	w := newRows(t, nil)
	w.missing.Store(&missing{path: "/api/v3.0/", done: true})
	if _, err := w.deliver(mapper.Inventory, "1", "B-1", delivery("11/30/2099")); err == nil {
		t.Fatal("the write was answered")
	}
	w.missing.Store(nil)
	w.inDoubt(true)
	w.must(mapper.Inventory, "1", "B-1", delivery("12/31/2099"), ledger.Delivered)
	later := 0
	for _, row := range w.shownRows() {
		if q := string(row.Quantity); row.Bucket != nuorder.Immediate && q != "0" {
			later++
		}
	}
	if later != 1 {
		t.Errorf("%d deliveries are there, want one: %+v", later, w.shownRows())
	}
	w.inDoubt(false)
	if d := w.must(mapper.Inventory, "1", "B-1", delivery("12/31/2099"), ledger.Delivered); d.Calls != 0 {
		t.Errorf("stock in step took %d calls", d.Calls)
	}
}

type shownRow struct {
	Bucket   string      `json:"bucket"`
	Quantity json.Number `json:"quantity"`
}

// shownRows reads what the product shows of its stock.
func (w *world) shownRows() []shownRow {
	w.t.Helper()
	p, err := w.client.Product(w.t.Context(), w.object(mapper.Products, "1").RemoteID)
	if err != nil {
		w.t.Fatal(err)
	}
	var doc struct {
		Cache []shownRow `json:"__inventory_cache"`
	}
	if err := json.Unmarshal(p.Raw, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc.Cache
}

// TestSizesWithOtherIDsAreLearned refuses rows because the ledger has old ids of the sizes: the product's flow is asked, and the stock waits.
func TestSizesWithOtherIDsAreLearned(t *testing.T) {
	t.Parallel()
	w := newRows(t, nil)
	o := w.object(mapper.Products, "1")
	for name := range o.Identity {
		if strings.HasPrefix(name, "size:") {
			o.Identity[name] = "bbbbbbbbbbbbbbbbbbbbbbb1"
		}
	}
	w.objects.mu.Lock()
	w.objects.objects[o.ObjectID] = o
	w.objects.mu.Unlock()
	d := w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Waiting)
	if len(d.WaitFor) != 1 || d.WaitFor[0].Flow != mapper.Products || len(w.objects.doubted) != 1 {
		t.Fatalf("waits for %v, doubted %v", d.WaitFor, w.objects.doubted)
	}
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered)
}

// TestReplenishmentsThatTheAnswerDeniesAreNotTakenForStored hides failures in a success: rows that may yet be taken are written again in
// place, and refused ones are a reject.
func TestReplenishmentsThatTheAnswerDeniesAreNotTakenForStored(t *testing.T) {
	t.Parallel()
	for body, again := range map[string]bool{
		`[{"code":500,"message":"internal"}]`: true, `{"code":500,"message":"internal"}`: true, `[{"index":0,"error":"no"}]`: false,
		`[{"index":0,"success":false,"message":"no"}]`: false, `{"updates":[],"errors":[{"message":"no"}]}`: false,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			w := newRows(t, nil)
			w.lie.Store(&lie{method: http.MethodPut, path: "/api/v3.0/", undone: body})
			d, err := w.deliver(mapper.Inventory, "1", "B-1", stock(5))
			if !again {
				if fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != nuorder.CodeRowsRefused {
					t.Fatalf("got %v, want a reject", err)
				}
				return
			}
			if err != nil || d.Calls != 3 || w.quantities() != "S immediate 5, M immediate 1, S later 7" {
				t.Fatalf("got %v after %d calls: %s", err, d.Calls, w.quantities())
			}
		})
	}
}

// TestAnAnswerWithoutARowIsNoProofOfRows answers a bulk with an empty list.
func TestAnAnswerWithoutARowIsNoProofOfRows(t *testing.T) {
	t.Parallel()
	w := newRows(t, nil)
	w.lie.Store(&lie{method: http.MethodPut, path: "/api/v3.0/", undone: "[]"})
	if _, err := w.deliver(mapper.Inventory, "1", "B-1", stock(5)); fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != nuorder.CodeContradicts {
		t.Fatalf("got %v, want a retry because the answer contradicts", err)
	}
}

// TestAFalse404OfRowsIsTriedAgainInPlace answers one write of rows with 404: nobody but the portal hears of it.
func TestAFalse404OfRowsIsTriedAgainInPlace(t *testing.T) {
	t.Parallel()
	w := newRows(t, nil)
	w.lie.Store(&lie{method: http.MethodPut, path: "/api/v3.0/", undone: `{"code":404,"message":"not found"}`})
	if d := w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered); d.Calls != 3 {
		t.Errorf("%d calls, want the rows twice and the flags", d.Calls)
	}
}

// TestAConflictOfStockIsTriedAgain answers writes of stock with 409, which names nobody.
func TestAConflictOfStockIsTriedAgain(t *testing.T) {
	t.Parallel()
	const answer = `{"code":409,"message":"conflict"}`
	for _, path := range []string{"/api/v3.0/", "/api/inventory/flags"} {
		w := newRows(t, nil)
		w.conflict.Store(&conflict{http.MethodPut, path, answer})
		if d := w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered); d.Calls != 3 {
			t.Errorf("%s: %d calls, want one of two again", path, d.Calls)
		}
	}
	w := newWorld(t, nil, nil)
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.conflict.Store(&conflict{http.MethodPost, "/api/inventory/", answer})
	if _, err := w.deliver(mapper.Inventory, "1", "B-1", stock(5)); fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != nuorder.CodeContradicts {
		t.Fatalf("got %v, want a retry because the answer contradicts", err)
	}
}

// TestAFailureTellsWhetherSomethingWasWritten ends deliveries by a clear refusal, after a call that has written or may have, and before one.
func TestAFailureTellsWhetherSomethingWasWritten(t *testing.T) {
	t.Parallel()
	const row = `,"price_sheets":[{"template":"Gold","currency_code":"USD","wholesale":9}]`
	const no = `{"success":false,"message":"no"}`
	w := newWorld(t, nil, nil)
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.lie.Store(&lie{method: http.MethodPut, path: "/api/pricesheet/", undone: no})
	if d, err := w.deliver(mapper.Products, "1", "B-1", product("two", row)); fault.KindOf(err) != fault.Reject || !d.Wrote {
		t.Errorf("the product was written and a row refused: wrote %v, %v", d.Wrote, err)
	}
	if d, err := w.deliver(mapper.Products, "2", "B-2", `{"brand_id":"B-2"}`); fault.KindOf(err) != fault.Reject || d.Wrote {
		t.Errorf("the product was refused: wrote %v, %v", d.Wrote, err)
	}
}
