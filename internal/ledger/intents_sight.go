package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// SightBegan tells whether the list of a status is read for the first time.
func (l *Intents) SightBegan(ctx context.Context, environment, status string) (first bool, err error) {
	err = l.pool.QueryRow(ctx, `select not exists (select from order_sighted_statuses where environment = $1 and status = $2)`, environment, status).Scan(&first)
	if err != nil {
		return false, intentErr("ask whether a list was read before", err)
	}
	return first, nil
}

// SightEnded writes that the list of a status was read once.
func (l *Intents) SightEnded(ctx context.Context, environment, status string) error {
	_, err := l.pool.Exec(ctx, `insert into order_sighted_statuses (environment, status) values ($1, $2) on conflict do nothing`, environment, status)
	if err != nil {
		return intentErr("write that a list was read", err)
	}
	return nil
}

// Unsighted gives those of the listed orders that were not seen in the status before, in their order. Orders that are on their way into
// the OMS, or there, are left out: their own rows follow them.
func (l *Intents) Unsighted(ctx context.Context, environment, status string, listed []string) ([]string, error) {
	rows, err := l.pool.Query(ctx, `select w.id from unnest($3::text[]) with ordinality as w(id, n)
		where not exists (select from order_sightings s where s.environment = $1 and s.nuorder_id = w.id and s.status = $2)
			and not exists (select from order_intents i where i.environment = $1 and i.nuorder_id = w.id and i.state <> 'WITHDRAWN')
			and not exists (select from order_creations c where c.environment = $1 and c.nuorder_id = w.id)
		order by w.n`, environment, status, listed)
	if err != nil {
		return nil, intentErr("look for orders that are new in a status", err)
	}
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, intentErr("look for orders that are new in a status", err)
	}
	return fresh, nil
}

// Sighted writes that orders were seen in a status, and that what follows from it is done.
func (l *Intents) Sighted(ctx context.Context, environment, status string, ids []string) error {
	_, err := l.pool.Exec(ctx, `insert into order_sightings (environment, nuorder_id, status) select distinct $1, id, $2 from unnest($3::text[]) as w(id)
		on conflict (environment, nuorder_id) do update set status = excluded.status, seen_at = now()`, environment, status, ids)
	if err != nil {
		return intentErr("write sightings", err)
	}
	return nil
}
