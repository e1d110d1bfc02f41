package pgsource

import (
	"slices"

	"nubridge/cdc"
)

// column is one column compiled for encoding.
type column struct {
	name  string
	label []byte // "name": with a comma in front where the column is not the first
	kind  kind
	gone  string // what an unchanged TOASTed value becomes
}

// relation is a table as it was at one place in the log, compiled for encoding.
type relation struct {
	wireRelation
	topic   string
	columns []column
	// key are the indexes of the key columns, in the order of the key; empty for a table without one.
	key       []int
	keyLabels [][]byte
	// identity tells which columns an old key tuple holds.
	identity []bool
	// sourceTail is what the envelope's source says of the table.
	sourceTail []byte
	// types are what the catalog said of each column's type, for the schema history.
	types [][]typeFacts
	// ignored relations are in the publication but not captured.
	ignored bool
}

// compileRelation prepares a relation. keyNames are the columns of its key in order; kinds has one entry per column.
func compileRelation(w wireRelation, prefix string, keyNames []string, kinds []kind) *relation {
	rel := &relation{wireRelation: w, topic: topicName(prefix, w.schema, w.table)}
	for i, c := range w.columns {
		label := appendString(nil, []byte(c.name))
		label = append(label, ':')
		if i > 0 {
			label = append([]byte{','}, label...)
		}
		rel.columns = append(rel.columns, column{name: c.name, label: label, kind: kinds[i], gone: kinds[i].unavailable()})
		rel.identity = append(rel.identity, c.key)
	}
	for _, name := range keyNames {
		i := slices.IndexFunc(w.columns, func(c wireColumn) bool { return c.name == name })
		if i < 0 {
			continue
		}
		label := appendString(nil, []byte(name))
		label = append(label, ':')
		if len(rel.key) > 0 {
			label = append([]byte{','}, label...)
		}
		rel.key = append(rel.key, i)
		rel.keyLabels = append(rel.keyLabels, label)
	}
	rel.sourceTail = append(rel.sourceTail, `,"schema":`...)
	rel.sourceTail = appendString(rel.sourceTail, []byte(w.schema))
	rel.sourceTail = append(rel.sourceTail, `,"table":`...)
	rel.sourceTail = appendString(rel.sourceTail, []byte(w.table))
	rel.sourceTail = append(rel.sourceTail, `,"txId":`...)
	return rel
}

// keyOrder decides on the key columns: those the log marked, where it marked exactly the key, in the order the catalog
// gives; else what the catalog says. The log is right for its place in time, the catalog for now.
func keyOrder(w wireRelation, catalog []string) []string {
	var marked []string
	for _, c := range w.columns {
		if c.key {
			marked = append(marked, c.name)
		}
	}
	if w.identity != 'd' || len(marked) == 0 {
		return catalog
	}
	if len(catalog) == len(marked) && !slices.ContainsFunc(catalog, func(n string) bool { return !slices.Contains(marked, n) }) {
		return catalog
	}
	return marked
}

// appendRow appends the JSON object of a row. When keyOnly is set, columns outside the replica identity are null.
func (rel *relation) appendRow(dst []byte, cells []cell, keyOnly bool) []byte {
	dst = append(dst, '{')
	for i := range rel.columns {
		c := &rel.columns[i]
		dst = append(dst, c.label...)
		if i >= len(cells) {
			dst = append(dst, "null"...)
			continue
		}
		switch cells[i].kind {
		case 't':
			dst = c.kind.append(dst, cells[i].text)
		case 'u':
			dst = append(dst, c.gone...)
		default:
			dst = append(dst, "null"...)
		}
	}
	return append(dst, '}')
}

// appendKey appends the JSON object of the key; nothing for a table without one.
func (rel *relation) appendKey(dst []byte, cells []cell) []byte {
	if len(rel.key) == 0 {
		return dst
	}
	start := len(dst)
	dst = append(dst, '{')
	for k, i := range rel.key {
		dst = append(dst, rel.keyLabels[k]...)
		if i < len(cells) && cells[i].kind == 't' {
			dst = rel.columns[i].kind.append(dst, cells[i].text)
		} else {
			dst = append(dst, "null"...)
		}
	}
	return pairSurrogates(append(dst, '}'), start)
}

// wholeKey tells whether no column of the key is NULL or unknown.
func (rel *relation) wholeKey(cells []cell) bool {
	for _, i := range rel.key {
		if i >= len(cells) || cells[i].kind != 't' {
			return false
		}
	}
	return true
}

// keyUnlogged tells whether old rows come without a part of the key: the replica identity is an index over other columns.
func (rel *relation) keyUnlogged() bool {
	return rel.wireRelation.identity == 'i' && slices.ContainsFunc(rel.key, func(i int) bool { return !rel.identity[i] })
}

// keyChanged tells whether an update moved the row to another key, as far as the old tuple tells.
func (rel *relation) keyChanged(m *rowMessage) bool {
	if m.oldKind == 0 {
		return false
	}
	for _, i := range rel.key {
		if i >= len(m.old) || i >= len(m.new) || (m.oldKind == 'K' && !rel.identity[i]) || m.new[i].kind == 'u' {
			continue
		}
		if m.old[i].kind != m.new[i].kind || string(m.old[i].text) != string(m.new[i].text) {
			return true
		}
	}
	return false
}

// fillUnchanged takes an unchanged TOASTed value of the new row from the whole old row, where the log carries one.
func fillUnchanged(m *rowMessage) {
	if m.oldKind == 0 {
		return
	}
	for i := range m.new {
		if m.new[i].kind == 'u' && i < len(m.old) && m.old[i].kind == 't' {
			m.new[i] = m.old[i]
		}
	}
}

// batch is a batch with the memory that its events lie in.
type batch struct {
	cdc.Batch
	arena []byte
	spans []span
}

// span is where an event's key and value lie in the arena.
type span struct{ key, value, end int }

// maxArena is the arena that is worth keeping for reuse, in bytes.
const maxArena = 4 << 20

func (b *batch) reset() {
	clear(b.Events)
	b.Batch = cdc.Batch{Events: b.Events[:0]}
	b.spans = b.spans[:0]
	b.arena = b.arena[:0]
	if cap(b.arena) > maxArena {
		b.arena = nil
	}
}

// seal sets the slices of all events, once the arena no longer moves.
func (b *batch) seal() {
	for i, s := range b.spans {
		e := &b.Events[i]
		if s.value > s.key {
			e.Key = b.arena[s.key:s.value:s.value]
		}
		if s.end > s.value {
			e.Value = b.arena[s.value:s.end:s.end]
		}
	}
}
