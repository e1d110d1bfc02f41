package pgsource_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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

// as gives the same database through another role.
func as(t *testing.T, address, role string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

func TestRoleOfTheScriptIsEnoughAndNothingLess(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed: the script is written for it")
	}
	w := newWorld(t, "oms.*")
	role := fmt.Sprintf("reader_%d", time.Now().UnixNano())
	w.exec("create schema oms; create table oms.item (id bigint primary key, v text); insert into oms.item values (1, 'a')", "create role "+role+" login")
	// A role without rights is told what it lacks.
	w.cfg.DatabaseURL = as(t, w.url, role)
	findings, err := pgsource.Check(t.Context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	codes := ""
	for _, f := range findings {
		codes += " " + f.Code
	}
	for _, want := range []string{pgsource.CodeReplicationRole, pgsource.CodeSelect, pgsource.CodePublicationTable, pgsource.CodePublicationRights} {
		if !strings.Contains(codes, want) {
			t.Errorf("findings%s lack %s", codes, want)
		}
	}
	wantHalt(t, pgsource.Preflight(t.Context(), w.cfg), pgsource.CodeReplicationRole)
	wantHalt(t, w.halted(), pgsource.CodeReplicationRole)

	cmd := exec.CommandContext(t.Context(), psql, w.url, "-v", "role="+role, "-v", "publication="+role, "-v", "schema=oms", "-f", "../../deploy/sql/capture_role.sql")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { w.exec("drop owned by "+role, "drop role "+role) })
	w.cfg.Publication = role
	if err := pgsource.Preflight(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.await(1)
	w.exec("insert into oms.item values (2, 'b')", "create table oms.later (id int primary key)")
	w.await(2)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.exec("insert into oms.item values (3, 'c')")
	w.start() // a table that nobody added does not stop what was captured before
	w.await(3)
	_ = w.stop()
}

func TestUnreachableSourceAndServersThatDoNotReplicateAreNamed(t *testing.T) {
	t.Parallel()
	cfg := pgsource.Config{DatabaseURL: "postgres://nobody@127.0.0.1:1/x", Capture: "c", Tables: []string{"a.b"}}
	if err := pgsource.Preflight(t.Context(), cfg); fault.CodeOf(err) != pgsource.CodeUnreachable || fault.KindOf(err) != fault.Retry {
		t.Errorf("got %v", err)
	}
	cfg.DatabaseURL = "postgres://secret:word@["
	if err := pgsource.Preflight(t.Context(), cfg); fault.CodeOf(err) != pgsource.CodeConfig || strings.Contains(err.Error(), "word") {
		t.Errorf("got %v", err)
	}
	wantHalt(t, pgsource.Preflight(t.Context(), pgsource.Config{Capture: "c"}), pgsource.CodeConfig)
	if os.Getenv("CI") == "" && testing.Short() {
		t.Skip("starting a server of its own takes a while")
	}
	server := pgtest.Server(t, postgres.Config{Settings: map[string]string{"wal_level": "replica"}})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "replica"), "public.*")
	w.exec("create table item (id bigint primary key)")
	wantHalt(t, pgsource.Preflight(t.Context(), w.cfg), pgsource.CodeWALLevel)
}

// What the check says of a table and what the server does once it is published are the same, whatever the server's major.
func TestTablesWhoseUpdatesTheSourceWillRefuseAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Snapshot = pgsource.SnapshotNever
	w.exec(`create table plain (id int primary key, v int); create table bare (id int, v int);
		create table whole (id int primary key, v int); alter table whole replica identity full;
		create table made (id int primary key, v int, g int generated always as (v + 1) stored); alter table made replica identity full`)
	findings, err := pgsource.Check(t.Context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	for _, table := range []string{"plain", "bare", "whole", "made"} {
		named := slices.ContainsFunc(findings, func(f pgsource.Finding) bool {
			return f.Code == "no_replica_identity" && strings.HasPrefix(f.Text, "public."+table+" ")
		})
		w.exec("insert into " + table + " values (1, 1)")
		_, refused := w.pool.Exec(t.Context(), "update "+table+" set v = 2")
		if named != (refused != nil) {
			t.Errorf("%s: named %t, and its update: %v", table, named, refused)
		}
	}
}

// A server in recovery may be promoted: that passes, and the message says what it is.
func TestStandbyIsNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "standby"), "public.*")
	w.exec("create table item (id bigint primary key)")
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.DataFolder(), "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"preflight": pgsource.Preflight(t.Context(), w.cfg), "run": w.halted()} {
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Retry || f.Code != pgsource.CodeStandby || f.ExitCode() != 3 || !strings.Contains(err.Error(), "hint: point the source at the primary") {
			t.Errorf("%s: got %v (%s)", what, err, fault.CodeOf(err))
		}
	}
}

func TestInvalidatedSlotHaltsUntilTheGapIsAccepted(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{Settings: map[string]string{"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}})
	w := newWorldAt(t, pgtest.NewDatabase(t, server, "lost"), "public.*")
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a')")
	w.start()
	w.await(1)
	_ = w.stop()
	w.until("the slot is lost", func() bool {
		w.exec("create table junk as select repeat('x', 1000) from generate_series(1, 20000)", "drop table junk", "select pg_switch_wal()", "checkpoint")
		h, err := pgsource.Health(t.Context(), w.cfg, pgsource.SlotHealth{})
		if err != nil || !h.Exists {
			t.Fatalf("%+v, %v", h, err)
		}
		return h.WALStatus == "lost"
	})
	wantHalt(t, w.halted(), pgsource.CodeSlotLost)
	if err := w.store.AcceptGap(t.Context(), "test", "the disk was full"); err != nil {
		t.Fatal(err)
	}
	w.start()
	records := w.await(2)
	_ = w.stop()
	if r := records[1]; r.Op != cdc.OpRead || r.Position.Epoch != 2 {
		t.Errorf("record %c at %s, want the row read again in epoch 2", r.Op, r.Position)
	}
}
