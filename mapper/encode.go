package mapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"
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
	if t.rule != nil && t.rule.object != nil {
		t.rule.object(c, c.buf[start-1:])
	}
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

// run writes the elements of a list and counts those that were dropped by a rule.
func (e *eachNode) run(c *evalContext, f *frame, n *int, start int) (outcome, int) {
	dropped := 0
	emit := func(inner *frame) {
		before := len(c.buf)
		if before > start {
			c.buf = append(c.buf, ',')
		}
		step := pathStep{index: *n}
		if e.key != nil {
			name, err := e.keyText(c, inner)
			if err != nil || name == "" {
				c.buf = c.buf[:before]
				if err != nil {
					c.failed(err)
				}
				return
			}
			c.buf = append(appendString(c.buf, name), ':')
			step.name = name
		}
		c.path = append(c.path, step)
		got := e.body.encode(c, inner)
		c.path = c.path[:len(c.path)-1]
		if got == drop {
			dropped++
		}
		if got != wrote {
			c.buf = c.buf[:before]
			return
		}
		*n++
	}
	if err := e.elements(c, f, emit); err != nil {
		c.failed(err)
	}
	return wrote, dropped
}

func (e *eachNode) keyText(c *evalContext, f *frame) (string, error) {
	v, err := e.key.eval(c, f)
	if err != nil {
		return "", err
	}
	return textOf(v)
}

// elements calls emit with the frame of each element, filtered, ordered and grouped.
func (e *eachNode) elements(c *evalContext, f *frame, emit func(*frame)) error {
	if e.part == overExpression {
		return e.values(c, f, emit)
	}
	var s Slice
	if e.part == overGroup {
		g := f
		for g.group == nil {
			g = g.outer
		}
		s = Slice{g.rows, g.group}
	} else {
		s = c.document.parts[e.part]
	}
	inner := frame{outer: f, rows: s.Rows}
	index := s.Index
	if e.where != nil {
		kept := make([]int32, 0, len(index))
		for _, row := range index {
			inner.row = int(row)
			ok, err := e.where.eval(c, &inner)
			if err != nil {
				return err
			}
			if ok == true {
				kept = append(kept, row)
			}
		}
		index = kept
	}
	if len(e.order) > 0 {
		sorted, err := e.sorted(c, f, s.Rows, index)
		if err != nil {
			return err
		}
		index = sorted
	}
	if e.groupBy != nil {
		return e.computed(c, &inner, index, emit)
	}
	if e.group != nil {
		for _, g := range groups(s.Rows, index, e.group) {
			inner.row, inner.group = int(g[0]), g
			emit(&inner)
		}
		return nil
	}
	for _, row := range index {
		inner.row = int(row)
		emit(&inner)
	}
	return nil
}

func (e *eachNode) values(c *evalContext, f *frame, emit func(*frame)) error {
	v, err := e.list.eval(c, f)
	if err != nil {
		return err
	}
	items, ok := listOf(v)
	if !ok {
		return fmt.Errorf("each: expected a list, got %s", kindName(v))
	}
	var frames []*frame
	for _, item := range items {
		inner := &frame{outer: f, values: map[string]any{e.as: item}}
		if e.where != nil {
			ok, err := e.where.eval(c, inner)
			if err != nil {
				return err
			}
			if ok != true {
				continue
			}
		}
		frames = append(frames, inner)
	}
	if len(e.order) > 0 {
		keys := make(map[*frame][]any, len(frames))
		for _, fr := range frames {
			if keys[fr], err = e.orderKeys(c, fr); err != nil {
				return err
			}
		}
		sort.SliceStable(frames, func(i, j int) bool { return e.less(keys[frames[i]], keys[frames[j]]) })
	}
	for _, fr := range frames {
		emit(fr)
	}
	return nil
}

func (e *eachNode) orderKeys(c *evalContext, f *frame) ([]any, error) {
	out := make([]any, len(e.order))
	for i, o := range e.order {
		v, err := o.by.eval(c, f)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (e *eachNode) less(a, b []any) bool {
	for i, o := range e.order {
		if equal(a[i], b[i]) {
			continue
		}
		if a[i] == nil || b[i] == nil {
			return (b[i] == nil) != o.desc
		}
		lt, err := compare("<", a[i], b[i])
		if err != nil {
			return false
		}
		return (lt == true) != o.desc
	}
	return false
}

func (e *eachNode) sorted(c *evalContext, f *frame, rows *Rows, index []int32) ([]int32, error) {
	type keyed struct {
		row int32
		key []any
	}
	list := make([]keyed, len(index))
	inner := frame{outer: f, rows: rows}
	for i, row := range index {
		inner.row = int(row)
		k, err := e.orderKeys(c, &inner)
		if err != nil {
			return nil, err
		}
		list[i] = keyed{row, k}
	}
	sort.SliceStable(list, func(i, j int) bool { return e.less(list[i].key, list[j].key) })
	out := make([]int32, len(list))
	for i, k := range list {
		out[i] = k.row
	}
	return out, nil
}

// groups collects rows with equal values in the columns, in the order of their first rows.
func groups(rows *Rows, index []int32, columns []int) [][]int32 {
	var out [][]int32
	var byKey map[string]int
	for _, row := range index {
		if n := len(out); n > 0 && sameValues(rows, out[n-1][0], row, columns) {
			out[n-1] = append(out[n-1], row)
			continue
		}
		if byKey == nil {
			byKey = map[string]int{}
			for i, g := range out {
				byKey[groupKey(rows, g[0], columns)] = i
			}
		}
		k := groupKey(rows, row, columns)
		if at, ok := byKey[k]; ok {
			out[at] = append(out[at], row)
			continue
		}
		byKey[k] = len(out)
		out = append(out, []int32{row})
	}
	return out
}

// computed groups rows by the values of expressions.
func (e *eachNode) computed(c *evalContext, inner *frame, index []int32, emit func(*frame)) error {
	var order [][]int32
	byKey := map[string]int{}
	for _, row := range index {
		inner.row = int(row)
		var key []byte
		for _, g := range e.groupBy {
			v, err := g.eval(c, inner)
			if err != nil {
				return err
			}
			if key, err = appendValue(key, v); err != nil {
				return err
			}
		}
		at, ok := byKey[string(key)]
		if !ok {
			at = len(order)
			byKey[string(key)] = at
			order = append(order, nil)
		}
		order[at] = append(order[at], row)
	}
	for _, g := range order {
		inner.row, inner.group = int(g[0]), g
		emit(inner)
	}
	return nil
}

func sameValues(rows *Rows, a, b int32, columns []int) bool {
	for _, col := range columns {
		x, ok1 := rows.Value(int(a), col)
		y, ok2 := rows.Value(int(b), col)
		if ok1 != ok2 || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

func groupKey(rows *Rows, row int32, columns []int) string {
	var b []byte
	for _, col := range columns {
		v, ok := rows.Value(int(row), col)
		b = strconv.AppendInt(b, int64(len(v)), 10)
		b = append(b, ':')
		if !ok {
			b = append(b, 'n')
		}
		b = append(b, v...)
	}
	return string(b)
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

// appendDecimal writes a decimal without trailing zeros, so that equal amounts give equal bytes whatever their scale.
func appendDecimal(buf, text []byte) []byte {
	if bytes.IndexByte(text, '.') >= 0 {
		text = bytes.TrimRight(text, "0")
		text = bytes.TrimSuffix(text, []byte("."))
	}
	if string(text) == "-0" {
		text = text[1:]
	}
	return append(buf, text...)
}

// appendValue writes a computed value as canonical JSON: object keys sorted, numbers exact.
func appendValue(buf []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(buf, "null"...), nil
	case string:
		return appendString(buf, v), nil
	case int:
		return strconv.AppendInt(buf, int64(v), 10), nil
	case bool:
		return strconv.AppendBool(buf, v), nil
	case decimal.Decimal:
		return appendDecimal(buf, []byte(v.String())), nil
	case json.Number:
		return append(buf, v...), nil
	case map[string]any:
		return appendObject(buf, v)
	case rowRef:
		m := make(map[string]any, len(v.rows.columns))
		for i, col := range v.rows.columns {
			value, err := boxed(v.rows, v.row, i)
			if err != nil {
				return buf, err
			}
			m[col.Name] = value
		}
		return appendObject(buf, m)
	}
	list, ok := listOf(v)
	if !ok {
		return buf, fmt.Errorf("the value has no JSON form")
	}
	buf = append(buf, '[')
	var err error
	for i, x := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf, err = appendValue(buf, x); err != nil {
			return buf, err
		}
	}
	return append(buf, ']'), nil
}

func appendObject(buf []byte, m map[string]any) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	buf = append(buf, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendString(buf, k), ':')
		if buf, err = appendValue(buf, m[k]); err != nil {
			return buf, err
		}
	}
	return append(buf, '}'), nil
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; only what JSON demands is escaped.
func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	from := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(append(buf, s[from:i]...), "\uFFFD"...)
				i++
				from = i
				continue
			}
			i += size
			continue
		}
		buf = append(buf, s[from:i]...)
		switch ch {
		case '"', '\\':
			buf = append(buf, '\\', ch)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
		}
		i++
		from = i
	}
	return append(append(buf, s[from:]...), '"')
}
