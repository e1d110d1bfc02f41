package main

import (
	"context"
	"fmt"
	"net"
	neturl "net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/config"
	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// A database that goes away in the middle of the start is away, whoever met it first.
func TestDatabaseThatGoesAwayExits3(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	connect := func(url string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	other := connect(url)
	ended := connect(url)
	if _, err := other.Exec(t.Context(), "select pg_terminate_backend($1)", ended.PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	_, terminated := ended.Exec(t.Context(), "select 1")
	torn := connect(url)
	_ = torn.PgConn().Conn().(*net.TCPConn).CloseWrite() // the server answers with its end
	_, cut := torn.Exec(t.Context(), "select 1")
	_, refused := pgx.Connect(t.Context(), "postgres://nobody@127.0.0.1:1/x")
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	cfg := &config.Config{}
	cfg.OMS.URL = config.NewSecret(u.String())
	_, wrong := openOMS(t.Context(), cfg)
	cfg.OMS.URL = config.NewSecret("postgres://nobody@127.0.0.1:1/x")
	_, away := openOMS(t.Context(), cfg)
	_, strange := other.Exec(t.Context(), "select no_such_column")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"terminated", terminated, lifecycle.ExitUnreachable},
		{"cut", cut, lifecycle.ExitUnreachable},
		{"refused", refused, lifecycle.ExitUnreachable},
		{"no such database", wrong, lifecycle.ExitUsage},
		{"no such server", away, lifecycle.ExitUnreachable},
		{"another error", strange, lifecycle.ExitFailed},
	} {
		if got := exitCode(fmt.Errorf("while it starts: %w", c.err)); got != c.want {
			t.Errorf("%s: exit code %d for %v, want %d", c.name, got, c.err, c.want)
		}
	}
}
