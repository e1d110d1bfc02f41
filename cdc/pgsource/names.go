package pgsource

import (
	"slices"

	"nubridge/cdc"
)

// names tells of tables whose changes went under another name for a while: to another topic, or nowhere. Where such a table bears its
// name again when the tables are looked at, nothing else would tell, and it is loaded again. // I8
type names struct {
	known []cdc.CapturedTable
	moved map[uint32]bool // by OID
}

// note takes the name under which the log describes a relation; it tells whether that is news. What is recorded then lacks the table, so
// that a run which ends before it is loaded leaves that to the next one.
func (n *names) note(w wireRelation) bool {
	at := slices.IndexFunc(n.known, func(t cdc.CapturedTable) bool { return t.OID == w.id })
	if at < 0 || n.known[at].Schema == w.schema && n.known[at].Table == w.table || n.moved[w.id] {
		return false
	}
	if n.moved == nil {
		n.moved = map[uint32]bool{}
	}
	n.moved[w.id] = true
	return true
}

// settled gives the tables without those that moved.
func (n *names) settled(tables []cdc.CapturedTable) []cdc.CapturedTable {
	return slices.DeleteFunc(slices.Clone(tables), func(t cdc.CapturedTable) bool { return n.moved[t.OID] })
}
