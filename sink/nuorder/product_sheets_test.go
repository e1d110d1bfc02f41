package nuorder_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
)

// sheets lists the rows of all price sheets as text.
func (w *world) sheets() []string {
	w.t.Helper()
	s, err := w.server.State("")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, r := range s.Pricesheets {
		out = append(out, fmt.Sprintf("%v %v %v %v", r["template"], r["currency_code"], r["wholesale"], r["retail"]))
	}
	slices.Sort(out)
	return out
}

func sheets(rows ...string) string { return `,"price_sheets":[` + strings.Join(rows, ",") + `]` }

func TestPriceSheetsOfAProductFollowItsBody(t *testing.T) {
	t.Parallel()
	// A portal that refuses what it does not know: the rows must not be part of the product.
	w := newWorld(t, func(s *portal.Switches) { s.UnknownFields = "refuse" }, nil)
	gold := `{"template":"Gold","currency_code":"USD","wholesale":9,"retail":19,"sizes":[{"size":"S","wholesale":8}]}`
	goldEUR := `{"template":"Gold","currency_code":"EUR","wholesale":7,"retail":17}`
	vip := `{"template":"V.I.P. a/b","currency_code":"USD","wholesale":5,"retail":15}`
	expect := func(what string, want ...string) {
		t.Helper()
		if got := w.sheets(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	d := w.must(mapper.Products, "1", "B-1", product("one", sheets(gold, goldEUR, vip)), ledger.Delivered)
	expect("made", "Gold EUR 7 17", "Gold USD 9 19", "V.I.P. a/b USD 5 15")
	if d.Calls != 4 {
		t.Errorf("made by %d calls, want the product and three rows", d.Calls)
	}
	// Only what changed is written.
	if d = w.must(mapper.Products, "1", "B-1", product("two", sheets(gold, goldEUR, strings.Replace(vip, "5,", "6,", 1))), ledger.Delivered); d.Calls != 2 {
		t.Errorf("one row changed by %d calls, want the product and the row", d.Calls)
	}
	expect("changed", "Gold EUR 7 17", "Gold USD 9 19", "V.I.P. a/b USD 6 15")
	// The portal takes a product out of a whole sheet: what stays in it is written again.
	w.must(mapper.Products, "1", "B-1", product("two", sheets(gold)), ledger.Delivered)
	expect("left", "Gold USD 9 19")
	// A person took the row out meanwhile, which the portal answers as a refusal.
	if err := w.client.RemoveProductPriceSheets(t.Context(), "B-1"); err != nil {
		t.Fatal(err)
	}
	w.must(mapper.Products, "1", "B-1", product("two", ""), ledger.Delivered)
	expect("none")
	// In doubt everything is written again.
	w.must(mapper.Products, "1", "B-1", product("two", sheets(gold)), ledger.Delivered)
	if err := w.client.RemoveProductPriceSheets(t.Context(), "B-1"); err != nil {
		t.Fatal(err)
	}
	o := w.object(mapper.Products, "1")
	o.InDoubt = true
	w.objects.objects[o.ObjectID] = o
	w.must(mapper.Products, "1", "B-1", product("two", sheets(gold)), ledger.Delivered)
	expect("in doubt", "Gold USD 9 19")
	w.must(mapper.Products, "1", "B-1", "", ledger.Delivered)
	if s := w.stored(o.RemoteID)["archived"]; s != true {
		t.Errorf("a filtered product with price sheets is archived: got %v", s)
	}
}

// TestPriceSheetsUnderFalseAnswers answers writes to sheets with what tells nothing of them: the product is tried again, and its rows end
// as they must.
func TestPriceSheetsUnderFalseAnswers(t *testing.T) {
	t.Parallel()
	const gold, silver = `{"template":"Gold","currency_code":"USD","wholesale":9,"retail":19}`, `{"template":"Silver","currency_code":"USD","wholesale":8,"retail":18}`
	for _, done := range []bool{true, false} {
		t.Run(fmt.Sprint("404 done ", done), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			w.must(mapper.Products, "1", "B-1", product("one", sheets(gold, silver)), ledger.Delivered)
			for i, body := range []string{product("one", sheets(strings.Replace(gold, "9,", "7,", 1), silver)), product("one", sheets(silver)), product("one", "")} {
				m := &missing{path: "/api/pricesheet/", done: done}
				w.missing.Store(m)
				_, err := w.deliver(mapper.Products, "1", "B-1", body)
				w.missing.Store(nil)
				// A removal that was carried out, and a sheet that shows it, need no other try.
				if taken := done && i > 0; m.told.Load() == 0 || (err == nil) != taken || !taken && fault.KindOf(err) != fault.Retry {
					t.Fatalf("step %d after %d calls: got %v", i, m.told.Load(), err)
				}
				w.must(mapper.Products, "1", "B-1", body, ledger.Delivered)
			}
			if got := w.sheets(); len(got) != 0 {
				t.Errorf("left: %q", got)
			}
		})
	}
	for name, undone := range map[string]string{"409": `{"code":409,"message":"conflict"}`, "nothing": " "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			w.lie.Store(&lie{method: "PUT", path: "/api/pricesheet/", undone: undone})
			if _, err := w.deliver(mapper.Products, "1", "B-1", product("one", sheets(gold))); err != nil && fault.KindOf(err) != fault.Retry {
				t.Fatalf("got %v, want a retry", err)
			}
			w.must(mapper.Products, "1", "B-1", product("one", sheets(gold)), ledger.Delivered)
			if got := w.sheets(); !slices.Equal(got, []string{"Gold USD 9 19"}) || w.lie.Load() != nil {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestASheetThatWasWrittenIsThere answers the write and the read of a sheet with 404 although the product is in it.
func TestASheetThatWasWrittenIsThere(t *testing.T) {
	t.Parallel()
	const gold, silver = `{"template":"Gold","currency_code":"USD","wholesale":9}`, `{"template":"Silver","currency_code":"USD","wholesale":8}`
	w := newWorld(t, nil, nil)
	w.must(mapper.Products, "1", "B-1", product("one", sheets(gold)), ledger.Delivered)
	for _, c := range []struct {
		row  string
		kind fault.Kind
	}{{strings.Replace(gold, "9", "7", 1), fault.Retry}, {silver, fault.Reject}} {
		w.missing.Store(&missing{path: "/api/pricesheet/", reads: true})
		_, err := w.deliver(mapper.Products, "1", "B-1", product("one", sheets(c.row)))
		w.missing.Store(nil)
		if fault.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want %v", c.row, err, c.kind)
		}
	}
}

// TestAConflictOfAReadIsTriedAgain answers the read of a sheet with 409.
func TestAConflictOfAReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.conflict.Store(&conflict{"GET", "/api/pricesheet/", `{"code":409,"message":"conflict"}`})
	if _, err := w.client.PriceSheet(t.Context(), "Gold"); fault.KindOf(err) != fault.Retry {
		t.Errorf("got %v, want a retry", err)
	}
}

// TestARowOfALostWriteLeavesItsSheet loses the answer of a row that is wanted no more when the product is tried again.
func TestARowOfALostWriteLeavesItsSheet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.missing.Store(&missing{path: "/api/pricesheet/", done: true})
	_, err := w.deliver(mapper.Products, "1", "B-1", product("one", sheets(`{"template":"Gold","currency_code":"USD","wholesale":9}`)))
	w.missing.Store(nil)
	if got := w.sheets(); err == nil || len(got) != 1 {
		t.Fatalf("got %v and %q, want a failure and a row", err, got)
	}
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	if got := w.sheets(); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

// TestAFalse404OfARemovalIsTriedAgainInPlace answers the removal of a row with 404, once.
func TestAFalse404OfARemovalIsTriedAgainInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.must(mapper.Products, "1", "B-1", product("one", sheets(`{"template":"Gold","currency_code":"USD","wholesale":9}`)), ledger.Delivered)
	w.lie.Store(&lie{method: "DELETE", path: "/api/pricesheet/", undone: `{"code":404,"message":"not found"}`})
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	if got := w.sheets(); len(got) != 0 || w.lie.Load() != nil {
		t.Errorf("left: %q", got)
	}
}
