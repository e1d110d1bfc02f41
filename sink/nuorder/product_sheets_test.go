package nuorder_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
