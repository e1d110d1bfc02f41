package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// steady measures from the server's commit timestamp to a consumer's receipt, under an even load of single-row transactions.
func (b *bench) steady(ctx context.Context) error {
	n, p := min(2, b.s.runs), min(1, b.s.peerRuns)
	entries := []entry{{"nubridge", n}, {"debezium-tuned", n}, {"debezium", p}, {"baseline", p}}
	for round := range rounds(entries) {
		for _, e := range entries {
			if round >= e.runs || !b.s.wants(e.target) {
				continue
			}
			if err := b.steadyOnce(ctx, e.target); err != nil {
				return fmt.Errorf("%s: %w", e.target, err)
			}
		}
	}
	return nil
}

func (b *bench) steadyOnce(ctx context.Context, target string) error {
	const schema = "steady"
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	if err := makeSchema(ctx, b.pool, schema); err != nil {
		return err
	}
	warm := int(b.s.warm.Seconds()) * b.s.rate / groupChanges * groupChanges
	n := int(b.s.steady.Seconds()) * b.s.rate / groupChanges * groupChanges
	f := b.newFeed(target, schema, "stream", warm+n)
	defer b.clean(ctx, f)
	if _, err := b.pool.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", f.slot); err != nil {
		return err
	}
	if err := makeTopics(ctx, b.admin, b.s.partitions, f.topics()...); err != nil {
		return err
	}
	awaitQuiet(ctx, b.s.quiet)
	l := &listener{f: f, at: make([]time.Time, warm+n), any: make(chan struct{}), all: make(chan struct{}), left: warm + n}
	if err := l.open(ctx); err != nil {
		return err
	}
	defer l.close()
	t, err := f.start()
	if err != nil {
		return err
	}
	defer t.stop()
	w := &writer{b: b, schema: schema, xids: make([]int64, warm+n)}
	if err := b.awaitStreaming(ctx, w, l, t, (warm+n)/groupChanges); err != nil {
		return err
	}
	if err := w.write(ctx, 0, warm); err != nil {
		return err
	}
	machine, before := readMachine(b.s.cache), t.usage()
	if err := w.write(ctx, warm, warm+n); err != nil {
		return err
	}
	used, spent := readMachine(b.s.cache).since(machine), t.usage()
	spent.cpu -= before.cpu
	select {
	case <-l.all:
	case <-t.exited:
		return fmt.Errorf("the target ended, its log is %s", f.log())
	case <-time.After(time.Minute):
		return fmt.Errorf("%d of %d changes did not arrive within a minute", l.missing(), warm+n)
	case <-ctx.Done():
		return ctx.Err()
	}
	t.stop()
	r := sample{Target: target, Scenario: "steady", Rows: n, Usage: usageOf(spent, used), Seconds: b.s.steady.Seconds()}
	if err := b.latencies(ctx, &r, l.at[warm:], w.xids[warm:]); err != nil {
		return err
	}
	return b.record(r)
}

// awaitStreaming writes a row now and then until the target's first record arrives.
func (b *bench) awaitStreaming(ctx context.Context, w *writer, l *listener, t *process, group int) error {
	for i := 0; ; i++ {
		if _, err := w.change(ctx, b.pool, (group+i)*groupChanges); err != nil {
			return err
		}
		select {
		case <-l.any:
			return nil
		case <-t.exited:
			return fmt.Errorf("the target ended before it streamed, its log is %s", l.f.log())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// latencies compares arrivals with the server's commit times.
func (b *bench) latencies(ctx context.Context, r *sample, at []time.Time, xids []int64) error {
	rows, err := b.pool.Query(ctx, `select pg_xact_commit_timestamp((x & 4294967295)::text::xid) from unnest($1::bigint[]) with ordinality u(x, n) order by n`, xids)
	if err != nil {
		return err
	}
	committed, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return err
	}
	ms := make([]float64, len(at))
	for i := range at {
		ms[i] = float64(at[i].Sub(committed[i]).Microseconds()) / 1000
	}
	slices.Sort(ms)
	part := func(q float64) float64 { return ms[min(len(ms)-1, int(q*float64(len(ms))))] }
	r.P50, r.P99, r.P999, r.Max = part(0.5), part(0.99), part(0.999), ms[len(ms)-1]
	return nil
}

// writer writes single changes of the workload.
type writer struct {
	b      *bench
	schema string
	xids   []int64
}

// querier is a pool or a connection.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// change writes change k in a transaction of its own and gives its transaction id.
func (w *writer) change(ctx context.Context, q querier, k int) (int64, error) {
	group, local := k/groupChanges, k%groupChanges
	base := group*groupRows + 1
	var id, xid int64
	var sql string
	switch {
	case local < groupRows:
		id, sql = int64(base+local), "insert into {t} select g, "+strings.ReplaceAll(valuesSQL, "{rev}", "0")+" from (select $1::bigint g) one"
	case local < groupChanges-1:
		id = int64(base + local - groupRows + 1)
		sql = "update {t} set (rev, sku, qty, price, note, updated_at) = (select " + strings.ReplaceAll(valuesSQL, "{rev}", "1") + " from (select id as g) one) where id = $1"
	default:
		id, sql = int64(base), "delete from {t} where id = $1"
	}
	sql = strings.ReplaceAll(sql, "{t}", w.schema+"."+tables[tableOf(int(id))]) + " returning pg_current_xact_id()::text::bigint"
	err := q.QueryRow(ctx, sql, id).Scan(&xid)
	return xid, err
}

// write writes the changes from up to to, each at its own moment; a group stays on one connection.
func (w *writer) write(ctx context.Context, from, to int) error {
	const workers = 4
	g, ctx := errgroup.WithContext(ctx)
	var queues [workers]chan int
	for i := range queues {
		queues[i] = make(chan int, w.b.s.rate)
		g.Go(func() error {
			conn, err := w.b.pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			for k := range queues[i] {
				if w.xids[k], err = w.change(ctx, conn, k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	start := time.Now()
	for k := from; k < to && ctx.Err() == nil; k++ {
		wait(ctx, time.Until(start.Add(time.Duration(k-from)*time.Second/time.Duration(w.b.s.rate))))
		queues[k/groupChanges%workers] <- k
	}
	for i := range queues {
		close(queues[i])
	}
	return g.Wait()
}

// listener notes when each change arrives.
type listener struct {
	f      *feed
	client *kgo.Client
	cancel context.CancelFunc
	ended  chan struct{}
	any    chan struct{}
	all    chan struct{}

	mu   sync.Mutex
	at   []time.Time
	left int
	seen bool
}

func (l *listener) open(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(l.f.broker()), kgo.ConsumeTopics(l.f.topics()...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))
	if err != nil {
		return err
	}
	l.client, l.ended = client, make(chan struct{})
	ctx, l.cancel = context.WithCancel(ctx)
	go func() {
		defer close(l.ended)
		for ctx.Err() == nil {
			fetches := client.PollFetches(ctx)
			now := time.Now()
			if err := fetches.Err(); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				fmt.Fprintln(os.Stderr, "consume:", err)
			}
			l.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { l.take(r, now) })
			l.mu.Unlock()
		}
	}()
	return nil
}

func (l *listener) close() {
	l.cancel()
	<-l.ended
	l.client.Close()
}

// take is called with the lock held.
func (l *listener) take(r *kgo.Record, now time.Time) {
	if !l.seen {
		l.seen = true
		close(l.any)
	}
	id := lastNumber(r.Key)
	group, local := (id-1)/groupRows, (id-1)%groupRows
	var e event
	switch {
	case l.f.target == "baseline" && len(r.Value) == 0:
		e.op = 'd'
	case l.f.target == "baseline":
		e = plainEvent(r.Value)
		e.op = kind("cu"[min(1, e.rev())])
	case len(r.Value) == 0:
		return
	default:
		e = envelope(r.Value)
	}
	k := group * groupChanges
	switch e.op {
	case 'c':
		k += local
	case 'u':
		k += groupRows + local - 1
	default:
		k += groupChanges - 1
	}
	if id < 1 || k >= len(l.at) || !l.at[k].IsZero() {
		return
	}
	l.at[k] = now
	if l.left--; l.left == 0 {
		close(l.all)
	}
}

func (l *listener) missing() int { l.mu.Lock(); defer l.mu.Unlock(); return l.left }
