package mapper

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// NodeKind is the shape of a Node.
type NodeKind byte

// The kinds of nodes.
const (
	Scalar NodeKind = iota
	Map
	Sequence
)

// Node is a part of a mapping file with its place, so that every finding can point at it.
type Node struct {
	Kind NodeKind
	// Text is the value of a scalar, without quotes; IsNull tells the null scalar from the empty text.
	Text   string
	IsNull bool
	// Quoted tells that a scalar was written in quotes or as a block.
	Quoted bool
	// Keys and Values are the entries of a mapping in order; Items those of a sequence.
	Keys   []*Node
	Values []*Node
	Items  []*Node

	source *sourceFile
	// Line and Column count from one.
	Line, Column int
	// block tells that Text begins on the line after Line.
	block bool
}

type sourceFile struct {
	name  string
	lines []string
}

func newSource(name string, text []byte) *sourceFile {
	return &sourceFile{name: name, lines: strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")}
}

func (s *sourceFile) line(n int) string {
	if s == nil || n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// ParseNode reads one YAML file. Anchors, aliases and merge keys are not part of the format: an overlay does that work.
func ParseNode(name string, text []byte) (*Node, Findings) {
	src := newSource(name, text)
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, Findings{syntaxFinding(src, err)}
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			f := Finding{File: name, Line: 1, Column: 1, Message: "the file holds several YAML documents", Expected: "one document per file"}
			return nil, Findings{f}
		}
		body = doc.Body
	}
	if body == nil {
		return &Node{Kind: Map, source: src, Line: 1, Column: 1}, nil
	}
	b := nodeBuilder{src: src}
	n := b.build(body)
	return n, b.findings
}

func syntaxFinding(src *sourceFile, err error) Finding {
	f := Finding{File: src.name, Message: err.Error()}
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		f.Message = "YAML: " + syntax.Message
		if syntax.Token != nil && syntax.Token.Position != nil {
			f.Line, f.Column = syntax.Token.Position.Line, syntax.Token.Position.Column
			f.Source = src.line(f.Line)
		}
	}
	f.Expected, f.Suggestion = "YAML that can be read", syntaxHint(f)
	return f
}

// syntaxHint says what a line that YAML cannot read most likely lacks.
func syntaxHint(f Finding) string {
	switch {
	case strings.Contains(f.Message, "already defined"):
		return "leave one of the two"
	case strings.Contains(f.Message, "not allowed in this context"):
		return "indent the line like its neighbours"
	case strings.Contains(f.Source, "\t"):
		return "indent with blanks: YAML takes no tabs"
	case strings.Contains(f.Source, "{"):
		return `inside {...} an expression that holds a comma, a quote or a bracket stands in quotes: {color: 'row["Color Name"]'}`
	case strings.Contains(f.Message, "map key-value") || strings.Contains(f.Message, "mapping value"):
		return "an expression that holds \": \" stands in quotes; entries of one mapping stand under each other"
	}
	return "an expression that begins with a quote, a bracket, * or & or holds \": \" or \" #\" stands in quotes as a whole"
}

type nodeBuilder struct {
	src      *sourceFile
	findings Findings
	depth    int
}

func (b *nodeBuilder) build(n ast.Node) *Node {
	out := &Node{source: b.src}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.Line, out.Column = t.Position.Line, t.Position.Column
	}
	b.depth++
	defer func() { b.depth-- }()
	if b.depth > 100 {
		b.findings = append(b.findings, out.errorf("the file is nested too deeply"))
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.Kind = Map
		for _, v := range n.Values {
			b.entry(out, v)
		}
		if len(out.Keys) > 0 && !n.IsFlowStyle {
			out.Line, out.Column = out.Keys[0].Line, out.Keys[0].Column
		}
	case *ast.MappingValueNode:
		out.Kind = Map
		b.entry(out, n)
		if len(out.Keys) > 0 {
			out.Line, out.Column = out.Keys[0].Line, out.Keys[0].Column
		}
	case *ast.SequenceNode:
		out.Kind = Sequence
		for _, v := range n.Values {
			out.Items = append(out.Items, b.build(v))
		}
	case *ast.NullNode:
		out.IsNull = true
	case *ast.StringNode:
		out.Text = n.Value
		out.Quoted = n.Token != nil && !strings.HasPrefix(strings.TrimSpace(n.Token.Origin), n.Token.Value)
	case *ast.LiteralNode:
		out.Text, out.Quoted, out.block = n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.Text = strings.TrimSpace(n.GetToken().Value)
	default:
		f := out.errorf("this YAML construct is not part of the format")
		f.Expected = "plain mappings, lists and scalars; anchors, aliases, merge keys and tags are replaced by overlays"
		b.findings = append(b.findings, f)
	}
	return out
}

func (b *nodeBuilder) entry(out *Node, v *ast.MappingValueNode) {
	key := &Node{source: b.src}
	if t := v.Key.GetToken(); t != nil {
		key.Text, key.Line, key.Column = t.Value, t.Position.Line, t.Position.Column
	}
	if _, merge := v.Key.(*ast.MergeKeyNode); merge {
		f := key.errorf("merge keys are not part of the format")
		f.Expected = "the entries written out, or an overlay"
		b.findings = append(b.findings, f)
		return
	}
	out.Keys = append(out.Keys, key)
	if v.Value == nil {
		out.Values = append(out.Values, &Node{source: b.src, IsNull: true, Line: key.Line, Column: key.Column})
		return
	}
	out.Values = append(out.Values, b.build(v.Value))
}

// Get gives the value at a path of mapping keys, nil if there is none.
func (n *Node) Get(path ...string) *Node {
	for _, p := range path {
		if n == nil || n.Kind != Map {
			return nil
		}
		var next *Node
		for i, k := range n.Keys {
			if k.Text == p {
				next = n.Values[i]
				break
			}
		}
		n = next
	}
	return n
}

// File gives the name of the file that the node is from.
func (n *Node) File() string {
	if n == nil || n.source == nil {
		return ""
	}
	return n.source.name
}

func (n *Node) errorf(message string) Finding {
	return n.at(0, message)
}

// Finding makes a finding that points at the node.
func (n *Node) Finding(severity Severity, message, expected, suggestion string) Finding {
	f := n.at(0, message)
	f.Severity, f.Expected, f.Suggestion = severity, expected, suggestion
	return f
}

// at points at a byte offset of the scalar's text.
func (n *Node) at(offset int, message string) Finding {
	f := Finding{File: n.File(), Line: n.Line, Column: n.Column, Message: message}
	if n.block {
		offset = min(max(offset, 0), len(n.Text))
		before := n.Text[:offset]
		f.Line += 1 + strings.Count(before, "\n")
		line := n.source.line(f.Line)
		f.Column = len(line) - len(strings.TrimLeft(line, " ")) + 1 + offset - (strings.LastIndexByte(before, '\n') + 1)
	} else if offset > 0 {
		f.Column += offset
		if n.Quoted {
			f.Column++
		}
	} else if n.Quoted {
		f.Column++
	}
	f.Source = n.source.line(f.Line)
	return f
}

// merge lays an overlay over a base: mappings merge key by key, routes table by table, everything else replaces, null removes.
func merge(base, over *Node) *Node {
	if base == nil || over.Kind != Map || base.Kind != Map {
		return over
	}
	out := *base
	out.Keys = append([]*Node(nil), base.Keys...)
	out.Values = append([]*Node(nil), base.Values...)
	for i, k := range over.Keys {
		at := -1
		for j, b := range out.Keys {
			if b.Text == k.Text {
				at = j
				break
			}
		}
		v := over.Values[i]
		switch {
		case at < 0 && !v.IsNull:
			out.Keys = append(out.Keys, k)
			out.Values = append(out.Values, v)
		case at >= 0 && v.IsNull:
			out.Keys = append(out.Keys[:at], out.Keys[at+1:]...)
			out.Values = append(out.Values[:at], out.Values[at+1:]...)
		case k.Text == "routes" && v.Kind == Sequence && out.Values[at].Kind == Sequence:
			out.Values[at] = mergeRoutes(out.Values[at], v)
		case at >= 0:
			out.Values[at] = merge(out.Values[at], v)
		}
	}
	return &out
}

// mergeRoutes replaces the routes of the tables that the overlay names and adds those of tables that the base does not have.
func mergeRoutes(base, over *Node) *Node {
	named := map[string]bool{}
	for _, r := range over.Items {
		if t := r.Get("table"); t != nil {
			named[t.Text] = true
		}
	}
	out := *base
	out.Items = nil
	for _, r := range base.Items {
		if t := r.Get("table"); t == nil || !named[t.Text] {
			out.Items = append(out.Items, r)
		}
	}
	out.Items = append(out.Items, over.Items...)
	return &out
}
