package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL server, or one that was shut down and can be launched again. Its methods may be called from
// several goroutines.
type Server struct {
	config   Config
	install  install
	account  *account
	base     string // the temporary folder around data, empty for a named data folder
	data     string
	port     int
	watchdog *watchdog

	mu   sync.Mutex
	proc *process // nil while shut down
}

// Start finds or fetches a server, makes its data folder if there is none, and starts it. It blocks until the server accepts
// connections. The server outlives the context; it ends by Stop, or soon after this process has ended in any way.
// The error is ErrNotFound when no server is installed and none could be fetched.
func Start(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	base, data, err := dataFolder(c, as)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, account: as, base: base, data: data, port: c.Port}
	if err := s.prepare(ctx); err != nil {
		s.removeTemporary()
		return nil, err
	}
	if s.watchdog, err = startWatchdog(base, data); err != nil {
		s.removeTemporary()
		return nil, err
	}
	if err := s.Launch(ctx); err != nil {
		return nil, errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// prepare chooses the server and makes the data folder.
func (s *Server) prepare(ctx context.Context) error {
	there, err := os.ReadFile(filepath.Join(s.data, "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(there)))
		if err != nil {
			return fmt.Errorf("the folder %s says no version of PostgreSQL: %w", s.data, err)
		}
		if s.config.Major != 0 && s.config.Major != major {
			return fmt.Errorf("the folder %s belongs to PostgreSQL %d, but version %d is asked for", s.data, major, s.config.Major)
		}
		s.config.Major = major
	}
	cache, cacheErr := cacheFolder(s.config, s.account)
	s.install, err = findInstalled(ctx, s.config, s.account)
	if errors.Is(err, ErrNotFound) {
		if cacheErr != nil {
			return cacheErr
		}
		s.install, err = fetch(ctx, s.config, cache)
	}
	if err != nil || there != nil {
		return err
	}
	if cacheErr != nil {
		cache = "" // an installed server works without one
	}
	return newDatabase(ctx, s.install, s.account, cache, s.data, s.base != "")
}

// Launch starts the server again after Shutdown or Crash, on the same port and data; it does nothing while the server runs.
// It blocks until the server accepts connections.
func (s *Server) Launch(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && !s.proc.ended() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.StartTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		port := s.port
		if port == 0 {
			var err error
			if port, err = freePort(ctx); err != nil {
				return err
			}
		}
		proc, err := s.launch(port)
		if err != nil {
			return err
		}
		if err = proc.awaitReady(ctx, s.data); err == nil {
			s.proc, s.port = proc, port
			return nil
		}
		proc.end(crashStop)
		log := s.Log()
		if s.port == 0 && attempt < 3 && strings.Contains(log, "could not bind") {
			continue // somebody else took the free port in between
		}
		return fmt.Errorf("start PostgreSQL %s: %w: %s", s.install.version, err, tail(log, 800))
	}
}

// Shutdown ends the server in an orderly way and keeps its data, so that Launch can start it again. It blocks until it has ended.
func (s *Server) Shutdown(ctx context.Context) error { return s.end(ctx, fastStop) }

// Crash ends the server at once, as a crash would, and keeps its data. It blocks until it has ended.
func (s *Server) Crash(ctx context.Context) error { return s.end(ctx, crashStop) }

func (s *Server) end(ctx context.Context, signal os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	s.proc.signal(signal)
	select {
	case <-s.proc.done:
	case <-ctx.Done():
		s.proc.end(crashStop)
	}
	s.proc = nil
	return nil
}

// Stop ends the server for good and removes temporary data. It may be called more than once. When the context ends first,
// the server is ended as by a crash.
func (s *Server) Stop(ctx context.Context) error {
	signal := fastStop
	if s.base != "" {
		signal = crashStop // nobody needs the data any more
	}
	err := s.end(ctx, signal)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchdog != nil {
		err = errors.Join(err, s.watchdog.dismiss())
		s.watchdog = nil
	}
	s.removeTemporary()
	return err
}

func (s *Server) removeTemporary() {
	if s.base != "" {
		_ = os.RemoveAll(s.base) // a temporary folder that cannot be removed is the system's to clear
	}
}

// Done is closed when the server that runs now ends, whoever ended it.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return s.proc.done
}

// URL gives the address of a database of this server, as the superuser.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Address gives the server's host and port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Version gives the server's version and its major number.
func (s *Server) Version() (string, int) { return s.install.version, s.install.major }

// DataFolder gives the folder of the database.
func (s *Server) DataFolder() string { return s.data }

// PID gives the process id of the server, zero while it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.cmd.Process.Pid
}

// Log gives the end of what the server has logged.
func (s *Server) Log() string {
	const most = 64 << 10
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-most):])
}

func (s *Server) logFile() string {
	if s.base != "" {
		return filepath.Join(s.base, "server.log")
	}
	return filepath.Join(s.data, "server.log")
}

// CreateDatabase makes an empty database.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
		return nil
	})
}

// DropDatabase drops a database with its replication slots, whoever is still connected to it. A database that is not there is
// no error.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		const slots = `select count(pg_terminate_backend(active_pid)) from pg_replication_slots where database = $1 and active_pid is not null`
		const drop = `select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots where database = $1 and active_pid is null`
		var ended, dropped int
		for {
			if err := conn.QueryRow(ctx, slots, name).Scan(&ended); err != nil {
				return fmt.Errorf("end the replication connections of %s: %w", name, err)
			}
			if err := conn.QueryRow(ctx, drop, name).Scan(&dropped); err != nil {
				return fmt.Errorf("drop the replication slots of %s: %w", name, err)
			}
			if ended == 0 {
				break
			}
			if _, err := conn.Exec(ctx, "select pg_sleep(0.02)"); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
			return fmt.Errorf("drop database %s: %w", name, err)
		}
		return nil
	})
}

func (s *Server) admin(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return do(conn)
}

// freePort asks the system for a port that nobody uses now.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
