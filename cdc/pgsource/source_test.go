package pgsource_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/migrations"
)

// feed is a publisher that keeps what it is given, in the way of Kafka: durable once acknowledged.
type feed struct {
	mu      sync.Mutex
	records []cdc.Record
	sizes   map[string]uint64
	left    map[string]string // columns that were left out, by position
	grew    chan struct{}
	limit   int // publishing fails once, when so many records are there
	failed  int
	hold    chan struct{} // acknowledgements wait while it is open
}

func newFeed() *feed {
	return &feed{grew: make(chan struct{}, 1), sizes: map[string]uint64{}, left: map[string]string{}}
}

func (f *feed) Publish(ctx context.Context, b *cdc.Batch, acked func(error)) error {
	f.mu.Lock()
	if f.limit > 0 && len(f.records) >= f.limit {
		f.limit = 0
		f.failed++
		f.mu.Unlock()
		return errRefused
	}
	for _, e := range b.Events {
		f.records = append(f.records, cdc.Record{
			Partition: cdc.Partition{Topic: e.Topic}, Key: slices.Clone(e.Key), Value: slices.Clone(e.Value), Op: e.Op, Position: e.Position,
			XID: e.XID, Trace: e.Trace, Offset: int64(len(f.records)),
		})
		if e.TxSize > 0 {
			f.sizes[e.Position.String()] = e.TxSize
		}
		if e.Oversize != "" {
			f.left[e.Position.String()] = e.Oversize
		}
	}
	hold := f.hold
	f.mu.Unlock()
	if len(b.Events) > 0 {
		select {
		case f.grew <- struct{}{}:
		default:
		}
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	acked(nil)
	return nil
}

var errRefused = errors.New("the broker refused")

// failAfter makes one call fail, once the feed holds n records.
func (f *feed) failAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = n
}

func (f *feed) failures() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *feed) all() []cdc.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.records)
}

// lines gives each record as op, table and the columns named.
func (f *feed) lines(t testing.TB, columns ...string) []string {
	var out []string
	for _, r := range f.all() {
		out = append(out, line(t, r, columns...))
	}
	return out
}

func line(t testing.TB, r cdc.Record, columns ...string) string {
	t.Helper()
	c, err := cdc.DecodeChange(&r)
	if err != nil {
		t.Fatalf("record %s: %v\n%s", r.Position, err, r.Value)
	}
	text := string(rune(c.Op))
	row := c.After
	if row == nil {
		row = c.Before
	}
	if row == nil {
		return text + " " + string(r.Key)
	}
	for _, name := range columns {
		v := row.Column(name)
		switch v.State {
		case cdc.Present:
			text += " " + v.Text
		case cdc.Null:
			text += " null"
		case cdc.Unavailable:
			text += " unavailable"
		default:
			text += " absent"
		}
	}
	return text
}

// world is a database with a table, a ledger and a capture.
type world struct {
	t     testing.TB
	url   string
	pool  *pgxpool.Pool
	store *ledger.Captures
	feed  *feed
	cfg   pgsource.Config
	deps  pgsource.Deps
	stop  func() error
	ended func() error                    // waits until the capture ends by itself
	src   atomic.Pointer[pgsource.Source] // of the present session
}

// source gives the source of the present session.
func (w *world) source() *pgsource.Source { return w.src.Load() }

func newWorld(t testing.TB, tables ...string) *world {
	t.Helper()
	url := pgtest.Database(t)
	return newWorldAt(t, url, tables...)
}

func newWorldAt(t testing.TB, url string, tables ...string) *world {
	t.Helper()
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	store, err := ledger.Open(context.Background(), url, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if len(tables) == 0 {
		tables = []string{"public.*"}
	}
	name := strings.ToLower(strings.NewReplacer("/", "_", "-", "_").Replace(t.Name()))
	w := &world{
		t: t, url: url, pool: pgtest.PoolOf(t, url), store: ledger.NewCaptures(store.Pool()), feed: newFeed(),
		cfg: pgsource.Config{
			DatabaseURL: url, Capture: "test", Slot: name[max(0, len(name)-50):] + "_" + fmt.Sprint(time.Now().UnixNano()%1e6), TopicPrefix: "p", Tables: tables,
			StatusInterval: 200 * time.Millisecond, SpillDir: t.TempDir(),
		},
	}
	w.deps = pgsource.Deps{Store: w.store, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	return w
}

func (w *world) exec(sql ...string) {
	w.t.Helper()
	for _, s := range sql {
		if _, err := w.pool.Exec(context.Background(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
			w.t.Fatalf("%s: %v", s, err)
		}
	}
}

// start runs the capture until stop is called or the test ends, and waits until it reads.
func (w *world) start() {
	w.t.Helper()
	w.launch()
	w.active()
}

// launch runs the capture until stop is called or the test ends.
func (w *world) launch() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c, err := cdc.NewCapture(func(context.Context) (cdc.Session, error) {
		src, err := pgsource.New(w.cfg, w.deps)
		w.src.Store(src)
		return cdc.Session{Source: src, Publisher: w.feed}, err
	}, w.store, w.deps.Log, cdc.CaptureConfig{
		Capture: "test", CheckpointEvery: 10 * time.Millisecond, MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
		Halts: func(err error) bool { return fault.KindOf(err) == fault.Halt },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	var result error
	w.stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case result = <-done:
			case <-time.After(20 * time.Second):
				w.t.Error("the capture did not stop within 20 s")
			}
		})
		return result
	}
	w.ended = func() error {
		once.Do(func() {
			select {
			case result = <-done:
			case <-time.After(60 * time.Second):
				w.t.Error("the capture did not end within 60 s")
			}
			cancel()
		})
		return result
	}
	w.t.Cleanup(func() { _ = w.stop() })
}

// active waits until the slot is read.
func (w *world) active() {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		var n int
		if err := w.pool.QueryRow(context.Background(), "select count(*) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = $1", w.cfg.Slot).Scan(&n); err == nil && n == 1 {
			return
		}
		<-tick.C
	}
	w.t.Fatal("the slot is not read")
}

// halted waits until the capture ends by itself and gives why.
func (w *world) halted() error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	src, err := pgsource.New(w.cfg, w.deps)
	if err != nil {
		return err
	}
	return src.Run(ctx)
}

// await waits until the feed holds n records.
func (w *world) await(n int) []cdc.Record {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if r := w.feed.all(); len(r) >= n {
			return r
		}
		select {
		case <-w.feed.grew:
		case <-deadline:
			w.t.Fatalf("the feed holds %d records, want %d", len(w.feed.all()), n)
		}
	}
}

func TestSnapshotThenStreamGivesEveryRowOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table item (id bigint primary key, name text)", "insert into item select i, 'n' || i from generate_series(1, 3000) i")
	w.start()
	w.await(3000)
	w.exec("insert into item values (5000, 'new')", "update item set name = 'changed' where id = 7", "delete from item where id = 8")
	w.await(3004)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	lines := w.feed.lines(t, "id", "name")
	if got, want := lines[3000:], []string{"c 5000 new", "u 7 changed", "d 8 null", `x {"id":8}`}; !slices.Equal(got, want) {
		t.Errorf("streamed %q, want %q", got, want)
	}
	seen := map[string]int{}
	for _, l := range lines[:3000] {
		seen[l]++
	}
	if len(seen) != 3000 {
		t.Errorf("snapshot has %d distinct rows, want 3000", len(seen))
	}
	var last cdc.Position
	for _, r := range w.feed.all() {
		if r.Position.Compare(last) <= 0 {
			t.Fatalf("position %s follows %s", r.Position, last)
		}
		last = r.Position
	}
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table item (id bigint primary key, name text)", "insert into item values (1, 'a')")
	w.start()
	w.await(1)
	w.exec("insert into item values (2, 'b')")
	w.await(2)
	_ = w.stop()
	w.exec("insert into item values (3, 'c'), (4, 'd')")
	w.start()
	w.await(4)
	w.exec("insert into item values (5, 'e')")
	w.await(5)
	_ = w.stop()
	if got, want := w.feed.lines(t, "id"), []string{"r 1", "c 2", "c 3", "c 4", "c 5"}; !slices.Equal(got, want) {
		t.Errorf("feed %q, want %q", got, want)
	}
}
