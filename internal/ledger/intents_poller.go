package ledger

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PollerLock makes one poller of an environment the active one: an advisory lock on a connection of its own says who, a fencing
// number that every move of the owner carries keeps a former owner from writing. // I4
type PollerLock struct {
	pool  *pgxpool.Pool
	owner string
	// probe is how often the connection is asked whether it still lives.
	probe time.Duration
}

// NewPollerLock makes a lock for an owner named host and process. It touches no network.
func NewPollerLock(pool *pgxpool.Pool, owner string) *PollerLock {
	return &PollerLock{pool: pool, owner: owner, probe: 2 * time.Second}
}

// Owner names this process in the history.
func (l *PollerLock) Owner() string { return l.owner }

// Hold waits until this process is the active poller of the environment, runs do with its fencing number, and gives the lock
// back. The context of do ends when the lock is lost. It gives do's error.
func (l *PollerLock) Hold(ctx context.Context, environment string, do func(ctx context.Context, fence int64) error) error {
	pooled, err := l.pool.Acquire(ctx)
	if err != nil {
		return intentErr("connect for the poller's lock", err)
	}
	// The connection leaves the pool: it lives as long as the lock, and closing it gives the lock back.
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := l.await(ctx, conn, environment); err != nil {
		return err
	}
	var fence int64
	err = conn.QueryRow(ctx, `insert into order_pollers (environment, fence, owner) values ($1, 1, $2)
		on conflict (environment) do update set fence = order_pollers.fence + 1, owner = excluded.owner, taken_at = now()
		returning fence`, environment, l.owner).Scan(&fence)
	if err != nil {
		return intentErr("take the poller's fencing number", err)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(inner, conn, cancel)
	}()
	err = do(inner, fence)
	lost := context.Cause(inner)
	cancel(nil)
	<-watched
	if err != nil && lost != nil && ctx.Err() == nil {
		return lost
	}
	return err
}

// await asks for the lock until it is free; it polls, because a blocking wait would hold a snapshot on the server.
func (l *PollerLock) await(ctx context.Context, conn *pgx.Conn, environment string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte("nubridge orders " + environment))
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := 20 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		var got bool
		// The schema is part of the key: ledgers of several installations may share a database.
		err := conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended(current_schema(), $1))`, int64(h.Sum64())).Scan(&got)
		if err != nil {
			return intentErr("ask for the poller's lock", err)
		}
		if got {
			return nil
		}
		timer.Reset(pause)
		pause = min(2*pause, time.Second)
	}
}

// watch probes the connection that holds the lock and cancels when it is gone.
func (l *PollerLock) watch(ctx context.Context, conn *pgx.Conn, cancel context.CancelCauseFunc) {
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
			cancel(intentErr("keep the poller's lock", fmt.Errorf("the connection that holds it is gone: %w", err)))
			return
		}
	}
}
