package sink

import (
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// turn is one key on its way: what touched it until now. Touches that come later begin another one.
type turn struct {
	entry    *entry
	key      mapper.Key
	touches  []touch
	sources  []source
	position cdc.Position
	since    time.Time
	came     time.Time
	trace    string
	others   []string
	unlinked int
	rank     int
	urgent   <-chan struct{} // see entry
	request  int64
	force    bool
	yield    bool
	attempts int

	object   ledger.Object
	parents  map[mapper.Ref]ledger.Object
	deadline time.Time
	owned    time.Time
	body     mapper.Body
	read     readAt
	hash     [32]byte
	parked   []byte
	isParked bool
	// guarded is the action that a guard has counted for the turn.
	guarded string
}

func (b *board) begin(e *entry) *turn {
	t := &turn{
		entry: e, key: e.key, touches: e.touches, sources: e.sources, position: e.position, since: e.since, came: e.came, trace: e.trace, others: e.others, unlinked: e.unlinked,
		rank: e.rank, request: e.request, force: e.force, yield: e.yield, attempts: e.attempts,
	}
	e.touches, e.sources, e.since, e.request, e.force, e.yield = nil, nil, time.Time{}, 0, false, false
	e.trace, e.others, e.unlinked = "", nil, 0
	e.came, e.last, e.large = time.Time{}, time.Time{}, false
	if e.rank > ledger.RankOrders {
		urgent := make(chan struct{})
		e.urgent, t.urgent = urgent, urgent
		b.calmly[e] = struct{}{}
	} else {
		b.hurry()
	}
	e.state = busy
	b.busy++
	return t
}
