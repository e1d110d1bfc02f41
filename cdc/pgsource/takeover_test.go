package pgsource_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/cdc/pgsource"
	"nubridge/internal/fault"
)

// network is one that can fall silent towards the server: the client's side is closed, and the server hears nothing of it.
type network struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	clients  []net.Conn
	servers  []net.Conn
	silences []func() // of the connections that do not replicate
	closed   bool
}

func newNetwork(t testing.TB, target string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: l, target: target}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			n.mu.Lock()
			closed := n.closed
			n.clients, n.servers = append(n.clients, in), append(n.servers, out)
			n.mu.Unlock()
			if closed { // it was accepted while the network came to its end
				_, _ = in.Close(), out.Close()
				return
			}
			silent := make(chan struct{})
			serving.Go(func() {
				first := make([]byte, 1024)
				got, _ := in.Read(first)
				if !bytes.Contains(first[:got], []byte("replication")) {
					n.mu.Lock()
					n.silences = append(n.silences, sync.OnceFunc(func() { close(silent) }))
					n.mu.Unlock()
				}
				_, _ = out.Write(first[:got])
				_, _ = io.Copy(out, in)
			})
			serving.Go(func() { _, _ = io.Copy(hushed{in, silent}, out); _ = in.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.forget()
		n.mu.Lock()
		n.closed = true
		for _, c := range n.servers {
			_ = c.Close()
		}
		n.mu.Unlock()
		serving.Wait()
	})
	return n
}

// hushed loses what is written once it is silent.
type hushed struct {
	net.Conn
	silent chan struct{}
}

func (h hushed) Write(p []byte) (int, error) {
	select {
	case <-h.silent:
		return len(p), nil
	default:
		return h.Conn.Write(p)
	}
}

// hush loses every answer to the SQL connections that are open now; nothing is closed, and new ones work.
func (n *network) hush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, silence := range n.silences {
		silence()
	}
}

// between puts a network between a capture and its server.
func between(w *world) *network {
	w.t.Helper()
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	n := newNetwork(w.t, u.Host)
	u.Host = n.listener.Addr().String()
	w.cfg.DatabaseURL = u.String()
	return n
}

// forget ends what clients have open; the server is not told.
func (n *network) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.clients {
		_ = c.Close()
	}
	n.clients = nil
}

// A session that an earlier run left at the server holds the slot until the server's own timeout, a minute here and by default.
func TestSessionOfAnEarlierRunIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a')")
	n := between(w)
	w.start()
	w.await(1)
	n.forget()
	w.exec("insert into item values (2, 'b')")
	w.await(2) // within 20 s
}

// A connection to the catalogs that has fallen silent ends the session, which would else wait for as long as TCP does. // I9
func TestCatalogThatDoesNotAnswerEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("create table item (id bigint primary key, v text)", "insert into item values (1, 'a')",
		"alter database "+w.pool.Config().ConnConfig.Database+" set wal_sender_timeout = '2s'")
	n := between(w)
	w.start()
	w.await(1)
	n.hush()
	w.exec("create table other (id bigint primary key, v text)", "insert into other values (1, 'b')", "insert into item values (2, 'b')")
	w.await(3) // within 20 s
}

// stranger reads the slot of a capture that is stopped.
func stranger(w *world) *pgconn.PgConn {
	w.t.Helper()
	config, err := pgconn.ParseConfig(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	config.RuntimeParams["replication"], config.RuntimeParams["application_name"] = "database", "nubridge test"
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if err := pglogrepl.StartReplication(context.Background(), conn, w.cfg.Slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + "nubridge_test" + "'"},
	}); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// A session that ends reads its slot until the server has noticed.
func TestSlotIsDroppedOnceItsReaderHasGone(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	conn := stranger(w)
	dropped := make(chan error, 1)
	go func() { dropped <- pgsource.DropSlot(context.Background(), w.cfg) }()
	w.until("it was tried", func() bool {
		var n int
		err := w.pool.QueryRow(t.Context(), "select count(*) from pg_stat_activity where query like 'select pg_drop_replication_slot%' and datname = current_database()").Scan(&n)
		return err == nil && n == 1
	})
	select {
	case err := <-dropped:
		t.Fatalf("it ended with %v while the slot was read", err)
	default:
	}
	_ = conn.Close(t.Context())
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
}

func TestStrangerWhoReadsTheSlotIsNamedAndLeftAlone(t *testing.T) {
	t.Parallel()
	w := stopped(t)
	conn := stranger(w)
	began := time.Now()
	err := w.halted()
	if fault.KindOf(err) != fault.Retry || fault.CodeOf(err) != pgsource.CodeSlotActive || !strings.Contains(err.Error(), `"nubridge test" from 127.0.0.1`) {
		t.Errorf("got %v (%s)", err, fault.CodeOf(err))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	var reads bool
	if err := w.pool.QueryRow(t.Context(), "select active_pid = $2 from pg_replication_slots where slot_name = $1", w.cfg.Slot, conn.PID()).Scan(&reads); err != nil || !reads {
		t.Errorf("the stranger reads: %t, %v", reads, err)
	}
}
