package mapper

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Folder is a mapping folder as loaded for one environment: decoded, overlays laid over, not yet checked against a database.
type Folder struct {
	environment string
	files       []*flowFile
	trees       map[string]*Node
}

// Load reads a mapping folder for one environment: every *.yaml at its top, each with overlays/<environment>/<same name> laid
// over it, and the SQL and CSV files that they name. It reads nothing else and keeps nothing open. The folder is nil if a finding is an error.
func Load(fsys fs.FS, environment string) (*Folder, Findings) {
	l := &loader{fsys: fsys}
	f := &Folder{environment: environment, trees: map[string]*Node{}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, Findings{{File: ".", Message: fmt.Sprintf("read mapping folder: %v", err), Expected: "a folder with products.yaml, customers.yaml ..."}}
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		if n := l.tree(e.Name(), environment); n != nil {
			f.trees[e.Name()] = n
		}
	}
	l.overlays(environment, f.trees)
	l.flows(f)
	if len(f.files) == 0 && !l.findings.HasErrors() {
		l.add(Finding{File: ".", Message: "the folder maps no flow", Expected: "at least one of products.yaml, customers.yaml, inventory.yaml, orders.yaml, shipments.yaml"})
	}
	l.findings.Sort()
	l.findings = slices.Compact(l.findings) // two flows may name one file
	if l.findings.HasErrors() {
		return nil, l.findings
	}
	return f, l.findings
}

// Environment gives the environment that the folder was loaded for.
func (f *Folder) Environment() string { return f.environment }

// Tree gives a YAML file of the folder with its overlay laid over it, such as orders_in.yaml; nil if there is none.
func (f *Folder) Tree(file string) *Node { return f.trees[file] }

// Queries lists every query of the folder.
func (f *Folder) Queries() []Query {
	var out []Query
	for _, x := range f.files {
		out = append(out, Query{ID: QueryID{x.file, "root"}, SQL: x.root.sql, Node: x.root.node, Params: len(x.key)})
		for _, p := range x.parts {
			out = append(out, Query{ID: QueryID{x.file, p.name}, SQL: p.sql, Node: p.query.node, Params: len(x.key)})
		}
		for i, r := range x.routes {
			if r.hop != nil {
				out = append(out, Query{ID: QueryID{x.file, hopName(i)}, SQL: r.hop.sql, Node: r.hop.node, Params: len(r.from)})
			}
		}
	}
	return out
}

// Tables lists schema.table of every table that a route of the folder watches.
func (f *Folder) Tables() []string {
	var out []string
	for _, x := range f.files {
		for _, r := range x.routes {
			out = append(out, r.table)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func hopName(i int) string { return fmt.Sprintf("hop %d", i) }

type loader struct {
	fsys     fs.FS
	findings Findings
}

func (l *loader) add(f ...Finding) { l.findings = append(l.findings, f...) }

func (l *loader) tree(name, environment string) *Node {
	base := l.parse(name)
	if base == nil || environment == "" {
		return base
	}
	over := path.Join("overlays", environment, name)
	if _, err := fs.Stat(l.fsys, over); err != nil {
		return base
	}
	if o := l.parse(over); o != nil {
		l.removals(base, o)
		return merge(base, o)
	}
	return base
}

// removals reports what an overlay takes away although it is not there: most likely a misspelt name.
func (l *loader) removals(base, over *Node) {
	if base == nil || base.Kind != Map || over.Kind != Map {
		return
	}
	var known []string
	for _, k := range base.Keys {
		known = append(known, k.Text)
	}
	for i, k := range over.Keys {
		v, b := over.Values[i], base.Get(k.Text)
		if v.IsNull && b == nil {
			l.add(k.Finding(Error, fmt.Sprintf("the overlay takes away %q, which is not there", k.Text), "an entry of the file below, or a value", suggest(k.Text, known)))
			continue
		}
		l.removals(b, v)
	}
}

func (l *loader) parse(name string) *Node {
	text, err := fs.ReadFile(l.fsys, name)
	if err != nil {
		l.add(Finding{File: name, Message: fmt.Sprintf("read: %v", err)})
		return nil
	}
	if text = l.plain(name, text); text == nil {
		return nil
	}
	n, findings := ParseNode(name, text)
	l.add(findings...)
	if n != nil && n.Kind != Map {
		l.add(n.Finding(Error, "the file is no mapping", "entries such as \"document:\"", ""))
		return nil
	}
	return n
}

// plain takes a byte order mark off a file's text; a text that is not UTF-8 is a finding and gives nil.
func (l *loader) plain(name string, text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if utf8.Valid(text) {
		if text == nil {
			text = []byte{}
		}
		return text
	}
	f := Finding{File: name, Line: 1, Message: "the file is not UTF-8", Expected: "UTF-8", Suggestion: "save it as UTF-8, or convert it: iconv -f latin1 -t utf-8"}
	for line := range bytes.Lines(text) {
		if !utf8.Valid(line) {
			line = bytes.TrimRight(line, "\r\n")
			f.Source = strings.ToValidUTF8(string(line), "?")
			for i, r := range string(line) {
				if r == utf8.RuneError && !utf8.ValidString(string(line[i:min(i+utf8.UTFMax, len(line))])) {
					f.Column = utf8.RuneCount(line[:i]) + 1
					break
				}
			}
			break
		}
		f.Line++
	}
	l.add(f)
	return nil
}

// overlays reports overlay files that lie over nothing.
func (l *loader) overlays(environment string, trees map[string]*Node) {
	if environment == "" {
		return
	}
	entries, err := fs.ReadDir(l.fsys, path.Join("overlays", environment))
	if err != nil {
		return
	}
	var known []string
	for k := range trees {
		known = append(known, k)
	}
	for _, e := range entries {
		if trees[e.Name()] == nil && !e.IsDir() {
			l.add(Finding{
				File: path.Join("overlays", environment, e.Name()), Message: "the overlay lies over no file of the folder",
				Expected: "the name of a file at the top of the folder", Suggestion: suggest(e.Name(), known),
			})
		}
	}
}

func (l *loader) flows(f *Folder) {
	for _, flow := range Flows() {
		if flow == OrderCreation {
			continue // shares orders.yaml with OrderEdits
		}
		name := FileOf(flow)
		n := f.trees[name]
		if n == nil {
			continue
		}
		x := &flowFile{file: name, flows: []Flow{flow}, node: n, lookups: map[string]*lookup{}}
		if flow == OrderEdits {
			x.flows = append(x.flows, OrderCreation)
		}
		before := len(l.findings)
		d := fileDecoder{loader: l, x: x}
		d.decode()
		if len(l.findings) == before || !l.findings[before:].HasErrors() {
			f.files = append(f.files, x)
		}
	}
}

// lookupTable reads a look-up table: inline or from a CSV file with the header from,to.
func (l *loader) lookupTable(name string, n *Node) *lookup {
	out := &lookup{name: name, node: n, entries: map[string]string{}}
	if n.Kind != Map {
		l.add(n.Finding(Error, fmt.Sprintf("look-up table %q is no mapping", name), "entries {from: to}, or {csv: file}", ""))
		return out
	}
	if c := n.Get("csv"); c != nil && len(n.Keys) == 1 && c.Kind == Scalar {
		l.lookupCSV(out, c)
		return out
	}
	for i, k := range n.Keys {
		v := n.Values[i]
		if v.Kind != Scalar {
			l.add(v.Finding(Error, fmt.Sprintf("look-up table %q: the value of %q is no scalar", name, k.Text), "a text", ""))
			continue
		}
		out.entries[k.Text] = v.Text
	}
	return out
}

func (l *loader) lookupCSV(out *lookup, n *Node) {
	text, err := fs.ReadFile(l.fsys, n.Text)
	if err != nil {
		l.add(n.Finding(Error, fmt.Sprintf("read %s: %v", n.Text, err), "a CSV file inside the mapping folder", ""))
		return
	}
	if text = l.plain(n.Text, text); text == nil {
		return
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = 2
	records, err := r.ReadAll()
	if err != nil {
		f := n.Finding(Error, fmt.Sprintf("%s: %v", n.Text, err), "two columns, the first line being from,to", "")
		if p, ok := errors.AsType[*csv.ParseError](err); ok {
			f.File, f.Line, f.Column, f.Source = n.Text, p.Line, p.Column, ""
			f.Message = p.Err.Error()
			f.Suggestion = "part the columns by a comma; a value that holds one stands in double quotes"
		}
		l.add(f)
		return
	}
	if len(records) == 0 || records[0][0] != "from" || records[0][1] != "to" {
		l.add(Finding{File: n.Text, Line: 1, Column: 1, Message: "the header is missing", Expected: "the first line from,to"})
		return
	}
	for i, rec := range records[1:] {
		if _, twice := out.entries[rec[0]]; twice {
			l.add(Finding{File: n.Text, Line: i + 2, Column: 1, Message: fmt.Sprintf("%q is listed twice", rec[0]), Expected: "each key once"})
		}
		out.entries[rec[0]] = rec[1]
	}
}
