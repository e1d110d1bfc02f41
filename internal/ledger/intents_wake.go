package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// Wake releases the documents that wait for a reference, as the settlement of a parent does, and forgets requests for the reference
// itself. It gives how many were released.
func (l *Intents) Wake(ctx context.Context, environment string, ref mapper.Ref) (int64, error) {
	// In turn with the settlements of the flows, as inTurn says: a key that begins to wait now must not be missed.
	batch := &pgx.Batch{}
	batch.Queue("select pg_advisory_xact_lock(hashtextextended(current_schema() || '|' || $1, 0))", environment)
	batch.Queue(`with asked as (
		delete from requests where environment = $1 and flow = $2 and key = $3
	), released as (
		insert into requests as r (environment, flow, key, reason, rank)
		select w.environment, w.flow, w.key, 'released', 0 from waiting w
		where w.environment = $1 and w.parents @> array[$4]
		order by w.flow, w.key
		on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank)
		returning flow
	), told as (
		select count(pg_notify('nubridge_' || current_schema(), $1 || '|' || flow)) from (select distinct flow from released) f
	) select count(*), (select * from told) from released`, environment, string(ref.Flow), string(ref.Key), parentName(ref))
	results := l.pool.SendBatch(ctx, batch)
	var woken int64
	_, err := results.Exec()
	if err == nil {
		err = results.QueryRow().Scan(&woken, new(int64))
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return 0, intentErr("release what waits for an order", err)
	}
	return woken, nil
}

// AskPoll asks the active poller of the environment, wherever it runs, to poll at once.
func (l *Intents) AskPoll(ctx context.Context, environment string) error {
	_, err := l.pool.Exec(ctx, `insert into order_pollers (environment, asked_at) values ($1, clock_timestamp())
		on conflict (environment) do update set asked_at = excluded.asked_at`, environment)
	if err != nil {
		return intentErr("ask for a poll", err)
	}
	return nil
}

// PollAsked tells whether a poll was asked for since the last one began.
func (l *Intents) PollAsked(ctx context.Context, environment string) (bool, error) {
	var asked bool
	err := l.pool.QueryRow(ctx, `select coalesce(bool_or(asked_at is not null and asked_at > coalesce(polled_at, 'epoch')), false)
		from order_pollers where environment = $1`, environment).Scan(&asked)
	if err != nil {
		return false, intentErr("read whether a poll was asked for", err)
	}
	return asked, nil
}

// PollBegan writes that a poll begins.
func (l *Intents) PollBegan(ctx context.Context, environment string, fence int64) error {
	_, err := l.pool.Exec(ctx, `update order_pollers set polled_at = clock_timestamp() where environment = $1 and fence = $2`,
		environment, fence)
	if err != nil {
		return intentErr("write that a poll begins", err)
	}
	return nil
}
