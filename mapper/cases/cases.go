// Package cases runs the tests that the people who map write beside their mapping: rows in, body out, or an expected rejection.
// It needs neither NuORDER nor rows in the database, only the compiled mapping.
package cases

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"nubridge/mapper"
)

// Folder is where a mapping folder keeps its cases.
const Folder = "tests"

// Result is how one case went.
type Result struct {
	File string
	Line int
	Name string
	// Problems are empty for a case that passed; each is a sentence or a difference, want against got.
	Problems []string
}

// Passed tells whether the case passed.
func (r Result) Passed() bool { return len(r.Problems) == 0 }

// String gives the result as it is printed.
func (r Result) String() string {
	head := fmt.Sprintf("%s:%d: %s", r.File, r.Line, r.Name)
	if r.Passed() {
		return "ok    " + head
	}
	return "FAIL  " + head + "\n        " + strings.Join(r.Problems, "\n        ")
}

// Run runs all cases of a mapping folder: every *.yaml in its folder tests, each a list of cases. A folder without cases gives
// no results. Findings tell what is wrong with the files themselves.
func Run(fsys fs.FS, m *mapper.Mapping) ([]Result, mapper.Findings) {
	var results []Result
	var findings mapper.Findings
	entries, err := fs.ReadDir(fsys, Folder)
	if err != nil {
		return nil, nil // no folder, no cases
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		name := path.Join(Folder, e.Name())
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			findings = append(findings, mapper.Finding{File: name, Message: fmt.Sprintf("read: %v", err)})
			continue
		}
		n, more := mapper.ParseNode(name, text)
		findings = append(findings, more...)
		if n == nil {
			continue
		}
		if n.Kind != mapper.Sequence {
			findings = append(findings, n.Finding(mapper.Error, "the file is no list of cases", "- name: ...", ""))
			continue
		}
		for _, item := range n.Items {
			r, more := runCase(m, item)
			findings = append(findings, more...)
			results = append(results, r)
		}
	}
	return results, findings
}

func known() []string {
	return []string{"name", "flow", "key", "today", "rows", "open_orders", "body", "contains", "id", "facts", "parents", "filtered", "reject"}
}

func runCase(m *mapper.Mapping, n *mapper.Node) (Result, mapper.Findings) {
	r := Result{File: n.File(), Line: n.Line}
	var findings mapper.Findings
	for _, k := range n.Keys {
		if !slices.Contains(known(), k.Text) {
			findings = append(findings, k.Finding(mapper.Error, fmt.Sprintf("unknown entry %q in a case", k.Text), "one of "+strings.Join(known(), ", "), mapper.Suggest(k.Text, known())))
		}
	}
	r.Name = text(n, "name")
	rows := n.Get("rows")
	if r.Name == "" || text(n, "flow") == "" || rows == nil || rows.Kind != mapper.Map {
		findings = append(findings, n.Finding(mapper.Error, "the case lacks a name, a flow or rows", "name:, flow:, rows: {root: {...}, part: [{...}]}", ""))
	}
	if findings.HasErrors() {
		r.Problems = []string{"the case cannot be run"}
		return r, findings
	}
	clock, err := time.Parse("2006-01-02", text(n, "today"))
	if err != nil && n.Get("today") != nil {
		findings = append(findings, n.Get("today").Finding(mapper.Error, "today is no date", "a date such as 2026-01-31", ""))
	}
	if err == nil {
		m = m.WithClock(func() time.Time { return clock })
	}
	flow := mapper.Flow(text(n, "flow"))
	doc, more := m.Sample(flow, rows)
	findings = append(findings, more...)
	if findings.HasErrors() {
		r.Problems = []string{"the case cannot be run"}
		return r, findings
	}
	if doc != nil {
		doc.SetOpenOrders(openOrders(n.Get("open_orders")))
	}
	key := text(n, "key")
	if key == "" {
		key = "case"
	}
	b, err := m.Body(flow, mapper.Key(key), doc)
	if err != nil {
		r.Problems = []string{err.Error()}
		return r, findings
	}
	r.Problems = compare(n, b)
	return r, findings
}

func text(n *mapper.Node, name string) string {
	if v := n.Get(name); v != nil && v.Kind == mapper.Scalar {
		return v.Text
	}
	return ""
}

func openOrders(n *mapper.Node) []mapper.OpenOrder {
	if n == nil {
		return nil
	}
	var out []mapper.OpenOrder
	for _, i := range n.Items {
		o := mapper.OpenOrder{UPC: text(i, "upc"), Size: text(i, "size"), Warehouse: text(i, "warehouse")}
		if _, err := fmt.Sscan(text(i, "quantity"), &o.Quantity); err != nil {
			o.Quantity = 0
		}
		out = append(out, o)
	}
	return out
}

// compare lists what the body has otherwise than the case says.
func compare(n *mapper.Node, b mapper.Body) []string {
	var out []string
	wantFiltered := text(n, "filtered") == "true"
	if b.Filtered != wantFiltered {
		out = append(out, fmt.Sprintf("filtered: want %v, got %v", wantFiltered, b.Filtered))
	}
	out = append(out, violations(n.Get("reject"), b.Violations)...)
	if id := n.Get("id"); id != nil && id.Text != b.RemoteKey {
		out = append(out, fmt.Sprintf("id: want %s, got %s", id.Text, b.RemoteKey))
	}
	if facts := n.Get("facts"); facts != nil {
		for i, k := range facts.Keys {
			if got := b.Facts[k.Text]; got != facts.Values[i].Text {
				out = append(out, fmt.Sprintf("fact %s: want %q, got %q", k.Text, facts.Values[i].Text, got))
			}
		}
	}
	if want := n.Get("parents"); want != nil {
		var have, expect []string
		for _, p := range b.Parents {
			have = append(have, string(p.Flow)+" "+string(p.Key))
		}
		for _, i := range want.Items {
			expect = append(expect, i.Text)
		}
		if !slices.Equal(have, expect) {
			out = append(out, fmt.Sprintf("parents: want %q, got %q", expect, have))
		}
	}
	if want := n.Get("body"); want != nil {
		out = append(out, differences(want.JSON(), b.JSON, false)...)
	}
	if want := n.Get("contains"); want != nil {
		out = append(out, differences(want.JSON(), b.JSON, true)...)
	}
	return out
}

// differences compares bodies; a partial comparison passes over what the body has beyond the case.
func differences(want, got []byte, partial bool) []string {
	list, err := mapper.Diff(want, got)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, d := range list {
		switch {
		case d.Old == "" && partial:
		case d.Old == "":
			out = append(out, fmt.Sprintf("body %s: want nothing, got %s", d.Path, d.New))
		case d.New == "":
			out = append(out, fmt.Sprintf("body %s: want %s, got nothing", d.Path, d.Old))
		default:
			out = append(out, fmt.Sprintf("body %s: want %s, got %s", d.Path, d.Old, d.New))
		}
	}
	return out
}

// violations compares the rejections: every expected one is there, and no other.
func violations(want *mapper.Node, got []mapper.Violation) []string {
	var out, expect []string
	if want != nil {
		for _, i := range want.Items {
			expect = append(expect, text(i, "field")+" "+text(i, "rule"))
		}
	}
	for _, v := range got {
		at := slices.Index(expect, v.Field+" "+v.Rule)
		if at < 0 {
			out = append(out, fmt.Sprintf("rejected: %s breaks the rule %s: %s", v.Field, v.Rule, v.Text))
			continue
		}
		expect = slices.Delete(expect, at, at+1)
	}
	for _, e := range expect {
		out = append(out, "not rejected: "+e)
	}
	return out
}
