package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/migrations"
)

const testEnv = "sandbox"

// world is an honest, small world around the loops: a source database, its log with consumer groups, and a remote that
// remembers every call. Only the ledger is real.
type world struct {
	t      testing.TB
	store  *ledger.Store
	url    string
	mu     sync.Mutex
	docs   map[mapper.Key]doc
	made   map[*mapper.Document]doc
	parts  int
	log    [][]cdc.Record
	xid    uint64
	hidden map[uint64]bool // transactions that no read sees yet
	groups map[mapper.Flow]map[cdc.Partition]int64
	holder map[mapper.Flow]*group // who the group's coordinator thinks holds the partitions
	signal chan struct{}
	remote map[ledger.ObjectID][]call
	// answer decides about a call: what is wrong with it, and whether the remote did what was asked.
	answer func(ledger.ObjectID, mapper.Body) (did bool, err error)
	// told has a call end as waiting for others, with what it told kept.
	told func(ledger.ObjectID) []mapper.Ref
	// late tells of a call, after it was answered or not, that it may yet be carried out.
	late  func(ledger.ObjectID) bool
	calls int
	// before holds a call up, like a process that is frozen with bytes on the wire.
	before func(Work)
	hops   int
	// everything is what a loop asks for all documents with.
	everything func(ctx context.Context, why string) error
}

type doc struct {
	version  int
	brand    string
	parents  []mapper.Ref
	filtered bool
	broken   bool
}

type call struct {
	version int
	body    string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	store, err := ledger.Open(t.Context(), url, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, store: store, url: url, docs: map[mapper.Key]doc{}, made: map[*mapper.Document]doc{}, parts: 3, hidden: map[uint64]bool{},
		groups: map[mapper.Flow]map[cdc.Partition]int64{}, holder: map[mapper.Flow]*group{}, signal: make(chan struct{}), remote: map[ledger.ObjectID][]call{}, xid: 100,
	}
	w.log = make([][]cdc.Record, w.parts)
	listening, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = store.Listen(listening) })
	t.Cleanup(func() { stop(); group.Wait(); store.Close() })
	return w
}

// write changes documents in one transaction: one row event each, times over.
func (w *world) write(change func(k mapper.Key, d doc) doc, times int, keys ...mapper.Key) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.xid++
	index := uint64(0)
	for _, k := range keys {
		d := w.docs[k]
		d.version++
		if change != nil {
			d = change(k, d)
		}
		w.docs[k] = d
		for range times {
			w.append(k, cdc.Position{Epoch: 1, Commit: cdc.LSN(w.xid * 100), Index: index})
			index++
		}
	}
	return w.xid
}

func (w *world) append(k mapper.Key, p cdc.Position) {
	part := int(p.Index+uint64(p.Commit)/100) % w.parts // rows of one document lie in several partitions
	w.log[part] = append(w.log[part], cdc.Record{
		Partition: cdc.Partition{Topic: "oms.t", ID: part}, Offset: int64(len(w.log[part])), Time: time.Now(), Position: p,
		Op: cdc.OpUpdate, XID: w.xid, CommitTime: time.Now(),
		Value: fmt.Appendf(nil, `{"before":null,"after":{"id":%q},"source":{"schema":"oms","table":"t"},"op":"u"}`, k),
	})
	close(w.signal)
	w.signal = make(chan struct{})
}

// snapshot appends the rows of a snapshot that was read at a position.
func (w *world) snapshot(at cdc.LSN, keys ...mapper.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, k := range keys {
		w.append(k, cdc.Position{Epoch: 1, Commit: at, Index: uint64(i)})
		last := &w.log[(i+int(at)/100)%w.parts]
		(*last)[len(*last)-1].Op, (*last)[len(*last)-1].XID = cdc.OpRead, 0
	}
}

// Tables, Route and Body are the mapping.
func (w *world) Tables(mapper.Flow) []string { return []string{"oms.t"} }

func (w *world) Route(flow mapper.Flow, c *cdc.Change) (mapper.Touches, error) {
	k := c.After.Column("id").Text
	switch {
	case strings.HasPrefix(k, "nobody"):
		return mapper.Touches{}, nil
	case strings.HasPrefix(k, "hop"):
		return mapper.Touches{Hops: []mapper.Hop{{ID: mapper.HopID{Flow: flow}, Values: []string{k}}}}, nil
	default:
		return mapper.Touches{Keys: []mapper.Key{mapper.Key(k)}}, nil
	}
}

func (w *world) Body(flow mapper.Flow, k mapper.Key, d *mapper.Document) (mapper.Body, error) {
	b := mapper.Body{Flow: flow, Key: k}
	if d == nil {
		b.Filtered = true
		return b, nil
	}
	w.mu.Lock()
	v := w.made[d]
	delete(w.made, d)
	w.mu.Unlock()
	if b.Filtered = v.filtered; b.Filtered {
		return b, nil
	}
	if b.RemoteKey = v.brand; b.RemoteKey == "" {
		b.RemoteKey = "brand-" + string(k)
	}
	b.JSON, b.Parents = fmt.Appendf(nil, `{"key":%q,"version":%d}`, b.RemoteKey, v.version), v.parents
	if v.broken {
		b.Violations = []mapper.Violation{{Field: "country", Rule: "required", Text: "Enter a country."}}
	}
	return b, nil
}

// Read, Visible and Hop are the source database.
func (w *world) Read(_ context.Context, _ mapper.Flow, wants []mapper.Want) ([]mapper.Read, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]mapper.Read, len(wants))
	for i, want := range wants {
		if strings.HasPrefix(string(want.Key), "untyped") { // as a text where a query takes a number
			return nil, fault.New(fault.Reject, "document_query_failed", "read documents: query root: SQLSTATE 22P02")
		}
		out[i].Key, out[i].Epoch, out[i].At = want.Key, 1, cdc.LSN(w.xid*100+1)
		if out[i].NotYetVisible = w.hidden[want.XID]; out[i].NotYetVisible {
			continue
		}
		if d, ok := w.docs[want.Key]; ok {
			out[i].Document = new(mapper.Document)
			w.made[out[i].Document] = d
		}
	}
	return out, nil
}

func (w *world) Visible(_ context.Context, wants []mapper.Want) ([]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]bool, len(wants))
	for i, want := range wants {
		out[i] = !w.hidden[want.XID]
	}
	return out, nil
}

func (w *world) Hop(_ context.Context, _ mapper.HopID, values [][]string) ([][]mapper.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hops++
	out := make([][]mapper.Key, len(values))
	for i, v := range values {
		if strings.HasPrefix(v[0], "hopuntyped") {
			return nil, fault.New(fault.Reject, "document_query_failed", "a query cannot take a value")
		}
		if w.hidden[w.xid] {
			continue // the row that the hop joins is not there yet
		}
		out[i] = []mapper.Key{mapper.Key(strings.TrimPrefix(v[0], "hop"))}
	}
	return out, nil
}

// Deliver is the remote.
func (w *world) Deliver(_ context.Context, work Work) (Delivery, error) {
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if before != nil {
		before(work)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, did, err := work.Object.ObjectID, true, error(nil)
	w.calls++
	if w.answer != nil {
		did, err = w.answer(id, work.Body)
	}
	var version int
	if !work.Body.Filtered {
		var name string
		if _, serr := fmt.Sscanf(string(work.Body.JSON), `{"key":%q,"version":%d}`, &name, &version); serr != nil {
			return Delivery{}, serr
		}
	}
	o := work.Object
	if did {
		w.remote[id] = append(w.remote[id], call{version, string(work.Body.JSON)})
	}
	late := w.late != nil && w.late(id)
	if err != nil {
		return Delivery{Object: o, Calls: 1, Late: late, Wrote: did}, err
	}
	if o.RemoteID == "" {
		o.RemoteID = fmt.Sprintf("id-%d", w.calls)
	}
	o.Known, o.RemoteKey = true, work.Body.RemoteKey
	o.Parts = maps.Clone(o.Parts)
	if o.Parts == nil {
		o.Parts = map[string]ledger.Part{}
	}
	o.Parts[ledger.PartOf(work.Body.Flow)] = ledger.Part{Hash: ledger.HashOf(work.Body.JSON), Body: append([]byte("x"), work.Body.JSON...), At: time.Now()}
	if w.told != nil {
		if refs := w.told(id); len(refs) > 0 {
			return Delivery{Disposition: ledger.Waiting, Object: o, Calls: 1, Late: late, WaitFor: refs, Told: true}, nil
		}
	}
	return Delivery{Disposition: ledger.Delivered, Object: o, Calls: 1, Late: late}, nil
}

// group is one member of a consumer group that has all partitions.
type group struct {
	w      *world
	flow   mapper.Flow
	handed map[int]bool
	next   []int64
	// ends are so many assignments whose end of the log is told as zero.
	ends int
	// marked partitions end with a marker, which is no record.
	marked map[int]bool
	// start is the first offset that is left of each partition.
	start int64
}

func (w *world) group(flow mapper.Flow) *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.groups[flow] == nil {
		w.groups[flow] = map[cdc.Partition]int64{}
	}
	g := &group{w: w, flow: flow, next: make([]int64, w.parts), handed: map[int]bool{}}
	w.holder[flow] = g
	return g
}

func (g *group) Poll(ctx context.Context) (cdc.Fetch, error) {
	for {
		g.w.mu.Lock()
		var f cdc.Fetch
		for i := range g.next {
			if g.handed[i] {
				continue
			}
			g.handed[i] = true
			p := cdc.Partition{Topic: "oms.t", ID: i}
			committed, ok := g.w.groups[g.flow][p]
			if !ok {
				committed = -1
			}
			g.next[i] = max(committed, g.start)
			end := int64(len(g.w.log[i]))
			if g.ends > 0 {
				g.ends--
				end = 0
			}
			f.Assigned = append(f.Assigned, cdc.Assignment{Partition: p, Committed: committed, Start: g.start, End: end})
		}
		for i, next := range g.next {
			if next > int64(len(g.w.log[i])) {
				continue
			}
			some := g.w.log[i][next:min(int64(len(g.w.log[i])), next+40)]
			f.Records = append(f.Records, some...)
			g.next[i] += int64(len(some))
			if end := int64(len(g.w.log[i])); g.marked[i] && g.next[i] == end {
				if f.Passed == nil {
					f.Passed = map[cdc.Partition]int64{}
				}
				f.Passed[partition(i)] = end + 1
				delete(g.marked, i)
			}
		}
		signal := g.w.signal
		g.w.mu.Unlock()
		if len(f.Assigned)+len(f.Records)+len(f.Passed) > 0 {
			return f, nil
		}
		select {
		case <-signal:
		case <-ctx.Done():
			return f, ctx.Err()
		}
	}
}

func (g *group) Commit(_ context.Context, next map[cdc.Partition]int64) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	maps.Copy(g.w.groups[g.flow], next)
	return nil
}

func (g *group) Again(_ context.Context, p cdc.Partition) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.w.holder[g.flow] == g {
		g.handed[p.ID] = false
		close(g.w.signal)
		g.w.signal = make(chan struct{})
	}
	return nil
}

// start runs a loop until the returned function ends it.
func (w *world) start(flow mapper.Flow, change func(*Config)) (*Loop, func()) {
	w.t.Helper()
	return w.startWith(w.group(flow), flow, change)
}

func (w *world) startWith(log Log, flow mapper.Flow, change func(*Config)) (*Loop, func()) {
	w.t.Helper()
	config := Config{
		Environment: testEnv, Flow: flow, Instance: "test", Lease: 2 * time.Second, BackoffBase: 5 * time.Millisecond,
		BackoffCap: 50 * time.Millisecond, Look: 20 * time.Millisecond, Lanes: 4, Grace: 2 * time.Second, InFlight: 32,
	}
	if change != nil {
		change(&config)
	}
	l, err := New(Deps{Log: log, Reader: w, Mapper: w, Remote: w, Ledger: w.store, Everything: w.everything}, config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil && fault.KindOf(err) != fault.Halt {
			w.t.Error(err)
		}
	})
	var once sync.Once
	end := func() { once.Do(func() { stop(); running.Wait() }) }
	w.t.Cleanup(end)
	return l, end
}

// eventually looks again and again, without a fixed wait.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func (w *world) counts(flow mapper.Flow) ledger.Counts {
	c, err := w.store.Counts(context.Background(), testEnv, flow)
	if err != nil {
		w.t.Error(err)
	}
	return c
}

// last gives the version that the remote holds, -1 if none.
func (w *world) last(flow mapper.Flow, k mapper.Key) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.remote[ledger.ObjectID{Environment: testEnv, Kind: flow.Kind(), Key: k}]
	if len(calls) == 0 {
		return -1
	}
	return calls[len(calls)-1].version
}

func (w *world) callsMade() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// has tells whether the remote ever got a version after a newer one.
func (w *world) has(flow mapper.Flow, k mapper.Key, version int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.remote[ledger.ObjectID{Environment: testEnv, Kind: flow.Kind(), Key: k}], func(c call) bool { return c.version == version })
}

// records counts what is in the log.
func (w *world) records() (n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.log {
		n += int64(len(p))
	}
	return n
}

// rests waits until everything in the log is settled and committed, and checks I1 from ledger and offsets alone.
func (w *world) rests(flow mapper.Flow) {
	w.t.Helper()
	eventually(w.t, "everything settled and committed", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, p := range w.log {
			if w.groups[flow][cdc.Partition{Topic: "oms.t", ID: i}] != int64(len(p)) {
				return false
			}
		}
		return true
	})
	c := w.counts(flow)
	if c.Read != w.records() || c.Sum() != c.Read {
		w.t.Errorf("counts %+v: want %d touches read, and the sum %d equal to it", c, w.records(), c.Sum())
	}
}

// orderKept checks that no object went back.
func (w *world) orderKept() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, calls := range w.remote {
		if !slices.IsSortedFunc(calls, func(a, b call) int { return a.version - b.version }) {
			w.t.Errorf("%s %s went back: %v", id.Kind, id.Key, calls)
		}
	}
}

var errLost = &fault.Error{Kind: fault.Retry, Code: "answer_lost", Ambiguous: true, Err: errors.New("the answer was lost")}

func partition(i int) cdc.Partition { return cdc.Partition{Topic: "oms.t", ID: i} }
