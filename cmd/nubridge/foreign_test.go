package main

import (
	"strings"
	"testing"
)

// TestForeignOMSIsBridged maps an OMS that nobody here has seen from docs/MAPPING.md alone: the check names what the database
// lacks with the statements that mend it, and what then changes, live and while the bridge is down, ends right at NuORDER.
func TestForeignOMSIsBridged(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	findings := f.check("fail")
	if len(findings) != 3 {
		t.Fatalf("got %d findings, want the three tables without a replica identity:\n%s", len(findings), strings.Join(findings, "\n"))
	}
	for _, finding := range findings {
		_, statements, ok := strings.Cut(finding, "run: ")
		if !ok {
			t.Fatalf("no statement to run in %s", finding)
		}
		for s := range strings.SplitSeq(statements, ";") {
			if s = strings.TrimSpace(s); strings.HasPrefix(s, "alter table") {
				f.exec(s)
			}
		}
	}
	if left := f.check("fail"); len(left) > 0 {
		t.Fatalf("still wrong after its own statements:\n%s", strings.Join(left, "\n"))
	}
	f.start()
	defer f.stop()
	product := func(item, contains string) wanted {
		return wanted{"products", "brand_id", f.brand(item, "R"), contains}
	}
	f.await("load",
		product("A-KEEP", `{"style_number": "A-KEEP", "color": "Red", "color_code": "R", "season": "W26", "archived": false, "care": "cold",
			"pricing": {"USD": {"wholesale": 49.9, "retail": 120}, "CHF": {"wholesale": 45.5, "retail": 110}}}`),
		product("A-ONE", `{"sizes": [{"size": "one size"}]}`),
		product("B-FILTER", `{"archived": false}`),
		wanted{"companies", "code", "1-10", `{"name": "Shop 10", "currency_code": "USD", "discount": 2.5, "payment_terms": "Net 30"}`},
	)
	change := func(prefix string) []wanted {
		f.exec(strings.ReplaceAll(`
			update "Loom"."Price List" set "Amount" = 44.5 where "ItemNo" = '?-PRICE' and "Currency" = 'USD' and "Tier" = 'W' and "Amount" = 49.9;
			update "Loom"."Item" set "Custom" = jsonb_set("Custom", '{portal}', 'false') where "ItemNo" = '?-FILTER';
			update "Loom"."Item" set "Gone" = now() where "ItemNo" = '?-SOFT';`, "?", prefix))
		return []wanted{
			product(prefix+"-PRICE", `{"pricing": {"USD": {"wholesale": 44.5}}}`),
			product(prefix+"-FILTER", `{"archived": true}`),
			product(prefix+"-SOFT", `{"archived": true}`),
			product(prefix+"-KEEP", `{"archived": false}`),
		}
	}
	f.await("changed while it runs", change("A")...)
	f.exec(`update "Loom"."Item" set "Custom" = jsonb_set("Custom", '{portal}', 'true') where "ItemNo" = 'A-FILTER'`)
	f.await("filtered in again", product("A-FILTER", `{"archived": false}`))
	f.stop()
	down := change("B")
	f.start()
	f.await("changed while it was down", down...)
}
