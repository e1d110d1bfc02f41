package mapper

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"
)

type treeKind byte

const (
	leafTree treeKind = iota
	objectTree
	sequenceTree
	eachTree
)

// tree is a compiled body: leaf expressions in objects and lists.
type tree struct {
	kind treeKind
	node *Node
	path string
	rule *rule

	// Leaf: the expression; keepNull sends null instead of leaving the field out.
	expr     *expression
	keepNull bool
	// Leaf and object: nothing is written unless the condition holds.
	when *expression

	// Object: the fields in order.
	fields []treeField
	// Sequence: the items; those of kind each are spliced in.
	items []*tree

	each *eachNode
}

type treeField struct {
	name string
	// prefix is the JSON text of name and colon.
	prefix []byte
	value  *tree
}

// eachNode is a list (or, with key, an object) over rows.
type eachNode struct {
	// part is the index of the part, -1 for the current group's rows, -2 for an expression.
	part  int
	list  *expression
	as    string
	where *expression
	order []orderBy
	// group are the columns, or the expressions, that rows of one group have in common.
	group   []int
	groupBy []*expression
	key     *expression
	body    *tree
}

type orderBy struct {
	by   *expression
	desc bool
}

const (
	overGroup      = -1
	overExpression = -2
)

// treeCompiler compiles body trees of one file.
type treeCompiler struct {
	*compiler
	rules map[string]rule
	seen  map[string]*Node
}

func (t *treeCompiler) build(n *Node, s *scope, path string) *tree {
	out := t.begin(n, path)
	switch n.Kind {
	case Scalar:
		t.leaf(out, n, s)
	case Sequence:
		out.kind = sequenceTree
		for _, i := range n.Items {
			if i.Get("each") == nil || i.Get("key") != nil {
				out.items = append(out.items, t.build(i, s, path+"[]"))
				continue
			}
			// A list inside a list is spliced in: its elements are the list's, and what is demanded of the list is asked once.
			spliced := t.build(i, s, path)
			spliced.rule = nil
			out.items = append(out.items, spliced)
		}
	case Map:
		t.mapping(out, n, s)
	}
	return out
}

// begin makes the tree of a place in the body, with the remote's rule for it.
func (t *treeCompiler) begin(n *Node, path string) *tree {
	out := &tree{node: n, path: path}
	if r, ok := t.rules[path]; ok {
		out.rule = &r
	} else if r, ok := t.rules[generalPath(path)]; ok {
		out.rule = &r
	}
	t.seen[path] = n
	return out
}

// fields builds what stands under fields: always an object, so that a field may be called each or value.
func (t *treeCompiler) fields(n *Node, s *scope, path string) *tree {
	out := t.begin(n, path)
	out.kind = objectTree
	t.object(out, n, s)
	return out
}

func (t *treeCompiler) leaf(out *tree, n *Node, s *scope) {
	t.usedLookups = t.usedLookups[:0]
	out.kind, out.expr = leafTree, t.compile(n, s)
	t.checkConstant(out, t.usedLookups)
}

func onlyKeys(n *Node, keys ...string) bool {
	for _, k := range n.Keys {
		if !slices.Contains(keys, k.Text) {
			return false
		}
	}
	return true
}

func (t *treeCompiler) mapping(out *tree, n *Node, s *scope) {
	switch {
	case n.Get("each") != nil:
		out.kind, out.each = eachTree, t.each(n, s, out.path)
	case n.Get("value") != nil && onlyKeys(n, "value", "when", "null"):
		t.leaf(out, n.Get("value"), s)
		if w := n.Get("when"); w != nil {
			out.when = t.compileBool(w, s, "when")
		}
		if x := n.Get("null"); x != nil {
			out.keepNull = x.Text == "send"
			if x.Text != "send" && x.Text != "omit" {
				t.add(x.Finding(Error, "null is neither send nor omit", "send or omit", suggest(x.Text, []string{"send", "omit"})))
			}
		}
	case n.Get("fields") != nil && onlyKeys(n, "fields", "when"):
		if w := n.Get("when"); w != nil {
			out.when = t.compileBool(w, s, "when")
		}
		out.kind = objectTree
		t.object(out, n.Get("fields"), s)
	default:
		out.kind = objectTree
		t.object(out, n, s)
	}
}

func (t *treeCompiler) object(out *tree, n *Node, s *scope) {
	if n.Kind != Map {
		t.add(n.Finding(Error, "fields is no mapping", "entries {name: expression}", ""))
		return
	}
	for i, k := range n.Keys {
		path := k.Text
		if out.path != "" {
			path = out.path + "." + k.Text
		}
		prefix := append(appendString(nil, k.Text), ':')
		out.fields = append(out.fields, treeField{name: k.Text, prefix: prefix, value: t.build(n.Values[i], s, path)})
	}
}

func (t *treeCompiler) each(n *Node, s *scope, path string) *eachNode {
	e := &eachNode{part: overExpression}
	known, _ := entryNames("list")
	for _, k := range n.Keys {
		if !slices.Contains(known, k.Text) {
			t.add(k.Finding(Error, fmt.Sprintf("unknown entry %q in a list", k.Text), "one of "+strings.Join(known, ", "), suggest(k.Text, known)))
		}
	}
	inner := t.eachScope(e, n, s)
	if inner == nil {
		return nil
	}
	if w := n.Get("where"); w != nil {
		e.where = t.compileBool(w, inner, "where")
	}
	t.order(e, n.Get("order"), inner)
	if g := n.Get("group"); g != nil {
		t.group(e, g, inner)
	}
	suffix := "[]"
	if k := n.Get("key"); k != nil {
		e.key, suffix = t.compile(k, inner), ".*"
	}
	fields, value := n.Get("fields"), n.Get("value")
	switch {
	case (fields == nil) == (value == nil):
		t.add(n.Finding(Error, "the list says not what its elements are", "either fields: {name: expression} or value: expression", ""))
		return nil
	case fields != nil:
		e.body = t.fields(fields, inner, path+suffix)
	default:
		e.body = t.build(value, inner, path+suffix)
	}
	return e
}

// eachScope finds what the list runs over and gives the scope of an element.
func (t *treeCompiler) eachScope(e *eachNode, n *Node, s *scope) *scope {
	over := n.Get("each")
	if over.Kind != Scalar {
		t.add(over.Finding(Error, "each names no part", "the name of a part, group, or an expression that gives a list", ""))
		return nil
	}
	for i, p := range t.parts {
		if p.name == over.Text {
			e.part = i
			return &scope{outer: s, columns: p.columns}
		}
	}
	if over.Text == "group" {
		for x := s; x != nil; x = x.outer {
			if x.group {
				e.part = overGroup
				return &scope{outer: s, columns: x.columns}
			}
		}
	}
	e.list = t.compile(over, s)
	if e.list == nil {
		return nil
	}
	if e.list.typ != Any && e.list.typ != TextList {
		t.add(over.Finding(Error, fmt.Sprintf("each runs over %s, which is no list", e.list.typ), "the name of a part, group, or an expression that gives a list", ""))
		return nil
	}
	e.as = "item"
	if as := n.Get("as"); as != nil {
		e.as = as.Text
	}
	return &scope{outer: s, names: map[string]types.Type{e.as: types.Any}}
}

func (t *treeCompiler) order(e *eachNode, n *Node, inner *scope) {
	if n == nil {
		return
	}
	items := n.Items
	if n.Kind == Scalar {
		items = []*Node{n}
	}
	for _, i := range items {
		o := orderBy{}
		by := *i
		if text, desc := strings.CutSuffix(i.Text, " desc"); desc {
			by.Text, o.desc = text, true
		}
		if o.by = t.compile(&by, inner); o.by != nil {
			e.order = append(e.order, o)
		}
	}
}

func (t *treeCompiler) group(e *eachNode, n *Node, inner *scope) {
	items := n.Items
	if n.Kind == Scalar {
		items = []*Node{n}
	}
	if inner.columns == nil {
		t.add(n.Finding(Error, "only rows of a part can be grouped", "each: the name of a part", ""))
		return
	}
	for _, i := range items {
		if x := t.compile(i, inner); x != nil {
			e.groupBy = append(e.groupBy, x)
			e.group = append(e.group, x.column)
		}
	}
	if slices.Contains(e.group, -1) {
		e.group = nil
	} else {
		e.groupBy = nil
	}
	inner.group = true
}

func columnNames(columns []Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}
