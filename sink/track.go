package sink

import (
	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// track follows one assigned partition: which of its records are settled, and the mark below which all are. The board's
// mutex guards it.
type track struct {
	partition cdc.Partition
	token     int64
	// next is the low-water mark of the group's offset; committed is what was last given to Kafka.
	next, committed int64
	// last is the position of the record before next. From the last record on up to through the log holds none.
	last    cdc.Position
	through int64
	// counted is the ledger's checkpoint at the time of the assignment: touches below it were counted before.
	counted int64
	// before are touches at or above counted that were counted before.
	before map[int64]map[mapper.Key]struct{}
	// records are those at or above next, in the order of the log; head is the first one's place.
	records []*record
	head    int
	lost    bool
}

// record is one Kafka record with touches that are not settled yet.
type record struct {
	track    *track
	offset   int64
	position cdc.Position
	// open counts touches not settled; a record still being routed has one.
	open int
	// routeless records are counted as filtered when the mark passes them.
	routeless bool
	// covered counts keys whose documents were read after this row of a snapshot.
	covered int64
}

func newTrack(a cdc.Assignment, c ledger.Checkpoint, start int64) *track {
	t := &track{partition: a.Partition, token: c.Token, next: start, committed: start, last: c.Last, counted: c.Next}
	if len(c.Settled) > 0 {
		t.before = make(map[int64]map[mapper.Key]struct{}, len(c.Settled))
		for _, s := range c.Settled {
			if t.before[s.Offset] == nil {
				t.before[s.Offset] = map[mapper.Key]struct{}{}
			}
			t.before[s.Offset][s.Key] = struct{}{}
		}
	}
	return t
}

// repeat tells whether a touch was counted before. // I1
func (t *track) repeat(offset int64, key mapper.Key) bool {
	if offset < t.counted {
		return true
	}
	_, ok := t.before[offset][key]
	return ok
}

func (t *track) add(r *record) { t.records = append(t.records, r) }

// mark gives the offset below which everything is settled, the position before it, how many records it passes, and what those
// count for that were not counted before: records that route nowhere, and touches that a later read covers.
func (t *track) mark() (next int64, last cdc.Position, passes passing) {
	next, last = t.next, t.last
	for _, r := range t.records[t.head:] {
		if r.open > 0 {
			return next, last, passes
		}
		next, last = r.offset+1, r.position
		passes.records++
		if r.offset >= t.counted {
			passes.covered += r.covered
			if r.routeless {
				passes.filtered++
			}
		}
	}
	return max(next, t.through), last, passes
}

// passing is what a mark passes.
type passing struct {
	records           int
	filtered, covered int64
}

// pass forgets records that are settled in the ledger too.
func (t *track) pass(n int, next int64, last cdc.Position) {
	for _, r := range t.records[t.head : t.head+n] {
		delete(t.before, r.offset)
	}
	clear(t.records[t.head : t.head+n])
	t.head += n
	if next >= t.next {
		t.next, t.last = next, last
	}
	if t.head > 1024 && t.head*2 > len(t.records) {
		t.records = append(t.records[:0:0], t.records[t.head:]...)
		t.head = 0
	}
}

// touch is one change meeting one document.
type touch struct {
	record *record
	// repeat touches were counted before.
	repeat bool
	// live touches are by changes that came soon after their commit.
	live bool
}
