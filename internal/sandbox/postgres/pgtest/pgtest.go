// Package pgtest gives tests a real PostgreSQL server. Where none is installed and none can be fetched the test is skipped with
// a sentence that says what to install; with CI=true it fails.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"nubridge/internal/sandbox/postgres"
)

// EnvMajor asks for a major version, 14 to 18, in all tests that do not choose one themselves.
const EnvMajor = "NUBRIDGE_TEST_POSTGRES"

const startTimeout = 5 * time.Minute // a first start may fetch the server

// shared is the one server of this test process. It ends with the process, by the server's watchdog.
type shared struct {
	once   sync.Once
	server *postgres.Server
	err    error
	mu     sync.Mutex
	made   int
}

// process is the only variable of its kind: tests of one package share a server because a start costs more than most tests.
var process shared //nolint:gochecknoglobals // see above

// Database gives the URL of a new, empty database on the server that all tests of this process share (wal_level=logical, the
// superuser). It is dropped, with its replication slots, when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	process.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		process.server, process.err = postgres.Start(ctx, postgres.Config{Major: major()})
	})
	refuse(t, process.err)
	process.mu.Lock()
	process.made++
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), process.made)
	process.mu.Unlock()
	return newDatabase(t, process.server, name)
}

// Pool gives a pool of at most 8 connections to a new database as Database makes it, closed when the test ends.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return PoolOf(t, Database(t))
}

// PoolOf gives a pool of at most 8 connections to a database, closed when the test ends.
func PoolOf(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatalf("parse the database's URL: %v", err)
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("connect to the database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Server starts a server for this test alone, which the test may shut down, crash and launch again; it is stopped when the
// test ends. Empty fields of the configuration get the defaults of postgres.Start.
func Server(t testing.TB, c postgres.Config) *postgres.Server {
	t.Helper()
	if c.Major == 0 {
		c.Major = major()
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	server, err := postgres.Start(ctx, c)
	refuse(t, err)
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return server
}

// NewDatabase makes an empty database on a test's own server; it goes with the server.
func NewDatabase(t testing.TB, server *postgres.Server, name string) string {
	t.Helper()
	if err := server.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return server.URL(name)
}

// IgnoreServer is for goleak: the shared server is meant to outlive the tests.
func IgnoreServer() goleak.Option {
	return goleak.IgnoreAnyFunction("nubridge/internal/sandbox/postgres.(*process).wait")
}

func newDatabase(t testing.TB, server *postgres.Server, name string) string {
	t.Helper()
	url := NewDatabase(t, server, name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return url
}

// refuse ends the test when there is no server.
func refuse(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, postgres.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skipf("this test needs PostgreSQL %d to %d: install it (Debian: postgresql, macOS: brew install postgresql@17), name its folder in %s, or allow the download: %v",
			postgres.MinMajor, postgres.MaxMajor, postgres.EnvBin, err)
	default:
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

func major() int {
	n, _ := strconv.Atoi(os.Getenv(EnvMajor)) // empty asks for none
	return n
}
