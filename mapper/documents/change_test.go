package documents_test

import (
	"strings"
	"testing"

	"nubridge/internal/fault"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// TestTablesThatChangeUnderTheMappingHalt changes a column's type and drops another while a reader holds prepared statements.
func TestTablesThatChangeUnderTheMappingHalt(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 1, Styles: 2, Colors: 1, Customers: 2, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		var err error
		// The first read after a change may find a statement that was prepared before it: the one after that has a new connection.
		for range 2 {
			if _, err = reader.Read(t.Context(), mapper.Products, []mapper.Want{{Key: "1"}}); err == nil {
				return nil
			}
		}
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	execute(t, pool, "alter table oms.skus add column note text")
	if err := read(); err != nil {
		t.Errorf("a column that no query asks for: %v", err)
	}
	execute(t, pool, "alter table oms.style_colors alter column available_from type text")
	if err := read(); fault.KindOf(err) != fault.Halt || !strings.Contains(err.Error(), "nubridge check") {
		t.Errorf("a column of another type: got %v, want a halt", err)
	}
	execute(t, pool, "alter table oms.style_colors drop column available_from")
	if err := read(); fault.KindOf(err) != fault.Halt {
		t.Errorf("a column that is gone: got %v, want a halt", err)
	}
}

// TestCheckAgainstADatabaseFindsWhatItLacks asks the database itself: columns, tables behind views, publication, rights.
func TestCheckAgainstADatabaseFindsWhatItLacks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	execute(t, pool, "create publication part for table oms.style_colors, oms.styles, oms.skus")
	execute(t, pool, "create table oms.labels (style_id bigint, label text)")
	execute(t, pool, "create view oms.labelled as select s.*, l.label from oms.styles s left join oms.labels l using (style_id)")
	execute(t, pool, "alter table oms.skus replica identity default")
	for name, c := range map[string]struct {
		old, with string
		want      []string
	}{
		"misspelt column in SQL":      {"select style_color_id, position, size, upc", "select style_color_id, position, sise, upc", []string{"products.yaml:8:42", `column "sise" does not exist`}},
		"no such table in SQL":        {"from oms.skus", "from oms.sku", []string{`relation "oms.sku" does not exist`}},
		"a view's table is unwatched": {"select style_color_id, position, size, upc\n        from oms.skus", "select k.style_color_id, k.position, k.size, k.upc, v.label\n        from oms.skus k join oms.style_colors using (style_color_id) join oms.labelled v using (style_id)", []string{"reads oms.labels, which no route watches"}},
		"publication":                 {"id: text", "id: text", []string{`publication "part" does not hold oms.style_prices`, "alter publication part add table oms.style_prices"}},
		"replica identity":            {"id: text", "id: text", []string{"a deleted row of oms.skus does not carry style_color_id", "alter table oms.skus replica identity full"}},
		"no array":                    {"where style_color_id = any($1)\n        order by position", "where style_color_id = $1\n        order by position", []string{"parameter $1 of query sizes is bigint", "any($1)"}},
	} {
		folder, findings := mapper.Load(changed(t, "products.yaml", c.old, c.with), "")
		if folder == nil {
			t.Fatalf("%s: %s", name, findings)
		}
		schema, err := documents.Describe(t.Context(), pool, folder, "part")
		if err != nil {
			t.Fatal(err)
		}
		m, findings := folder.Compile(schema, day)
		if m != nil {
			t.Errorf("%s: compiled", name)
		}
		for _, w := range c.want {
			if !strings.Contains(findings.String(), w) {
				t.Errorf("%s: want %q, got\n%s", name, w, findings)
			}
		}
	}
	role := pool.Config().ConnConfig.Database + "_reader"
	execute(t, pool, "create role "+role+" login; grant usage on schema oms to "+role+"; grant select on oms.styles, oms.style_colors, oms.skus to "+role)
	defer execute(t, pool, "drop owned by "+role+"; drop role "+role)
	config := pool.Config()
	config.ConnConfig.User = role
	limited := pgtest.PoolOf(t, strings.Replace(config.ConnString(), "postgres@", role+"@", 1))
	folder, findings := mapper.Load(mapping.Folder(), "")
	if folder == nil {
		t.Fatal(findings)
	}
	schema, err := documents.Describe(t.Context(), limited, folder, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, findings = folder.Compile(schema, day); !strings.Contains(findings.String(), "permission denied") || !strings.Contains(findings.String(), "grant select") {
		t.Errorf("a role without rights: got\n%s", findings)
	}
}
