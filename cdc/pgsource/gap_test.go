package pgsource_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
	"nubridge/internal/fault"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// stopped gives a world whose capture has published one row and ended.
func stopped(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.exec("create table item (id bigint primary key, name text)", "insert into item values (1, 'a')")
	w.start()
	w.await(1)
	w.exec("insert into item values (2, 'b')")
	w.await(2)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.until("the slot is free", func() bool {
		var active bool
		err := w.pool.QueryRow(t.Context(), "select active from pg_replication_slots where slot_name = $1", w.cfg.Slot).Scan(&active)
		return err == nil && !active
	})
	return w
}

func wantHalt(t *testing.T, err error, code string) {
	t.Helper()
	if fault.KindOf(err) != fault.Halt || fault.CodeOf(err) != code {
		t.Errorf("got %q (%s) of kind %s, want a halt with %s", err, fault.CodeOf(err), fault.KindOf(err), code)
	}
}

func TestSlotAheadOfTheRecordedPositionHalts(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	w.exec("insert into item values (3, 'skipped')", "select pg_replication_slot_advance('"+w.cfg.Slot+"', pg_current_wal_lsn())")
	wantHalt(t, w.halted(), pgsource.CodeSlotAhead)
}

func TestMissingAndRecreatedSlotsHaltUntilTheGapIsAccepted(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	w.exec("select pg_drop_replication_slot('" + w.cfg.Slot + "')")
	wantHalt(t, w.halted(), pgsource.CodeSlotMissing)
	w.exec("insert into item values (3, 'in the gap')", "select pg_create_logical_replication_slot('"+w.cfg.Slot+"', 'pgoutput')")
	wantHalt(t, w.halted(), pgsource.CodeSlotAhead)
	w.cfg.AcceptGap = "slot was dropped by mistake"
	w.start()
	records := w.await(5)
	_ = w.stop()
	if got, want := w.feed.lines(t, "id"), []string{"r 1", "c 2", "r 1", "r 2", "r 3"}; !slices.Equal(got, want) {
		t.Errorf("feed %q, want %q", got, want)
	}
	if records[4].Position.Epoch != 2 {
		t.Errorf("position %s, want epoch 2", records[4].Position)
	}
	state, err := w.store.LoadCapture(t.Context(), "test")
	if err != nil || state.GapReason != w.cfg.AcceptGap {
		t.Errorf("recorded %+v, %v, want the reason", state, err)
	}
}

func TestOtherPluginAndOtherSystemHalt(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	state, err := w.store.LoadCapture(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	state.SystemID = "7"
	if err := w.store.SaveCapture(t.Context(), "test", *state); err != nil {
		t.Fatal(err)
	}
	wantHalt(t, w.halted(), pgsource.CodeOtherSystem)
	w.exec("select pg_drop_replication_slot('"+w.cfg.Slot+"')", "select pg_create_logical_replication_slot('"+w.cfg.Slot+"', 'test_decoding')")
	wantHalt(t, w.halted(), pgsource.CodeSlotPlugin)
}

// Looking for a gap changes nothing and knows no tables: it has nothing to say of them.
func TestLookingForAGapSaysNothingOfTheTables(t *testing.T) { // I8
	t.Parallel()
	w := stopped(t)
	var said bytes.Buffer
	deps := w.deps
	deps.Log = slog.New(slog.NewTextHandler(&said, nil))
	if gap, err := pgsource.Gap(t.Context(), w.cfg, deps); gap != nil || err != nil {
		t.Errorf("gap %v, %v, want none", gap, err)
	}
	if said.Len() > 0 {
		t.Errorf("it said %q", said.String())
	}
}

func TestConfirmNeverPassesUnpublishedChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot, w.cfg.HeartbeatInterval = pgsource.SnapshotNever, 20*time.Millisecond
	w.exec("create table item (id bigint primary key, name text)")
	w.feed.hold = make(chan struct{})
	w.start()
	w.exec("insert into item values (1, 'a')")
	first := w.await(1)[0]
	var inserted string
	if err := w.pool.QueryRow(t.Context(), "select pg_current_wal_lsn()::text").Scan(&inserted); err != nil {
		t.Fatal(err)
	}
	// Several statuses go out meanwhile: the heartbeat moves the log on, and the timer is short.
	timer := time.NewTimer(1500 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	if confirmed := w.confirmed(); confirmed > first.Position.Commit {
		t.Fatalf("confirmed %s, although the change at %s is not acknowledged", confirmed, first.Position.Commit)
	}
	close(w.feed.hold)
	w.feed.mu.Lock()
	w.feed.hold = nil
	w.feed.mu.Unlock()
	target, err := cdc.ParseLSN(inserted)
	if err != nil {
		t.Fatal(err)
	}
	w.until("the position is confirmed", func() bool { return w.confirmed() >= target })
	state, err := w.store.LoadCapture(t.Context(), "test")
	if err != nil || state.Through < w.confirmed() {
		t.Errorf("recorded %s, %v, want at least what was confirmed", state.Through, err)
	}
}

// confirmed gives the slot's confirmed position.
func (w *world) confirmed() cdc.LSN {
	w.t.Helper()
	var text string
	if err := w.pool.QueryRow(context.Background(), "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1", w.cfg.Slot).Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	lsn, err := cdc.ParseLSN(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return lsn
}

// until waits for a condition, at most 20 s.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if ok() {
			return
		}
		<-tick.C
	}
	w.t.Fatalf("waited 20 s until %s", what)
}

// news drops repeats by position, as readers of the feed do, and fails on a position that goes back without being a repeat.
func news(t *testing.T, records []cdc.Record) []cdc.Record {
	t.Helper()
	var out []cdc.Record
	seen := map[cdc.Position]string{}
	for _, r := range records {
		text := string(rune(r.Op)) + string(r.Key)
		if old, ok := seen[r.Position]; ok {
			if old != text {
				t.Fatalf("position %s was %s and is now %s", r.Position, old, text)
			}
			continue
		}
		seen[r.Position] = text
		if len(out) > 0 && r.Position.Compare(out[len(out)-1].Position) <= 0 {
			t.Fatalf("position %s is new and comes after %s", r.Position, out[len(out)-1].Position)
		}
		out = append(out, r)
	}
	return out
}

func TestServerCrashMidStreamLosesNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{Settings: map[string]string{"fsync": "on"}})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "crash"), "public.*")
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec("create table item (id bigint primary key, name text)")
	w.start()
	for i := range 6 {
		// Rows of one statement share a place in the log.
		w.exec(fmt.Sprintf("insert into item select %d + i, repeat('x', 200) from generate_series(1, 1000) i", i*1000))
		if i == 2 || i == 4 {
			if err := server.Crash(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := server.Launch(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.until("the server answers", func() bool { return w.pool.Ping(t.Context()) == nil })
		}
	}
	w.until("all rows are in the feed", func() bool { return len(news(t, w.feed.all())) >= 6000 })
	_ = w.stop()
	for i, r := range news(t, w.feed.all()) {
		if want := fmt.Sprintf(`{"id":%d}`, i+1); string(r.Key) != want {
			t.Fatalf("record %d has key %s, want %s", i, r.Key, want)
		}
	}
}

func TestFailedPublishInTheMiddleOfOneStatementLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot, w.cfg.BatchEvents = pgsource.SnapshotNever, 16
	w.exec("create table item (id bigint primary key, name text)")
	w.start()
	w.exec("copy (select 1) to '/dev/null'", "insert into item select i, 'x' from generate_series(1, 40) i")
	w.feed.failAfter(60)
	w.exec("insert into item select i, 'x' from generate_series(41, 200) i")
	w.until("the publisher has failed", func() bool { return w.feed.failures() > 0 })
	w.until("all rows are in the feed", func() bool { return len(news(t, w.feed.all())) >= 200 })
	_ = w.stop()
	for i, r := range news(t, w.feed.all()) {
		if want := fmt.Sprintf(`{"id":%d}`, i+1); string(r.Key) != want {
			t.Fatalf("record %d has key %s, want %s", i, r.Key, want)
		}
	}
}

// The command that accepts a gap must see what stops the capture.
func TestGapIsSeenInThePublicationToo(t *testing.T) { // I8
	t.Parallel()
	for name, c := range map[string]struct {
		sql  []string
		code string
	}{
		"a table that left":        {[]string{"alter publication nubridge_test drop table item"}, pgsource.CodeTableLeft},
		"a table that was away":    {[]string{"alter publication nubridge_test drop table item", "alter publication nubridge_test add table item"}, pgsource.CodeTableLeft},
		"fewer operations":         {[]string{"alter publication nubridge_test set (publish = 'insert')"}, pgsource.CodePublication},
		"a publication dropped":    {[]string{"drop publication nubridge_test", "insert into item values (4, 'unseen')"}, pgsource.CodeTableLeft},
		"a publication made again": {[]string{"drop publication nubridge_test", "insert into item values (4, 'unseen')", "create publication nubridge_test for table item with (publish_via_partition_root = true)"}, pgsource.CodeTableLeft},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stopped(t)
			w.exec("insert into item values (3, 'before')")
			w.exec(c.sql...)
			gap, err := pgsource.Gap(t.Context(), w.cfg, w.deps)
			if err != nil {
				t.Fatal(err)
			}
			wantHalt(t, gap, c.code)
			wantHalt(t, w.halted(), c.code)
			if err := w.store.AcceptGap(t.Context(), "test", name); err != nil {
				t.Fatal(err)
			}
			w.launch()
			if name == "a publication made again" && w.version() < 180000 { // 18 passes over what was written meanwhile
				wantHalt(t, w.ended(), pgsource.CodePublication)
				if err := pgsource.DropSlot(t.Context(), w.cfg); err != nil {
					t.Fatal(err)
				}
				if err := w.store.AcceptGap(t.Context(), "test", "once more"); err != nil {
					t.Fatal(err)
				}
				w.launch()
			}
			w.until("the tables are loaded again", func() bool { return strings.Contains(strings.Join(w.feed.lines(t, "id"), " "), "r 3") })
			w.loaded()
			w.exec("insert into item values (5, 'live')")
			w.until("live changes flow", func() bool { return strings.HasSuffix(strings.Join(w.feed.lines(t, "id"), " "), "c 5") })
		})
	}
}
