package ledger

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lock is the right of one process at a time to something named: an advisory lock on a connection of its own.
type lock struct {
	pool *pgxpool.Pool
	// probe is how often the connection is asked whether it still lives.
	probe time.Duration
	// waits is called when another process has it; it may be nil.
	waits func()
}

// Exclusive waits until this process is the only one that does what is named, runs do, and gives the right back. The context of do
// ends when the right is lost. waits is called if another process has it; it may be nil. Exclusive gives do's error.
func (s *Store) Exclusive(ctx context.Context, name string, waits func(), do func(context.Context) error) error {
	l := lock{pool: s.pool, probe: 2 * time.Second, waits: waits}
	return l.hold(ctx, "nubridge "+name, func(context.Context, *pgx.Conn) error { return nil }, do)
}

// hold waits for the lock, runs take on its connection and then do.
func (l lock) hold(ctx context.Context, name string, take func(context.Context, *pgx.Conn) error, do func(context.Context) error) error {
	pooled, err := l.pool.Acquire(ctx)
	if err != nil {
		return intentErr("connect for the lock of "+name, err)
	}
	// The connection leaves the pool: it lives as long as the lock, and closing it gives the lock back.
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// A process that is frozen keeps its connection: the server gives the lock to another one when it asks nothing for a while.
	if _, err := conn.Exec(ctx, "select set_config('idle_session_timeout', $1, false)", fmt.Sprint((frozenProbes * l.probe).Milliseconds())); err != nil {
		return intentErr("prepare the lock of "+name, err)
	}
	if err := l.await(ctx, conn, name); err != nil {
		return err
	}
	if err := take(ctx, conn); err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(inner, conn, name, cancel)
	}()
	err = do(inner)
	lost := context.Cause(inner)
	cancel(nil)
	<-watched
	if lost != nil && ctx.Err() == nil { // do may end in peace when its context does
		return lost
	}
	return err
}

// frozenProbes is how many probes a holder may miss before the server ends its connection.
const frozenProbes = 8

// await asks for the lock until it is free; it polls, because a blocking wait would hold a snapshot on the server.
func (l lock) await(ctx context.Context, conn *pgx.Conn, name string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := 20 * time.Millisecond
	for tries := 1; ; tries++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		var got bool
		// The schema is part of the key: ledgers of several installations may share a database.
		err := conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended(current_schema(), $1))`, int64(h.Sum64())).Scan(&got)
		if err != nil {
			return intentErr("ask for the lock of "+name, err)
		}
		if got {
			return nil
		}
		if tries == 1 && l.waits != nil {
			l.waits()
		}
		timer.Reset(pause)
		pause = min(2*pause, time.Second)
	}
}

// watch probes the connection that holds the lock and cancels when it is gone.
func (l lock) watch(ctx context.Context, conn *pgx.Conn, name string, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(l.probe)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		probe, stop := context.WithTimeout(ctx, 2*l.probe)
		err := conn.Ping(probe)
		stop()
		if err != nil && ctx.Err() == nil {
			cancel(intentErr("keep the lock of "+name, fmt.Errorf("the connection that holds it is gone: %w", err)))
			return
		}
	}
}
