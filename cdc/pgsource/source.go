package pgsource

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"nubridge/cdc"
)

// Store keeps what a capture must remember.
type Store interface {
	// LoadCapture gives nil when nothing was recorded yet.
	LoadCapture(ctx context.Context, capture string) (*cdc.CaptureState, error)
	SaveCapture(ctx context.Context, capture string, state cdc.CaptureState) error
	SaveTables(ctx context.Context, capture string, tables []cdc.CapturedTable) error
	RecordSchema(ctx context.Context, capture string, v cdc.SchemaVersion) error
	// PastType gives what recorded schemas say of a type, nil if they do not know it.
	PastType(ctx context.Context, capture string, oid uint32) ([]byte, error)
	// PastKey gives the key that was recorded of a table of these columns, at or before this place; nil if none was.
	PastKey(ctx context.Context, capture, schema, table string, columns []string, at cdc.LSN) ([]string, error)
	// Snapshots lists the jobs that are not done, in the order in which they were added.
	Snapshots(ctx context.Context, capture string) ([]cdc.SnapshotJob, error)
	AddSnapshot(ctx context.Context, capture string, job cdc.SnapshotJob) error
	// AdvanceSnapshot stores the progress of a job and tells whether somebody paused it meanwhile.
	AdvanceSnapshot(ctx context.Context, capture string, job cdc.SnapshotJob) (paused bool, err error)
}

// Deps are what a source works with.
type Deps struct {
	Store Store
	Log   *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Tracer starts a span for each transaction that brings no trace of its own; nil means none.
	Tracer trace.Tracer
	// Published is the highest position found in Kafka, if known: a failover must not be behind it. // I8
	Published cdc.Position
	// Streaming is called when the checks of a run are passed and its stream begins; it may be nil.
	Streaming func()
}

// Source reads one slot. It implements cdc.RunningSource; a source runs once.
type Source struct {
	cfg  Config
	deps Deps
	// reader names this run's session at the server.
	reader string
	stats  stats

	mu sync.Mutex // guards the assembler's current batch and what follows
	a  *assembler
	// handed is the Through of the last batch that was taken.
	handed    cdc.LSN
	wantEmpty bool
	spare     *batch // for the next batch
	lent      *batch // with the consumer, until Release
	names     names

	ready chan struct{} // a batch may be takeable
	freed chan struct{} // a batch was taken

	confirmed atomic.Uint64
	onConfirm broadcast // the confirmed position rose

	done chan struct{}
	err  error // set before done is closed
}

// stats are the figures of a running source.
type stats struct {
	received, serverEnd, changes atomic.Uint64
	lastWire                     atomic.Int64 // Unix nanoseconds
}

// New makes a source that starts nothing and touches no network.
func New(cfg Config, deps Deps) (*Source, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, halt(CodeConfig, "correct the capture section of the configuration", "capture: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Source{
		cfg: cfg, deps: deps, reader: strings.ToLower(rand.Text()[:12]), ready: make(chan struct{}, 1), freed: make(chan struct{}, 1),
		onConfirm: broadcast{ch: make(chan struct{})}, done: make(chan struct{}),
	}, nil
}

// Next blocks for the next batch, until the context ends or the source fails. The batch is the caller's until Release.
func (s *Source) Next(ctx context.Context) (*cdc.Batch, error) {
	for {
		s.mu.Lock()
		b := s.take()
		s.mu.Unlock()
		if b != nil {
			signal(s.freed)
			return &b.Batch, nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.done:
			return nil, s.err
		}
	}
}

// take seals the current batch as far as it may go out and puts a new one in its place. One batch at a time is with the
// consumer; what comes meanwhile gathers in the next one, so that batches grow under load. // I6 The last change of a running
// transaction stays behind, since it may turn out to be the last of all and must then say so. s.mu is held.
func (s *Source) take() *batch {
	if s.a == nil || s.lent != nil {
		return nil
	}
	cur := s.a.cur
	n := s.a.ripe()
	hold := n < len(cur.Events)
	if n == 0 && (!s.wantEmpty && s.a.snapshots.awaited <= s.handed || cur.Through <= s.handed) {
		return nil
	}
	next := s.freshBatch()
	next.Last = cur.Last
	if hold {
		sp := cur.spans[n]
		next.arena = append(next.arena, cur.arena[sp.key:sp.end]...)
		next.spans = append(next.spans, span{0, sp.value - sp.key, sp.end - sp.key})
		next.Events = append(next.Events, cur.Events[n])
		cur.Events, cur.spans = cur.Events[:n], cur.spans[:n]
		if n > 0 {
			cur.Last = cur.Events[n-1].Position
		}
	}
	cur.seal()
	s.handed = max(s.handed, cur.Through)
	s.wantEmpty = false
	s.a.cur = next
	s.lent = cur
	return cur
}

func (s *Source) freshBatch() *batch {
	if b := s.spare; b != nil {
		s.spare = nil
		return b
	}
	return &batch{}
}

// Release gives a batch back for reuse. Its events must not be touched any more.
func (s *Source) Release(b *cdc.Batch) {
	left := 0
	s.mu.Lock()
	if s.lent != nil && &s.lent.Batch == b {
		left = cap(s.lent.arena)
		s.lent.reset()
		s.spare, s.lent = s.lent, nil
	}
	s.mu.Unlock()
	dropped(left)
}

// Confirm says that everything through this LSN is durable downstream and recorded. It does not block.
func (s *Source) Confirm(through cdc.LSN) {
	for {
		old := s.confirmed.Load()
		if uint64(through) <= old {
			return
		}
		if s.confirmed.CompareAndSwap(old, uint64(through)) {
			s.onConfirm.fire()
			return
		}
	}
}

// Progress is where a running source stands.
type Progress struct {
	// Received is how far the log was read, Confirmed how far the server was told, ServerEnd how far the server is.
	Received, Confirmed, ServerEnd cdc.LSN
	// Changes counts row messages since the start.
	Changes uint64
	// LastMessage is when the server was last heard.
	LastMessage time.Time
	// Running are the large transactions whose rows are spilled until they commit.
	Running []RunningTransaction
}

// Progress tells where the source stands; it may be called at any time.
func (s *Source) Progress() Progress {
	var running []RunningTransaction
	s.mu.Lock()
	if s.a != nil {
		running = s.a.spill.progress()
	}
	s.mu.Unlock()
	return Progress{
		Running:  running,
		Received: cdc.LSN(s.stats.received.Load()), Confirmed: cdc.LSN(s.confirmed.Load()),
		ServerEnd: cdc.LSN(s.stats.serverEnd.Load()), Changes: s.stats.changes.Load(),
		LastMessage: time.Unix(0, s.stats.lastWire.Load()),
	}
}

// signal sets a flag that a waiter takes.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// broadcast wakes everybody who waits.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// next gives a channel that is closed by the next fire.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
