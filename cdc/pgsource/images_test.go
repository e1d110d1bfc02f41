package pgsource

import (
	"testing"

	"nubridge/cdc"
)

// windowOver runs a chunk of the rows (1, one) and (2, two) while one row changes between its marks.
func windowOver(t *testing.T, rel *relation, keys []string, change func(a *assembler)) []cdc.Event {
	t.Helper()
	a := testAssembler(t)
	c := &chunk{id: "c", topic: "p.s.t", schema: "s", table: "t", settled: make(chan struct{}), visible: pgSnapshot{xmin: 100, xmax: 100}, rel: rel}
	for i, key := range keys {
		s := span{key: len(c.arena)}
		c.arena = append(c.arena, key...)
		s.value = len(c.arena)
		c.arena = rel.appendRow(c.arena, []cell{{'t', []byte{byte('1' + i)}}, {'t', []byte([]string{"one", "two"}[i])}}, false)
		s.end = len(c.arena)
		c.rows = append(c.rows, s)
	}
	a.snapshots.chunks["c"] = c
	a.relations[7] = rel
	a.begin(200, 0, 11)
	if err := a.onMessage(markOf("low")); err != nil {
		t.Fatal(err)
	}
	a.commit(210)
	a.begin(220, 0, 12)
	change(a)
	a.commit(230)
	a.begin(300, 0, 13)
	if err := a.onMessage(markOf("high")); err != nil {
		t.Fatal(err)
	}
	a.commit(310)
	var reads []cdc.Event
	a.cur.seal()
	for _, e := range a.cur.Events {
		if e.Op == cdc.OpRead {
			reads = append(reads, e)
		}
	}
	return reads
}

// The old row comes without the primary key: the row of the chunk is known by the replica identity alone.
func TestChunkLeavesOutRowsThatChangedUnderAnIdentityWithoutTheKey(t *testing.T) {
	t.Parallel()
	rel := compileRelation(wireRelation{id: 7, schema: "s", table: "t", identity: 'i', columns: []wireColumn{{name: "id"}, {name: "code", key: true}}},
		"p", []string{"id"}, []kind{{enc: encNumber}, {enc: encString}})
	reads := windowOver(t, rel, []string{`{"id":1}`, `{"id":2}`}, func(a *assembler) {
		a.row = rowMessage{relation: 7, oldKind: 'K', old: []cell{{kind: 'n'}, {'t', []byte("two")}}}
		if err := a.change('D', 221); err != nil {
			t.Fatal(err)
		}
	})
	if len(reads) != 1 || string(reads[0].Key) != `{"id":1}` {
		t.Errorf("%d rows of the chunk are in the feed, want the one that was not deleted", len(reads))
	}
}

// Rows share a key of which a part is NULL: a change of one says nothing of the others.
func TestChunkKeepsRowsWhoseKeyIsNull(t *testing.T) {
	t.Parallel()
	rel := compileRelation(wireRelation{id: 7, schema: "s", table: "t", identity: 'f', columns: []wireColumn{{name: "id"}, {name: "code"}}},
		"p", []string{"code"}, []kind{{enc: encNumber}, {enc: encString}})
	reads := windowOver(t, rel, []string{`{"code":null}`, `{"code":null}`}, func(a *assembler) {
		a.row = rowMessage{relation: 7, new: []cell{{'t', []byte("3")}, {kind: 'n'}}}
		if err := a.change('I', 221); err != nil {
			t.Fatal(err)
		}
	})
	if len(reads) != 2 {
		t.Errorf("%d rows of the chunk are in the feed, want both", len(reads))
	}
}
