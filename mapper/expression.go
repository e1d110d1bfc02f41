package mapper

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/shopspring/decimal"
)

// evaluate computes an expression in a frame. NULL is nil.
type evaluate func(c *evalContext, f *frame) (any, error)

// expression is a compiled leaf.
type expression struct {
	node *Node
	eval evaluate
	// column is the column of the innermost frame if the expression is nothing but that, else -1.
	column int
	// constant tells that the value never changes; value holds it.
	constant bool
	value    any
	typ      Type
	typeName string
}

// scope is what names mean at one place of the mapping, at compile time.
type scope struct {
	outer *scope
	// columns are the columns of the row in scope, nil in a scope of untyped values.
	columns []Column
	// names are untyped values by name, as templates have them.
	names map[string]types.Type
	// group tells that the rows of the current group are in scope under the name group.
	group bool
	root  bool
}

// compiler compiles the expressions of one file.
type compiler struct {
	parts    []partInfo
	lookups  map[string]*lookup
	define   map[string]*expression
	findings Findings
	// openOrders tells that the built-in part is available.
	openOrders bool
	clock      bool
	// usedClock tells that an expression asked for the present day.
	usedClock bool
	// usedLookups are the look-up tables that the last expression named.
	usedLookups []string
}

type partInfo struct {
	name    string
	columns []Column
}

func (c *compiler) add(f ...Finding) { c.findings = append(c.findings, f...) }

func exprType(t Type) types.Type {
	switch t {
	case Int:
		return types.Int
	case Decimal:
		return types.TypeOf(decimal.Decimal{})
	case Bool:
		return types.Bool
	case Any:
		return types.Any
	case TextList:
		return types.Array(types.String)
	default:
		return types.String
	}
}

func rowType(columns []Column) types.Map {
	m := types.Map{}
	for _, col := range columns {
		m[col.Name] = exprType(col.Type)
	}
	return m
}

func openOrderColumns() []Column {
	return []Column{{Name: "upc"}, {Name: "size"}, {Name: "warehouse"}, {Name: "quantity", Type: Int}}
}

// env declares every name that an expression may use in the scope.
func (c *compiler) env(s *scope) types.Map {
	env := types.Map{}
	for _, p := range c.parts {
		env[p.name] = types.Array(rowType(p.columns))
	}
	if c.openOrders {
		env["open_orders"] = types.Array(rowType(openOrderColumns()))
	}
	for name, d := range c.define {
		env[name] = exprType(d.typ)
	}
	var chain []*scope
	for x := s; x != nil; x = x.outer {
		chain = append(chain, x)
	}
	slices.Reverse(chain)
	for i, x := range chain {
		if x.columns != nil {
			row := rowType(x.columns)
			if x.root {
				env["root"] = row
			}
			env["row"] = row
			if i > 0 && chain[i-1].columns != nil {
				env["outer"] = rowType(chain[i-1].columns)
			}
			if x.group {
				env["group"] = types.Array(row)
			}
			for k, v := range row { // a column that has one of these names hides it
				env[k] = v
			}
		}
		for k, v := range x.names {
			env[k] = v
		}
	}
	return env
}

// compile checks an expression against the scope and prepares it. It returns nil after adding findings.
func (c *compiler) compile(n *Node, s *scope) *expression {
	if n == nil {
		return nil
	}
	if n.Kind != Scalar || n.IsNull || strings.TrimSpace(n.Text) == "" {
		c.add(n.Finding(Error, "an expression is missing here", "an expression over the columns", ""))
		return nil
	}
	if n.Text == Undecided {
		c.add(n.Finding(Warning, "a person must decide here", "an expression over the columns", "the comment behind it names columns that could be meant"))
		return &expression{node: n, column: -1, eval: constant(nil), typ: Any}
	}
	env := c.env(s)
	options := append(functionOptions(c), expr.Env(env), expr.Optimize(false), expr.MaxNodes(2000))
	program, err := expr.Compile(n.Text, options...)
	if err != nil {
		c.add(expressionFinding(n, err, env))
		return nil
	}
	e := &expression{node: n, column: -1}
	b := &builder{compiler: c, scope: s, node: n}
	e.eval = b.build(program.Node())
	if b.failed {
		return nil
	}
	e.typ, e.typeName = typeOf(program.Node())
	if e.typeName == "float64" {
		c.add(n.Finding(Error, "the expression gives a binary float, which is not exact", "a decimal or an integer", "wrap it in decimal(...)"))
		return nil
	}
	if id, ok := program.Node().(*ast.IdentifierNode); ok && s != nil && s.columns != nil {
		e.column = columnIndex(s.columns, id.Value)
		if e.column >= 0 {
			e.typ = s.columns[e.column].Type
		}
	}
	switch k := program.Node().(type) {
	case *ast.StringNode:
		e.constant, e.value = true, k.Value
	case *ast.BoolNode:
		e.constant, e.value = true, k.Value
	case *ast.IntegerNode:
		e.constant, e.value = true, k.Value
	}
	return e
}

// compileBool compiles an expression that must be a condition.
func (c *compiler) compileBool(n *Node, s *scope, what string) *expression {
	e := c.compile(n, s)
	if e != nil && e.typ != Bool && e.typ != Any {
		c.add(n.Finding(Error, fmt.Sprintf("%s is %s", what, e.typ), "a condition that is true or false, such as status == \"Active\"", ""))
		return nil
	}
	return e
}

func typeOf(n ast.Node) (Type, string) {
	t := n.Type()
	if t == nil {
		return Any, "nil"
	}
	switch t.String() {
	case "string":
		return Text, "string"
	case "int":
		return Int, "int"
	case "bool":
		return Bool, "bool"
	case "decimal.Decimal":
		return Decimal, "decimal"
	case "[]string":
		return TextList, "[]string"
	}
	return Any, t.String()
}

// expressionFinding turns an error of the expression compiler into a finding that points into the file.
func expressionFinding(n *Node, err error, env types.Map) Finding {
	e, ok := errors.AsType[*file.Error](err)
	if !ok {
		return n.errorf("expression: " + err.Error())
	}
	offset := runeOffset(n.Text, e.From)
	message := plainTypes(e.Message)
	f := n.at(offset, message)
	if name, isName := strings.CutPrefix(e.Message, "unknown name "); isName {
		known := envNames(env)
		f.Message = fmt.Sprintf("unknown name %q", name)
		f.Expected = "a column, part or function that is known here: " + shorten(known)
		f.Suggestion = suggest(name, append(known, functionNames()...))
	} else if rest, isField := strings.CutPrefix(e.Message, "unknown field "); isField {
		f.Message = fmt.Sprintf("unknown column %q", rest)
		f.Suggestion = suggest(rest, allColumns(env))
	} else if strings.Contains(e.Message, "unexpected token EOF") && !n.Quoted {
		f.Suggestion = "is it cut off? In YAML a comma inside {...} and a # after a space end a value: put the expression in quotes"
	} else if strings.Contains(e.Message, "mismatched types") {
		f.Expected = "two values of one kind; text(x) makes text of a number, decimal(x) a number of a text"
	}
	return f
}

func plainTypes(s string) string {
	return strings.NewReplacer("decimal.Decimal", "decimal", "map[string]interface {}", "row", "interface {}", "json", "[]", "list of ").Replace(s)
}

func runeOffset(s string, runes int) int {
	i := 0
	for at := range s {
		if i == runes {
			return at
		}
		i++
	}
	return len(s)
}

func envNames(env types.Map) []string {
	out := make([]string, 0, len(env))
	for k := range env {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func allColumns(env types.Map) []string {
	out := envNames(env)
	for _, v := range env {
		if m, ok := v.(types.Map); ok {
			out = append(out, envNames(m)...)
		}
	}
	return out
}

func shorten(names []string) string {
	if len(names) > 24 {
		return strings.Join(names[:24], ", ") + " ..."
	}
	return strings.Join(names, ", ")
}

func columnIndex(columns []Column, name string) int {
	return slices.IndexFunc(columns, func(c Column) bool { return c.Name == name })
}
