package oms

import (
	"fmt"
	"slices"
	"strings"

	"nubridge/mapper"
)

// expression and template are the compiled forms of the mapping's language, over named values.
type (
	expression func(names map[string]any) (any, error)
	template   func(names map[string]any) ([]byte, error)
)

// env declares the names of a place of the file. All hold JSON of unknown shape.
func (c *compiler) env(names []string) mapper.TemplateEnv {
	env := mapper.TemplateEnv{Names: map[string]mapper.Type{}, Lookups: c.lookups}
	for _, n := range names {
		env.Names[n] = mapper.Any
	}
	for _, n := range c.defined {
		env.Names[n] = mapper.Any
	}
	return env
}

// expression compiles; after a finding the result fails when used, and is never used.
func (c *compiler) expression(n *mapper.Node, names []string) expression {
	e, findings := mapper.CompileExpr(n, c.env(names))
	c.findings = append(c.findings, findings...)
	if e == nil {
		return func(map[string]any) (any, error) { return nil, fmt.Errorf("the expression does not compile") }
	}
	used := c.used(n, names)
	return func(names map[string]any) (out any, err error) {
		defer recovered(&err)
		// Every value that is handed over is copied, and an order is large: only those that the expression names.
		few := make(map[string]any, len(used))
		for _, name := range used {
			few[name] = names[name]
		}
		return e.Eval(few)
	}
}

// used gives the names that an expression may use: those whose letters are in it.
func (c *compiler) used(n *mapper.Node, names []string) []string {
	var out []string
	for _, name := range slices.Concat(names, c.defined) {
		if strings.Contains(n.Text, name) {
			out = append(out, name)
		}
	}
	return out
}

// recovered makes an error of a panic: what the far end sends is hostile, and a function that does not expect its shape must not end
// the process.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the expression cannot take a value of this shape")
	}
}

func (c *compiler) template(n *mapper.Node, names []string) template {
	t, findings := mapper.CompileTemplate(n, c.env(names))
	c.findings = append(c.findings, findings...)
	if t == nil {
		return func(map[string]any) ([]byte, error) { return nil, fmt.Errorf("the template does not compile") }
	}
	return func(names map[string]any) (out []byte, err error) {
		defer recovered(&err)
		return t.Render(names)
	}
}

// tables reads look-up tables written as {name: {from: to}}.
func (c *compiler) tables(n *mapper.Node) map[string]map[string]string {
	out := map[string]map[string]string{}
	if n.Kind != mapper.Map {
		c.add(n, "lookups is no mapping", "entries {name: {from: to}}")
		return out
	}
	for i, k := range n.Keys {
		table := n.Values[i]
		if table.Kind != mapper.Map {
			c.add(table, "a look-up table is no mapping", "entries {from: to}")
			continue
		}
		out[k.Text] = map[string]string{}
		for j, from := range table.Keys {
			out[k.Text][from.Text] = table.Values[j].Text
		}
	}
	return out
}
