package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// Ranks of service: lower goes first. A parent that an order waits for inherits its rank.
const (
	RankOrders = iota
	RankProducts
	RankCustomers
	RankStock
	RankBulk
)

// RankOf gives the rank of a flow's live changes.
func RankOf(flow mapper.Flow) int {
	switch flow {
	case mapper.Products:
		return RankProducts
	case mapper.Customers:
		return RankCustomers
	case mapper.Inventory:
		return RankStock
	default:
		return RankOrders
	}
}

// markSQL marks a part, $4, of the objects named by w in doubt.
const markSQL = `l as (
    select o.environment, o.kind, o.key from w join objects o on (o.environment, o.kind, o.key) = (w.environment, w.kind, w.key)
    order by o.key for update of o
), marked as (
    update objects o set doubt = case when cardinality(array_positions(doubt, $4::text)) > 1 then doubt else doubt || $4::text end, doubt_seq = doubt_seq + 1
    from l where (o.environment, o.kind, o.key) = (l.environment, l.kind, l.key)
)`

const doubtSQL = `
with w as materialized (
    select $1::text as environment, $3::text as kind, key from unnest($5::text[]) as w(key)
), ` + markSQL + `, asked as (
    insert into requests as r (environment, flow, key, reason, rank)
    select $1, $2, key, $6, $7 from unnest($5::text[]) as k(key) order by key
    on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank),
        reason = case when r.reason in ('retry', 'name wanted') then r.reason else excluded.reason end
)
select pg_notify($8, $1 || '|' || $2) is null`

// Doubt marks what a flow delivers of these objects in doubt and wakes the flow, in one statement. The mark stays through a
// settlement that is under way, because what made it may have come after the call. // decision 4, decision 5
func (s *Store) Doubt(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key, reason string) error {
	return s.doubt(ctx, environment, flow, keys, reason, RankOf(flow))
}

func (s *Store) doubt(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key, reason string, rank int) error {
	if len(keys) == 0 {
		return nil
	}
	err := s.inTurn(ctx, environment, planAnew, doubtSQL, []any{environment, flow, flow.Kind(), PartOf(flow), keys, reason, rank, s.channel()}, new(bool))
	if err != nil {
		return fmt.Errorf("mark %d objects in doubt: %w", len(keys), err)
	}
	return nil
}

// DoubtStock marks the stock of products in doubt and wakes the inventory flow: NuORDER moves the figure by itself when
// buyers order. Products are named by NuORDER's _id, by brand_id, or both; names that the ledger does not know are left
// out. It returns how many were marked.
func (s *Store) DoubtStock(ctx context.Context, environment string, remoteIDs, brandIDs []string, reason string) (int, error) {
	keys, err := s.stockOf(ctx, environment, remoteIDs, brandIDs)
	if err != nil {
		return 0, err
	}
	return len(keys), s.Doubt(ctx, environment, mapper.Inventory, keys, reason)
}

// WakeStock lets the inventory flow look at the stock of products again; what it finds in step costs no call.
func (s *Store) WakeStock(ctx context.Context, environment string, remoteIDs, brandIDs []string, reason string) error {
	keys, err := s.stockOf(ctx, environment, remoteIDs, brandIDs)
	if err != nil {
		return err
	}
	return s.Request(ctx, environment, mapper.Inventory, keys, reason, RankOf(mapper.Inventory))
}

// stockOf finds the keys of the stock of products.
func (s *Store) stockOf(ctx context.Context, environment string, remoteIDs, brandIDs []string) ([]mapper.Key, error) {
	rows, err := s.pool.Query(ctx, `
        with k as (
            select $1::text as environment, kind from unnest(array[$4, $5]::text[]) as k(kind)
        ), i as materialized (
            select k.*, id from k cross join unnest($2::text[]) as i(id)
        ), b as materialized (
            select k.*, name from k cross join unnest($3::text[]) as b(name)
        ), named as materialized (
            select o.environment, $4::text as kind, o.key from i join objects o
                on (o.environment, o.kind, o.remote_id) = (i.environment, i.kind, i.id) and o.remote_id <> ''
            union select o.environment, $4::text, o.key from b join objects o
                on (o.environment, o.kind, o.remote_key) = (b.environment, b.kind, b.name) and o.remote_key <> ''
            union select o.environment, $4::text, o.key from b join objects o
                on (o.environment, o.kind, o.stored_key) = (b.environment, b.kind, b.name) and o.stored_key <> o.remote_key and o.stored_key <> ''
        )
        select t.key from named n join objects t on (t.environment, t.kind, t.key) = (n.environment, n.kind, n.key) order by t.key`, environment, remoteIDs, brandIDs, mapper.Stock, mapper.Product)
	if err != nil {
		return nil, fmt.Errorf("find the stock of %d products: %w", len(remoteIDs)+len(brandIDs), err)
	}
	var keys []mapper.Key
	for rows.Next() {
		var key mapper.Key
		if err := rows.Scan(&key); err != nil {
			rows.Close()
			return nil, fmt.Errorf("read a stock key: %w", err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find the stock of products: %w", err)
	}
	return keys, nil
}

// Learn records an object that came into being beside the delivery loop, such as an order that buyers placed: its names
// and identity. It keeps the parts that are there, never touches a lease, and releases who waits for it. // I12
func (s *Store) Learn(ctx context.Context, o Object) error {
	identity := o.Identity
	if identity == nil {
		identity = map[string]string{}
	}
	_, err := s.pool.Exec(ctx, `
        with hit as materialized (
            select environment, flow, key from waiting where parents && array[$2 || ':' || $3]
        ), learned as (
            insert into objects as o (environment, kind, key, known, remote_id, remote_key, stored_key, identity)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (environment, kind, key) do update set known = o.known or excluded.known,
                remote_id = case when excluded.remote_id <> '' then excluded.remote_id else o.remote_id end,
                remote_key = case when excluded.remote_key <> '' then excluded.remote_key else o.remote_key end,
                stored_key = case when excluded.stored_key <> '' then excluded.stored_key else o.stored_key end,
                identity = o.identity || excluded.identity
        ), released as (
            insert into requests as r (environment, flow, key, reason, rank)
            select environment, flow, key, 'released', `+rankOfFlow+` from hit
            where $4 and environment = $1 order by flow, key
            on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = 0
            returning flow
        )
        select count(pg_notify($9, $1 || '|' || flow)) from released`,
		o.Environment, string(o.Kind), string(o.Key), o.Known, o.RemoteID, o.RemoteKey, o.StoredKey, identity, s.channel())
	if err != nil {
		return fmt.Errorf("learn of %s %q: %w", o.Kind, o.Key, err)
	}
	return nil
}

// Move gives the identity of one object to another of the same kind, in one statement: a key change that keeps its
// brand_id is an update of the same object. The taker must be owned by the caller with the given token. It returns the
// taker as it is now, or false if the giver is leased by someone else or has nothing to give.
func (s *Store) Move(ctx context.Context, from ObjectID, to Object, fromToken int64) (Object, bool, error) {
	rows, err := s.pool.Query(ctx, `
        with g as (
            select * from objects where (environment, kind, key) = ($1, $2, $3) and known
                and (lease_until is null or lease_until <= clock_timestamp() or token = $6) for update
        ), t as (
            select key from objects where (environment, kind, key) = ($1, $2, $4) and token = $5 for update
        ), gave as (
            update objects o set known = false, remote_id = '', remote_key = '', stored_key = '', identity = '{}', parts = '{}', hashes = '{}', part_at = '{}'
            from g, t where (o.environment, o.kind, o.key) = ($1, $2, $3)
        ), bod as (
            update bodies b set key = $4 from g, t where (b.environment, b.kind, b.key) = ($1, $2, $3)
                and not exists (select from bodies x where (x.environment, x.kind, x.key, x.part) = ($1, $2, $4, b.part))
        ), o as (
            update objects o set known = true, remote_id = g.remote_id, remote_key = g.remote_key, stored_key = g.stored_key, identity = g.identity,
                parts = g.parts, hashes = g.hashes, part_at = g.part_at
            from g, t where (o.environment, o.kind, o.key) = ($1, $2, $4)
            returning o.*
        )
        select o.key, `+objectColumns+` from o`, from.Environment, from.Kind, from.Key, to.Key, to.Token, fromToken)
	if err != nil {
		return to, false, fmt.Errorf("move the identity of %s %q to %q: %w", from.Kind, from.Key, to.Key, err)
	}
	defer rows.Close()
	if !rows.Next() {
		return to, false, rows.Err()
	}
	_, moved, err := scanObject(rows, from.Environment)
	if err != nil {
		return to, false, err
	}
	moved.InDoubt = to.InDoubt
	return moved, true, rows.Err()
}

const (
	stockPassStep = time.Minute
	// stockRounds is how often all stock is looked over in a pass, stockRested which part of a pass a figure may rest: one that was
	// written a moment ago, as in a first load, is not written again, and none is older than a pass.
	stockRounds = 4
	stockRested = 0.7
)

// RollStock takes the next step of a rolling pass over all stock at NuORDER: about once a minute it looks over the next few objects and
// marks those in doubt that were not written for most of a pass, so that each is written again within a pass. It spreads the work evenly,
// works across instances, and returns how many it marked.
func (s *Store) RollStock(ctx context.Context, environment string, pass time.Duration) (int, error) {
	var after string
	var total int64
	err := s.pool.QueryRow(ctx, `
        insert into portals as p (environment, stock_due) values ($1, now() + make_interval(secs => $2))
        on conflict (environment) do update set stock_due = excluded.stock_due where p.stock_due <= now()
        returning stock_after, stock_total`, environment, stockPassStep.Seconds()).Scan(&after, &total)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil // another instance took the step
	}
	if err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	if after == "" {
		err := s.pool.QueryRow(ctx, "select count(*) from objects where environment = $1 and kind = $2 and known", environment, mapper.Stock).Scan(&total)
		if err != nil {
			return 0, fmt.Errorf("count the stock: %w", err)
		}
	}
	steps := max(int64(pass/stockRounds/stockPassStep), 1)
	limit := (total + steps - 1) / steps
	rows, err := s.pool.Query(ctx, `
        select key, coalesce(part_at[array_position(parts, 'stock')], '-infinity') < now() - make_interval(secs => $5)
        from objects where environment = $1 and kind = $2 and key > $3 and known order by key limit $4`,
		environment, mapper.Stock, after, limit, stockRested*pass.Seconds())
	if err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	var keys []mapper.Key
	var key mapper.Key
	var due bool
	looked := int64(0)
	_, err = pgx.ForEachRow(rows, []any{&key, &due}, func() error {
		if looked++; due {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	next := ""
	if looked == limit && limit > 0 {
		next = string(key)
	}
	if err := s.doubt(ctx, environment, mapper.Inventory, keys, "daily_pass", RankBulk); err != nil {
		return 0, err
	}
	if _, err := s.pool.Exec(ctx, "update portals set stock_after = $2, stock_total = $3 where environment = $1", environment, next, total); err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	return len(keys), nil
}
