package mapper

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mapping is the compiled mapping of one environment. It is immutable and safe for concurrent use.
type Mapping struct {
	environment string
	flows       map[Flow]*compiledFile
}

// compiledFile is one flow's file, ready to run.
type compiledFile struct {
	file   string
	key    []string
	root   QueryPlan
	parts  []QueryPlan
	routes map[tableName][]compiledRoute
	hops   map[int]HopPlan
	tables []string

	id, filter, active *expression
	facts              []compiledFact
	parents            []compiledParent
	body               *tree
	today              func() string
	taken              *takenCache
	// sum is the fingerprint of the file; daily tells that the documents depend on the present day.
	sum []byte
	// warehouses is the fingerprint of those that the portal has and the documents may name.
	warehouses []byte
	daily      bool
}

type tableName struct{ schema, table string }

type compiledRoute struct {
	index   int
	columns []string
	dates   []bool
	hop     bool
}

type compiledFact struct {
	name string
	expr *expression
}

type compiledParent struct {
	flow Flow
	part int // -1: the root
	when *expression
	keys []*expression
}

// QueryPlan is a query as the reader runs it.
type QueryPlan struct {
	Name string
	SQL  string
	// Params are the types of the parameters, such as bigint[].
	Params  []string
	Columns []Column
	// Key are the columns of the result that hold the document's key.
	Key []int
}

// HopPlan is a hop as the reader runs it.
type HopPlan struct {
	QueryPlan
	// From are the columns of the result that hold the values that were asked for.
	From []int
}

// DocumentPlan is what must be read for one document of a flow.
type DocumentPlan struct {
	Root  QueryPlan
	Parts []QueryPlan
}

// Compile checks the folder against a described database and prepares it. The clock gives the present day to today(); nil
// forbids today(). The mapping is nil if a finding is an error.
func (f *Folder) Compile(schema *Schema, clock func() time.Time) (*Mapping, Findings) {
	m := &Mapping{environment: f.environment, flows: map[Flow]*compiledFile{}}
	var findings Findings
	for _, x := range f.files {
		fc := &fileCompiler{flowFile: x, folder: f, schema: schema, out: &compiledFile{file: x.file, key: x.key, taken: &takenCache{}}}
		fc.compiler = &compiler{lookups: x.lookups, define: map[string]*expression{}, clock: clock != nil, openOrders: x.file == "inventory.yaml"}
		if clock != nil {
			fc.out.today = func() string { return clock().Format("2006-01-02") }
		}
		fc.run()
		fc.out.sum, fc.out.daily = x.sum(schema.Portal), fc.usedClock || fc.readsClock()
		fc.out.warehouses = x.warehousesSum(schema.Portal)
		findings = append(findings, fc.findings...)
		for _, flow := range x.flows {
			m.flows[flow] = fc.out
		}
	}
	findings.Sort()
	if findings.HasErrors() {
		return nil, findings
	}
	return m, findings
}

// Environment gives the environment that the mapping is for.
func (m *Mapping) Environment() string { return m.environment }

// Maps tells whether the mapping has the flow.
func (m *Mapping) Maps(flow Flow) bool { return m.flows[flow] != nil }

// Tables lists schema.table of every table that routes to the flow.
func (m *Mapping) Tables(flow Flow) []string {
	if x := m.flows[flow]; x != nil {
		return slices.Clone(x.tables)
	}
	return nil
}

// Plan gives what must be read for documents of a flow.
func (m *Mapping) Plan(flow Flow) (DocumentPlan, bool) {
	x := m.flows[flow]
	if x == nil {
		return DocumentPlan{}, false
	}
	return DocumentPlan{Root: x.root, Parts: x.parts}, true
}

// HopPlan gives the query of a hop.
func (m *Mapping) HopPlan(id HopID) (HopPlan, bool) {
	x := m.flows[id.Flow]
	if x == nil {
		return HopPlan{}, false
	}
	p, ok := x.hops[id.Index]
	return p, ok
}

// readsClock tells whether a query's rows depend on the time.
func (f *fileCompiler) readsClock() bool {
	for id, q := range f.schema.Queries {
		if id.File == f.file && q.Clock {
			return true
		}
	}
	return false
}

type fileCompiler struct {
	*flowFile
	*compiler
	folder *Folder
	schema *Schema
	out    *compiledFile
}

func (f *fileCompiler) run() {
	var ok bool
	if f.out.root, ok = f.plan("root", f.root); !ok {
		f.routesOnly()
		return
	}
	failed := false
	for _, p := range f.flowFile.parts {
		plan, ok := f.plan(p.name, p.query)
		failed = failed || !ok
		f.out.parts = append(f.out.parts, plan)
		f.compiler.parts = append(f.compiler.parts, partInfo{p.name, plan.Columns})
	}
	f.routesOnly()
	if failed {
		return // every expression over the broken part would be reported again
	}
	f.expressions()
}

func (f *fileCompiler) routesOnly() {
	f.compileRoutes()
	f.unwatched()
}

func (f *fileCompiler) expressions() {
	root := &scope{columns: f.out.root.Columns, root: true}
	if f.active != nil {
		if e := f.compileBool(f.active, root, "active"); e != nil {
			f.compiler.define["active"] = e
			f.out.active = e
		}
	}
	for _, d := range f.flowFile.define {
		if columnIndex(root.columns, d.name) >= 0 {
			f.add(d.key.Finding(Error, fmt.Sprintf("%q is the name of a column already", d.name), "another name", ""))
			continue
		}
		if e := f.compile(d.node, root); e != nil {
			f.compiler.define[d.name] = e
		}
	}
	f.out.id = f.compile(f.id, root)
	if f.filter != nil {
		f.out.filter = f.compileBool(f.filter, root, "filter")
	}
	f.compileFacts(root)
	f.compileParents(root)
	t := &treeCompiler{compiler: f.compiler, rules: portalRules(rulesOf(f.file, f.zeroPrice), f.file, f.schema.Portal), seen: map[string]*Node{}}
	f.out.body = t.fields(f.fields, root, "")
	f.missingFields(t)
	f.misspelt()
}

// missingFields reports fields that the remote requires and the mapping does not have.
func (f *fileCompiler) missingFields(t *treeCompiler) {
	for _, p := range slices.Sorted(mapKeys(t.rules)) {
		if !t.rules[p].required || t.at(p) != nil {
			continue
		}
		place := f.fields
		if i := strings.LastIndexByte(p, '.'); i >= 0 {
			place = t.at(p[:i])
		}
		if place != nil {
			f.add(place.Finding(Error, fmt.Sprintf("the required field %s is not mapped", p), t.rules[p].say+" is required by NuORDER", ""))
		}
	}
}

// at finds the place in the mapping that a rule's path names.
func (t *treeCompiler) at(pattern string) *Node {
	if n := t.seen[pattern]; n != nil {
		return n
	}
	for p, n := range t.seen {
		if generalPath(p) == pattern {
			return n
		}
	}
	return nil
}

// generalPath replaces the key of a currency by the star that rules use.
func generalPath(path string) string {
	rest, ok := strings.CutPrefix(path, "pricing.")
	if !ok {
		return path
	}
	if _, field, deeper := strings.Cut(rest, "."); deeper {
		return "pricing.*." + field
	}
	return "pricing.*"
}

// requiredFacts are the facts that the orders' logic cannot do without.
func requiredFacts(file string) []string {
	switch file {
	case "orders.yaml", "shipments.yaml":
		return []string{"number", "reference", "date", "cancelled"}
	}
	return nil
}

func (f *fileCompiler) compileFacts(root *scope) {
	for _, n := range f.facts {
		if e := f.compile(n.node, root); e != nil {
			f.out.facts = append(f.out.facts, compiledFact{n.name, e})
		}
	}
	for _, name := range requiredFacts(f.file) {
		if !slices.ContainsFunc(f.facts, func(n namedNode) bool { return n.name == name }) {
			f.add(f.node.Finding(Error, fmt.Sprintf("the fact %q is missing", name), "facts: {number, reference, date, cancelled}, each an expression", ""))
		}
	}
}

func (f *fileCompiler) compileParents(root *scope) {
	for _, p := range f.parents {
		s, part := root, -1
		if p.each != "" {
			part = slices.IndexFunc(f.compiler.parts, func(x partInfo) bool { return x.name == p.each })
			if part < 0 {
				f.add(p.node.Finding(Error, fmt.Sprintf("unknown part %q", p.each), "the name of a part of the document", ""))
				continue
			}
			s = &scope{outer: root, columns: f.compiler.parts[part].columns}
		}
		c := compiledParent{flow: p.flow, part: part}
		if p.when != nil {
			c.when = f.compileBool(p.when, s, "when")
		}
		for _, other := range f.folder.files {
			if slices.Contains(other.flows, p.flow) && len(p.keys) > 0 && len(p.keys) != len(other.key) {
				f.add(p.keys[0].Finding(Error, fmt.Sprintf("the parent's key has %d parts, and a document of %s has %d", len(p.keys), other.file, len(other.key)),
					"an expression for each of "+strings.Join(other.key, ", "), ""))
			}
		}
		for _, k := range p.keys {
			if e := f.compile(k, s); e != nil {
				c.keys = append(c.keys, e)
			}
		}
		f.out.parents = append(f.out.parents, c)
	}
}

// plan checks a query of the document: it can be prepared, takes one array per key column, and carries the key.
func (f *fileCompiler) plan(name string, q query) (QueryPlan, bool) {
	plan := QueryPlan{Name: name, SQL: q.sql}
	info, ok := f.prepared(name, q, len(f.key))
	if !ok {
		return plan, false
	}
	plan.Params, plan.Columns = info.Params, info.Columns
	for _, k := range q.key {
		at := columnIndex(plan.Columns, k)
		if at < 0 {
			f.add(q.keyNode.Finding(Error, fmt.Sprintf("query %s does not give the key column %q", name, k),
				"a column of that name in the select list, so that rows can be told apart by document", suggest(k, columnNames(plan.Columns))))
			ok = false
			continue
		}
		if t := plan.Columns[at]; unstable(t) {
			f.add(q.keyNode.Finding(Error, fmt.Sprintf("key column %q of query %s is of type %s, whose text is not stable", k, name, t.Database),
				"a number, text, date, uuid or boolean", "cast it to text in the query and in the hop that routes to it"))
			ok = false
		}
		plan.Key = append(plan.Key, at)
	}
	return plan, ok
}

func (f *fileCompiler) prepared(name string, q query, params int) (QueryInfo, bool) {
	info, known := f.schema.Queries[QueryID{f.file, name}]
	if !known {
		f.add(q.node.Finding(Error, fmt.Sprintf("query %s was not described", name), "", ""))
		return info, false
	}
	if info.Error != "" {
		x := q.node.at(sqlOffset(q.node, q.sql, info.Position), fmt.Sprintf("query %s: %s", name, info.Error))
		x.Suggestion = info.Hint
		f.add(x)
		return info, false
	}
	ok := true
	if len(info.Params) != params {
		f.add(q.node.Finding(Error, fmt.Sprintf("query %s takes %d parameters", name, len(info.Params)),
			fmt.Sprintf("%d: one array per key column, such as where id = any($1::bigint[])", params), ""))
		ok = false
	}
	for i, p := range info.Params {
		if !strings.HasSuffix(p, "[]") {
			f.add(q.node.Finding(Error, fmt.Sprintf("parameter $%d of query %s is %s", i+1, name, p), "an array, such as where id = any($1)", ""))
			ok = false
		}
	}
	seen := map[string]bool{}
	for _, c := range info.Columns {
		if seen[c.Name] {
			f.add(q.node.Finding(Error, fmt.Sprintf("query %s gives two columns named %q", name, c.Name), "names that differ", "use: as"))
			ok = false
		}
		seen[c.Name] = true
	}
	return info, ok
}

// sqlOffset turns the database's character position, from one, into a byte offset of the node's text.
func sqlOffset(n *Node, sql string, position int) int {
	if position <= 0 {
		return 0
	}
	lead := max(strings.Index(n.Text, sql), 0)
	return lead + runeOffset(sql, position-1)
}

// KeyTable gives the table whose rows are most likely one per document: the first route that names documents by columns of the
// row. The last result is false if every route is a hop.
func (m *Mapping) KeyTable(flow Flow) (table string, columns []string, ok bool) {
	x := m.flows[flow]
	if x == nil {
		return "", nil, false
	}
	best := -1
	for name, routes := range x.routes {
		for _, r := range routes {
			if !r.hop && (best < 0 || r.index < best) {
				best, table, columns = r.index, name.schema+"."+name.table, r.columns
			}
		}
	}
	return table, slices.Clone(columns), best >= 0
}
