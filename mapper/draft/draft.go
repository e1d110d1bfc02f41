package draft

import (
	"fmt"
	"slices"
	"strings"

	"nubridge/mapper"
)

// Mark is what stands where a person must decide; the check warns of each.
const Mark = mapper.Undecided

// Result is a drafted folder.
type Result struct {
	// Files are the contents by name.
	Files map[string][]byte
	// Notes say what a person should know: what was guessed, which statement must be run.
	Notes []string
}

// Draft writes a mapping folder for the flows that tables are named for. The tables of a flow are named as schema.table or, where
// that is clear, by the table's name; all must be in the catalog.
func Draft(c Catalog, request map[mapper.Flow][]string) (Result, error) {
	r := Result{Files: map[string][]byte{}}
	for _, flow := range mapper.Flows() {
		names := request[flow]
		if len(names) == 0 {
			continue
		}
		var tables []*Table
		for _, n := range names {
			t := c.find(n)
			if t == nil {
				return r, fmt.Errorf("draft %s: there is no table %q; name it as schema.table", flow, n)
			}
			tables = append(tables, t)
		}
		f := &flowDraft{flow: flow, result: &r, graph: newGraph(tables)}
		if err := f.write(tables); err != nil {
			return r, err
		}
	}
	return r, nil
}

// flowDraft drafts one flow.
type flowDraft struct {
	flow   mapper.Flow
	result *Result
	graph  *graph
	doc    *Table
	root   part
	parts  []part
	prices *part
	y      yaml
}

func (f *flowDraft) note(format string, args ...any) {
	f.result.Notes = append(f.result.Notes, string(f.flow)+": "+fmt.Sprintf(format, args...))
}

// document chooses the table whose rows are the documents.
func (f *flowDraft) document(tables []*Table) *Table {
	if f.flow != mapper.Products && f.flow != mapper.Inventory {
		return tables[0]
	}
	// A product is one style and colour: the table that has a colour and no size of its own.
	for _, t := range tables {
		color, size := false, false
		for _, c := range t.Columns {
			n := plain(c.Name)
			color = color || strings.Contains(n, "color")
			size = size || n == "size" || n == "upc" || n == "ean"
		}
		if color && !size {
			return t
		}
	}
	return tables[0]
}

func (f *flowDraft) write(tables []*Table) error {
	f.doc = f.document(tables)
	for _, x := range f.graph.guessed {
		f.note("no foreign key leads from %s; it was guessed by the names of the columns", x)
	}
	if len(f.doc.Key) == 0 {
		return fmt.Errorf("draft %s: table %s has no primary key, so its rows cannot be documents", f.flow, f.doc.full())
	}
	above := map[*Table]bool{f.doc: true}
	ups := f.graph.ancestors(f.doc, above)
	f.root = f.graph.root(f.doc)
	routed := append([]*Table{f.doc}, ups...)
	for _, t := range tables {
		if above[t] || f.graph.path(t, f.doc) == nil {
			if !above[t] {
				f.note("%s has no foreign key that leads to %s: it was left out", t.full(), f.doc.full())
			}
			continue
		}
		routed = append(routed, t)
		if !f.describes(t) {
			f.parts = append(f.parts, f.graph.child(f.doc, t, above))
		}
	}
	f.head()
	f.routes(routed)
	f.body()
	f.result.Files[mapper.FileOf(f.flow)] = []byte(f.y.String())
	return nil
}

// describes tells whether a table only describes rows of another part, such as the purchase order of its lines: rows of other tables
// point to it, and the way to the document leads through them.
func (f *flowDraft) describes(t *Table) bool { return !f.graph.path(t, f.doc)[0].up }

func (f *flowDraft) part(columns ...string) *part {
	for i := range f.parts {
		all := true
		for _, names := range columns {
			all = all && one(f.parts[i].fields, names) != nil
		}
		if all {
			return &f.parts[i]
		}
	}
	return nil
}

func (f *flowDraft) head() {
	y := &f.y
	y.comment("Drafted from the tables of the database. Look at every line, and replace each " + Mark + ": nubridge check lists them.")
	y.line(0, "document:")
	y.line(1, "key: "+flow(keyNames(f.doc)))
	y.line(1, "root: |")
	y.block(2, f.root.sql)
	if p := f.addressPart(); p != nil {
		p.sql = f.addresses(p)
	}
	if f.prices = f.pricePart(); f.prices != nil {
		f.pivot(f.prices)
	}
	if len(f.parts) > 0 {
		y.line(1, "parts:")
		for _, p := range f.parts {
			y.line(2, p.name+": |")
			y.block(3, p.sql)
		}
	}
}

func (f *flowDraft) routes(tables []*Table) {
	y := &f.y
	y.line(0, "")
	y.line(0, "routes:")
	for _, t := range tables {
		r := f.graph.routeOf(f.doc, t)
		y.line(1, "- table: "+scalar(t.full()))
		if r.sql == "" {
			y.line(2, "key: "+flow(r.key))
		} else {
			y.line(2, "hop:")
			y.line(3, "from: "+flow(r.from))
			y.line(3, "sql: |")
			y.block(4, r.sql)
		}
		if r.deletesLost {
			f.note("deletes of %s are not noticed until you run: alter table %s replica identity full; then take the line deletes: ignore out", t.full(), t.sql())
			y.line(2, "deletes: ignore")
		}
	}
}

// id gives the expression for the document's own id: its key.
func (f *flowDraft) id() string {
	var out []string
	for i := range f.doc.Key {
		x := f.root.fields[i]
		out = append(out, asText(&x))
	}
	if len(out) == 1 {
		return out[0]
	}
	return "concat(" + strings.Join(out, `, "-", `) + ")"
}

func (f *flowDraft) body() {
	y := &f.y
	y.line(0, "")
	y.line(0, "id: "+scalar(f.id()))
	if a := f.activity(); a != "" {
		y.line(0, "active: "+scalar(a))
	}
	switch f.flow {
	case mapper.Products:
		f.product()
	case mapper.Customers:
		f.customer()
	case mapper.Inventory:
		f.inventory()
	case mapper.OrderEdits, mapper.OrderCreation:
		f.order()
	case mapper.Shipments:
		f.shipment()
	}
}

// wishes writes the fields of the root that columns are found for, and a mark for each required one that none is found for.
func (f *flowDraft) wishes(depth int) {
	for _, w := range wishes(f.flow) {
		f.wish(depth, w, f.root.fields)
	}
}

func (f *flowDraft) wish(depth int, w wish, fields []field) {
	found, candidates := match(w, fields)
	name := w.path[strings.LastIndexByte(w.path, '.')+1:]
	switch {
	case found != nil:
		e := expression(found.name)
		if w.text {
			e = asText(found)
		}
		if !w.required && found.column.Type != mapper.Int && found.column.Type != mapper.Decimal && found.column.Type != mapper.Bool && !found.column.NotNull {
			e += ` ?? ""`
		}
		f.y.line(depth, name+": "+scalar(e))
	case w.required:
		f.undecided(depth, name, candidates)
	}
}

func (f *flowDraft) undecided(depth int, name string, candidates []string) {
	f.y.line(depth, name+": "+Mark+" # perhaps "+strings.Join(slices.Compact(candidates), ", "))
}
