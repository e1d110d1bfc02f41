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

const doubtSQL = `
with l as (
    select key from objects where environment = $1 and kind = $3 and key = any($5) order by key for update
), marked as (
    update objects o set doubt = case when $4 = any(doubt) then doubt else doubt || $4::text end, doubt_seq = doubt_seq + 1
    from l where (o.environment, o.kind, o.key) = ($1, $3, l.key)
), asked as (
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
	err := s.inTurn(ctx, environment, doubtSQL, []any{environment, flow, flow.Kind(), PartOf(flow), keys, reason, rank, s.channel()}, new(bool))
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
        select distinct t.key from objects t where t.environment = $1 and t.kind = $4 and (
            t.key in (select p.key from objects p where p.environment = $1 and p.kind = $5
                and (p.remote_id <> '' and p.remote_id = any($2) or p.remote_key <> '' and p.remote_key = any($3)
                    or p.stored_key <> '' and p.stored_key <> p.remote_key and p.stored_key = any($3)))
            or t.remote_id <> '' and t.remote_id = any($2) or t.remote_key <> '' and t.remote_key = any($3)
            or t.stored_key <> '' and t.stored_key <> t.remote_key and t.stored_key = any($3))
        order by t.key`, environment, remoteIDs, brandIDs, mapper.Stock, mapper.Product)
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
        with learned as (
            insert into objects as o (environment, kind, key, known, remote_id, remote_key, stored_key, identity)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (environment, kind, key) do update set known = o.known or excluded.known,
                remote_id = case when excluded.remote_id <> '' then excluded.remote_id else o.remote_id end,
                remote_key = case when excluded.remote_key <> '' then excluded.remote_key else o.remote_key end,
                stored_key = case when excluded.stored_key <> '' then excluded.stored_key else o.stored_key end,
                identity = o.identity || excluded.identity
        ), released as (
            insert into requests as r (environment, flow, key, reason, rank)
            select environment, flow, key, 'released', `+rankOfFlow+` from waiting
            where $4 and environment = $1 and parents && array[$2 || ':' || $3] order by flow, key
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

const stockPassStep = time.Minute

// RollStock takes the next step of a rolling pass over all stock at NuORDER: about once a minute the next few objects are
// marked in doubt, so that each is written again within a pass. It spreads the pass evenly, works across instances, and
// returns how many it marked.
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
	steps := max(int64(pass/stockPassStep), 1)
	limit := (total + steps - 1) / steps
	rows, err := s.pool.Query(ctx, `select key from objects where environment = $1 and kind = $2 and key > $3 and known order by key limit $4`,
		environment, mapper.Stock, after, limit)
	if err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[mapper.Key])
	if err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	next := ""
	if int64(len(keys)) == limit && limit > 0 {
		next = string(keys[len(keys)-1])
	}
	if err := s.doubt(ctx, environment, mapper.Inventory, keys, "daily_pass", RankBulk); err != nil {
		return 0, err
	}
	if _, err := s.pool.Exec(ctx, "update portals set stock_after = $2, stock_total = $3 where environment = $1", environment, next, total); err != nil {
		return 0, fmt.Errorf("roll over the stock: %w", err)
	}
	return len(keys), nil
}
