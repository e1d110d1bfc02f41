package documents_test

import (
	"iter"
	"strings"
	"testing"

	"nubridge/internal/sandbox/oms"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

func TestIdsThatSeveralDocumentsClaimAreNamed(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 1, Styles: 5, Colors: 2, Customers: 1, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	all := func() iter.Seq2[mapper.Key, error] { return documents.Keys(t.Context(), pool, m, mapper.Products) }
	got, err := documents.Look(t.Context(), pool, m, mapper.Products, all)
	if err != nil || len(got.Duplicates) != 0 || got.Documents != 10 || got.Parked != 0 {
		t.Errorf("unique ids: got %v %v", got, err)
	}
	describe := func(f *mapper.Folder) *mapper.Schema {
		s, err := documents.Describe(t.Context(), pool, f, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	byStyle := compileFolder(t, describe, changed(t, "products.yaml", "id: text(style_color_id)", "id: item_number"))
	got, err = documents.Look(t.Context(), pool, byStyle, mapper.Products, all)
	if err != nil || len(got.Duplicates) != 5 || len(got.Duplicates[0].Keys) != 2 || !strings.Contains(got.Duplicates[0].String(), "make id: in the mapping unique") {
		t.Errorf("ids by style: got %v %v, want five of two", got, err)
	}
}
