package pgsource_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/migrations"
)

// lab runs a script of bench/lab, which makes servers with standbys.
func lab(t *testing.T, folder, script string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join("../../bench/lab", script), args...)
	cmd.Env = append(os.Environ(), "NUBRIDGE_LAB="+folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", script, args, err, out)
	}
}

// labFolder makes a lab of the test's own, whose servers may be wiped; it shares the downloads of the machine's.
func labFolder(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("NUBRIDGE_LAB")
	if home, err := os.UserHomeDir(); shared == "" && err == nil {
		shared = filepath.Join(home, ".cache", "nubridge-lab")
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	downloads, err := filepath.Glob(filepath.Join(shared, "postgres", "maven-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range downloads {
		if err := os.Symlink(d, filepath.Join(folder, "postgres", filepath.Base(d))); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestFailoverToAStandbyWithTheSyncedSlotGoesOnInANewEpoch(t *testing.T) {
	major := os.Getenv("NUBRIDGE_TEST_FAILOVER")
	if major == "" {
		t.Skip("set NUBRIDGE_TEST_FAILOVER=17 (or 18) to run it: bench/lab needs mvn and psql to make a server with a standby")
	}
	folder := labFolder(t)
	first, second := freePort(t), freePort(t)
	lab(t, folder, "postgres.sh", "start", major, strconv.Itoa(first))
	t.Cleanup(func() { lab(t, folder, "postgres.sh", "wipe", major) })
	url := func(port int) string {
		return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	}
	w := newWorldAt(t, url(first), "public.*")
	ledgerURL := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), ledgerURL, "nubridge"); err != nil {
		t.Fatal(err)
	}
	store, err := ledger.Open(context.Background(), ledgerURL, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.store = ledger.NewCaptures(store.Pool())
	w.deps.Store, w.cfg.FailoverSlot, w.cfg.HeartbeatInterval = w.store, true, 100e6
	w.exec("drop table if exists item", "create table item (id bigint primary key, v text)", "insert into item values (1, 'a')")
	lab(t, folder, "postgres.sh", "standby", major, strconv.Itoa(second))
	w.exec("alter system set synchronized_standby_slots = 'lab_standby'", "select pg_reload_conf()")
	w.start()
	w.await(1)
	standby := pgtest.PoolOf(t, url(second))
	w.until("the slot is synced", func() bool {
		var n int
		err := standby.QueryRow(context.Background(), "select count(*) from pg_replication_slots where slot_name = $1 and synced and not temporary", w.cfg.Slot).Scan(&n)
		return err == nil && n == 1
	})
	w.exec("insert into item values (2, 'b')")
	w.await(2)
	_ = w.stop()
	lab(t, folder, "postgres.sh", "kill", major)
	lab(t, folder, "postgres.sh", "promote", major)
	w.cfg.DatabaseURL, w.pool = url(second), standby
	w.until("the standby is promoted", func() bool {
		var recovery bool
		return standby.QueryRow(context.Background(), "select pg_is_in_recovery()").Scan(&recovery) == nil && !recovery
	})
	w.exec("insert into item values (3, 'c')")
	w.start()
	records := w.await(3)
	_ = w.stop()
	if got := w.feed.lines(t, "id"); len(got) != 3 || got[2] != "c 3" {
		t.Errorf("feed %q, want the third row once", got)
	}
	if e := records[2].Position.Epoch; e != 2 {
		t.Errorf("epoch %d after the failover, want 2", e)
	}
}
