package sink

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// entryState is where a key stands in this process.
type entryState byte

const (
	idle    entryState = iota
	queued             // in a queue
	delayed            // in the heap, until due
	busy               // in a batch or a lane
)

// source names a transaction that a read must see.
type source struct {
	xid    uint64
	commit cdc.LSN
	epoch  uint32
}

// entry is one key with what touched it and is not settled. Many touches make one delivery: they coalesce.
type entry struct {
	key      mapper.Key
	state    entryState
	touches  []touch
	sources  []source
	position cdc.Position
	// since is the commit time of the oldest touch, zero if none has one.
	since time.Time
	// trace is that of the newest change, others are those of older ones, linksMost at most; unlinked counts the rest.
	trace    string
	others   []string
	unlinked int
	rank     int
	// came and last are when the first and the newest touch came in.
	came, last time.Time
	// moment is when the newest touch counts, see calm.
	moment time.Time
	// large tells that a change was made in a large transaction.
	large bool
	// request is the sequence number of the newest request claimed for the key, force that a person asked for it.
	request  int64
	force    bool
	yield    bool // another document wants the name that this one has at NuORDER
	attempts int
	hidden   int  // how often in a row it was not yet visible
	taken    int  // how often in a row someone else owned it; the dispatcher's own
	held     bool // delayed for calm alone
	// urgent is closed when an order begins to wait for the key, or for one that may be behind it in its lane; nil while it is not busy.
	urgent chan struct{}
	due    time.Time
	place  int // in the heap
}

// board is what is pending: keys, their touches and the partitions they came from.
type board struct {
	mu      sync.Mutex
	entries map[mapper.Key]*entry
	queues  [ledger.RankBulk + 1][]*entry
	heap    dueHeap
	tracks  map[cdc.Partition]*track
	orphans map[cdc.Partition]time.Time // tracks dropped because someone else took the checkpoint, and when that showed
	touches int
	live    int // touches by changes that came soon after their commit
	records int
	busy    int
	calmly  map[*entry]struct{} // busy ones that no order waits for
	calm    calm
	reads   reads
	// bulkAfter is when bulk is served again.
	bulkAfter time.Time
	// work wakes the dispatcher, room the intake; one wake-up says all.
	work, room chan struct{}
	// stray outcomes come from the intake, of records that name no document; strays wakes the settler for them.
	stray  []outcome
	strays chan struct{}
}

func newBoard(c calm) *board {
	return &board{
		calm:    c,
		entries: map[mapper.Key]*entry{}, calmly: map[*entry]struct{}{}, tracks: map[cdc.Partition]*track{}, orphans: map[cdc.Partition]time.Time{},
		work: make(chan struct{}, 1), room: make(chan struct{}, 1), strays: make(chan struct{}, 1),
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// touched is a routed change of one key.
type touched struct {
	key    mapper.Key
	touch  touch
	source source
	commit time.Time
	came   time.Time
	trace  string
	rank   int
}

// touch adds a touch to its key. The record must already count it as open.
func (b *board) touch(t *touched) {
	e := b.entry(t.key, t.rank)
	if !t.came.IsZero() {
		t.touch.live = b.calm.came(e, t.touch.record.position, t.came, t.commit)
	}
	e.touches = append(e.touches, t.touch)
	b.count(t.touch, 1)
	if t.source.xid != 0 && !slices.Contains(e.sources, t.source) {
		e.sources = append(e.sources, t.source)
	}
	if p := t.touch.record.position; p.Compare(e.position) > 0 {
		e.position = p
		e.follow(t.trace)
	} else {
		e.link(t.trace)
	}
	if !t.commit.IsZero() && (e.since.IsZero() || t.commit.Before(e.since)) {
		e.since = t.commit
	}
	b.enqueue(e)
}

// count keeps count of the touches.
func (b *board) count(t touch, n int) {
	b.touches += n
	if t.live {
		b.live += n
	}
}

// linksMost bounds the traces of older changes that a delivery links to.
const linksMost = 128

// follow goes on in the trace of a newer change and keeps the older one, once.
func (e *entry) follow(newer string) {
	if older := e.trace; newer != "" {
		e.trace = newer
		e.link(older)
	}
}

// link keeps the trace of an older change; it is the one to go on in if there is no other.
func (e *entry) link(older string) {
	switch n := len(e.others); {
	case older == "" || older == e.trace || n > 0 && e.others[n-1] == older:
	case e.trace == "":
		e.trace = older
	case n == linksMost:
		e.unlinked++
	default:
		e.others = append(e.others, older)
	}
}

// ask adds a claimed request to its key.
func (b *board) ask(r ledger.Request, force bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(r.Key, r.Rank)
	e.request, e.force = max(e.request, r.Seq), e.force || force
	e.yield = e.yield || r.Reason == ledger.ReasonNameWanted
	b.enqueue(e)
	wake(b.work)
}

func (b *board) entry(key mapper.Key, rank int) *entry {
	e := b.entries[key]
	if e == nil {
		e = &entry{key: key, rank: rank}
		b.entries[key] = e
	}
	if rank < e.rank {
		e.rank = rank
		if e.state == queued {
			b.unqueue(e)
		}
		if rank == ledger.RankOrders && e.state == busy {
			b.hurry()
		}
	}
	return e
}

// hurry makes all that is under way urgent: an order waits for one of them, and the others may be before it in their lanes.
func (b *board) hurry() {
	for e := range b.calmly {
		close(e.urgent)
		e.urgent = nil
	}
	clear(b.calmly)
}

// rest ends what made an entry busy.
func (b *board) rest(e *entry) {
	b.busy--
	delete(b.calmly, e)
	e.urgent = nil
}

func (b *board) unqueue(e *entry) {
	for i := range b.queues {
		if at := slices.Index(b.queues[i], e); at >= 0 {
			b.queues[i] = slices.Delete(b.queues[i], at, at+1)
			e.state = idle
			return
		}
	}
}

func (b *board) enqueue(e *entry) {
	switch e.state {
	case queued, busy:
		return
	case delayed:
		if e.hidden > 0 || e.attempts > 0 || e.held && e.rank != ledger.RankOrders {
			return // it goes on when it is due
		}
		heap.Remove(&b.heap, e.place)
	}
	b.queue(e)
}

func (b *board) queue(e *entry) {
	e.state, e.held = queued, false
	b.queues[e.rank] = append(b.queues[e.rank], e)
}

// delay puts a key aside until a time.
func (b *board) delay(e *entry, due time.Time) {
	e.state, e.due = delayed, due
	heap.Push(&b.heap, e)
}

// take gives up to n keys that are due, by rank, and when the next one is due.
func (b *board) take(now time.Time, n int) (turns []*turn, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.heap) > 0 && !b.heap[0].due.After(now) {
		b.queue(heap.Pop(&b.heap).(*entry))
	}
	for rank := range b.queues {
		if rank == ledger.RankBulk && now.Before(b.bulkAfter) && len(b.queues[rank]) > 0 {
			next = b.bulkAfter
			continue
		}
		for len(turns) < n && len(b.queues[rank]) > 0 {
			e := b.queues[rank][0]
			b.queues[rank][0] = nil
			b.queues[rank] = b.queues[rank][1:]
			if until := b.calm.hold(e, now); !until.IsZero() {
				e.held = true
				b.delay(e, until)
				continue
			}
			turns = append(turns, b.begin(e))
		}
		if len(b.queues[rank]) == 0 {
			b.queues[rank] = nil
		}
	}
	if len(b.heap) > 0 && (next.IsZero() || b.heap[0].due.Before(next)) {
		next = b.heap[0].due
	}
	return turns, next
}

// backlog is how many keys are due and not taken yet.
func (b *board) backlog() (keys int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.queues {
		keys += len(q)
	}
	return keys
}

// changing gives until when a turn is to be held back, because its key has changed since it was taken and is held, or is part of a large
// transaction or of a burst that showed only now; zero if not.
func (b *board) changing(t *turn, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.came.IsZero() || t.force || t.entry.rank == ledger.RankOrders {
		return time.Time{}
	}
	until := b.calm.until(t.entry, t.came)
	if !until.After(now) {
		return time.Time{}
	}
	return until
}

// putBack undoes begin: nothing of the turn is settled. The key comes again when due.
func (b *board) putBack(t *turn, due time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := t.entry
	b.rest(e)
	e.touches = append(t.touches, e.touches...)
	for _, s := range t.sources {
		if !slices.Contains(e.sources, s) {
			e.sources = append(e.sources, s)
		}
	}
	if !t.since.IsZero() && (e.since.IsZero() || t.since.Before(e.since)) {
		e.since = t.since
	}
	if !t.came.IsZero() {
		e.came = t.came // it is held no longer for being taken up
	}
	e.request, e.force, e.yield = max(e.request, t.request), e.force || t.force, e.yield || t.yield
	e.restore(t)
	b.prune(e)
	if len(e.touches) == 0 && e.request == 0 {
		delete(b.entries, e.key)
	} else {
		b.delay(e, due)
	}
	wake(b.work)
}

// restore brings the traces of an undone turn back, in front of what came meanwhile.
func (e *entry) restore(t *turn) {
	newer, others, unlinked := e.trace, e.others, e.unlinked
	e.trace, e.others, e.unlinked = t.trace, t.others, t.unlinked+unlinked
	for _, trace := range others {
		e.link(trace)
	}
	e.follow(newer)
}

// finish ends a turn whose touches are settled. What came meanwhile goes on.
func (b *board) finish(t *turn) {
	e := t.entry
	b.rest(e)
	e.attempts, e.hidden = 0, 0
	for _, touch := range t.touches {
		b.count(touch, -1)
	}
	b.prune(e)
	if len(e.touches) == 0 && e.request == 0 {
		delete(b.entries, e.key)
		return
	}
	e.state = idle
	b.enqueue(e)
}

// prune drops touches of partitions that belong to others now.
func (b *board) prune(e *entry) {
	e.touches = slices.DeleteFunc(e.touches, func(t touch) bool {
		if t.record.track.lost {
			b.count(t, -1)
		}
		return t.record.track.lost
	})
}

// drop forgets a partition: its new owner reads it again from the mark. // I2
func (b *board) drop(p cdc.Partition) {
	t := b.tracks[p]
	if t == nil {
		return
	}
	t.lost = true
	b.records -= len(t.records) - t.head
	delete(b.tracks, p)
	for _, e := range b.entries {
		b.prune(e)
	}
}

// liveTimes is how many times the window live changes may fill. A burst that is held until it is over must fit, for one that is cut
// in two makes two calls for each document; in a backlog all documents are read as they are at its end.
const liveTimes = 4

func (b *board) full(window int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := max(b.touches, b.records)
	return n-b.live >= window || n >= liveTimes*window
}

func (b *board) flying() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.busy
}

// restBulk leaves bulk alone until a time.
func (b *board) restBulk(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bulkAfter = until
}

// urgent tells whether a key waits that orders need.
func (b *board) urgent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queues[ledger.RankOrders]) > 0
}

// dueHeap orders delayed keys by when they are due.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push adds a key.
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop takes the key that is due last.
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// crowded tells whether so many keys are pending that requests can wait in the ledger.
func (b *board) crowded(keys int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries) >= keys
}

func keysOf(turns ...*turn) []mapper.Key {
	keys := make([]mapper.Key, len(turns))
	for i, t := range turns {
		keys[i] = t.key
	}
	return keys
}
