package mapper_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"nubridge/cdc"
	"nubridge/mapper"
)

// orders is a mapping file of the orders flow over a made-up schema.
const orders = `
document:
  key: order_no
  root: select order_no, ref, status, cust, starts from shop.orders where order_no = any($1)
  parts:
    lines:
      sql: select order_no, product, size, qty, price from shop.lines where order_no = any($1)
routes:
  - {table: shop.orders, key: order_no}
  - {table: shop.lines, key: order_no}
  - table: shop.sizes
    hop: {from: size_id, sql: "select size_id, order_no from shop.lines where size_id = any($1)"}
parents:
  - {flow: customers, key: cust}
  - {flow: products, each: lines, key: product}
id: text(order_no)
facts: {number: text(order_no), reference: ref ?? "", date: starts, cancelled: status == "Cancelled"}
filter: status != "Draft"
fields:
  order_number: text(order_no)
  currency_code: '"USD"'
  start_ship: starts
  retailer: {retailer_code: cust}
  line_items:
    each: lines
    group: product
    fields:
      product: {brand_id: product}
      sizes:
        each: group
        fields: {size: size, quantity: qty, price: price}
`

func column(name string, t mapper.Type) mapper.Column {
	return mapper.Column{Name: name, Type: t, Database: databaseName(t)}
}

func databaseName(t mapper.Type) string {
	return map[mapper.Type]string{mapper.Int: "bigint", mapper.Decimal: "numeric", mapper.Bool: "boolean", mapper.Date: "date", mapper.Any: "jsonb"}[t]
}

func lineColumns() []mapper.Column {
	return []mapper.Column{column("order_no", mapper.Int), column("product", mapper.Text), column("size", mapper.Text), column("qty", mapper.Int), column("price", mapper.Decimal)}
}

func orderColumns() []mapper.Column {
	return []mapper.Column{column("order_no", mapper.Int), column("ref", mapper.Text), column("status", mapper.Text), column("cust", mapper.Text), column("starts", mapper.Date)}
}

func orderSchema() *mapper.Schema {
	id := func(name string) mapper.QueryID { return mapper.QueryID{File: "orders.yaml", Name: name} }
	bigints := []string{"bigint[]"}
	return &mapper.Schema{
		Queries: map[mapper.QueryID]mapper.QueryInfo{
			id("root"):  {Columns: orderColumns(), Params: bigints, Tables: []string{"shop.orders"}},
			id("lines"): {Columns: lineColumns(), Params: bigints, Tables: []string{"shop.lines"}},
			id("hop 2"): {Columns: []mapper.Column{column("size_id", mapper.Int), column("order_no", mapper.Int)}, Params: bigints},
		},
		Tables: map[string]mapper.TableInfo{
			"shop.orders": {Columns: orderColumns(), Key: []string{"order_no"}, Identity: []string{"order_no"}},
			"shop.lines":  {Columns: append(lineColumns(), column("line", mapper.Int)), Key: []string{"order_no", "line"}, Identity: []string{"order_no", "line"}},
			"shop.sizes":  {Columns: []mapper.Column{column("size_id", mapper.Int)}, Key: []string{"size_id"}, Identity: []string{"size_id"}},
			"shop.other":  {},
		},
	}
}

// load compiles files, given as name and text in turn, against the schema.
func load(schema *mapper.Schema, files ...string) (*mapper.Mapping, mapper.Findings) {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	folder, findings := mapper.Load(fsys, "test")
	if folder == nil {
		return nil, findings
	}
	m, more := folder.Compile(schema, clock)
	return m, append(findings, more...)
}

func mustLoad(t testing.TB, files ...string) *mapper.Mapping {
	t.Helper()
	m, findings := load(orderSchema(), files...)
	if m == nil {
		t.Fatal(findings)
	}
	return m
}

func rows(columns []mapper.Column, values ...[]string) mapper.Slice {
	r := mapper.NewRows(columns)
	var index []int32
	for i, v := range values {
		row := make([][]byte, len(v))
		for j := range v {
			if v[j] != "NULL" {
				row[j] = []byte(v[j])
			}
		}
		r.Append(row)
		index = append(index, int32(i))
	}
	return mapper.Slice{Rows: r, Index: index}
}

func order(status string, lines ...[]string) *mapper.Document {
	return mapper.NewDocument(rows(orderColumns(), []string{"7", "NULL", status, "C1", "2026-12-01"}), []mapper.Slice{rows(lineColumns(), lines...)})
}

func TestOrderBecomesBodyWithFactsAndParents(t *testing.T) {
	t.Parallel()
	m := mustLoad(t, "orders.yaml", orders)
	b, err := m.Body(mapper.OrderEdits, "7", order("Open", []string{"7", "P1", "S", "2", "10.50"}, []string{"7", "P2", "M", "1", "3.00"}, []string{"7", "P1", "M", "4", "10.50"}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"order_number":"7","currency_code":"USD","start_ship":"2026-12-01","retailer":{"retailer_code":"C1"},"line_items":[` +
		`{"product":{"brand_id":"P1"},"sizes":[{"size":"S","quantity":2,"price":10.5},{"size":"M","quantity":4,"price":10.5}]},` +
		`{"product":{"brand_id":"P2"},"sizes":[{"size":"M","quantity":1,"price":3}]}]}`
	if diff := cmp.Diff(want, string(b.JSON)); diff != "" {
		t.Error(diff)
	}
	facts := map[string]string{"number": "7", "reference": "", "date": "2026-12-01", "cancelled": "false"}
	if diff := cmp.Diff(facts, b.Facts); diff != "" {
		t.Error(diff)
	}
	parents := []mapper.Ref{{Flow: mapper.Customers, Key: "C1"}, {Flow: mapper.Products, Key: "P1"}, {Flow: mapper.Products, Key: "P2"}}
	if diff := cmp.Diff(parents, b.Parents); diff != "" {
		t.Error(diff)
	}
	if b.RemoteKey != "7" || b.Filtered || len(b.Violations) != 0 {
		t.Errorf("got %+v", b)
	}
}

func TestRulesParkWithFieldRuleAndValue(t *testing.T) {
	t.Parallel()
	line := func(qty, price string) []string { return []string{"7", "P1", "S", qty, price} }
	for name, c := range map[string]struct {
		doc       *mapper.Document
		zeroPrice string
		want      string // field rule value of each violation
		json      string // part of the body
	}{
		"zero quantity leaves the line out":  {doc: order("Open", line("0", "1"), []string{"7", "P2", "S", "1", "1"}), json: `"line_items":[{"product":{"brand_id":"P2"}`},
		"all zero sends the empty set":       {doc: order("Open", line("0", "1")), json: `"line_items":[]`},
		"no line at all":                     {doc: order("Open"), want: "line_items required "},
		"negative quantity":                  {doc: order("Open", line("-1", "1")), want: "line_items[0].sizes[0].quantity not_negative -1"},
		"zero price is parked by default":    {doc: order("Open", line("1", "0.00")), want: "line_items[0].sizes[0].price positive 0"},
		"zero price is sent on demand":       {doc: order("Open", line("1", "0.00")), zeroPrice: "send", json: `"price":0}`},
		"NaN is no price":                    {doc: order("Open", line("1", "NaN")), want: "line_items[0].sizes[0].price expression ; line_items[0].sizes[0].price required "},
		"a cancelled order is never parked":  {doc: order("Cancelled"), json: `"line_items":[]`},
		"a missing size":                     {doc: order("Open", []string{"7", "P1", "", "1", "1"}), want: "line_items[0].sizes[0].size required "},
		"quantity above zero at second line": {doc: order("Open", line("1", "1"), []string{"7", "P2", "S", "1", "NULL"}), want: "line_items[1].sizes[0].price required "},
	} {
		text := orders
		if c.zeroPrice != "" {
			text += "zero_price: " + c.zeroPrice + "\n"
		}
		b, err := mustLoad(t, "orders.yaml", text).Body(mapper.OrderCreation, "7", c.doc)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range b.Violations {
			got = append(got, fmt.Sprintf("%s %s %s", v.Field, v.Rule, v.Value))
			if v.Text == "" {
				t.Errorf("%s: the violation has no text", name)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: got violations %q, want %q", name, s, c.want)
		}
		if !strings.Contains(string(b.JSON), c.json) || !json.Valid(b.JSON) {
			t.Errorf("%s: got %s, want a part %s", name, b.JSON, c.json)
		}
	}
}

func TestFilteredAndGoneDocumentsHaveNoBody(t *testing.T) {
	t.Parallel()
	m := mustLoad(t, "orders.yaml", orders)
	for _, d := range []*mapper.Document{nil, order("Draft", []string{"7", "P1", "S", "1", "1"})} {
		b, err := m.Body(mapper.OrderEdits, "7", d)
		if err != nil || !b.Filtered || len(b.JSON) != 0 {
			t.Errorf("got %+v %v, want a filtered body", b, err)
		}
	}
}

type row map[string]string

func (r row) Column(name string) cdc.Value {
	v, ok := r[name]
	switch {
	case !ok:
		return cdc.Value{}
	case v == "NULL":
		return cdc.Value{State: cdc.Null}
	case v == "TOAST":
		return cdc.Value{State: cdc.Unavailable}
	}
	return cdc.Value{State: cdc.Present, Text: v}
}

func TestRouteNamesDocumentsOfOldAndNewRow(t *testing.T) {
	t.Parallel()
	m := mustLoad(t, "orders.yaml", orders)
	hop := mapper.HopID{Flow: mapper.OrderEdits, Index: 2}
	for name, c := range map[string]struct {
		change cdc.Change
		want   mapper.Touches
		err    string
	}{
		"insert":                     {change: cdc.Change{Table: "lines", Op: cdc.OpCreate, After: row{"order_no": "7"}}, want: mapper.Touches{Keys: []mapper.Key{"7"}}},
		"a line that moves":          {change: cdc.Change{Table: "lines", Op: cdc.OpUpdate, Before: row{"order_no": "7"}, After: row{"order_no": "8"}}, want: mapper.Touches{Keys: []mapper.Key{"8", "7"}}},
		"update without old row":     {change: cdc.Change{Table: "lines", Op: cdc.OpUpdate, After: row{"order_no": "8"}}, want: mapper.Touches{Keys: []mapper.Key{"8"}}},
		"update with part of it":     {change: cdc.Change{Table: "lines", Op: cdc.OpUpdate, Before: row{"line": "1"}, After: row{"order_no": "8"}}, want: mapper.Touches{Keys: []mapper.Key{"8"}}},
		"same twice":                 {change: cdc.Change{Table: "lines", Op: cdc.OpUpdate, Before: row{"order_no": "8"}, After: row{"order_no": "8"}}, want: mapper.Touches{Keys: []mapper.Key{"8"}}},
		"delete":                     {change: cdc.Change{Table: "lines", Op: cdc.OpDelete, Before: row{"order_no": "7"}}, want: mapper.Touches{Keys: []mapper.Key{"7"}}},
		"delete that lacks the key":  {change: cdc.Change{Table: "lines", Op: cdc.OpDelete, Before: row{"line": "1"}}, err: "replica identity"},
		"unchanged toast in the key": {change: cdc.Change{Table: "lines", Op: cdc.OpUpdate, After: row{"order_no": "TOAST"}}, err: "order_no"},
		"NULL names nothing":         {change: cdc.Change{Table: "lines", Op: cdc.OpCreate, After: row{"order_no": "NULL"}}},
		"hop":                        {change: cdc.Change{Table: "sizes", Op: cdc.OpRead, After: row{"size_id": "5"}}, want: mapper.Touches{Hops: []mapper.Hop{{ID: hop, Values: []string{"5"}}}}},
		"a table nobody watches":     {change: cdc.Change{Table: "other", Op: cdc.OpCreate, After: row{"order_no": "7"}}},
		"truncate":                   {change: cdc.Change{Table: "lines", Op: cdc.OpTruncate}},
	} {
		c.change.Schema = "shop"
		got, err := m.Route(mapper.OrderEdits, &c.change)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got error %v, want one with %q", name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCheckFindsEveryMistakeWithPlaceExpectationAndSuggestion(t *testing.T) {
	t.Parallel()
	replace := func(old, with string) string {
		if !strings.Contains(orders, old) {
			t.Fatalf("the mapping has no %q", old)
		}
		return strings.Replace(orders, old, with, 1)
	}
	for name, c := range map[string]struct {
		text   string
		schema func(*mapper.Schema)
		want   []string
	}{
		"misspelt column":           {text: replace("starts\n  retailer", "start\n  retailer"), want: []string{"orders.yaml:22:15", `unknown name "start"`, `did you mean "starts"?`, "^"}},
		"misspelt column in a part": {text: replace("quantity: qty", "quantity: quty"), want: []string{`unknown name "quty"`, `did you mean "qty"?`}},
		"misspelt part":             {text: replace("each: lines\n    group", "each: line\n    group"), want: []string{`unknown name "line"`, `did you mean "lines"?`}},
		"misspelt entry":            {text: replace("filter:", "fliter:"), want: []string{`unknown entry "fliter"`, `did you mean "filter"?`}},
		"unknown flow":              {text: replace("flow: customers", "flow: customer"), want: []string{`flow is not known`, `did you mean "customers"?`}},
		"condition is no condition": {text: replace(`status != "Draft"`, `status`), want: []string{"filter is text", "true or false"}},
		"wrong types":               {text: replace("price: price", `price: price + size`), want: []string{"mismatched types", "decimal and string"}},
		"required field":            {text: replace("  start_ship: starts\n", ""), want: []string{"required field start_ship is not mapped"}},
		"required fact":             {text: replace("reference: ref ?? \"\", ", ""), want: []string{`the fact "reference" is missing`}},
		"no such table":             {text: replace("table: shop.lines", "table: shop.line"), want: []string{"no table shop.line", `did you mean "shop.lines"?`}},
		"table without schema":      {text: replace("table: shop.lines", "table: lines"), want: []string{"has no schema"}},
		"no such column in route":   {text: replace("shop.lines, key: order_no", "shop.lines, key: order_nr"), want: []string{`has no column "order_nr"`, `did you mean "order_no"?`}},
		"query reads what is not watched": {text: orders, schema: func(s *mapper.Schema) {
			id := mapper.QueryID{File: "orders.yaml", Name: "lines"}
			q := s.Queries[id]
			q.Tables = append(q.Tables, "shop.products")
			s.Queries[id] = q
			s.Tables["shop.products"] = mapper.TableInfo{}
		}, want: []string{"query lines reads shop.products, which no route watches", "go stale", "routes:"}},
		"part without the key": {text: orders, schema: func(s *mapper.Schema) {
			id := mapper.QueryID{File: "orders.yaml", Name: "lines"}
			q := s.Queries[id]
			q.Columns = q.Columns[1:]
			s.Queries[id] = q
		}, want: []string{`query lines does not give the key column "order_no"`}},
		"parameter is no array": {text: orders, schema: func(s *mapper.Schema) {
			id := mapper.QueryID{File: "orders.yaml", Name: "root"}
			q := s.Queries[id]
			q.Params = []string{"bigint"}
			s.Queries[id] = q
		}, want: []string{"parameter $1 of query root is bigint", "an array"}},
		"query that the database refuses": {text: orders, schema: func(s *mapper.Schema) {
			s.Queries[mapper.QueryID{File: "orders.yaml", Name: "lines"}] = mapper.QueryInfo{Error: `column "product" does not exist`, Position: 18}
		}, want: []string{"orders.yaml:7:29", `column "product" does not exist`}},
		"publication lacks the table": {
			text: orders, schema: func(s *mapper.Schema) { s.Publication = "Bridge" },
			want: []string{`publication "Bridge" does not hold shop.lines`, `alter publication "Bridge" add table shop.lines`},
		},
		"delete without the key": {text: orders, schema: func(s *mapper.Schema) {
			x := s.Tables["shop.lines"]
			x.Identity = []string{"line"}
			s.Tables["shop.lines"] = x
		}, want: []string{"a deleted row of shop.lines does not carry order_no", "alter table shop.lines replica identity full"}},
		"hop without its column": {text: orders, schema: func(s *mapper.Schema) {
			s.Queries[mapper.QueryID{File: "orders.yaml", Name: "hop 2"}] = mapper.QueryInfo{Columns: []mapper.Column{column("order_no", mapper.Int)}, Params: []string{"bigint[]"}}
		}, want: []string{`the hop does not give the column "size_id"`}},
		"query reads a materialized view": {text: orders, schema: func(s *mapper.Schema) {
			id := mapper.QueryID{File: "orders.yaml", Name: "lines"}
			q := s.Queries[id]
			q.Tables = append(q.Tables, "shop.totals")
			s.Queries[id] = q
		}, want: []string{"query lines reads shop.totals, which is no table", "read the tables behind it"}},
		"misspelt fact":        {text: replace("reference: ref", "referenze: ref"), want: []string{`unknown fact "referenze"`, `did you mean "reference"?`}},
		"a table in quotes":    {text: replace("table: shop.lines", `table: '"shop".lines'`), want: []string{"written with quotes", "write shop.lines"}},
		"an entry twice":       {text: replace("id: text(order_no)", "id: text(order_no)\nid: text(order_no)"), want: []string{"already defined", "leave one of the two"}},
		"a tab":                {text: replace("  start_ship", "\tstart_ship"), want: []string{"YAML takes no tabs"}},
		"another encoding":     {text: replace("id: text(order_no)", "id: text(order_no) # M\xfcller"), want: []string{"is not UTF-8", "M?ller", "iconv"}},
		"quotes inside braces": {text: replace("each: lines\n    group", "each: lines\n    x: {a: row[\"b\"]}\n    group"), want: []string{`{color: 'row["Color Name"]'}`}},
		"YAML that is none":    {text: "document: [\n", want: []string{"YAML:", "orders.yaml:"}},
		"an anchor":            {text: replace("id: text(order_no)", "id: &a text(order_no)"), want: []string{"not part of the format", "overlays"}},
	} {
		schema := orderSchema()
		if c.schema != nil {
			c.schema(schema)
		}
		m, findings := load(schema, "orders.yaml", c.text)
		if m != nil {
			t.Errorf("%s: compiled", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(findings.String(), want) {
				t.Errorf("%s: got\n%s\nwant %q", name, findings, want)
			}
		}
	}
}

func TestTextFilesAreTakenAsPeopleSaveThem(t *testing.T) {
	t.Parallel()
	table := strings.Replace(orders, "status != \"Draft\"", "lookup(\"w\", status) != nil", 1) + "lookups: {w: {csv: w.csv}}\n"
	if m, findings := load(orderSchema(), "orders.yaml", "\ufeff"+strings.ReplaceAll(table, "\n", "\r\n"), "w.csv", "\ufefffrom,to\r\nDraft,1\r\n"); m == nil {
		t.Errorf("a byte order mark and CRLF: got %s", findings)
	}
	for text, want := range map[string]string{
		"from,to\na,1\na,2\n":     `w.csv:3:1: error: "a" is listed twice`,
		"from;to\na;1\n":          "part the columns by a comma",
		"from,to\nM\xfcnchen,1\n": "w.csv:2:2: error: the file is not UTF-8",
		"from,to\na,1,2\n":        "w.csv:2",
		"from,to\n\"a,1\n":        "w.csv:",
		"a,1\n":                   "the first line from,to",
	} {
		m, findings := load(orderSchema(), "orders.yaml", table, "w.csv", text)
		if m != nil || !strings.Contains(findings.String(), want) {
			t.Errorf("%q: got %s, want %s", text, findings, want)
		}
	}
	_, findings := load(orderSchema(), "orders.yaml", strings.Replace(orders, "  start_ship", "  order_numbr: ref\n  start_ship", 1))
	if findings.HasErrors() || !strings.Contains(findings.String(), `did you mean "order_number"?`) {
		t.Errorf("a field that is almost one of NuORDER's: got %s", findings)
	}
}

func TestOverlayChangesAnyLeafAndNothingElse(t *testing.T) {
	t.Parallel()
	over := "fields:\n  currency_code: '\"EUR\"'\n  retailer:\n    retailer_code: upper(cust)\n  notes: '\"test\"'\n  start_ship: starts\nfilter: ~\n"
	b, err := mustLoad(t, "orders.yaml", orders, "overlays/test/orders.yaml", over, "overlays/other/orders.yaml", "nonsense: 1").
		Body(mapper.OrderEdits, "7", order("Draft", []string{"7", "P1", "S", "1", "1"}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"order_number":"7","currency_code":"EUR","start_ship":"2026-12-01","retailer":{"retailer_code":"C1"},"line_items":[{"product":{"brand_id":"P1"},"sizes":[{"size":"S","quantity":1,"price":1}]}],"notes":"test"}`
	if diff := cmp.Diff(want, string(b.JSON)); diff != "" {
		t.Error(diff)
	}
	_, findings := load(orderSchema(), "orders.yaml", orders, "overlays/test/orders.yaml", "fields: {retailr: ~}")
	if !strings.Contains(findings.String(), `did you mean "retailer"?`) {
		t.Errorf("an overlay that takes away what is not there: got %s", findings)
	}
	_, findings = load(orderSchema(), "orders.yaml", orders, "overlays/test/order.yaml", "fields: {}")
	if !strings.Contains(findings.String(), `did you mean "orders.yaml"?`) {
		t.Errorf("an overlay over nothing: got %s", findings)
	}
}

func TestKeysSurviveEscaping(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{"a"}, {"a|b"}, {`a\`}, {"a", "b"}, {`a|`, `\b`, ""}, {"", ""}} {
		k := mapper.KeyOf(append([]string(nil), parts...)...)
		if diff := cmp.Diff(parts, k.Parts()); diff != "" {
			t.Errorf("%q: %s", k, diff)
		}
	}
}
