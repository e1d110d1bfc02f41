package sink

import (
	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// reads remembers from where in the source's log on the documents that were settled last are read. The rows of a snapshot come
// table by table: when those of the second come, most documents have been delivered with them already. // decision 1
type reads struct {
	// now and before are two generations, so that what is remembered is bounded. // I6
	now, before map[mapper.Key]readAt
}

type readAt struct {
	epoch uint32
	at    cdc.LSN
}

const readsMost = 32_768

// settled notes how a turn ended. A key that waits or is parked must be looked at again.
func (r *reads) settled(t *turn, d ledger.Disposition) {
	if t.read.at == 0 || d != ledger.Delivered && d != ledger.Unchanged {
		delete(r.now, t.key)
		delete(r.before, t.key)
		return
	}
	if r.now == nil || len(r.now) >= readsMost {
		r.now, r.before = make(map[mapper.Key]readAt), r.now
	}
	r.now[t.key] = t.read
}

// cover tells whether the document of a key was read after the row of a snapshot, and settled.
func (r *reads) cover(key mapper.Key, p cdc.Position) bool {
	at, ok := r.now[key]
	if !ok {
		at, ok = r.before[key]
	}
	return ok && at.epoch == p.Epoch && p.Commit < at.at
}
