package mapper

import (
	"errors"
	"fmt"
	"time"

	"github.com/expr-lang/expr/types"
)

// Template is a tree of leaf expressions over named values, such as the body for the OMS's API over a NuORDER order.
type Template struct {
	tree  *tree
	today func() string
}

// Expr is one compiled expression over named values.
type Expr struct {
	expression *expression
	today      func() string
}

// TemplateEnv declares the names that a template may use.
type TemplateEnv struct {
	// Names are the top names with their types; Any for JSON of unknown shape.
	Names map[string]Type
	// Lookups are the look-up tables by name.
	Lookups map[string]map[string]string
	// Clock gives the present day to today(); nil forbids it.
	Clock func() time.Time
}

func (e TemplateEnv) compiler() (*compiler, *scope, func() string) {
	c := &compiler{define: map[string]*expression{}, lookups: map[string]*lookup{}, clock: e.Clock != nil}
	for name, entries := range e.Lookups {
		c.lookups[name] = &lookup{name: name, entries: entries}
	}
	s := &scope{names: map[string]types.Type{}}
	for name, t := range e.Names {
		s.names[name] = exprType(t)
	}
	var today func() string
	if e.Clock != nil {
		today = func() string { return e.Clock().Format("2006-01-02") }
	}
	return c, s, today
}

// CompileTemplate compiles a tree of leaf expressions; each: runs over any expression that gives a list, its element is named
// by as:, item if not given. The template is nil if a finding is an error.
func CompileTemplate(n *Node, env TemplateEnv) (*Template, Findings) {
	if n == nil {
		return nil, Findings{{Message: "the template is missing", Expected: "a tree of expressions"}}
	}
	c, s, today := env.compiler()
	t := &treeCompiler{compiler: c, seen: map[string]*Node{}}
	out := &Template{tree: t.build(n, s, ""), today: today}
	if c.findings.HasErrors() {
		return nil, c.findings
	}
	return out, c.findings
}

// Render makes the JSON. The values must be what JSON decodes to, numbers as json.Number, int or decimal; a name that is missing is NULL.
func (t *Template) Render(values map[string]any) ([]byte, error) {
	f := &frame{values: exactValues(values)}
	c := &evalContext{today: t.today, root: f}
	t.tree.encode(c, f)
	if len(c.violations) > 0 {
		v := c.violations[0]
		return nil, fmt.Errorf("%s: %w", v.Field, errors.New(v.Text))
	}
	return c.buf, nil
}

// CompileExpr compiles one expression over named values.
func CompileExpr(n *Node, env TemplateEnv) (*Expr, Findings) {
	c, s, today := env.compiler()
	if n == nil {
		return nil, Findings{{Message: "the expression is missing", Expected: "an expression"}}
	}
	e := c.compile(n, s)
	if e == nil {
		return nil, c.findings
	}
	return &Expr{expression: e, today: today}, c.findings
}

// Eval computes the expression: text, int, bool, decimal.Decimal, a list, an object, or nil.
func (e *Expr) Eval(values map[string]any) (any, error) {
	f := &frame{values: exactValues(values)}
	v, err := e.expression.eval(&evalContext{today: e.today, root: f}, f)
	if err != nil {
		return nil, fmt.Errorf("compute expression: %w", err)
	}
	return v, nil
}

// Text computes the expression as text; NULL gives the empty text.
func (e *Expr) Text(values map[string]any) (string, error) {
	v, err := e.Eval(values)
	if err != nil {
		return "", err
	}
	return textOf(v)
}

// exactValues makes numbers exact without touching the caller's values.
func exactValues(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = exactCopy(v)
	}
	return out
}

func exactCopy(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = exactCopy(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = exactCopy(v[k])
		}
		return out
	case int64:
		return int(v)
	}
	return exact(v)
}
