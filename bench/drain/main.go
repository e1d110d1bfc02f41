// Command drain measures how fast a backlog is read from a slot: by a bare loop that receives and counts, by the capture into
// nothing, and by the capture into Kafka; the mode load loads the table into Kafka instead. Each run reads a copy of one slot, so that all read the same bytes.
//
//	go run ./bench/drain -url postgres://postgres@127.0.0.1:5417/postgres -rows 500000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
)

type settings struct {
	url, kafka, modes, profile string
	rows, perTx                int
}

func main() {
	var s settings
	flag.StringVar(&s.url, "url", "", "source, as a superuser")
	flag.StringVar(&s.kafka, "kafka", "", "broker for the mode kafka")
	flag.StringVar(&s.modes, "modes", "floor,null,floor,null", "what to run: floor, null, kafka, load")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the last run to this file")
	flag.IntVar(&s.rows, "rows", 500_000, "row changes in the backlog")
	flag.IntVar(&s.perTx, "per-tx", 100, "row changes in a transaction")
	flag.Parse()
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const slot, publication = "drain_backlog", "drain"

func run(ctx context.Context, s settings) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := backlog(ctx, conn, s); err != nil {
		return err
	}
	modes := strings.Split(s.modes, ",")
	for i, mode := range modes {
		name := fmt.Sprintf("drain_%d", i)
		if _, err := conn.Exec(ctx, "select pg_copy_logical_replication_slot($1, $2)", slot, name); err != nil {
			return err
		}
		if s.profile != "" && i == len(modes)-1 {
			f, err := os.Create(s.profile)
			if err != nil {
				return err
			}
			if err := pprof.StartCPUProfile(f); err != nil {
				return err
			}
		}
		cpu, began := cpuTime(), time.Now()
		switch mode {
		case "floor":
			err = floor(ctx, s, name)
		case "null", "kafka":
			err = capture(ctx, s, name, mode == "kafka", s.rows)
		case "load":
			rows := 0
			if err := conn.QueryRow(ctx, "select count(*)::int from drain.order_lines").Scan(&rows); err != nil {
				return err
			}
			if err := dropSlot(ctx, conn, name); err != nil {
				return err
			}
			if err := capture(ctx, s, name, true, rows); err != nil {
				return fmt.Errorf("load: %w", err)
			}
			s.rows = rows
		}
		if err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
		took := time.Since(began)
		pprof.StopCPUProfile()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("%-6s rows_per_s=%.0f seconds=%.2f cpu_us_per_row=%.2f sys_mib=%d\n", mode, float64(s.rows)/took.Seconds(), took.Seconds(),
			float64((cpuTime()-cpu).Microseconds())/float64(s.rows), m.Sys>>20)
		if err := dropSlot(ctx, conn, name); err != nil {
			return err
		}
	}
	return dropSlot(ctx, conn, slot)
}

func dropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	for range 200 {
		_, err := conn.Exec(ctx, "select pg_drop_replication_slot($1)", name)
		if err == nil {
			return nil
		}
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "55006" {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
	return errors.New("the slot stays in use")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// backlog fills the log with changes: half inserts, 40 % updates, 10 % deletes.
func backlog(ctx context.Context, conn *pgx.Conn, s settings) error {
	for _, sql := range []string{
		"select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'drain%'",
		"drop schema if exists drain cascade", "create schema drain", "drop publication if exists " + publication,
		`create table drain.order_lines (id bigint primary key, order_no bigint not null, sku text not null, description text, quantity integer not null,
		   price numeric(12,2) not null, currency char(3) not null, ship_date date, updated_at timestamptz not null, note text)`,
		"create publication " + publication + " for table drain.order_lines",
		"select pg_create_logical_replication_slot('" + slot + "', 'pgoutput')",
		fmt.Sprintf(`do $$ declare n int := %d; per int := %d; i int := 0; begin
		  while i < n loop
		    insert into drain.order_lines select g, g / 7, 'SKU-' || g, 'Cotton shirt, long sleeves ' || g, g %% 50, 19.95 + g %% 100, 'USD', date '2026-01-01' + g %% 300, now(), null
		      from generate_series(i, i + greatest(per / 2, 1) - 1) g;
		    if per > 1 then
		      update drain.order_lines set quantity = quantity + 1, updated_at = now() where id between i and i + per * 4 / 10 - 1;
		      delete from drain.order_lines where id between i and i + per / 10 - 1;
		    end if;
		    commit;
		    i := i + per;
		  end loop; end $$`, s.rows, s.perTx),
	} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%.60s: %w", sql, err)
		}
	}
	return nil
}

// floor receives and counts, as a plain program would.
func floor(ctx context.Context, s settings, slot string) error {
	cc, err := pgconn.ParseConfig(s.url)
	if err != nil {
		return err
	}
	cc.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(ctx, cc)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := pglogrepl.StartReplication(ctx, conn, slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + publication + "'"},
	}); err != nil {
		return err
	}
	for rows := 0; rows < s.rows; {
		m, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		if d, ok := m.(*pgproto3.CopyData); ok && d.Data[0] == 'w' {
			switch d.Data[25] {
			case 'I', 'U', 'D':
				rows++
			}
		}
	}
	return nil
}

// nothing acknowledges at once.
type nothing struct {
	left  atomic.Int64
	ended chan struct{}
	inner cdc.Publisher
}

func (n *nothing) Publish(ctx context.Context, b *cdc.Batch, acked func(error)) error {
	count := int64(0)
	for i := range b.Events {
		if b.Events[i].Op != cdc.OpTombstone {
			count++
		}
	}
	done := func(err error) {
		acked(err)
		if err == nil && count > 0 && n.left.Add(-count) == 0 {
			close(n.ended)
		}
	}
	if n.inner != nil {
		return n.inner.Publish(ctx, b, done)
	}
	done(nil)
	return nil
}

// memory is a store for one run; jobs are its snapshots.
type memory struct{ jobs map[string]cdc.SnapshotJob }

func (memory) LoadCapture(context.Context, string) (*cdc.CaptureState, error) { return nil, nil }
func (memory) SaveCapture(context.Context, string, cdc.CaptureState) error    { return nil }
func (memory) SaveTables(context.Context, string, []cdc.CapturedTable) error  { return nil }
func (memory) RecordSchema(context.Context, string, cdc.SchemaVersion) error  { return nil }
func (m memory) Snapshots(context.Context, string) ([]cdc.SnapshotJob, error) {
	var open []cdc.SnapshotJob
	for _, j := range m.jobs {
		if j.Status != cdc.SnapshotDone {
			open = append(open, j)
		}
	}
	return open, nil
}

func (m memory) AddSnapshot(_ context.Context, _ string, j cdc.SnapshotJob) error {
	j.ID = int64(len(m.jobs) + 1)
	m.jobs[j.Table] = j
	return nil
}

func (m memory) PastType(context.Context, string, uint32) ([]byte, error) { return nil, nil }

// PastKey implements pgsource.Store.
func (m memory) PastKey(context.Context, string, string, string, []string, cdc.LSN) ([]string, error) {
	return nil, nil
}

func (m memory) AdvanceSnapshot(_ context.Context, _ string, j cdc.SnapshotJob) (bool, error) {
	m.jobs[j.Table] = j
	return false, nil
}
func (memory) Acknowledged(context.Context, string, cdc.Position, cdc.LSN) error { return nil }

func capture(ctx context.Context, s settings, slot string, kafka bool, rows int) error {
	log := slog.New(slog.DiscardHandler)
	n := &nothing{ended: make(chan struct{})}
	n.left.Store(int64(rows))
	closeSession := func() error { return nil }
	if kafka {
		client, err := kafkalog.New(kafkalog.Config{Brokers: []string{s.kafka}})
		if err != nil {
			return err
		}
		defer client.Close()
		topics, err := client.Topics(ctx, slot+".")
		if err != nil {
			return err
		}
		p, err := kafkalog.Open(ctx, client, kafkalog.PublisherConfig{
			Compression: "lz4", Fence: slot, Create: &kafkalog.Topic{Partitions: 3, Replication: 1},
		}, topics, log)
		if err != nil {
			return err
		}
		n.inner, closeSession = p, p.Close
	}
	store, mode := memory{jobs: map[string]cdc.SnapshotJob{}}, pgsource.SnapshotNever
	if rows != s.rows {
		mode = pgsource.SnapshotInitial
	}
	prefix := fmt.Sprintf("%s_%d", slot, time.Now().UnixNano())
	c, err := cdc.NewCapture(func(context.Context) (cdc.Session, error) {
		src, err := pgsource.New(pgsource.Config{
			DatabaseURL: s.url, Capture: "drain", Slot: slot, Publication: publication, TopicPrefix: prefix, Tables: []string{"drain.*"}, Snapshot: mode,
		}, pgsource.Deps{Store: store, Log: log})
		return cdc.Session{Source: src, Publisher: n, Close: closeSession}, err
	}, store, log, cdc.CaptureConfig{Capture: "drain", Halts: func(error) bool { return true }})
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- c.Run(runCtx) }()
	select {
	case <-n.ended:
		stop()
		return <-failed
	case err := <-failed:
		return err
	}
}
