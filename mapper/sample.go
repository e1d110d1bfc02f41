package mapper

import (
	"fmt"
	"strings"
	"time"
)

// WithClock gives the mapping with another clock for today().
func (m *Mapping) WithClock(clock func() time.Time) *Mapping {
	out := &Mapping{environment: m.environment, flows: make(map[Flow]*compiledFile, len(m.flows))}
	for flow, x := range m.flows {
		y := *x
		y.today = func() string { return clock().Format("2006-01-02") }
		out.flows[flow] = &y
	}
	return out
}

// Sample makes a document of rows that are written in a mapping file: root as one mapping, each part as a list of mappings, by
// column names. A column that is not given is NULL. A root that is missing or null makes no document.
func (m *Mapping) Sample(flow Flow, rows *Node) (*Document, Findings) {
	x := m.flows[flow]
	if x == nil {
		return nil, Findings{rows.Finding(Error, fmt.Sprintf("flow %q is not mapped", flow), "a flow that has a mapping file", "")}
	}
	s := &sampler{}
	names := []string{"root"}
	for _, p := range x.parts {
		names = append(names, p.Name)
	}
	for _, k := range rows.Keys {
		if !containsName(names, k.Text) {
			s.findings = append(s.findings, k.Finding(Error, fmt.Sprintf("unknown part %q", k.Text), "one of "+strings.Join(names, ", "), suggest(k.Text, names)))
		}
	}
	root := rows.Get("root")
	if root == nil || root.IsNull {
		return nil, s.findings
	}
	d := &Document{root: s.slice(x.root, []*Node{root})}
	for _, p := range x.parts {
		var items []*Node
		if n := rows.Get(p.Name); n != nil {
			items = n.Items
		}
		d.parts = append(d.parts, s.slice(p, items))
	}
	return d, s.findings
}

func containsName(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

type sampler struct{ findings Findings }

func (s *sampler) slice(q QueryPlan, items []*Node) Slice {
	rows := NewRows(q.Columns)
	var index []int32
	for i, n := range items {
		values := make([][]byte, len(q.Columns))
		for j, k := range n.Keys {
			at := columnIndex(q.Columns, k.Text)
			if at < 0 {
				s.findings = append(s.findings, k.Finding(Error, fmt.Sprintf("query %s gives no column %q", q.Name, k.Text),
					"one of "+strings.Join(columnNames(q.Columns), ", "), suggest(k.Text, columnNames(q.Columns))))
				continue
			}
			values[at] = s.text(q.Columns[at], n.Values[j])
		}
		rows.Append(values)
		index = append(index, int32(i))
	}
	return Slice{Rows: rows, Index: index}
}

// text gives a value as the database would write it.
func (s *sampler) text(c Column, n *Node) []byte {
	switch {
	case n.IsNull:
		return nil
	case c.Type == Any:
		return n.JSON()
	case c.Type == TextList && n.Kind == Sequence:
		parts := make([]string, len(n.Items))
		for i, x := range n.Items {
			parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(x.Text) + `"`
		}
		return []byte("{" + strings.Join(parts, ",") + "}")
	case n.Kind != Scalar:
		s.findings = append(s.findings, n.Finding(Error, fmt.Sprintf("the value of %q is no scalar", c.Name), "a "+c.Type.String(), ""))
		return nil
	}
	if _, err := decodeText(c, n.Text); err != nil && c.Type != Bool {
		s.findings = append(s.findings, n.Finding(Error, err.Error(), "a "+c.Type.String(), ""))
		return nil
	}
	return []byte(n.Text)
}
