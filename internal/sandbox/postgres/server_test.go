package postgres_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

func query(t *testing.T, url, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var text string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestServerIsReadyForLogicalReplication(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for setting, want := range map[string]string{"wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20", "server_encoding": "UTF8"} {
		if got := query(t, url, "select current_setting($1)", setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}

func TestDatabaseIsDroppedWithItsSlots(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	url := pgtest.NewDatabase(t, server, "Mixed \"Case\"")
	query(t, url, "select pg_create_logical_replication_slot('gone', 'pgoutput')::text")
	if err := server.DropDatabase(t.Context(), "Mixed \"Case\""); err != nil {
		t.Fatal(err)
	}
	if got := query(t, server.URL("postgres"), "select count(*)::text from pg_replication_slots"); got != "0" {
		t.Errorf("%s slots are left", got)
	}
}

func TestCrashAndLaunchKeepCommittedData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(os.TempDir(), "nubridge-test-"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() { os.RemoveAll(dir) })
	server := pgtest.Server(t, postgres.Config{Data: dir, Settings: map[string]string{"max_connections": "30"}})
	url := server.URL("postgres")
	query(t, url, "with made as (select 1) select set_config('x.y', '1', false) from made")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "create table kept (id int); insert into kept values (7)"); err != nil {
		t.Fatal(err)
	}
	if err := server.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection survived the crash")
	}
	if err := server.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.URL("postgres") != url {
		t.Error("the address changed")
	}
	if got := query(t, url, "select id::text || current_setting('max_connections') || current_setting('fsync') from kept"); got != "730on" {
		t.Errorf("got %s", got)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := pgtest.Server(t, postgres.Config{Data: dir})
	if got := query(t, again.URL("postgres"), "select id::text from kept"); got != "7" {
		t.Errorf("a named folder lost its data: %s", got)
	}
}

// TestHelperParent is the parent that TestServerEndsWithItsKilledParent kills.
func TestHelperParent(t *testing.T) {
	if os.Getenv("NUBRIDGE_TEST_PARENT") == "" {
		t.Skip("runs only as a child of another test")
	}
	server, err := postgres.Start(t.Context(), postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("started " + strconv.Itoa(server.PID()) + " " + server.DataFolder() + "\n")
	<-t.Context().Done()
}

func TestServerEndsWithItsKilledParent(t *testing.T) {
	t.Parallel()
	pgtest.Database(t) // skips where there is no server
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperParent$", "-test.v")
	cmd.Env = append(os.Environ(), "NUBRIDGE_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var data string
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "started "); ok {
			number, folder, _ := strings.Cut(rest, " ")
			pid, _ = strconv.Atoi(number)
			data = folder
		}
	}
	if pid == 0 {
		t.Fatal("the child started no server")
	}
	if err := cmd.Process.Kill(); err != nil { // kill -9
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, "the server to end", func() bool { return syscall.Kill(pid, 0) != nil })
	await(t, "the temporary folder to go", func() bool { _, err := os.Stat(filepath.Dir(data)); return os.IsNotExist(err) })
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("waited too long for %s", what)
		case <-tick.C:
		}
	}
}

func TestConfigIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	for _, c := range []postgres.Config{{Major: 13}, {Port: 70000}, {Bin: t.TempDir()}, {Settings: map[string]string{"a=b": ""}}} {
		if _, err := postgres.Start(t.Context(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
