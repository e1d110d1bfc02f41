//go:build unix

package documents_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// copyFolder copies a stopped server's data with owners and rights.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			err = os.MkdirAll(target, info.Mode().Perm())
		case info.Mode().IsRegular():
			var text []byte
			if text, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(target, text, info.Mode().Perm())
			}
		default:
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			return os.Lchown(target, int(s.Uid), int(s.Gid))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReplicaIsReadOnlyWhenItHasReplayedTheCommit holds the replay of a standby still: the key must wait until it goes on.
func TestReplicaIsReadOnlyWhenItHasReplayedTheCommit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts two servers")
	}
	base := t.TempDir()
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := base; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755)
	}
	primary := pgtest.Server(t, postgres.Config{Data: filepath.Join(base, "primary")})
	pool := pgtest.PoolOf(t, pgtest.NewDatabase(t, primary, "replicated"))
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := oms.Generate(t.Context(), pool, oms.Sizes{Seed: 1, Styles: 2, Colors: 1, Customers: 1, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1, Today: day()}); err != nil {
		t.Fatal(err)
	}
	m := compile(t, pool)
	if err := primary.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, primary.DataFolder(), filepath.Join(base, "standby"))
	if err := primary.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool.Reset() // its connections ended with the shutdown
	makeStandby(t, filepath.Join(base, "standby"), primary.Address())
	standby := pgtest.Server(t, postgres.Config{Data: filepath.Join(base, "standby")})
	replica := pgtest.PoolOf(t, standby.URL("replicated"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := replica.Exec(ctx, "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	var xid uint64
	if err := pool.QueryRow(ctx, "update oms.styles set description_1 = 'new' where style_id = 1 returning pg_current_xact_id()::text::bigint").Scan(&xid); err != nil {
		t.Fatal(err)
	}
	var lsn string
	if err := pool.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	at, err := cdc.ParseLSN(lsn)
	if err != nil {
		t.Fatal(err)
	}
	read := func(timeline int32) mapper.Read {
		reader, err := documents.NewReader(replica, func() *mapper.Mapping { return m }, documents.Config{Now: func() (uint32, int32) { return 1, timeline }})
		if err != nil {
			t.Fatal(err)
		}
		// The commit record ends where the log ended then, so it began before.
		got, err := reader.Read(ctx, mapper.Products, []mapper.Want{{Key: "1", XID: xid, Commit: at - 1, Epoch: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	if !read(0).NotYetVisible {
		t.Fatal("a replica that has not replayed the commit gives a document")
	}
	if _, err := replica.Exec(ctx, "select pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for read(0).NotYetVisible {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the replica never shows the commit")
		}
	}
	b, err := m.Body(mapper.Products, "1", read(1).Document)
	if err != nil || !contains(b.JSON, `"description":"new `) {
		t.Errorf("the replica's document is older than asked: %s", b.JSON)
	}
	if !read(2).NotYetVisible {
		t.Error("a replica of another timeline proves something")
	}
}

func makeStandby(t *testing.T, data, primary string) {
	t.Helper()
	host, port := primary[:len("127.0.0.1")], primary[len("127.0.0.1:"):]
	if _, err := strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f, "primary_conninfo = 'host=%s port=%s user=postgres'\nhot_standby = on\n", host, port); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
