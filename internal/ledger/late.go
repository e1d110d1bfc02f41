package ledger

import (
	"context"
	"fmt"
	"time"

	"nubridge/mapper"
)

// Late notes that calls for these keys of a flow got no answer: NuORDER may carry them out within a time, after newer ones. Whatever is
// settled meanwhile, the keys are then sent once more.
func (s *Store) Late(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key, within time.Duration) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, `
        insert into late_calls as c (environment, flow, key, due_at)
        select distinct $1, $2, key, now() + make_interval(secs => $4) from unnest($3::text[]) as k(key) order by key
        on conflict (environment, flow, key) do update set due_at = greatest(c.due_at, excluded.due_at)`,
		environment, flow, keys, within.Seconds())
	if err != nil {
		return fmt.Errorf("note %d calls without an answer: %w", len(keys), err)
	}
	return nil
}

// lateMost bounds what one look takes.
const lateMost = 500

const wakeLateSQL = `
with due as (
    select key from late_calls where environment = $1 and flow = $2 and due_at <= now() order by key limit $8
), gone as (
    delete from late_calls c using due where (c.environment, c.flow, c.key) = ($1, $2, due.key)
), w as materialized (
    select $1::text as environment, $3::text as kind, key from due
), ` + markSQL + `, asked as (
    insert into requests as r (environment, flow, key, reason, rank)
    select $1, $2, key, $5, $6 from due order by key
    on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank),
        reason = case when r.reason in ($9, $10) then r.reason else excluded.reason end
)
select count(*), case when count(*) > 0 then pg_notify($7, $1 || '|' || $2) end is null from due`

// WakeLate marks the keys in doubt whose late calls are over by now, and wakes the flow. It returns how many.
func (s *Store) WakeLate(ctx context.Context, environment string, flow mapper.Flow) (int, error) {
	var some bool
	err := s.pool.QueryRow(ctx, "select exists (select from late_calls where environment = $1 and flow = $2 and due_at <= now())", environment, flow).Scan(&some)
	if err != nil || !some {
		return 0, lateErr(flow, err)
	}
	var n int
	err = s.inTurn(ctx, environment, planAnew, wakeLateSQL, []any{
		environment, flow, flow.Kind(), PartOf(flow), "late call", RankOf(flow), s.channel(), lateMost, ReasonRetry, ReasonNameWanted,
	}, &n, new(bool))
	return n, lateErr(flow, err)
}

func lateErr(flow mapper.Flow, err error) error {
	if err != nil {
		return fmt.Errorf("wake %s for late calls: %w", flow, err)
	}
	return nil
}
