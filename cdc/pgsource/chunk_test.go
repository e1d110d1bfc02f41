package pgsource

import (
	"testing"

	"nubridge/cdc"
)

// testAssembler gives an assembler that keeps everything in one batch.
func testAssembler(t *testing.T) *assembler {
	t.Helper()
	a := newAssembler("p", "db", "v", 1)
	a.cur = &batch{}
	a.full = func() error { return nil }
	a.snapshots = &snapshotStream{dir: t.TempDir(), chunks: map[string]*chunk{}}
	a.spill = newSpill(t.TempDir(), 1<<20)
	a.xidEpoch = func(x uint32) uint64 { return uint64(x) }
	return a
}

func markOf(which string) logicalMessage {
	return logicalMessage{transactional: true, prefix: prefixSnapshot + which, content: []byte("c")}
}

// chunkOver runs a chunk whose read saw the given transactions, after the stream delivered transaction 10 before the low mark.
func chunkOver(t *testing.T, visible pgSnapshot) (*assembler, *chunk) {
	t.Helper()
	a := testAssembler(t)
	c := &chunk{
		id: "c", topic: "p.s.t", schema: "s", table: "t", settled: make(chan struct{}), visible: visible,
		rel: compileRelation(wireRelation{schema: "s", table: "t", columns: []wireColumn{{name: "id"}}}, "p", []string{"id"}, []kind{{enc: encNumber}}),
	}
	for _, key := range []string{`{"id":1}`, `{"id":2}`} {
		s := span{key: len(c.arena)}
		c.arena = append(c.arena, key...)
		s.value = len(c.arena)
		c.arena = append(c.arena, key...)
		s.end = len(c.arena)
		c.rows = append(c.rows, s)
	}
	a.snapshots.chunks["c"] = c
	a.begin(100, 0, 10)
	a.tx.changed = true
	a.commit(110)
	a.begin(200, 0, 11)
	if err := a.onMessage(markOf("low")); err != nil {
		t.Fatal(err)
	}
	a.commit(210)
	a.snapshots.changed(c.rel, []byte(`{"id":2}`), []cell{{'t', []byte("2")}}, nil, nil)
	a.begin(300, 0, 12)
	if err := a.onMessage(markOf("high")); err != nil {
		t.Fatal(err)
	}
	a.commit(310)
	return a, c
}

func TestChunkWhoseReadMissedACommitBeforeItsLowMarkIsReadAgain(t *testing.T) {
	t.Parallel()
	a, c := chunkOver(t, pgSnapshot{xmin: 10, xmax: 12, running: []uint64{10}}) // 10 is in the log and not yet visible
	<-c.settled
	if !c.again || len(a.cur.Events) != 0 {
		t.Errorf("again=%v with %d events, want the chunk read again and none", c.again, len(a.cur.Events))
	}
}

func TestChunkEntersTheFeedAtItsHighMarkWithoutKeysThatChanged(t *testing.T) {
	t.Parallel()
	a, c := chunkOver(t, pgSnapshot{xmin: 11, xmax: 12})
	<-c.settled
	if c.again || len(a.cur.Events) != 1 || c.end != 310 {
		t.Fatalf("again=%v, %d events, end %s, want one event and the end of the high mark", c.again, len(a.cur.Events), c.end)
	}
	e := a.cur.Events[0]
	if e.Op != cdc.OpRead || e.Position != (cdc.Position{Epoch: 1, Commit: 300}) || e.XID != 0 || e.TxSize != 1 {
		t.Errorf("event %+v, want the first read at the high mark", e)
	}
}

func TestKeptChunkEntersTheFeedAgainAtTheSamePositions(t *testing.T) {
	t.Parallel()
	a, first := chunkOver(t, pgSnapshot{xmin: 11, xmax: 12})
	kept, err := keptChunks(a.snapshots.dir)
	if err != nil || len(kept) != 1 || kept[0].Rows != 1 || kept[0].Commit != 300 {
		t.Fatalf("kept %+v, %v, want the one chunk", kept, err)
	}
	b := testAssembler(t)
	c := &chunk{id: "c", topic: "p.s.t", path: kept[0].path, kept: true, settled: make(chan struct{}), rel: first.rel, readAt: kept[0].ReadAt}
	b.snapshots.chunks["c"] = c
	b.begin(200, 0, 11)
	if err := b.onMessage(markOf("low")); err != nil {
		t.Fatal(err)
	}
	b.commit(210)
	b.begin(300, 0, 12)
	if err := b.onMessage(markOf("high")); err != nil {
		t.Fatal(err)
	}
	b.commit(310)
	<-c.settled
	a.cur.seal()
	b.cur.seal()
	if len(b.cur.Events) != 1 || b.cur.Events[0].Position != a.cur.Events[0].Position || string(b.cur.Events[0].Key) != string(a.cur.Events[0].Key) {
		t.Errorf("events %+v, want those of the first time %+v", b.cur.Events, a.cur.Events)
	}
}
