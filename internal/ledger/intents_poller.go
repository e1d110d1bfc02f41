package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PollerLock makes one poller of an environment the active one: an advisory lock on a connection of its own says who, a fencing
// number that every move of the owner carries keeps a former owner from writing. // I4
type PollerLock struct {
	lock  lock
	owner string
}

// NewPollerLock makes a lock for an owner named host and process. It touches no network.
func NewPollerLock(pool *pgxpool.Pool, owner string) *PollerLock {
	return &PollerLock{lock: lock{pool: pool, probe: 2 * time.Second}, owner: owner}
}

// Waiting gives the lock with a function that is called whenever another process has it.
func (l *PollerLock) Waiting(waits func()) *PollerLock {
	out := *l
	out.lock.waits = waits
	return &out
}

// Owner names this process in the history.
func (l *PollerLock) Owner() string { return l.owner }

// Hold waits until this process is the active poller of the environment, runs do with its fencing number, and gives the lock
// back. The context of do ends when the lock is lost. It gives do's error.
func (l *PollerLock) Hold(ctx context.Context, environment string, do func(ctx context.Context, fence int64) error) error {
	var fence int64
	take := func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `insert into order_pollers (environment, fence, owner) values ($1, 1, $2)
			on conflict (environment) do update set fence = order_pollers.fence + 1, owner = excluded.owner, taken_at = now()
			returning fence`, environment, l.owner).Scan(&fence)
		if err != nil {
			return intentErr("take the poller's fencing number", err)
		}
		return nil
	}
	return l.lock.hold(ctx, "nubridge orders "+environment, take, func(ctx context.Context) error { return do(ctx, fence) })
}
