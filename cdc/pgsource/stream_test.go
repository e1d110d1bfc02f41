package pgsource_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

func TestLargeTransactionsAreStreamedSpilledAndPrunedOfWhatWasRolledBack(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{1, 2} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cfg.Protocol, w.cfg.Snapshot = protocol, pgsource.SnapshotNever
			w.exec("create table item (id bigint primary key, name text)", "alter database "+w.pool.Config().ConnConfig.Database+" set logical_decoding_work_mem = '64kB'")
			w.start()
			w.exec("insert into item values (0, 'first')")
			w.await(1)
			w.exec(`begin;
				insert into item select i, repeat('x', 100) from generate_series(1, 3000) i;
				savepoint a; insert into item select i, repeat('y', 100) from generate_series(3001, 6000) i;
				savepoint b; insert into item select i, repeat('z', 100) from generate_series(6001, 7000) i; rollback to a;
				savepoint c; insert into item select i, repeat('w', 100) from generate_series(7001, 9000) i; release c;
				commit;`,
				"begin; insert into item select i, repeat('x', 100) from generate_series(20000, 25000) i; rollback",
				"insert into item values (99999, 'last')")
			records := w.await(1 + 5000 + 1)
			_ = w.stop()
			if len(records) != 5002 {
				t.Fatalf("%d records, want 5002", len(records))
			}
			first := records[1]
			for i, r := range records[1:5001] {
				if r.Position.Commit != first.Position.Commit || r.Position.Index != uint64(i) {
					t.Fatalf("record %d has position %s, want index %d of %s", i, r.Position, i, first.Position.Commit)
				}
				want := i + 1
				if i >= 3000 {
					want = 7001 + i - 3000
				}
				if string(r.Key) != fmt.Sprintf(`{"id":%d}`, want) {
					t.Fatalf("record %d has key %s, want %d", i, r.Key, want)
				}
			}
			if got := w.feed.sizes[records[5000].Position.String()]; got != 5000 {
				t.Errorf("the last change says %d were published, want 5000", got)
			}
		})
	}
}

// A batch holds the last change of a running transaction back: one that fills the batch alone must not wait for itself.
func TestRowsLargerThanABatchFollowEachOtherInATransaction(t *testing.T) { // I9
	t.Parallel()
	for _, c := range []struct {
		name   string
		events int
		size   int
	}{{"by size", 0, 3 << 20}, {"by count", 1, 10}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cfg.Snapshot, w.cfg.BatchEvents = pgsource.SnapshotNever, c.events
			w.exec("create table item (id bigint primary key, v text)")
			w.start()
			w.exec("insert into item values (1, 'small'), (2, repeat('x', "+fmt.Sprint(c.size)+")), (3, repeat('y', "+fmt.Sprint(c.size)+")), (4, 'small')", "insert into item values (5, 'next')")
			w.await(5)
			_ = w.stop()
			if got, want := w.feed.lines(t, "id"), []string{"c 1", "c 2", "c 3", "c 4", "c 5"}; !slices.Equal(got, want) {
				t.Errorf("feed %q, want %q", got, want)
			}
		})
	}
}

func TestReaderThatIsHeldBackIsNotTakenForDeadByAnImpatientServer(t *testing.T) { // I9
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot, w.cfg.StatusInterval, w.cfg.HeartbeatInterval = pgsource.SnapshotNever, 10*time.Second, -1
	w.exec("create table item (id bigint primary key, v text)", "alter database "+w.pool.Config().ConnConfig.Database+" set wal_sender_timeout = '800ms'")
	w.feed.hold = make(chan struct{})
	w.start()
	w.exec("insert into item select i, repeat('x', 1000) from generate_series(1, 20000) i")
	w.await(1)
	reader := func() (pid int) {
		_ = w.pool.QueryRow(t.Context(), "select coalesce(active_pid, 0) from pg_replication_slots where slot_name = $1", w.cfg.Slot).Scan(&pid)
		return pid
	}
	began, pid := time.Now(), reader()
	w.until("three seconds are over", func() bool { return time.Since(began) > 3*time.Second })
	if now := reader(); pid == 0 || now != pid {
		t.Errorf("the slot is read by %d, was %d", now, pid)
	}
	close(w.feed.hold)
	w.await(20000)
	_ = w.stop()
}

func TestEnvelopesOfUpdatesDeletesKeysAndIdentities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`create table d (id int primary key, v text);
		create table f (id int primary key, v text); alter table f replica identity full;
		create table i (id int primary key, code text not null, v text); create unique index i_code on i (code); alter table i replica identity using index i_code;
		create table n (v text);
		create table big (id int primary key, n int, body text, data bytea, list text[]);
		alter table big alter body set storage external, alter data set storage external, alter list set storage external`)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.start()
	w.exec(
		"insert into d values (1, 'a')", "update d set v = 'b'", "update d set id = 2", "delete from d",
		"insert into f values (1, 'a')", "update f set v = 'b'", "update f set id = 2", "delete from f",
		"insert into i values (1, 'c', 'a')", "update i set v = 'b'", "update i set code = 'd'", "delete from i",
		"insert into n values ('x')",
		"insert into big values (1, 1, repeat('long', 2000), convert_to(repeat('long', 2000), 'UTF8'), array[repeat('long', 2000)])",
		"update big set n = 2", "alter table big replica identity full", "update big set n = 3", "truncate d, f")
	records := w.await(25)
	_ = w.stop()
	var got []string
	for _, r := range records {
		c, err := cdc.DecodeChange(&r)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s %s %s", c.Table, string(rune(c.Op)), r.Key)
		for _, side := range []cdc.Row{c.Before, c.After} {
			text += " |"
			if side == nil {
				continue
			}
			for _, name := range []string{"id", "v", "code", "n", "body", "data", "list"} {
				switch v := side.Column(name); v.State {
				case cdc.Absent:
				case cdc.Present:
					text += " " + v.Text[:min(len(v.Text), 4)]
				default:
					text += fmt.Sprintf(" state=%d", v.State)
				}
			}
		}
		got = append(got, text)
	}
	want := []string{
		`d c {"id":1} | | 1 a`, `d u {"id":1} | | 1 b`, `d d {"id":1} | 1 state=1 |`, ` x {"id":1} | |`, `d c {"id":2} | | 2 b`,
		`d d {"id":2} | 2 state=1 |`, ` x {"id":2} | |`,
		`f c {"id":1} | | 1 a`, `f u {"id":1} | 1 a | 1 b`, `f d {"id":1} | 1 b |`, ` x {"id":1} | |`, `f c {"id":2} | | 2 b`,
		`f d {"id":2} | 2 b |`, ` x {"id":2} | |`,
		`i c {"id":1} | | 1 a c`, `i u {"id":1} | | 1 b c`, `i u {"id":1} | state=1 state=1 c | 1 b d`, `i d {"id":null} | state=1 state=1 d |`, ` x {"id":null} | |`,
		`n c  | | x`,
		`big c {"id":1} | | 1 1 long bG9u ["lo`, `big u {"id":1} | | 1 2 state=3 state=3 state=3`,
		`big u {"id":1} | 1 2 long bG9u ["lo | 1 3 long bG9u ["lo`,
		`d t  | |`, `f t  | |`,
	}
	if len(records) > len(want) {
		got = got[:len(records)]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
