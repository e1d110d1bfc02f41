package pgsource

import (
	"slices"
	"strings"
	"time"

	"nubridge/cdc"
)

// chunk is a run of rows of a snapshot between its two marks.
type chunk struct {
	id, topic     string
	schema, table string
	job           int64
	count         int64  // rows that enter the feed
	path          string // where it is kept
	kept          bool   // an earlier run kept it
	rel           *relation
	arena         []byte
	rows          []span         // key and row object in the arena
	oversize      map[int]string // columns that were left out, by where the row's key begins
	from          []string
	resume        []string // where the next chunk begins
	last          bool     // the table ended with it
	readAt        time.Time
	visible       pgSnapshot

	// What follows belongs to the stream, under the source's lock, until settled is closed.
	before  []uint64 // transactions that the stream had when it met the low mark
	window  map[string]struct{}
	images  images
	low     bool
	dropAll bool // the table was truncated between the marks
	again   bool
	end     cdc.LSN // end of the high mark's transaction
	settled chan struct{}
}

// pgSnapshot is PostgreSQL's view of which transactions are visible.
type pgSnapshot struct {
	xmin, xmax uint64
	running    []uint64
}

// sees tells whether a committed transaction is visible.
func (p pgSnapshot) sees(xid uint64) bool {
	if xid < p.xmin {
		return true
	}
	if xid >= p.xmax {
		return false
	}
	for _, r := range p.running {
		if r == xid {
			return false
		}
	}
	return true
}

// maxRecent is how many committed transactions are remembered while no chunk shows which of them are visible. A session
// waits for at most one commit to become visible, so that those in doubt are few and new.
const maxRecent = 1 << 16

// snapshotStream is the stream's side of snapshots. The source's lock guards it.
type snapshotStream struct {
	dir     string // where chunks are kept
	chunks  map[string]*chunk
	windows []*chunk // between their marks
	open    int      // number of windows
	recent  []uint64 // committed transactions, perhaps not yet visible to all
	ending  []*chunk // emitted in the transaction that is under way
	awaited cdc.LSN  // end of the last of those: a load waits until it is confirmed, though it may bring no event
}

// of tells whether a chunk is of a table. Two tables whose names differ in characters that Kafka does not take share a topic.
func (c *chunk) of(rel *relation) bool { return c.schema == rel.schema && c.table == rel.table }

// committed takes note of a transaction that the stream has delivered, if it changed rows.
func (ss *snapshotStream) committed(xid uint64, changed bool, end cdc.LSN) {
	if changed {
		if len(ss.recent) >= maxRecent {
			ss.recent = append(ss.recent[:0], ss.recent[maxRecent/2:]...)
		}
		ss.recent = append(ss.recent, xid)
	}
	for _, c := range ss.ending {
		c.end, ss.awaited = end, end
		close(c.settled)
	}
	ss.ending = ss.ending[:0]
}

// changed takes note that a row of a table changed while a chunk of it was read; before and after are the row's two sides as
// far as the log tells. Where part of the key is NULL, as a unique index allows, rows share it: none of them is taken for another.
func (ss *snapshotStream) changed(rel *relation, key []byte, keyed, before, after []cell) {
	for _, c := range ss.windows {
		if !c.of(rel) {
			continue
		}
		if _, ok := c.window[string(key)]; !ok && rel.wholeKey(keyed) {
			c.window[string(key)] = struct{}{}
		}
		if rel.keyUnlogged() {
			c.images.add(rel, before)
			c.images.add(rel, after)
		}
	}
}

func (ss *snapshotStream) truncated(rel *relation) {
	for _, c := range ss.windows {
		if c.of(rel) {
			c.dropAll = true
		}
	}
}

func (ss *snapshotStream) forget(c *chunk) {
	delete(ss.chunks, c.id)
	ss.close(c)
}

func (ss *snapshotStream) close(c *chunk) {
	for i, w := range ss.windows {
		if w == c {
			ss.windows = append(ss.windows[:i], ss.windows[i+1:]...)
			break
		}
	}
	ss.open = len(ss.windows)
}

// mark takes a watermark. Those of earlier runs are not known and do nothing.
func (ss *snapshotStream) mark(a *assembler, m logicalMessage) error {
	c := ss.chunks[string(m.content)]
	if c == nil {
		return nil
	}
	switch strings.TrimPrefix(m.prefix, prefixSnapshot) {
	case "low":
		if c.kept {
			return nil
		}
		c.low = true
		c.before = append(c.before[:0], ss.recent...)
		c.window = map[string]struct{}{}
		ss.windows = append(ss.windows, c)
		ss.open = len(ss.windows)
		return nil
	case "high":
		ss.forget(c)
		return ss.finish(a, c)
	}
	return nil
}

// finish puts the rows of a chunk into the feed, if its read saw everything that the stream had delivered before it.
func (ss *snapshotStream) finish(a *assembler, c *chunk) error {
	if c.kept {
		return ss.again(a, c)
	}
	c.again = !c.low
	for _, xid := range c.before {
		if !c.visible.sees(xid) {
			c.again = true
		}
	}
	if c.again {
		close(c.settled)
		return nil
	}
	kept := ss.recent[:0]
	for _, xid := range ss.recent {
		if !c.visible.sees(xid) {
			kept = append(kept, xid)
		}
	}
	ss.recent = kept
	if err := c.images.prune(c); err != nil {
		return err
	}
	if err := c.save(ss.dir, a.tx.commit); err != nil {
		return err
	}
	return ss.emit(a, c)
}

// again puts a chunk that an earlier run kept into the feed, at the place where it was.
func (ss *snapshotStream) again(a *assembler, c *chunk) error {
	if err := c.load(); err != nil {
		return err
	}
	return ss.emit(a, c)
}

func (ss *snapshotStream) emit(a *assembler, c *chunk) error {
	if err := a.emitChunk(c); err != nil {
		return err
	}
	ss.ending = append(ss.ending, c)
	return nil
}

// emitChunk adds the rows of a chunk to the feed at the place of its high mark.
func (a *assembler) emitChunk(c *chunk) error {
	tx := a.tx
	defer func() {
		a.tx.xid, a.tx.commitTime, a.tx.trace = tx.xid, tx.commitTime, tx.trace
		a.describe()
	}()
	a.tx.xid, a.tx.commitTime, a.tx.trace = 0, c.readAt.UnixMicro(), ""
	a.describe()
	a.tx.mid = []byte(strings.Replace(string(a.tx.mid), `"snapshot":"false"`, `"snapshot":"incremental"`, 1))
	a.tx.txid = append(a.tx.txid[:0], `null,"lsn":`...)
	c.count = 0
	for _, row := range c.rows {
		if !c.keeps(row) {
			continue
		}
		c.count++
		e, err := a.open(c.topic, cdc.OpRead)
		if err != nil {
			return err
		}
		e.CommitTime, e.Oversize = 0, c.oversize[row.key]
		b := a.cur
		s := span{key: len(b.arena)}
		if size := row.end - row.key; size > maxArena {
			b.arena = slices.Grow(b.arena, size+maxArena/8)
		}
		dst := append(b.arena, c.arena[row.key:row.value]...)
		s.value = len(dst)
		dst = append(dst, `{"before":null,"after":`...)
		dst = append(dst, c.arena[row.value:row.end]...)
		dst = a.appendSource(dst, c.rel.sourceTail, tx.commit)
		dst = append(dst, `,"transaction":null,"op":"r"`...)
		b.arena = a.appendClock(dst)
		s.end = len(b.arena)
		b.spans = append(b.spans, s)
	}
	return nil
}
