package nuorder_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"nubridge/internal/fault"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/sink/nuorder"
)

func TestBuyersComeChangeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.ready()
	c, ctx := w.client, t.Context()
	buyers := func() string {
		t.Helper()
		p, err := c.CompanyByCode(ctx, "C1")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range p.Buyers {
			names = append(names, string(b.Name)+" "+string(b.Email))
		}
		return strings.Join(names, ", ")
	}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return c.AddBuyer(ctx, "C1", nuorder.Buyer{Name: "Ann", Email: "a+b@example.com"}) }, "Ann a+b@example.com"},
		{func() error {
			return c.UpdateBuyer(ctx, "C1", "a+b@example.com", nuorder.Buyer{Name: "Anna", Email: "a+b@example.com"})
		}, "Anna a+b@example.com"},
		{func() error { return c.RemoveBuyer(ctx, "C1", "a+b@example.com") }, ""},
		{func() error { return c.RemoveBuyer(ctx, "C1", "a+b@example.com") }, ""},
		{func() error { return c.RemoveBuyers(ctx, "C1") }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := buyers(); got != step.want {
			t.Fatalf("buyers %q, want %q", got, step.want)
		}
	}
}

func TestARefusedRowOfAPriceSheetIsAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.ready()
	good := json.RawMessage(`{"currency_code":"USD","pricing":[{"brand_id":"B-1","wholesale":9,"retail":19}]}`)
	if err := w.client.UpsertPriceSheet(t.Context(), "VIP 10%", good); err != nil {
		t.Fatal(err)
	}
	raw, err := w.client.PriceSheet(t.Context(), "VIP 10%")
	if err != nil || !strings.Contains(string(raw), `"wholesale":9`) {
		t.Fatalf("got %s, %v", raw, err)
	}
	bad := json.RawMessage(`{"currency_code":"USD","pricing":[{"brand_id":"B-1","wholesale":8,"retail":19},{"brand_id":"nobody","wholesale":9}]}`)
	if err := w.client.UpsertPriceSheet(t.Context(), "VIP 10%", bad); fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != nuorder.CodeRowsRefused {
		t.Fatalf("got %v", err)
	}
	if err := w.client.RemoveProductPriceSheets(t.Context(), "B-1"); err != nil {
		t.Fatal(err)
	}
}

func TestSchemasListsAndDatesAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *portal.Switches) { s.Pagination, s.PageSize = "forced", 1 }, nil)
	w.ready()
	s, err := w.client.Schema(t.Context(), "product")
	if err != nil || len(s.Fields) == 0 {
		t.Fatalf("got %+v, %v", s, err)
	}
	products, err := w.client.ProductsModifiedAfter(t.Context(), time.Now().AddDate(0, 0, -2))
	if err != nil || len(products) != 1 {
		t.Fatalf("%d products, %v", len(products), err)
	}
	ids, err := w.client.ProductIDs(t.Context(), "FW26")
	if err != nil || len(ids) != 1 || ids[0] != string(products[0].ID) {
		t.Fatalf("got %v, %v", ids, err)
	}
	companies, err := w.client.CompaniesModifiedAfter(t.Context(), time.Now().AddDate(0, 0, -2))
	if err != nil || len(companies) != 1 {
		t.Fatalf("%d companies, %v", len(companies), err)
	}
	codes, err := w.client.CompanyCodes(t.Context())
	if err != nil || len(codes) != 1 || codes[0] != "C1" {
		t.Fatalf("got %v, %v", codes, err)
	}
	f := s.Fields[0]
	if !f.Allows("anything") && len(f.Details.AllowedValues) == 0 {
		t.Fatal("a field without a list refuses a value")
	}
}
