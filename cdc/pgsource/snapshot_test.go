package pgsource_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

// state replays the feed in the order of its positions into the last value by key, as a reader of a compacted topic sees it.
func state(t *testing.T, records []cdc.Record) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range records {
		switch r.Op {
		case cdc.OpTombstone:
			delete(out, string(r.Key))
		case cdc.OpDelete:
		default:
			out[string(r.Key)] = line(t, r, "id", "v")[2:]
		}
	}
	return out
}

// truth reads the table as it is.
func (w *world) truth(table string) map[string]string {
	w.t.Helper()
	rows, err := w.pool.Query(context.Background(), "select id, v from "+table)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for rows.Next() {
		var id int64
		var v string
		if err := rows.Scan(&id, &v); err != nil {
			w.t.Fatal(err)
		}
		out[fmt.Sprintf(`{"id":%d}`, id)] = fmt.Sprintf("%d %s", id, v)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// loaded waits until no snapshot is open.
func (w *world) loaded() {
	w.t.Helper()
	w.until("the snapshots are done", func() bool {
		jobs, err := w.store.AllSnapshots(context.Background(), "test")
		if err != nil || len(jobs) == 0 {
			return false
		}
		for _, j := range jobs {
			if j.Status != cdc.SnapshotDone {
				return false
			}
		}
		return true
	})
}

func TestSnapshotRowsNeverOvertakeLiveChangesOfTheirKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 50
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'old' from generate_series(1, 4000) i")
	w.start()
	// Everything changes while chunk after chunk is read: keys ahead of the snapshot, behind it, and within.
	for i := range 60 {
		w.exec(fmt.Sprintf("update item set v = 'u%d' where id %% 60 = %d", i, i), fmt.Sprintf("delete from item where id %% 97 = %d", i),
			fmt.Sprintf("insert into item values (%d, 'new')", 10000+i), fmt.Sprintf("update item set id = id + 20000 where id = %d", 1000+i))
	}
	w.loaded()
	w.exec("insert into item values (99999, 'end')")
	want := w.truth("item")
	w.until("the end is in the feed", func() bool { return state(t, w.feed.all())[`{"id":99999}`] != "" })
	_ = w.stop()
	got := state(t, news(t, w.feed.all()))
	if !maps.Equal(got, want) {
		wrong := 0
		for k, v := range want {
			if got[k] != v && wrong < 5 {
				wrong++
				t.Errorf("%s is %q in the feed and %q in the table", k, got[k], v)
			}
		}
		t.Errorf("the feed ends with %d rows, the table with %d", len(got), len(want))
	}
}

func TestSnapshotGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 20
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'v' from generate_series(1, 2000) i")
	w.start()
	w.await(200)
	_ = w.stop()
	first := len(w.feed.all())
	if first >= 2000 {
		t.Skip("the snapshot was faster than the stop")
	}
	jobs, err := w.store.Snapshots(t.Context(), "test")
	if err != nil || len(jobs) != 1 || jobs[0].Rows == 0 {
		t.Fatalf("jobs %+v, %v, want one that has begun", jobs, err)
	}
	w.start()
	w.loaded()
	_ = w.stop()
	if fresh := news(t, w.feed.all()); len(fresh) != 2000 {
		t.Errorf("%d rows have a position of their own, want 2000: a row was read twice", len(fresh))
	}
	if got := state(t, news(t, w.feed.all())); len(got) != 2000 {
		t.Errorf("the feed has %d rows, want 2000", len(got))
	}
}

func TestTablesOfEveryShapeAreLoaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 7
	w.exec(`create table nokey (id bigint, v text); insert into nokey select i, repeat('x', 500) from generate_series(1, 3000) i;
		create table parted (id bigint, v text, primary key (id)) partition by range (id);
		create table parted_1 partition of parted for values from (0) to (50); create table parted_2 partition of parted for values from (50) to (1000);
		insert into parted select i, 'p' from generate_series(1, 100) i;
		create table pn (id bigint, v text) partition by range (id);
		create table pn_1 partition of pn for values from (0) to (50); create table pn_2 partition of pn for values from (50) to (1000);
		insert into pn select i, 'p' from generate_series(1, 100) i;
		create table pair ("Key B" text, a date, v text, id int, primary key (a, "Key B")); insert into pair select 'k' || i, date '2024-01-01' + i % 5, 'v', i from generate_series(1, 40) i;
		create table empty (id bigint primary key, v text); create table wide (id uuid primary key default gen_random_uuid(), v text);
		insert into wide (v) select repeat('w', 10000) from generate_series(1, 30)`)
	w.start()
	w.loaded()
	count := map[string]int{}
	for _, r := range w.feed.all() {
		count[r.Partition.Topic]++
	}
	want := map[string]int{"p.public.nokey": 3000, "p.public.parted": 100, "p.public.pn": 100, "p.public.pair": 40, "p.public.wide": 30}
	if !maps.Equal(count, want) {
		t.Errorf("the feed has %v, want %v", count, want)
	}
	w.exec("delete from parted where id = 70")
	w.await(3270 + 2)
	_ = w.stop()
}

func TestNewTablesOfAWatchedSchemaAreTakenInAndLostOnesHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.DiscoverInterval = 50 * time.Millisecond
	w.exec("create table one (id bigint primary key, v text)")
	w.start()
	w.exec("create table two (id bigint primary key, v text)", "insert into two values (1, 'before it was seen')")
	w.await(1)
	w.loaded()
	w.exec("insert into two values (2, 'after')", "drop table one", "create table one (id bigint primary key, other int)", "insert into one values (5, 6)")
	w.until("the new table is in the feed", func() bool {
		for _, r := range w.feed.all() {
			if string(r.Key) == `{"id":5}` {
				return true
			}
		}
		return false
	})
	_ = w.stop()
	w.exec("alter publication nubridge_test drop table two")
	wantHalt(t, w.halted(), pgsource.CodeTableLeft)
	if err := w.store.AcceptGap(t.Context(), "test", "dropped by hand"); err != nil {
		t.Fatal(err)
	}
	n := len(w.feed.all())
	w.start()
	w.await(n + 3)
	_ = w.stop()
}

func TestSnapshotIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.ChunkRows = 10
	w.exec("create table item (id bigint primary key, v text)", "insert into item select i, 'v' from generate_series(1, 3000) i")
	w.start()
	w.await(50)
	if n, err := w.store.PauseSnapshots(t.Context(), "test", true); err != nil || n != 1 {
		t.Fatalf("paused %d, %v", n, err)
	}
	w.exec("insert into item values (9000, 'live')")
	w.until("live changes flow", func() bool { return state(t, w.feed.all())[`{"id":9000}`] != "" })
	if n := len(w.feed.all()); n >= 3000 {
		t.Skip("the snapshot was faster than the pause")
	}
	if _, err := w.store.PauseSnapshots(t.Context(), "test", false); err != nil {
		t.Fatal(err)
	}
	w.loaded()
	_ = w.stop()
	if got := state(t, w.feed.all()); len(got) != 3001 {
		t.Errorf("the feed has %d rows, want 3001", len(got))
	}
}
