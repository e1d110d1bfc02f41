package mapper

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
)

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

// fewGroups is up to how many groups a row's own is looked for among all of them: a table would cost more than it gains.
const fewGroups = 16

// groups collects rows with equal values in the columns, in the order of their first rows. Rows that lie together, as most do, stay
// where they are.
func groups(rows *Rows, index []int32, columns []int) [][]int32 {
	var out [][]int32
	var byKey map[string]int
	find := func(row int32) (at int, key string) {
		if len(out) <= fewGroups {
			return slices.IndexFunc(out, func(g []int32) bool { return sameValues(rows, g[0], row, columns) }), ""
		}
		if byKey == nil {
			byKey = map[string]int{}
			for at, g := range out {
				byKey[groupKey(rows, g[0], columns)] = at
			}
		}
		key = groupKey(rows, row, columns)
		if at, ok := byKey[key]; ok {
			return at, key
		}
		return -1, key
	}
	first := 0 // where the last group begins in index
	for i, row := range index {
		last := len(out) - 1
		if last >= 0 && sameValues(rows, out[last][0], row, columns) {
			if first+len(out[last]) == i {
				out[last] = index[first : i+1 : i+1]
			} else {
				out[last] = append(out[last], row)
			}
			continue
		}
		at, key := find(row)
		if at >= 0 {
			out[at] = append(out[at], row) // a copy: no slice of index has room
			continue
		}
		if byKey != nil {
			byKey[key] = len(out)
		}
		first, out = i, append(out, index[i:i+1:i+1])
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
