package mapper

import (
	"fmt"
	"strconv"
	"strings"
)

// outcome is what became of one node of the tree.
type outcome byte

const (
	nothing outcome = iota // null: the field is left out
	wrote
	drop // the enclosing element of a list is left out
)

type pathStep struct {
	name  string
	index int
}

func (c *evalContext) pathText() string {
	var b strings.Builder
	for _, s := range c.path {
		if s.name == "" {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
	}
	return b.String()
}

func (c *evalContext) violate(ruleName, value, text string) {
	if len(c.violations) < 20 {
		c.violations = append(c.violations, Violation{Field: c.pathText(), Rule: ruleName, Value: value, Text: text})
	}
}

func (c *evalContext) failed(err error) {
	c.violate("expression", "", "The expression could not be computed: "+err.Error()+". Correct the value in OMS or the expression in the mapping.")
}

// encode appends the JSON of a node to the buffer.
func (t *tree) encode(c *evalContext, f *frame) outcome {
	if t.when != nil {
		ok, err := t.when.eval(c, f)
		if err != nil {
			c.failed(err)
			return nothing
		}
		if ok != true {
			return nothing
		}
	}
	switch t.kind {
	case leafTree:
		return t.leaf(c, f)
	case objectTree:
		return t.object(c, f)
	case sequenceTree:
		return t.sequence(c, f)
	default:
		return t.list(c, f)
	}
}

func (t *tree) object(c *evalContext, f *frame) outcome {
	c.buf = append(c.buf, '{')
	start := len(c.buf)
	for i := range t.fields {
		field := &t.fields[i]
		before := len(c.buf)
		if before > start {
			c.buf = append(c.buf, ',')
		}
		c.buf = append(c.buf, field.prefix...)
		c.path = append(c.path, pathStep{name: field.name})
		got := field.value.encode(c, f)
		c.path = c.path[:len(c.path)-1]
		switch got {
		case nothing:
			c.buf = c.buf[:before]
		case drop:
			return drop
		}
	}
	c.buf = append(c.buf, '}')
	return wrote
}

func (t *tree) sequence(c *evalContext, f *frame) outcome {
	c.buf = append(c.buf, '[')
	start := len(c.buf)
	n := 0
	for _, item := range t.items {
		if item.kind == eachTree && item.each != nil && item.each.key == nil {
			got, _ := item.each.run(c, f, &n, start)
			if got == drop {
				return drop
			}
			continue
		}
		before := len(c.buf)
		if before > start {
			c.buf = append(c.buf, ',')
		}
		c.path = append(c.path, pathStep{index: n})
		got := item.encode(c, f)
		c.path = c.path[:len(c.path)-1]
		if got != wrote {
			c.buf = c.buf[:before]
			continue
		}
		n++
	}
	c.buf = append(c.buf, ']')
	return t.listDone(c, start-1, n, 0)
}

func (t *tree) list(c *evalContext, f *frame) outcome {
	if t.each == nil {
		return nothing
	}
	open, closing := byte('['), byte(']')
	if t.each.key != nil {
		open, closing = '{', '}'
	}
	c.buf = append(c.buf, open)
	start, n := len(c.buf), 0
	_, dropped := t.each.run(c, f, &n, start)
	c.buf = append(c.buf, closing)
	return t.listDone(c, start-1, n, dropped)
}

// listDone applies the rules of a whole list.
func (t *tree) listDone(c *evalContext, start, n, dropped int) outcome {
	r := t.rule
	if r == nil {
		return wrote
	}
	if n == 0 && r.dropEmpty {
		return drop
	}
	if n == 0 && r.required && dropped == 0 {
		c.violate("required", "", fmt.Sprintf("%s: there is none, and NuORDER needs at least one. Add it in OMS.", r.say))
	}
	if r.list != nil {
		r.list(c, c.buf[start:])
	}
	return wrote
}

func (t *tree) leaf(c *evalContext, f *frame) outcome {
	if t.expr == nil {
		return nothing
	}
	start := len(c.buf)
	got := wrote
	if e := t.expr; e.column >= 0 {
		got = c.appendColumn(f.rows, f.row, e.column)
	} else {
		v, err := e.eval(c, f)
		if err == nil {
			c.buf, err = appendValue(c.buf, v)
		}
		if err != nil {
			c.failed(err)
			c.buf = c.buf[:start]
			return nothing
		}
		if v == nil {
			got = nothing
		}
	}
	if got == nothing {
		c.buf = c.buf[:start]
		if t.keepNull {
			c.buf, got = append(c.buf, "null"...), wrote
		}
	}
	if t.rule != nil {
		return t.rule.check(c, start, got)
	}
	return got
}

// appendColumn writes a column as it stands, without decoding it.
func (c *evalContext) appendColumn(r *Rows, row, column int) outcome {
	text, ok := r.Value(row, column)
	if !ok {
		return nothing
	}
	switch r.columns[column].Type {
	case Int, Bool:
		c.buf = append(c.buf, text...)
	case Decimal:
		if len(text) > 0 && (text[len(text)-1] == 'N' || text[len(text)-1] == 'y') {
			c.failed(fmt.Errorf("column %q holds NaN or infinity, which is no amount", r.columns[column].Name))
			return nothing
		}
		c.buf = appendDecimal(c.buf, text)
	case Any:
		return c.appendRaw(text)
	case TextList:
		list, err := parseArray(string(text))
		if err == nil {
			c.buf, err = appendValue(c.buf, list)
		}
		if err != nil {
			c.failed(err)
			return nothing
		}
	default:
		c.buf = appendString(c.buf, string(text))
	}
	return wrote
}

func (c *evalContext) appendRaw(text []byte) outcome {
	v, err := decodeJSON(text)
	if err == nil {
		c.buf, err = appendValue(c.buf, v)
	}
	if err != nil {
		c.failed(err)
		return nothing
	}
	if v == nil {
		return nothing
	}
	return wrote
}
