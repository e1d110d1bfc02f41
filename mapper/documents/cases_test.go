package documents_test

import (
	"testing"
	"testing/fstest"

	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper/cases"
)

func TestCasesOfTheReferenceMappingPass(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	m := compile(t, pool)
	results, findings := cases.Run(mapping.Folder(), m)
	if len(findings) > 0 {
		t.Error(findings)
	}
	if len(results) < 10 {
		t.Errorf("only %d cases ran", len(results))
	}
	for _, r := range results {
		if !r.Passed() {
			t.Error(r)
		}
	}
	wrong := fstest.MapFS{"tests/wrong.yaml": {Data: []byte(`
- name: wrong
  flow: products
  rows: {root: {style_color_id: 1, item_number: A, season_code: F, status: Active, color_status: Active, color_description: Red}, sizes: [{size: S}], prices: [{currency: USD, price_1: 1}]}
  body: {brand_id: "2"}
- name: misspelt column
  flow: products
  rows: {root: {item_nmber: A}}
`)}}
	results, findings = cases.Run(wrong, m)
	if len(results) != 2 || results[0].Passed() || results[1].Passed() || len(findings) != 1 {
		t.Errorf("got %v and %v, want two failures and one finding", results, findings)
	}
	t.Log(results[0], "\n", findings)
}
