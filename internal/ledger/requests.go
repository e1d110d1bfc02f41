package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// ReasonRetry marks requests that a person made for parked keys: they are tried even if nothing changed.
const ReasonRetry = "retry"

// ReasonNameWanted marks requests for an object whose name at NuORDER another document wants.
const ReasonNameWanted = "name wanted"

// Request is a key that a flow shall look at beside what Kafka brings.
type Request struct {
	Key    mapper.Key
	Reason string
	Rank   int
	// Seq is what a settlement answers.
	Seq int64
	At  time.Time
}

// Request asks a flow to look at keys; asking again while one is open is one request. It works across instances.
func (s *Store) Request(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key, reason string, rank int) error {
	if len(keys) == 0 {
		return nil
	}
	err := s.inTurn(ctx, environment, planAnew, `
        with asked as (
            insert into requests as r (environment, flow, key, reason, rank)
            select $1, $2, key, $4, $5 from unnest($3::text[]) as k(key) order by key
            on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank)
        )
        select pg_notify($6, $1 || '|' || $2) is null`, []any{environment, string(flow), keys, reason, rank, s.channel()}, new(bool))
	if err != nil {
		return fmt.Errorf("request %d keys of %s: %w", len(keys), flow, err)
	}
	return nil
}

// Hold is how long a claim of requests lasts.
type Hold struct {
	// Silent is how long a loop may go without Alive before its claims fall open: it was killed, or is frozen.
	Silent time.Duration
	// Most is when a claim falls open whatever its loop does.
	Most time.Duration
}

// Claim takes up to limit open requests of a flow for the caller, first by rank, then by age. A claim that is neither settled
// nor released falls open again as hold says; what two loops then work on is still one object with one lease.
func (s *Store) Claim(ctx context.Context, environment string, flow mapper.Flow, owner string, limit int, hold Hold) ([]Request, error) {
	rows, err := s.pool.Query(ctx, `
        with due as (
            select environment, flow, key from requests where environment || '|' || flow = $1 || '|' || $2 and not_before <= now()
                and (claimed_until is null or claimed_until < now() or claimed_by not in (
                    select instance from settlers where environment = $1 and flow = $2 and at > now() - make_interval(secs => $6)))
            order by rank, requested_at limit $3 for update skip locked
        )
        update requests r set claimed_until = now() + make_interval(secs => $4), claimed_by = $5 from due
        where (r.environment, r.flow, r.key) = (due.environment, due.flow, due.key)
        returning r.key, r.reason, r.rank, r.seq, r.requested_at`, environment, flow, limit, hold.Most.Seconds(), owner, hold.Silent.Seconds())
	if err != nil {
		return nil, fmt.Errorf("claim requests of %s: %w", flow, err)
	}
	requests, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Request, error) {
		var r Request
		err := row.Scan(&r.Key, &r.Reason, &r.Rank, &r.Seq, &r.At)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim requests of %s: %w", flow, err)
	}
	return requests, nil
}

// Unclaim opens claimed requests again, at the end of a loop.
func (s *Store) Unclaim(ctx context.Context, environment string, flow mapper.Flow, owner string) error {
	_, err := s.pool.Exec(ctx, "update requests set claimed_until = null where environment = $1 and flow = $2 and claimed_by = $3 and claimed_until is not null",
		environment, flow, owner)
	if err != nil {
		return fmt.Errorf("open the requests of %s again: %w", flow, err)
	}
	return nil
}

// SweepWaiting requests waiting keys one of whose parents is known by now, for wake-ups that were missed, and shows those that
// have waited longer than patience among the parked as "parent_never_arrived"; they go on waiting all the same, and the
// parent's delivery still releases them. Parents that have not come within ten seconds are asked for. It returns how many of each.
func (s *Store) SweepWaiting(ctx context.Context, environment string, flow mapper.Flow, patience time.Duration) (released, parked int, err error) {
	var some bool
	if err := s.pool.QueryRow(ctx, "select exists (select from waiting where environment = $1 and flow = $2)", environment, string(flow)).Scan(&some); err != nil || !some {
		return 0, 0, sweepErr(flow, err)
	}
	err = s.inTurn(ctx, environment, planAnew, `
        with w as (
            select environment, flow, key, parents, touches, since, last_at, trace from waiting where environment = $1 and flow = $2
        ), late as (
            select key, parents, trace from w where since < now() - make_interval(secs => $3)
                and not exists (select from parked q where (q.environment, q.flow, q.key) = (w.environment, w.flow, w.key))
        ), ip as (
            insert into parked (environment, flow, key, code, rule, value, text, touches, trace)
            select $1, $2, key, 'parent_never_arrived', 'parent', parents[1],
                'It waited for ' || parents[1] || ', which never came to NuORDER. Look at why that one is missing; this one follows by itself.',
                0, trace from late
            on conflict (environment, flow, key) do nothing
        ), ready as (
            select w.key from w cross join unnest(w.parents) as p(name)
            join objects o on (o.environment, o.kind, o.key) = (w.environment, split_part(p.name, ':', 1), substr(p.name, strpos(p.name, ':') + 1)) and o.known
            union
            select w.key from w cross join unnest(w.parents) as p(name)
            join order_intents i on i.environment = $1 and p.name = 'orders_in:' || i.nuorder_id and i.state in ('MARKED', 'NUMBERED')
        ), rel as (
            insert into requests as r (environment, flow, key, reason, rank)
            select $1, $2, key, 'swept', $5::integer from ready order by key
            on conflict (environment, flow, key) do nothing returning 1
        ), want as (
            insert into requests as r (environment, flow, key, reason, rank)
            select distinct on (t.flow, t.key) $1, t.flow, t.key, 'wanted by ' || $2, $5::integer from (
                select case split_part(p.name, ':', 1) when 'product' then 'products' when 'company' then 'customers' else 'order_creation' end as flow,
                    substr(p.name, strpos(p.name, ':') + 1) as key
                from w cross join unnest(w.parents) as p(name)
                where w.last_at < now() - interval '10 seconds' and w.key not in (select key from ready) and not starts_with(p.name, 'orders_in:')
                    and not exists (select from objects o where (o.environment, o.kind, o.key) =
                        (w.environment, split_part(p.name, ':', 1), substr(p.name, strpos(p.name, ':') + 1)) and o.known)
                limit 1000) t
            order by t.flow, t.key
            on conflict (environment, flow, key) do nothing returning flow
        ), woken as (
            select count(pg_notify($4, $1 || '|' || flow)) as n from (select distinct flow from want) x
        )
        select (select count(*) from rel), (select count(*) from late), 
            case when exists (select from ready) then pg_notify($4, $1 || '|' || $2) end is null, woken.n from woken`,
		[]any{environment, string(flow), patience.Seconds(), s.channel(), RankOf(flow)}, &released, &parked, new(bool), new(int64))
	return released, parked, sweepErr(flow, err)
}

func sweepErr(flow mapper.Flow, err error) error {
	if err != nil {
		return fmt.Errorf("sweep the waiting keys of %s: %w", flow, err)
	}
	return nil
}
