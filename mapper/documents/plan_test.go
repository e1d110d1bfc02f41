package documents_test

import (
	"bytes"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// changed gives the reference folder with one text replaced.
func changed(t testing.TB, file, old, with string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(mapping.Folder(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(mapping.Folder(), path)
		if path == file {
			if !strings.Contains(string(text), old) {
				t.Fatalf("%s has no %q", file, old)
			}
			text = []byte(strings.Replace(string(text), old, with, 1))
		}
		out[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compileFolder(t testing.TB, describe func(*mapper.Folder) *mapper.Schema, fsys fs.FS) *mapper.Mapping {
	t.Helper()
	folder, findings := mapper.Load(fsys, "sandbox")
	if folder == nil {
		t.Fatal(findings)
	}
	m, findings := folder.Compile(describe(folder), day)
	if m == nil {
		t.Fatal(findings)
	}
	return m
}

func TestPlanCountsWhatAMappingChangeWouldAlter(t *testing.T) {
	t.Parallel()
	pool, before := reference(t, oms.Sizes{Seed: 1, Styles: 10, Colors: 2, Customers: 5, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	describe := func(f *mapper.Folder) *mapper.Schema {
		s, err := documents.Describe(t.Context(), pool, f, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	execute(t, pool, "update oms.styles set department_code = (select min(department_code) from oms.departments) where style_id <= 3")
	var first string
	if err := pool.QueryRow(t.Context(), "select min(department_code) from oms.departments").Scan(&first); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), "select count(*) from oms.style_colors join oms.styles using (style_id) where department_code <> $1", first).Scan(&n); err != nil {
		t.Fatal(err)
	}
	filtered := compileFolder(t, describe, changed(t, "products.yaml", "active: status", "filter: department_code == \""+first+"\"\nactive: status"))
	a, err := documents.Plan(t.Context(), pool, before, filtered, mapper.Products, documents.Keys(t.Context(), pool, before, mapper.Products))
	if err != nil {
		t.Fatal(err)
	}
	if a.Documents != 20 || a.Filtered != n || a.Total() != n {
		t.Errorf("got %s, want %d no longer selected of 20", a, n)
	}
	renamed := compileFolder(t, describe, changed(t, "products.yaml", "name: item_number", "name: upper(color_description)"))
	a, err = documents.Plan(t.Context(), pool, before, renamed, mapper.Products, documents.Keys(t.Context(), pool, before, mapper.Products))
	if err != nil || a.Changed != 20 {
		t.Errorf("got %s %v, want 20 changed", a, err)
	}
	a, err = documents.Plan(t.Context(), pool, before, before, mapper.Products, documents.Keys(t.Context(), pool, before, mapper.Products))
	if err != nil || a.Total() != 0 {
		t.Errorf("the same mapping alters %s %v", a, err)
	}
}

func TestDocumentIsTranslatedByTheMappingThatReadIt(t *testing.T) {
	t.Parallel()
	pool, before := reference(t, oms.Sizes{Seed: 1, Styles: 1, Colors: 1, Customers: 1, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	describe := func(f *mapper.Folder) *mapper.Schema {
		s, err := documents.Describe(t.Context(), pool, f, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	after := compileFolder(t, describe, changed(t, "products.yaml", "name: item_number", "name: '\"new\"'"))
	var live atomic.Pointer[mapper.Mapping]
	live.Store(before)
	reader, err := documents.NewReader(pool, live.Load, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := reader.Read(t.Context(), mapper.Products, []mapper.Want{{Key: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	live.Store(after)
	b, err := live.Load().Body(mapper.Products, "1", old[0].Document)
	if err != nil || contains(b.JSON, `"name":"new"`) {
		t.Errorf("a document of the old mapping was translated by the new one: %s %v", b.JSON, err)
	}
	trial, err := reader.Try(t.Context(), mapper.Products, "1", b.JSON)
	if err != nil || len(trial.Differences) != 1 || trial.Differences[0].Path != "name" {
		t.Errorf("got differences %v %v, want the name", trial.Differences, err)
	}
	var out bytes.Buffer
	if err := trial.Print(&out); err != nil || !strings.Contains(out.String(), "~ name:") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// One document whose query cannot take a value says so for itself; all others are compared. // I7
func TestADocumentThatCannotBeReadHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	pool, before := reference(t, oms.Sizes{Seed: 1, Styles: 10, Colors: 2, Customers: 5, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()})
	describe := func(f *mapper.Folder) *mapper.Schema {
		s, err := documents.Describe(t.Context(), pool, f, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	execute(t, pool, `update oms.styles set custom = '{"pieces": "a dozen"}' where style_id = 3`)
	after := compileFolder(t, describe, changed(t, "sql/product.sql", "sc.available_from,", "(s.custom->>'pieces')::int as pieces, sc.available_from,"))
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return after }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var keys []mapper.Key
	for k, err := range documents.Keys(t.Context(), pool, after, mapper.Products) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	bodies, err := reader.Bodies(t.Context(), mapper.Products, keys, nil)
	if err != nil || len(bodies) != 20 {
		t.Fatalf("%d bodies, %v", len(bodies), err)
	}
	broken := 0
	for i, b := range bodies {
		if b.Key != keys[i] {
			t.Errorf("body %d is that of %s, want %s", i, b.Key, keys[i])
		}
		if len(b.Violations) > 0 {
			broken++
		} else if len(b.JSON) == 0 {
			t.Errorf("%s was not translated", b.Key)
		}
	}
	a, err := documents.Plan(t.Context(), pool, before, after, mapper.Products, documents.Keys(t.Context(), pool, before, mapper.Products))
	if err != nil || broken != 2 || a.Parked != 2 || a.Total() != 2 || a.Documents != 20 {
		t.Errorf("%d break a rule, the plan says %s, %v; want two of 20", broken, a, err)
	}
}
