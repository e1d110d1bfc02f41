package mapper

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// fileDecoder reads one flow's file strictly: an unknown entry is an error.
type fileDecoder struct {
	*loader
	x *flowFile
}

// entries walks a mapping and reports what is not known and what is missing.
func (d *fileDecoder) entries(n *Node, what, place string, each func(key, value *Node)) {
	known, required := entryNames(place)
	if n.Kind != Map {
		d.add(n.Finding(Error, what+" is no mapping", "entries "+strings.Join(known, ", "), ""))
		return
	}
	for i, k := range n.Keys {
		if !slices.Contains(known, k.Text) {
			d.add(k.Finding(Error, fmt.Sprintf("unknown entry %q in %s", k.Text, what), "one of "+strings.Join(known, ", "), suggest(k.Text, known)))
			continue
		}
		each(k, n.Values[i])
	}
	for _, r := range required {
		if n.Get(r) == nil {
			d.add(n.Finding(Error, fmt.Sprintf("%s has no entry %q", what, r), r+":", ""))
		}
	}
}

func (d *fileDecoder) decode() {
	x := d.x
	d.entries(x.node, x.file, "file", func(k, v *Node) {
		switch k.Text {
		case "document":
			d.document(v)
		case "routes":
			d.routeList(v)
		case "parents":
			d.parentList(v)
		case "id":
			x.id = d.expression(v, "id")
		case "filter":
			x.filter = d.expression(v, "filter")
		case "active":
			x.active = d.expression(v, "active")
		case "define":
			x.define = d.named(v, "define")
		case "facts":
			x.facts = d.named(v, "facts")
			d.knownFacts()
		case "fields":
			x.fields = v
		case "lookups":
			d.lookupList(v)
		case "zero_price":
			x.zeroPrice = d.oneOf(v, "zero_price", "send", "park")
		}
	})
}

// knownFacts reports facts that nothing looks at: most likely a misspelt name.
func (d *fileDecoder) knownFacts() {
	known := requiredFacts(d.x.file)
	if len(known) == 0 {
		return
	}
	known = append(known, "shipped")
	for _, f := range d.x.facts {
		if !slices.Contains(known, f.name) {
			d.add(f.key.Finding(Error, fmt.Sprintf("unknown fact %q", f.name), "one of "+strings.Join(known, ", "), suggest(f.name, known)))
		}
	}
}

func (d *fileDecoder) oneOf(n *Node, what string, values ...string) string {
	if n.Kind != Scalar || !slices.Contains(values, n.Text) {
		d.add(n.Finding(Error, what+" is not known", "one of "+strings.Join(values, ", "), suggest(n.Text, values)))
		return ""
	}
	return n.Text
}

func (d *fileDecoder) expression(n *Node, what string) *Node {
	if n.Kind != Scalar || n.IsNull || n.Text == "" {
		d.add(n.Finding(Error, what+" is no expression", "an expression over the columns, such as item_number", ""))
		return nil
	}
	return n
}

func (d *fileDecoder) named(n *Node, what string) []namedNode {
	if n.Kind != Map {
		d.add(n.Finding(Error, what+" is no mapping", "entries {name: expression}", ""))
		return nil
	}
	var out []namedNode
	for i, k := range n.Keys {
		if e := d.expression(n.Values[i], what+" "+k.Text); e != nil {
			out = append(out, namedNode{name: k.Text, key: k, node: e})
		}
	}
	return out
}

func (d *fileDecoder) document(n *Node) {
	d.entries(n, "document", "document", func(k, v *Node) {
		switch k.Text {
		case "key":
			d.x.key = d.names(v, "key")
		case "root":
			d.x.root = d.query(v, "root")
		case "static":
			d.x.static = d.names(v, "static")
		case "parts":
			if v.Kind != Map {
				d.add(v.Finding(Error, "parts is no mapping", "entries {name: query}", ""))
				return
			}
			for i, pk := range v.Keys {
				if slices.Contains(reserved(), pk.Text) {
					d.add(pk.Finding(Error, fmt.Sprintf("a part cannot be named %q: the word has a meaning of its own", pk.Text), "another name", ""))
				}
				d.x.parts = append(d.x.parts, part{name: pk.Text, node: pk, query: d.query(v.Values[i], "part "+pk.Text)})
			}
		}
	})
	if d.x.root.key == nil {
		d.x.root.key = d.x.key
	}
	for i := range d.x.parts {
		if d.x.parts[i].key == nil {
			d.x.parts[i].key = d.x.key
		} else if len(d.x.parts[i].key) != len(d.x.key) {
			d.add(d.x.parts[i].keyNode.Finding(Error, "the key has another number of columns than the document's", strings.Join(d.x.key, ", "), ""))
		}
	}
}

func reserved() []string { return []string{"root", "group", "outer", "row", "open_orders", "hop"} }

// names reads a column name or a list of them.
func (d *fileDecoder) names(n *Node, what string) []string {
	items := n.Items
	if n.Kind == Scalar && n.Text != "" {
		items = []*Node{n}
	}
	var out []string
	for _, i := range items {
		if i.Kind == Scalar && i.Text != "" {
			out = append(out, i.Text)
		}
	}
	if len(out) == 0 || len(out) != len(items) {
		d.add(n.Finding(Error, what+" names no columns", "a column name or a list of column names", ""))
	}
	return out
}

// query reads a query: its SQL alone, or {sql: ...} or {file: ...} with the key columns where they differ.
func (d *fileDecoder) query(n *Node, what string) query {
	q, unread := query{node: n, keyNode: n}, false
	if n.Kind == Scalar {
		q.sql = n.Text
	} else {
		d.entries(n, what, "query", func(k, v *Node) {
			switch k.Text {
			case "sql":
				q.sql, q.node = v.Text, v
			case "file":
				text, err := fs.ReadFile(d.fsys, v.Text)
				if err != nil {
					d.add(v.Finding(Error, fmt.Sprintf("read %s: %v", v.Text, err), "an SQL file inside the mapping folder", ""))
					unread = true
					return
				}
				if text = d.plain(v.Text, text); text == nil {
					unread = true
					return
				}
				q.sql = string(text)
				q.node = &Node{Text: q.sql, source: newSource(v.Text, text), Line: 0, Column: 1, block: true}
			case "key":
				q.key, q.keyNode = d.names(v, "key"), v
			}
		})
		if n.Get("sql") != nil && n.Get("file") != nil {
			d.add(n.Finding(Error, what+" has both sql and file", "one of the two", ""))
		}
	}
	q.sql = strings.TrimRight(strings.TrimSpace(q.sql), ";")
	if q.sql == "" && !unread {
		d.add(n.Finding(Error, what+" has no query", "sql: or file:", ""))
	}
	return q
}

func (d *fileDecoder) routeList(n *Node) {
	if n.Kind != Sequence || len(n.Items) == 0 {
		d.add(n.Finding(Error, "routes is no list", "- {table: schema.table, key: [column]}", ""))
		return
	}
	for _, item := range n.Items {
		r := route{node: item}
		d.entries(item, "route", "route", func(k, v *Node) {
			switch k.Text {
			case "table":
				r.table, r.tnode = v.Text, v
				if strings.Contains(v.Text, `"`) {
					d.add(v.Finding(Error, fmt.Sprintf("table %s is written with quotes", v.Text), "schema.table as the database spells it, without quotes", "write "+strings.ReplaceAll(v.Text, `"`, "")))
				} else if strings.Count(v.Text, ".") < 1 {
					d.add(v.Finding(Error, fmt.Sprintf("table %q has no schema", v.Text), "schema.table", ""))
				}
			case "key":
				r.key, r.keyNode = d.names(v, "key"), v
			case "deletes":
				r.ignoreDeletes = d.oneOf(v, "deletes", "route", "ignore") == "ignore"
			case "hop":
				var q query
				d.entries(v, "hop", "hop", func(hk, hv *Node) {
					if hk.Text == "from" {
						r.from, r.keyNode = d.names(hv, "from"), hv
					}
				})
				inner := &Node{Kind: Map, source: v.source, Line: v.Line, Column: v.Column}
				for i, hk := range v.Keys {
					if hk.Text == "sql" || hk.Text == "file" {
						inner.Keys, inner.Values = append(inner.Keys, hk), append(inner.Values, v.Values[i])
					}
				}
				q = d.query(inner, "hop")
				r.hop = &q
			}
		})
		if (r.key == nil) == (r.hop == nil) {
			d.add(item.Finding(Error, "the route says not how a row names its documents", "either key: [columns of the row] or hop: {from: [columns], sql: ...}", ""))
		}
		d.x.routes = append(d.x.routes, r)
	}
}

func (d *fileDecoder) parentList(n *Node) {
	if n.Kind != Sequence {
		d.add(n.Finding(Error, "parents is no list", "- {flow: customers, key: customer_id}", ""))
		return
	}
	flows := []string{string(Products), string(Customers), string(OrderEdits)}
	for _, item := range n.Items {
		p := parent{node: item}
		d.entries(item, "parent", "parent", func(k, v *Node) {
			switch k.Text {
			case "flow":
				p.flow = Flow(d.oneOf(v, "flow", flows...))
			case "each":
				p.each = v.Text
			case "when":
				p.when = d.expression(v, "when")
			case "key":
				if v.Kind == Sequence {
					p.keys = v.Items
				} else {
					p.keys = []*Node{v}
				}
			}
		})
		d.x.parents = append(d.x.parents, p)
	}
}

func (d *fileDecoder) lookupList(n *Node) {
	if n.Kind != Map {
		d.add(n.Finding(Error, "lookups is no mapping", "entries {name: {from: to}} or {name: {csv: file}}", ""))
		return
	}
	for i, k := range n.Keys {
		d.x.lookups[k.Text] = d.lookupTable(k.Text, n.Values[i])
	}
}
