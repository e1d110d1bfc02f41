package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"nubridge/cdc"
)

// assembler turns pgoutput messages into events of the current batch. It belongs to the goroutine that owns the
// replication connection.
type assembler struct {
	prefix     string
	database   string
	version    string
	epoch      uint32
	relations  map[uint32]*relation
	xidEpoch   func(xid uint32) uint64
	resolve    func(w wireRelation) (*relation, error)
	full       func() error
	tracer     trace.Tracer
	ctx        context.Context // of the run, parent of the spans
	snapshots  *snapshotStream
	spill      *spill
	cur        *batch
	row        rowMessage
	tx         transaction
	lastCommit cdc.LSN // end of the commit before, zero at the start
	now        int64   // processing time in nanoseconds, set once per gulp
	sourceHead []byte
	last       cdc.Position
	received   uint64
	rowBytes   int // of a longer row the largest values are left out; 0 is no bound
	length     int // of the row message under way
}

// transaction is the one under way.
type transaction struct {
	open       bool
	xid        uint64
	commit     cdc.LSN
	commitTime int64 // microseconds since the Unix epoch
	index      uint64
	trace      string
	changed    bool // it has changes of rows
	origin     string
	originLSN  cdc.LSN
	// mid is the constant middle of the envelope's source within the transaction.
	mid []byte
	// txid is the transaction's xid as the envelope has it: 32 bits, as Debezium's.
	txid []byte
	tail []byte
}

// logicalMessage is what pg_logical_emit_message wrote.
type logicalMessage struct {
	transactional bool
	lsn           cdc.LSN
	prefix        string
	content       []byte
}

func newAssembler(prefix, database, version string, epoch uint32) *assembler {
	a := &assembler{prefix: prefix, database: database, version: version, epoch: epoch, relations: map[uint32]*relation{}}
	a.sourceHead = append(a.sourceHead, `,"source":{"version":`...)
	a.sourceHead = appendString(a.sourceHead, []byte(version))
	a.sourceHead = append(a.sourceHead, `,"connector":"postgresql","name":`...)
	a.sourceHead = appendString(a.sourceHead, []byte(prefix))
	a.sourceHead = append(a.sourceHead, `,"ts_ms":`...)
	return a
}

// handle takes one message of protocol 1 that begins at lsn.
func (a *assembler) handle(lsn cdc.LSN, msg []byte) error {
	if len(msg) == 0 {
		return errShort
	}
	kind, body := msg[0], msg[1:]
	if a.spill.cur != nil && kind != 'E' {
		return a.spill.add(lsn, kind, body)
	}
	switch kind {
	case 'I', 'U', 'D':
		if err := parseRow(kind, body, &a.row); err != nil {
			return err
		}
		a.length = len(msg)
		err := a.change(kind, lsn)
		if a.length > maxArena { // its memory is the message's
			clear(a.row.old[:cap(a.row.old)])
			clear(a.row.new[:cap(a.row.new)])
		}
		return err
	case 'B':
		r := reader{data: body}
		commit, at, xid := cdc.LSN(r.u64()), int64(r.u64()), r.u32()
		if r.bad {
			return fmt.Errorf("begin: %w", errShort)
		}
		a.begin(commit, at+postgresEpoch, a.xidEpoch(xid))
		return nil
	case 'C':
		r := reader{data: body}
		r.u8()
		r.u64()
		end := cdc.LSN(r.u64())
		if r.bad {
			return fmt.Errorf("commit: %w", errShort)
		}
		a.commit(end)
		return nil
	case 'S':
		return a.spill.start(body)
	case 'E':
		return a.spill.stop()
	case 'c':
		return a.streamCommit(body)
	case 'A':
		return a.spill.abort(body)
	case 'R':
		return a.relation(body)
	case 'T':
		return a.truncate(lsn, body)
	case 'M':
		return a.message(body)
	case 'O':
		r := reader{data: body}
		a.tx.originLSN, a.tx.origin = cdc.LSN(r.u64()), r.text()
		a.describe()
		return nil
	case 'Y':
		return nil // names of types: the catalog is asked instead
	}
	return fmt.Errorf("pgoutput message %q is not known", kind)
}

func (a *assembler) relation(body []byte) error {
	w, err := parseRelation(body)
	if err != nil {
		return err
	}
	rel, err := a.resolve(w)
	if err != nil {
		return err
	}
	a.relations[w.id] = rel
	return nil
}

func (a *assembler) begin(commit cdc.LSN, at int64, xid uint64) {
	a.tx = transaction{open: true, xid: xid, commit: commit, commitTime: at, mid: a.tx.mid[:0], txid: a.tx.txid[:0], tail: a.tx.tail[:0]}
	a.describe()
	a.traceOf(&a.tx)
}

// streamCommit publishes a transaction that was streamed while it ran.
func (a *assembler) streamCommit(body []byte) error {
	r := reader{data: body}
	xid := r.u32()
	r.u8()
	commit, end, at := cdc.LSN(r.u64()), cdc.LSN(r.u64()), int64(r.u64())
	if r.bad {
		return fmt.Errorf("stream commit: %w", errShort)
	}
	a.begin(commit, at+postgresEpoch, a.xidEpoch(xid))
	if err := a.spill.replay(xid, a.handle); err != nil {
		return err
	}
	a.commit(end)
	return nil
}

// describe prepares what the envelope says of the transaction.
func (a *assembler) describe() {
	tx := &a.tx
	tx.mid = strconv.AppendInt(tx.mid[:0], tx.commitTime/1000, 10)
	tx.mid = append(tx.mid, `,"snapshot":"false","db":`...)
	tx.mid = appendString(tx.mid, []byte(a.database))
	if a.lastCommit == 0 {
		tx.mid = append(tx.mid, `,"sequence":"[null,\"`...)
	} else {
		tx.mid = append(tx.mid, `,"sequence":"[\"`...)
		tx.mid = strconv.AppendUint(tx.mid, uint64(a.lastCommit), 10)
		tx.mid = append(tx.mid, `\",\"`...)
	}
	tx.txid = strconv.AppendUint(tx.txid[:0], tx.xid&0xffffffff, 10)
	tx.txid = append(tx.txid, `,"lsn":`...)
	tx.tail = append(tx.tail[:0], `\"]","ts_us":`...)
	tx.tail = strconv.AppendInt(tx.tail, tx.commitTime, 10)
	tx.tail = append(tx.tail, `,"ts_ns":`...)
	tx.tail = strconv.AppendInt(tx.tail, tx.commitTime, 10)
	tx.tail = append(tx.tail, '0', '0', '0')
}

// commit ends the transaction; its last event learns how many were published.
func (a *assembler) commit(end cdc.LSN) {
	if n := len(a.cur.Events); n > 0 && a.tx.index > 0 && a.cur.Events[n-1].Position.Commit == a.tx.commit {
		a.cur.Events[n-1].TxSize = a.tx.index
	}
	a.tx.open = false
	a.lastCommit = end
	a.snapshots.committed(a.tx.xid, a.tx.changed, end)
	a.cur.Through = end
	a.cur.Last = a.last
}

// change adds the events of one row message.
func (a *assembler) change(kind byte, lsn cdc.LSN) error {
	a.received++
	m := &a.row
	rel := a.relations[m.relation]
	if rel == nil {
		return fmt.Errorf("row of relation %d came before its description", m.relation)
	}
	if rel.ignored {
		return nil
	}
	switch kind {
	case 'I':
		return a.add(rel, cdc.OpCreate, nil, m.new, m.new, false, lsn)
	case 'D':
		if err := a.add(rel, cdc.OpDelete, m.old, nil, m.old, m.oldKind == 'K', lsn); err != nil {
			return err
		}
		return a.tombstone(rel, m.old)
	}
	fillUnchanged(m)
	if rel.keyChanged(m) {
		if err := a.add(rel, cdc.OpDelete, m.old, nil, m.old, m.oldKind == 'K', lsn); err != nil {
			return err
		}
		if err := a.tombstone(rel, m.old); err != nil {
			return err
		}
		return a.add(rel, cdc.OpCreate, nil, m.new, m.new, false, lsn)
	}
	return a.add(rel, cdc.OpUpdate, m.old, m.new, m.new, m.oldKind == 'K', lsn)
}

// ripe is how many events of the current batch may go out: the last change of a running transaction may not yet.
func (a *assembler) ripe() int {
	n := len(a.cur.Events)
	if a.tx.open && n > 0 && a.cur.Events[n-1].Position.Commit == a.tx.commit {
		n--
	}
	return n
}

// open makes room for an event and gives it; its position is the next of the transaction.
func (a *assembler) open(topic string, op cdc.Op) (*cdc.Event, error) {
	if err := a.full(); err != nil {
		return nil, err
	}
	b := a.cur
	b.Events = append(b.Events, cdc.Event{
		Topic: topic, Op: op, XID: a.tx.xid, CommitTime: a.tx.commitTime, Trace: a.tx.trace,
		Position: cdc.Position{Epoch: a.epoch, Commit: a.tx.commit, Index: a.tx.index},
	})
	a.tx.index++
	e := &b.Events[len(b.Events)-1]
	a.last = e.Position
	b.Last = e.Position
	return e, nil
}

// add appends one row event.
func (a *assembler) add(rel *relation, op cdc.Op, before, after, key []cell, keyOnly bool, lsn cdc.LSN) error {
	e, err := a.open(rel.topic, op)
	if err != nil {
		return err
	}
	b := a.cur
	a.tx.changed = true
	s := span{key: len(b.arena)}
	dst := rel.appendKey(b.arena, key)
	s.value = len(dst)
	if a.snapshots.open > 0 {
		a.snapshots.changed(rel, dst[s.key:s.value], key, before, after)
	}
	if a.rowBytes > 0 && a.length > a.rowBytes {
		e.Oversize = rel.lighten(before, after, a.rowBytes)
	}
	if a.length > maxArena {
		dst = slices.Grow(dst, (textBytes(before)+textBytes(after))*9/8+maxArena/8) // what grows by parts is held twice
	}
	if len(before) == 0 {
		dst = append(dst, `{"before":null`...)
	} else {
		dst = append(dst, `{"before":`...)
		dst = rel.appendRow(dst, before, keyOnly)
	}
	if op == cdc.OpDelete || op == cdc.OpTruncate {
		dst = append(dst, `,"after":null`...)
	} else {
		dst = append(dst, `,"after":`...)
		dst = rel.appendRow(dst, after, false)
	}
	dst = a.appendSource(dst, rel.sourceTail, lsn)
	dst = append(dst, `,"transaction":null,"op":"`...)
	dst = append(dst, byte(op))
	dst = a.appendClock(append(dst, '"'))
	b.arena = dst
	s.end = len(dst)
	b.spans = append(b.spans, s)
	return nil
}

// appendSource appends the envelope's source.
func (a *assembler) appendSource(dst, table []byte, lsn cdc.LSN) []byte {
	dst = append(dst, a.sourceHead...)
	dst = append(dst, a.tx.mid...)
	dst = strconv.AppendUint(dst, uint64(lsn), 10)
	dst = append(dst, a.tx.tail...)
	dst = append(dst, table...)
	dst = append(dst, a.tx.txid...)
	dst = strconv.AppendUint(dst, uint64(lsn), 10)
	if a.tx.origin == "" {
		return append(dst, `,"xmin":null,"origin":null,"origin_lsn":null}`...)
	}
	dst = append(dst, `,"xmin":null,"origin":`...)
	dst = appendString(dst, []byte(a.tx.origin))
	dst = append(dst, `,"origin_lsn":`...)
	if a.tx.originLSN == 0 { // a transaction that was streamed while it ran does not tell
		return append(dst, "null}"...)
	}
	dst = strconv.AppendUint(dst, uint64(a.tx.originLSN), 10)
	return append(dst, '}')
}

// appendClock appends the processing time and ends the envelope.
func (a *assembler) appendClock(dst []byte) []byte {
	dst = append(dst, `,"ts_ms":`...)
	dst = strconv.AppendInt(dst, a.now/1e6, 10)
	dst = append(dst, `,"ts_us":`...)
	dst = strconv.AppendInt(dst, a.now/1e3, 10)
	dst = append(dst, `,"ts_ns":`...)
	dst = strconv.AppendInt(dst, a.now, 10)
	return append(dst, '}')
}

// tombstone follows a delete, so that compaction forgets the key.
func (a *assembler) tombstone(rel *relation, key []cell) error {
	if _, err := a.open(rel.topic, cdc.OpTombstone); err != nil {
		return err
	}
	b := a.cur
	s := span{key: len(b.arena)}
	b.arena = rel.appendKey(b.arena, key)
	s.value = len(b.arena)
	s.end = s.value
	b.spans = append(b.spans, s)
	return nil
}

func (a *assembler) truncate(lsn cdc.LSN, body []byte) error {
	r := reader{data: body}
	n := int(r.u32())
	r.u8()
	for range n {
		id := r.u32()
		if r.bad {
			return fmt.Errorf("truncate: %w", errShort)
		}
		rel := a.relations[id]
		if rel == nil {
			return fmt.Errorf("truncate of relation %d came before its description", id)
		}
		if rel.ignored {
			continue
		}
		a.snapshots.truncated(rel)
		if err := a.add(rel, cdc.OpTruncate, nil, nil, nil, false, lsn); err != nil {
			return err
		}
		b := a.cur // a truncate has no key
		s := &b.spans[len(b.spans)-1]
		s.key = s.value
	}
	return nil
}

func (a *assembler) message(body []byte) error {
	r := reader{data: body}
	m := logicalMessage{transactional: r.u8()&1 != 0, lsn: cdc.LSN(r.u64()), prefix: r.text()}
	m.content = r.take(int(r.u32()))
	if r.bad {
		return fmt.Errorf("logical message: %w", errShort)
	}
	return a.onMessage(m)
}
