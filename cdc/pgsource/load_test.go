package pgsource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

// session is a connection of its own, for a transaction that stays open.
func (w *world) session() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t testing.TB, conn *pgx.Conn, sql ...string) {
	t.Helper()
	for _, s := range sql {
		if _, err := conn.Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// keys counts the distinct keys, or the values of id, that a topic holds.
func (w *world) keys(topic string) int {
	seen := map[string]bool{}
	for _, r := range w.feed.all() {
		if r.Partition.Topic == topic && (r.Op == cdc.OpRead || r.Op == cdc.OpCreate) {
			seen[line(w.t, r, "id")[2:]] = true
		}
	}
	return len(seen)
}

// A snapshot of the database that is older than a rewrite of a table finds the table empty.
func TestTableThatIsRewrittenWhileItIsLoadedKeepsItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 10
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'v' from generate_series(1, 3000) i")
	other := w.session()
	w.start()
	w.await(50)
	run(t, other, "begin", "alter table item alter v type text using v || ''") // waits for the chunk that is read, holds back the next
	w.until("a chunk waits for the table", func() bool {
		var waiting bool
		err := w.pool.QueryRow(context.Background(), "select exists (select from pg_locks where relation = 'item'::regclass and not granted)").Scan(&waiting)
		return err == nil && waiting
	})
	run(t, other, "commit")
	w.loaded()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if n := w.keys("p.public.item"); n != 3000 {
		t.Errorf("%d rows are in the feed, want 3000", n)
	}
}

func TestParentsAreLoadedWithoutTheTablesThatInherit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table parent (id bigint primary key, v text)", "create table child (primary key (id)) inherits (parent)",
		"insert into parent values (1, 'p')", "insert into child values (2, 'c'), (3, 'c')")
	w.start()
	w.loaded()
	_ = w.stop()
	if p, c := w.keys("p.public.parent"), w.keys("p.public.child"); p != 1 || c != 2 {
		t.Errorf("the parent's topic has %d rows and the child's %d, want 1 and 2", p, c)
	}
}

// What a transaction wrote before its table was in the publication is not in the log's feed: the load must see it.
func TestRowsOfTransactionsOlderThanThePublicationAreLoaded(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	w.exec("create table slow (id bigint primary key, v text)", "create table quick (id bigint primary key, v text)", "insert into quick values (1, 'q')")
	other := w.session()
	run(t, other, "begin", "insert into slow values (1, 'before the publication')")
	w.start()
	w.until("the other new table is loaded", func() bool { return w.keys("p.public.quick") == 1 })
	w.exec("insert into slow values (2, 'after it')")
	w.until("a later change is in the feed", func() bool { return w.keys("p.public.slow") == 1 })
	run(t, other, "commit")
	w.loaded()
	_ = w.stop()
	if n := w.keys("p.public.slow"); n != 2 {
		t.Errorf("%d rows are in the feed, want 2", n)
	}
}

func TestRenamedTableIsLoadedUnderItsNewName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.DiscoverInterval = 50 * time.Millisecond
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a'), (2, 'b')")
	w.start()
	w.loaded()
	w.exec("alter table item rename to thing")
	w.until("the new topic holds the rows", func() bool { return w.keys("p.public.thing") == 2 })
	w.exec("insert into thing values (3, 'c')")
	w.until("changes go to the new topic", func() bool { return w.keys("p.public.thing") == 3 })
	_ = w.stop()
}

func TestBlocksThatMoveWhileATableWithoutKeyIsLoadedAreNotMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table nokey (id bigint, v text)", "alter table nokey replica identity full",
		"insert into nokey select i, repeat('x', 500) from generate_series(1, 20000) i")
	w.feed.hold = make(chan struct{})
	w.start()
	w.await(1)
	w.exec("delete from nokey where id <= 12000", "vacuum full nokey")
	close(w.feed.hold)
	w.feed.mu.Lock()
	w.feed.hold = nil
	w.feed.mu.Unlock()
	w.loaded()
	_ = w.stop()
	seen := map[string]bool{}
	for _, r := range w.feed.all() {
		if r.Op == cdc.OpRead {
			seen[line(t, r, "id")] = true
		}
	}
	for i := 12001; i <= 20000; i++ {
		if !seen[fmt.Sprintf("r %d", i)] {
			t.Fatalf("row %d is not in the feed", i)
		}
	}
}

func TestLoadByBlocksGoesOnAfterAPartitionIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table pn (id bigint, v text) partition by range (id)")
	for i := range 5 {
		w.exec(fmt.Sprintf("create table pn_%d partition of pn for values from (%d) to (%d)", i, i*1000, i*1000+1000))
	}
	w.exec("insert into pn select i, repeat('x', 1500) from generate_series(0, 4999) i")
	w.feed.hold = make(chan struct{})
	w.start()
	w.await(1)
	close(w.feed.hold)
	w.until("the third partition is read", func() bool {
		jobs, err := w.store.Snapshots(context.Background(), "test")
		return err == nil && (len(jobs) == 0 || jobs[0].Rows >= 2000)
	})
	_ = w.stop()
	w.exec("alter table pn detach partition pn_0", "drop table pn_0", "alter table pn detach partition pn_1", "drop table pn_1")
	w.feed.mu.Lock()
	w.feed.hold = nil
	w.feed.mu.Unlock()
	w.start()
	w.loaded()
	_ = w.stop()
	if n := w.keys("p.public.pn"); n != 5000 {
		t.Errorf("%d rows are in the feed, want 5000", n)
	}
}

func TestLoadThatWasUnderWayBeginsAnewAfterAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 10
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'v' from generate_series(1, 3000) i")
	w.start()
	w.await(100)
	if _, err := w.store.PauseSnapshots(t.Context(), "test", true); err != nil {
		t.Fatal(err)
	}
	_ = w.stop()
	w.until("the slot is dropped", func() bool {
		_, err := w.pool.Exec(context.Background(), "select pg_drop_replication_slot($1)", w.cfg.Slot)
		return err == nil
	})
	w.exec("update item set v = 'in the gap' where id = 1")
	if _, err := w.store.PauseSnapshots(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	w.cfg.AcceptGap = "the slot was dropped"
	w.start()
	w.loaded()
	_ = w.stop()
	if got := state(t, w.feed.all())[`{"id":1}`]; got != "1 in the gap" {
		t.Errorf("the feed ends with %q, want the row as it is", got)
	}
}

func TestPausedSnapshotHoldsNothingElseUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows, w.cfg.DiscoverInterval, w.cfg.SnapshotWorkers = 10, 50*time.Millisecond, 1
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'v' from generate_series(1, 5000) i")
	w.start()
	w.await(50)
	if n, err := w.store.PauseSnapshots(t.Context(), "test", true); err != nil || n != 1 {
		t.Fatalf("paused %d, %v", n, err)
	}
	w.exec("create table later (id bigint primary key, v text)", "insert into later values (1, 'l')")
	w.until("a new table is loaded meanwhile", func() bool { return w.keys("p.public.later") == 1 })
	if n := w.keys("p.public.item"); n >= 5000 {
		t.Errorf("the paused table has %d rows in the feed, want fewer than 5000", n)
	}
	if _, err := w.store.PauseSnapshots(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	w.loaded()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if n := w.keys("p.public.item"); n != 5000 {
		t.Errorf("%d rows are in the feed, want 5000", n)
	}
}

func TestKeyThatChangesWhileATableIsLoadedBeginsTheLoadAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 10
	w.exec("create table item (id bigint primary key, v text not null)", "insert into item select i, 'v' || i from generate_series(1, 2000) i")
	w.start()
	w.await(50)
	w.exec("alter table item drop constraint item_pkey, add primary key (v)")
	w.loaded()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	byNew := 0
	for _, r := range w.feed.all() {
		if string(r.Key) == fmt.Sprintf(`{"v":"v%s"}`, line(t, r, "id")[2:]) {
			byNew++
		}
	}
	if byNew != 2000 {
		t.Errorf("%d rows are in the feed by the new key, want 2000", byNew)
	}
}

// A commit that waits for a standby is in the log, and not visible to others, also over a restart of the capture.
func TestCommitThatWaitsForAStandbyIsNotOvertakenByAnOlderRead(t *testing.T) {
	t.Parallel()
	w := hanging(t)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'old')")
	w.exec("create table quick (id bigint primary key, v text)", "insert into quick values (1, 'q')")
	w.start()
	waits := w.session()
	run(t, waits, "set synchronous_commit = on")
	answered := make(chan error, 1)
	go func() {
		_, err := waits.Exec(context.Background(), "update item set v = 'new' where id = 1")
		answered <- err
	}()
	w.await(1)
	w.exec("select pg_logical_emit_message(true, 'x', 'y')")
	w.await(2)
	_ = w.stop() // what waits is published and recorded
	for _, table := range []string{"item", "quick"} {
		if err := w.store.AddSnapshot(t.Context(), "test", cdc.SnapshotJob{Schema: "public", Table: table, Status: cdc.SnapshotPending}); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	w.until("another table is loaded", func() bool { return w.keys("p.public.quick") == 1 })
	w.exec("select pg_logical_emit_message(true, 'x', 'z')")
	w.await(4)
	w.exec("alter system set synchronous_standby_names = ''", "select pg_reload_conf()")
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	w.loaded()
	_ = w.stop()
	if got := state(t, news(t, itemsOf(w.feed.all())))[`{"id":1}`]; got != "1 new" {
		t.Errorf("the feed ends with %q, want the newer row", got)
	}
}

// itemsOf gives the records of the table item.
func itemsOf(records []cdc.Record) []cdc.Record {
	return slices.DeleteFunc(records, func(r cdc.Record) bool { return r.Partition.Topic != "p.public.item" })
}

// The end of an empty chunk brings no event, and the load waits until it is confirmed all the same: that must not take until the
// server is told the next time.
func TestLoadOfAnEmptyTableDoesNotWaitForTheNextStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.StatusInterval, w.cfg.HeartbeatInterval = time.Minute, -1
	w.exec("create table item (id bigint primary key, v text)")
	w.start()
	w.loaded()
}

func TestRowsOfATableWithoutColumnsAreRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table item ()", "insert into item default values")
	w.start()
	w.await(1)
	w.loaded()
	w.exec("insert into item default values", "truncate item")
	w.await(3)
	_ = w.stop()
	for i, want := range []string{`{"before":null,"after":{},`, `{"before":null,"after":{},`, `{"before":null,"after":null,`} {
		if got := string(w.feed.all()[i].Value); !strings.HasPrefix(got, want) {
			t.Errorf("record %d is %s, want %s...", i, got, want)
		}
	}
}

// A row that is written while its table bears another name goes to another topic; once the name is back, only the log tells.
func TestTableThatBoreAnotherNameForAWhileIsLoadedAgain(t *testing.T) { // I8
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %t", restarted), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "public.item")
			w.cfg.DiscoverInterval = time.Hour
			if !restarted {
				w.cfg.DiscoverInterval = 500 * time.Millisecond
			}
			w.exec("create table item (id int primary key)", "create table other (id int primary key)", "insert into item values (1)")
			w.start()
			w.await(1)
			w.loaded()
			w.exec("begin; alter table item rename to away; insert into away values (2); alter table away rename to item; commit", "insert into item values (3)")
			w.await(2)
			if restarted {
				w.until("what stands before is confirmed", func() bool { return w.confirmed() >= w.feed.all()[1].Position.Commit })
				_ = w.stop()
				w.start()
			}
			w.until("the table is loaded again", func() bool { return strings.Contains(strings.Join(w.feed.lines(t, "id"), " "), "r 2") })
			w.loaded()
			_ = w.stop()
			got := w.feed.lines(t, "id")
			if want := []string{"r 1", "c 3", "r 1", "r 2", "r 3"}; !slices.Equal(got, want) {
				t.Errorf("feed %q, want %q", got, want)
			}
		})
	}
}
