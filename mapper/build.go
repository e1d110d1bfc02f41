package mapper

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/shopspring/decimal"
)

// builder turns a checked syntax tree into closures. The types were checked before; NULL flows through as in SQL: arithmetic
// with NULL gives NULL, a condition that is NULL counts as false.
type builder struct {
	*compiler
	scope  *scope
	node   *Node
	failed bool
	vars   []string
}

func (b *builder) fail(n ast.Node, message, expected string) evaluate {
	f := b.node.at(runeOffset(b.node.Text, n.Location().From), message)
	f.Expected = expected
	b.add(f)
	b.failed = true
	return constant(nil)
}

func constant(v any) evaluate {
	return func(*evalContext, *frame) (any, error) { return v, nil }
}

func (b *builder) build(n ast.Node) evaluate {
	switch n := n.(type) {
	case *ast.NilNode:
		return constant(nil)
	case *ast.IdentifierNode:
		return b.identifier(n)
	case *ast.IntegerNode:
		return constant(n.Value)
	case *ast.FloatNode:
		return constant(decimal.NewFromFloat(n.Value))
	case *ast.BoolNode:
		return constant(n.Value)
	case *ast.StringNode:
		return constant(n.Value)
	case *ast.ConstantNode:
		return constant(n.Value)
	case *ast.UnaryNode:
		return b.unary(n)
	case *ast.BinaryNode:
		return b.binary(n.Operator, n.Left, n.Right, n)
	case *ast.ChainNode:
		return b.build(n.Node)
	case *ast.MemberNode:
		return b.member(n)
	case *ast.SliceNode:
		return b.slice(n)
	case *ast.CallNode:
		return b.call(n)
	case *ast.BuiltinNode:
		return b.builtin(n)
	case *ast.PredicateNode:
		return b.build(n.Node)
	case *ast.PointerNode:
		return b.pointer(n)
	case *ast.ConditionalNode:
		return b.conditional(n)
	case *ast.VariableDeclaratorNode:
		return b.variable(n)
	case *ast.ArrayNode:
		return b.array(n)
	case *ast.MapNode:
		return b.mapping(n)
	default:
		return b.fail(n, "this form of expression is not supported", "operators, functions, conditions, lists")
	}
}

func (b *builder) identifier(n *ast.IdentifierNode) evaluate {
	name := n.Value
	for i := len(b.vars) - 1; i >= 0; i-- {
		if b.vars[i] == name {
			return func(c *evalContext, _ *frame) (any, error) { return c.vars[i], nil }
		}
	}
	depth := 0
	for s := b.scope; s != nil; s = s.outer {
		if e := scopeName(s, name, depth); e != nil {
			return e
		}
		depth++
	}
	if d := b.define[name]; d != nil {
		return func(c *evalContext, _ *frame) (any, error) { return d.eval(c, c.root) }
	}
	for i, p := range b.parts {
		if p.name == name {
			return func(c *evalContext, _ *frame) (any, error) { return rowsOf(c.document.parts[i]), nil }
		}
	}
	if name == "open_orders" && b.openOrders {
		return func(c *evalContext, _ *frame) (any, error) { return openOrderRows(c.document.openOrders), nil }
	}
	return b.unknown(n)
}

// unknown reports a name that nothing has, with the nearest one that something has.
func (b *builder) unknown(n *ast.IdentifierNode) evaluate {
	known := append(slices.Clone(b.vars), functionNames()...)
	for s := b.scope; s != nil; s = s.outer {
		known = append(known, columnNames(s.columns)...)
		for name := range s.names {
			known = append(known, name)
		}
	}
	for name := range b.define {
		known = append(known, name)
	}
	for _, p := range b.parts {
		known = append(known, p.name)
	}
	f := b.node.at(runeOffset(b.node.Text, n.Location().From), fmt.Sprintf("unknown name %q", n.Value))
	f.Expected, f.Suggestion = "a column, part or function", suggest(n.Value, known)
	b.add(f)
	b.failed = true
	return constant(nil)
}

func up(f *frame, depth int) *frame {
	for ; depth > 0; depth-- {
		f = f.outer
	}
	return f
}

// scopeName resolves a name within one scope, depth frames up; nil if the scope does not know it.
func scopeName(s *scope, name string, depth int) evaluate {
	if _, ok := s.names[name]; ok {
		return func(_ *evalContext, f *frame) (any, error) { return up(f, depth).values[name], nil }
	}
	if s.columns == nil {
		return nil
	}
	if i := columnIndex(s.columns, name); i >= 0 {
		return func(_ *evalContext, f *frame) (any, error) {
			f = up(f, depth)
			return boxed(f.rows, f.row, i)
		}
	}
	switch {
	case name == "row" || name == "root" && s.root:
		return func(_ *evalContext, f *frame) (any, error) {
			f = up(f, depth)
			return rowRef{f.rows, f.row}, nil
		}
	case name == "outer" && s.outer != nil && s.outer.columns != nil:
		return func(_ *evalContext, f *frame) (any, error) {
			f = up(f, depth+1)
			return rowRef{f.rows, f.row}, nil
		}
	case name == "group" && s.group:
		return func(_ *evalContext, f *frame) (any, error) {
			f = up(f, depth)
			return rowsOf(Slice{f.rows, f.group}), nil
		}
	}
	return nil
}

func (b *builder) unary(n *ast.UnaryNode) evaluate {
	e := b.build(n.Node)
	switch n.Operator {
	case "!", "not":
		return func(c *evalContext, f *frame) (any, error) {
			v, err := e(c, f)
			if err != nil || v == nil {
				return nil, err
			}
			t, _ := v.(bool)
			return !t, nil
		}
	case "-":
		return func(c *evalContext, f *frame) (any, error) {
			v, err := e(c, f)
			if err != nil || v == nil {
				return nil, err
			}
			return arithmetic("-", 0, v)
		}
	default:
		return e
	}
}

func (b *builder) conditional(n *ast.ConditionalNode) evaluate {
	cond, yes, no := b.build(n.Cond), b.build(n.Exp1), b.build(n.Exp2)
	return func(c *evalContext, f *frame) (any, error) {
		v, err := cond(c, f)
		if err != nil {
			return nil, err
		}
		if t, _ := v.(bool); t {
			return yes(c, f)
		}
		return no(c, f)
	}
}

func (b *builder) member(n *ast.MemberNode) evaluate {
	of, by := b.build(n.Node), b.build(n.Property)
	return func(c *evalContext, f *frame) (any, error) {
		v, err := of(c, f)
		if err != nil || v == nil {
			return nil, err
		}
		k, err := by(c, f)
		if err != nil {
			return nil, err
		}
		return memberOf(v, k)
	}
}

// memberOf gives a field of a row or an object, or an element of a list; what is not there is NULL.
func memberOf(v, k any) (any, error) {
	switch v := v.(type) {
	case rowRef:
		name, _ := k.(string)
		return v.get(name)
	case map[string]any:
		name, _ := k.(string)
		return v[name], nil
	}
	list, ok := listOf(v)
	i, isInt := k.(int)
	if !ok || !isInt {
		return nil, nil
	}
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil, nil
	}
	return list[i], nil
}

func listOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out, true
	case nil:
		return nil, true
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice {
		return nil, false
	}
	out := make([]any, rv.Len())
	for i := range out {
		out[i] = rv.Index(i).Interface()
	}
	return out, true
}

func (b *builder) slice(n *ast.SliceNode) evaluate {
	of := b.build(n.Node)
	from, to := constant(nil), constant(nil)
	if n.From != nil {
		from = b.build(n.From)
	}
	if n.To != nil {
		to = b.build(n.To)
	}
	return func(c *evalContext, f *frame) (any, error) {
		v, err := of(c, f)
		if err != nil || v == nil {
			return nil, err
		}
		lo, err := from(c, f)
		if err != nil {
			return nil, err
		}
		hi, err := to(c, f)
		if err != nil {
			return nil, err
		}
		if s, ok := v.(string); ok {
			r := []rune(s)
			i, j := bounds(lo, hi, len(r))
			return string(r[i:j]), nil
		}
		list, _ := listOf(v)
		i, j := bounds(lo, hi, len(list))
		return list[i:j], nil
	}
}

func bounds(lo, hi any, n int) (int, int) {
	i, j := 0, n
	if v, ok := lo.(int); ok {
		i = v
	}
	if v, ok := hi.(int); ok {
		j = v
	}
	if i < 0 {
		i += n
	}
	if j < 0 {
		j += n
	}
	i, j = min(max(i, 0), n), min(max(j, 0), n)
	return min(i, j), j
}

func (b *builder) arguments(nodes []ast.Node) []evaluate {
	out := make([]evaluate, len(nodes))
	for i, n := range nodes {
		out[i] = b.build(n)
	}
	return out
}

func evalAll(c *evalContext, f *frame, args []evaluate) ([]any, bool, error) {
	out := make([]any, len(args))
	null := false
	for i, a := range args {
		v, err := a(c, f)
		if err != nil {
			return nil, false, err
		}
		out[i] = v
		null = null || v == nil
	}
	return out, null, nil
}

func (b *builder) call(n *ast.CallNode) evaluate {
	id, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return b.fail(n, "methods of values cannot be called", "one of the functions of the mapping language")
	}
	if op, isOp := strings.CutPrefix(id.Value, operatorPrefix); isOp && len(n.Arguments) == 2 {
		return b.binary(operatorNames()[op], n.Arguments[0], n.Arguments[1], n)
	}
	fn := findFunction(id.Value)
	if fn == nil {
		return b.fail(n, fmt.Sprintf("unknown function %q", id.Value), shorten(functionNames()))
	}
	if fn.check != nil {
		if message := fn.check(b.compiler, n.Arguments); message != "" {
			return b.fail(n, message, fn.Example)
		}
	}
	args, call, nullable := b.arguments(n.Arguments), fn.call, fn.nulls
	lookups := b.lookups
	return func(c *evalContext, f *frame) (any, error) {
		values, null, err := evalAll(c, f, args)
		if err != nil || null && !nullable {
			return nil, err
		}
		return call(callContext{c, lookups}, values)
	}
}

func (b *builder) array(n *ast.ArrayNode) evaluate {
	items := b.arguments(n.Nodes)
	return func(c *evalContext, f *frame) (any, error) {
		out, _, err := evalAll(c, f, items)
		return out, err
	}
}

func (b *builder) mapping(n *ast.MapNode) evaluate {
	var keys, values []evaluate
	for _, p := range n.Pairs {
		pair, ok := p.(*ast.PairNode)
		if !ok {
			return b.fail(n, "this form of map is not supported", "{name: value}")
		}
		keys, values = append(keys, b.build(pair.Key)), append(values, b.build(pair.Value))
	}
	return func(c *evalContext, f *frame) (any, error) {
		out := make(map[string]any, len(keys))
		for i := range keys {
			k, err := keys[i](c, f)
			if err != nil {
				return nil, err
			}
			v, err := values[i](c, f)
			if err != nil {
				return nil, err
			}
			out[fmt.Sprint(k)] = v
		}
		return out, nil
	}
}

func (b *builder) variable(n *ast.VariableDeclaratorNode) evaluate {
	value := b.build(n.Value)
	b.vars = append(b.vars, n.Name)
	at := len(b.vars) - 1
	body := b.build(n.Expr)
	b.vars = b.vars[:at]
	return func(c *evalContext, f *frame) (any, error) {
		v, err := value(c, f)
		if err != nil {
			return nil, err
		}
		for len(c.vars) <= at {
			c.vars = append(c.vars, nil)
		}
		c.vars[at] = v
		return body(c, f)
	}
}

func (b *builder) pointer(n *ast.PointerNode) evaluate {
	switch n.Name {
	case "":
		return func(c *evalContext, _ *frame) (any, error) { return c.pointers[len(c.pointers)-1].element, nil }
	case "index":
		return func(c *evalContext, _ *frame) (any, error) { return c.pointers[len(c.pointers)-1].index, nil }
	case "acc":
		return func(c *evalContext, _ *frame) (any, error) { return c.pointers[len(c.pointers)-1].acc, nil }
	}
	return b.fail(n, "unknown pointer #"+n.Name, "#, #index or #acc")
}

func (b *builder) builtin(n *ast.BuiltinNode) evaluate {
	if e := b.predicate(n); e != nil {
		return e
	}
	at, ok := builtin.Index[n.Name]
	if !ok {
		return b.fail(n, fmt.Sprintf("unknown function %q", n.Name), shorten(functionNames()))
	}
	fn, args := builtin.Builtins[at], b.arguments(n.Arguments)
	return func(c *evalContext, f *frame) (any, error) {
		values, null, err := evalAll(c, f, args)
		if err != nil || null {
			return nil, err
		}
		return callBuiltin(fn, values)
	}
}

// callBuiltin calls a function of expr. Some of them panic on values that they do not expect, such as a NULL inside a list.
func callBuiltin(fn *builtin.Function, values []any) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("function %s cannot work with these values: %v; hint: leave NULL out with filter, or replace it with ??", fn.Name, r)
		}
	}()
	switch {
	case fn.Fast != nil:
		return fn.Fast(values[0]), nil
	case fn.Func != nil:
		return fn.Func(values...)
	case fn.Safe != nil:
		v, _, err := fn.Safe(values...)
		return v, err
	}
	return nil, fmt.Errorf("function %q is not available", fn.Name)
}
