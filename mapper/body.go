package mapper

import (
	"fmt"
	"slices"
)

// Body translates a document into the NuORDER body of its flow; a nil document gives a filtered body. It gives an error only
// for a flow that is not mapped: what is wrong with the data is a violation. A document is always translated by the mapping that it
// was read by, even if another one has taken over meanwhile.
func (m *Mapping) Body(flow Flow, key Key, d *Document) (Body, error) {
	if d != nil && d.mapping != nil {
		m = d.mapping
	}
	x := m.flows[flow]
	if x == nil {
		return Body{}, fmt.Errorf("flow %q is not mapped", flow)
	}
	b := Body{Flow: flow, Key: key}
	if d == nil || len(d.root.Index) == 0 {
		b.Filtered = true
		return b, nil
	}
	root := &frame{rows: d.root.Rows, row: int(d.root.Index[0])}
	c := &evalContext{document: d, today: x.today, taken: x.taken, root: root}
	b.RemoteKey = c.text(x.id, root)
	b.Facts = x.factsOf(c, root)
	if x.filter != nil {
		ok, err := x.filter.eval(c, root)
		if err != nil {
			c.violate("expression", "", "The filter could not be computed: "+err.Error()+".")
			b.Violations = c.violations
			return b, nil
		}
		if ok != true {
			b.Filtered = true
			return b, nil
		}
	}
	if len(d.root.Index) > 1 {
		c.violate("one_root", "", "The root query gives several rows for one document. Make the key unique in the mapping's query.")
	}
	if b.RemoteKey == "" {
		c.violate("id", "", "The document has no id for NuORDER. Fill the fields that the mapping's id is made of.")
	}
	b.Parents = x.parentsOf(c, root)
	c.buf = make([]byte, 0, 1024)
	x.body.encode(c, root)
	b.Violations = c.violations
	if len(b.Violations) > 0 && x.inactive(c, root) {
		// What is no longer sold may well be incomplete: it is archived from what was sent last.
		b.Filtered, b.Violations, b.Parents = true, nil, nil
		return b, nil
	}
	if b.Facts["cancelled"] == "true" {
		b.Violations = nil // a cancel carries no body that the remote could refuse
	}
	b.JSON = c.buf
	return b, nil
}

// inactive tells whether the active rule is there and does not hold.
func (x *compiledFile) inactive(c *evalContext, root *frame) bool {
	if x.active == nil {
		return false
	}
	ok, err := x.active.eval(c, root)
	return err == nil && ok != true
}

// text evaluates an expression to text; NULL and failures give the empty text, failures a violation too.
func (c *evalContext) text(e *expression, f *frame) string {
	if e == nil {
		return ""
	}
	v, err := e.eval(c, f)
	if err == nil {
		var s string
		if s, err = textOf(v); err == nil {
			return s
		}
	}
	c.failed(err)
	return ""
}

func (x *compiledFile) factsOf(c *evalContext, root *frame) map[string]string {
	if len(x.facts) == 0 {
		return nil
	}
	out := make(map[string]string, len(x.facts))
	for _, f := range x.facts {
		out[f.name] = c.text(f.expr, root)
	}
	return out
}

func (x *compiledFile) parentsOf(c *evalContext, root *frame) []Ref {
	var out []Ref
	add := func(p *compiledParent, f *frame) {
		if p.when != nil {
			if ok, err := p.when.eval(c, f); err != nil || ok != true {
				return
			}
		}
		parts := make([]string, len(p.keys))
		empty := true
		for i, k := range p.keys {
			parts[i] = c.text(k, f)
			empty = empty && parts[i] == ""
		}
		if r := (Ref{p.flow, KeyOf(parts...)}); !empty && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for i := range x.parents {
		p := &x.parents[i]
		if p.part < 0 {
			add(p, root)
			continue
		}
		s := c.document.parts[p.part]
		for _, row := range s.Index {
			add(p, &frame{outer: root, rows: s.Rows, row: int(row)})
		}
	}
	return out
}
