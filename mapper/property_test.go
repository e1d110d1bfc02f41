package mapper_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"nubridge/mapper"
)

const properties = `
document:
  key: k
  root: select 1
  parts: {rows: select 1}
routes: [{table: a.b, key: k}]
id: k
fields:
  name: name
  code: k
  currency_code: '"USD"'
  amount: amount
  computed: amount + 0
  list: {each: rows, value: v}
  groups: {each: rows, group: g, fields: {g: {value: g, "null": send}, all: {each: group, value: v}}}
  sorted: {each: rows, order: v desc, value: v}
`

func propertyMapping(t testing.TB) (*mapper.Mapping, []mapper.Column, []mapper.Column) {
	t.Helper()
	root := []mapper.Column{column("k", mapper.Text), column("name", mapper.Text), column("amount", mapper.Decimal)}
	part := []mapper.Column{column("k", mapper.Text), column("g", mapper.Text), column("v", mapper.Int)}
	id := func(name string) mapper.QueryID { return mapper.QueryID{File: "customers.yaml", Name: name} }
	schema := &mapper.Schema{
		Queries: map[mapper.QueryID]mapper.QueryInfo{id("root"): {Columns: root, Params: []string{"text[]"}}, id("rows"): {Columns: part, Params: []string{"text[]"}}},
		Tables:  map[string]mapper.TableInfo{"a.b": {Columns: root, Identity: []string{"k"}}},
	}
	m, findings := load(schema, "customers.yaml", properties)
	if m == nil {
		t.Fatal(findings)
	}
	return m, root, part
}

func TestBodiesAreCanonicalWhateverTheValues(t *testing.T) {
	t.Parallel()
	m, root, part := propertyMapping(t)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		amount := decimal.New(rapid.Int64().Draw(t, "coefficient"), -rapid.Int32Range(0, 12).Draw(t, "scale"))
		scale := rapid.Int32Range(0, 14).Draw(t, "padded")
		n := rapid.IntRange(0, 8).Draw(t, "rows")
		var values [][]string
		var ints []int
		for range n {
			v := rapid.IntRange(-3, 3).Draw(t, "v")
			ints = append(ints, v)
			values = append(values, []string{"k", rapid.SampledFrom([]string{"a", "b", "NULL", ""}).Draw(t, "g"), decimal.NewFromInt(int64(v)).String()})
		}
		exact := amount.String()
		if scale > -amount.Exponent() {
			exact = amount.StringFixed(scale) // the same amount with more zeros
		}
		doc := mapper.NewDocument(rows(root, []string{"k", "x" + name, exact}), []mapper.Slice{rows(part, values...)})
		b, err := m.Body(mapper.Customers, "k", doc)
		if err != nil || len(b.Violations) > 0 {
			t.Fatal(err, b.Violations)
		}
		var got struct {
			Name             string
			Amount, Computed json.Number
			List, Sorted     []int
			Groups           []struct {
				G   *string
				All []int
			}
		}
		if err := json.Unmarshal(b.JSON, &got); err != nil {
			t.Fatalf("%v: %s", err, b.JSON)
		}
		if want := "x" + strings.ToValidUTF8(name, "\uFFFD"); got.Name != want {
			t.Fatalf("name %q, want %q", got.Name, want)
		}
		if got.Amount != got.Computed || got.Amount.String() != amount.String() {
			t.Fatalf("amount %s, computed %s, want %s", got.Amount, got.Computed, amount)
		}
		if !slices.Equal(got.List, ints) {
			t.Fatalf("list %v, want %v", got.List, ints)
		}
		slices.Sort(ints)
		slices.Reverse(ints)
		if !slices.Equal(got.Sorted, ints) {
			t.Fatalf("sorted %v, want %v", got.Sorted, ints)
		}
		count, seen := 0, map[string]bool{}
		for _, g := range got.Groups {
			name := "NULL"
			if g.G != nil {
				name = "=" + *g.G
			}
			if seen[name] {
				t.Fatalf("group %q is there twice", name)
			}
			seen[name] = true
			count += len(g.All)
		}
		if count != n {
			t.Fatalf("groups hold %d rows, want %d", count, n)
		}
		again, _ := m.Body(mapper.Customers, "k", doc)
		if string(again.JSON) != string(b.JSON) {
			t.Fatal("the same document gave other bytes")
		}
	})
}

func TestKeyOfAndPartsAreInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a|\\ "]{0,4}`), 1, 4).Draw(t, "parts")
		if got := mapper.KeyOf(slices.Clone(parts)...).Parts(); !slices.Equal(got, parts) {
			t.Fatalf("got %q, want %q", got, parts)
		}
	})
}

// FuzzLoad feeds the loader foreign files: it must give findings or a folder, never panic, and findings must print.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(orders), []byte("fields: {a: b}"))
	f.Add([]byte(properties), []byte("document: ~"))
	f.Add([]byte("a: |\n  b\n c: {"), []byte("- 1"))
	f.Fuzz(func(t *testing.T, text, over []byte) {
		fsys := fstest.MapFS{"orders.yaml": {Data: text}, "overlays/test/orders.yaml": {Data: over}}
		folder, findings := mapper.Load(fsys, "test")
		_ = findings.String()
		if folder == nil {
			if !findings.HasErrors() {
				t.Fatal("no folder and no error")
			}
			return
		}
		m, more := folder.Compile(orderSchema(), clock)
		if m == nil && !more.HasErrors() {
			t.Fatal("no mapping and no error")
		}
		_ = more.String()
		if m != nil {
			b, err := m.Body(mapper.OrderEdits, "7", order("Open", []string{"7", "P1", "S", "2", "10.50"}))
			if err == nil && len(b.JSON) > 0 && len(b.Violations) == 0 && !json.Valid(b.JSON) {
				t.Fatalf("invalid JSON: %s", b.JSON)
			}
		}
	})
}

// FuzzExpression compiles and computes foreign expressions: no panic, and what is computed renders as JSON.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		`qty + 1`, `sum(order.lines, .q)`, `let x = 1; x`, `map(1..3, # / 0)`, `name[1:99]`, `order?.lines?.[0]`, `1..99999999`, `{"a": [1]}["a"][0]`, `split(name, "")`,
		`repeat(name, 999999999)`, `pad("", 999, "x")`, `-order`, `reduce(1..9, #acc + #)`, `order.lines | first()`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		quoted, err := json.Marshal(expression)
		if err != nil {
			return
		}
		n, findings := mapper.ParseNode("f.yaml", append([]byte("v: "), quoted...))
		if findings.HasErrors() || n == nil || n.Get("v") == nil {
			return
		}
		tmpl, findings := mapper.CompileTemplate(n, env())
		_ = findings.String()
		if tmpl == nil {
			return
		}
		out, err := tmpl.Render(values(t))
		if err == nil && !json.Valid(out) {
			t.Fatalf("%s gives %s", expression, out)
		}
	})
}
