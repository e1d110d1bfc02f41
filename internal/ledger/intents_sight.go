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

// Sighted is an order that is not imported, with the products of its lines in a text of the caller's; empty where they are not known.
type Sighted struct{ NuORDERID, Products string }

// Sighted writes that orders were seen in a status, and that what follows from it is done.
func (l *Intents) Sighted(ctx context.Context, environment, status string, seen []Sighted) error {
	ids, products := make([]string, len(seen)), make([]string, len(seen))
	for i, s := range seen {
		ids[i], products[i] = s.NuORDERID, s.Products
	}
	_, err := l.pool.Exec(ctx, `insert into order_sightings as s (environment, nuorder_id, status, products)
		select distinct on (id) $1, id, $2, products from unnest($3::text[], $4::text[]) as w(id, products) order by id
		on conflict (environment, nuorder_id) do update set status = excluded.status, seen_at = now(),
			products = case when excluded.products = '' then s.products else excluded.products end`, environment, status, ids, products)
	if err != nil {
		return intentErr("write sightings", err)
	}
	return nil
}

// UnlistedSightings gives orders that were seen in one of the statuses and are in no list now. Those that are on their way into the OMS, or
// there, are told without products: their own rows follow them.
func (l *Intents) UnlistedSightings(ctx context.Context, environment string, statuses, listed []string) ([]Sighted, error) {
	rows, err := l.pool.Query(ctx, `select s.nuorder_id, case when exists (select from order_intents i
				where i.environment = $1 and i.nuorder_id = s.nuorder_id and i.state <> 'WITHDRAWN') then '' else s.products end
		from order_sightings s where s.environment = $1 and s.status = any($2) and not exists (select from unnest($3::text[]) as w(id) where w.id = s.nuorder_id)
		order by s.nuorder_id`, environment, statuses, listed)
	if err != nil {
		return nil, intentErr("look for orders that are gone", err)
	}
	gone, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Sighted])
	if err != nil {
		return nil, intentErr("look for orders that are gone", err)
	}
	return gone, nil
}

// ForgetSightings writes that what follows from the end of orders is done.
func (l *Intents) ForgetSightings(ctx context.Context, environment string, gone []Sighted) error {
	ids := make([]string, len(gone))
	for i, s := range gone {
		ids[i] = s.NuORDERID
	}
	if _, err := l.pool.Exec(ctx, "delete from order_sightings where environment = $1 and nuorder_id = any($2)", environment, ids); err != nil {
		return intentErr("forget orders that are gone", err)
	}
	return nil
}
