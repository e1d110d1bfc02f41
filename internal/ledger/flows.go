package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// FlowState is what the ledger says about a flow, for all instances.
type FlowState struct {
	Paused       bool
	Code, Reason string
	Since        time.Time
	PausedBy     string
	// Creates, Updates and Archivals were done in this hour.
	Creates, Updates, Archivals int64
	// ParkedKeys and WaitingKeys count keys, not touches. FreshlyParked are those that were parked after the flow was last resumed.
	ParkedKeys, WaitingKeys, FreshlyParked int64
	// Instances is how many loops of the flow are alive.
	Instances int64
}

// FlowState reads the state of a flow.
func (s *Store) FlowState(ctx context.Context, environment string, flow mapper.Flow) (FlowState, error) {
	var f FlowState
	err := s.pool.QueryRow(ctx, `
        select coalesce(f.paused, false), coalesce(f.code, ''), coalesce(f.reason, ''), coalesce(f.since, now()), coalesce(f.paused_by, ''),
            coalesce(c.creates, 0), coalesce(c.updates, 0), coalesce(c.archivals, 0),
            (select count(*) from parked where environment = $1 and flow = $2), (select count(*) from waiting where environment = $1 and flow = $2),
            (select count(*) from parked where environment = $1 and flow = $2 and first_at > coalesce(f.since, '-infinity')),
            (select count(*) from settlers where environment = $1 and flow = $2 and at > now() - interval '10 seconds')
        from (select 1) x left join flows f on f.environment = $1 and f.flow = $2
            left join counters c on c.environment = $1 and c.flow = $2 and c.hour = date_trunc('hour', now())`, environment, flow).
		Scan(&f.Paused, &f.Code, &f.Reason, &f.Since, &f.PausedBy, &f.Creates, &f.Updates, &f.Archivals, &f.ParkedKeys, &f.WaitingKeys, &f.FreshlyParked, &f.Instances)
	if err != nil {
		return f, fmt.Errorf("read the state of %s: %w", flow, err)
	}
	return f, nil
}

// Pausing is why a flow is stopped, and by whom.
type Pausing struct {
	Code, Reason, By string
	// Action and Limit, where an action is given ("create", "update" or "archive"), are a guard: the flow stops only if at least so
	// much is counted in this hour when the pause is written, so that a guard which still knows the counts from before a Resume
	// does not stop the flow again.
	Action string
	Limit  int64
}

// Pause stops a flow in all instances until Resume, and says whether it stands. The first cause stays.
func (s *Store) Pause(ctx context.Context, environment string, flow mapper.Flow, p Pausing) (bool, error) {
	var paused bool
	err := s.pool.QueryRow(ctx, `
        with p as (
            insert into flows as f (environment, flow, paused, code, reason, since, paused_by) select $1, $2, true, $3, $4, now(), $5
                where $7 = '' or exists (select from counters where environment = $1 and flow = $2 and hour = date_trunc('hour', now())
                    and case $7 when 'create' then creates when 'archive' then archivals else updates end >= $8)
            on conflict (environment, flow) do update set paused = true, code = excluded.code, reason = excluded.reason,
                since = excluded.since, paused_by = excluded.paused_by where not f.paused
            returning 1
        ), n as (select pg_notify($6, $1 || '|'))
        select exists (select from p) or exists (select from flows where environment = $1 and flow = $2 and paused) from n`,
		environment, string(flow), p.Code, p.Reason, p.By, s.channel(), p.Action, p.Limit).Scan(&paused)
	if err != nil {
		return false, fmt.Errorf("pause %s: %w", flow, err)
	}
	return paused, nil
}

// Resume lets a paused flow go on; the guards of the hour begin anew.
func (s *Store) Resume(ctx context.Context, environment string, flow mapper.Flow) error {
	_, err := s.pool.Exec(ctx, `
        with f as (update flows set paused = false, code = '', reason = '', since = now() where environment = $1 and flow = $2),
        c as (update counters set creates = 0, updates = 0, archivals = 0 where environment = $1 and flow = $2)
        select pg_notify($3, $1 || '|')`, environment, string(flow), s.channel())
	if err != nil {
		return fmt.Errorf("resume %s: %w", flow, err)
	}
	return nil
}

// ShadowCall is what a flow in shadow would have sent, or one in canary of a key that it leaves out.
type ShadowCall struct {
	Key               mapper.Key
	Action, RemoteKey string
	Body              []byte
	At                time.Time
}

// Shadow stores a call that was not made; the newest per key stays.
func (s *Store) Shadow(ctx context.Context, environment string, flow mapper.Flow, c ShadowCall) error {
	_, err := s.pool.Exec(ctx, `insert into shadow_calls (environment, flow, key, action, remote_key, body) values ($1, $2, $3, $4, $5, $6)
        on conflict (environment, flow, key) do update set action = excluded.action, remote_key = excluded.remote_key, body = excluded.body, at = now()`,
		environment, flow, c.Key, c.Action, c.RemoteKey, append([]byte{}, s.compress(c.Body)...))
	if err != nil {
		return fmt.Errorf("store a shadow call: %w", err)
	}
	return nil
}

// SendShadowed asks the flow for keys whose calls were stored, and forgets the calls. One that an instance in shadow claims is stored again.
func (s *Store) SendShadowed(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key) error {
	if len(keys) == 0 {
		return nil
	}
	err := s.inTurn(ctx, environment, planAnew, `
        with gone as (
            delete from shadow_calls where (environment, flow) = ($1, $2) and key = any($3) returning key
        ), asked as (
            insert into requests as r (environment, flow, key, reason, rank) select $1, $2, key, 'held back by the mode', $4 from gone order by key
            on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), rank = least(r.rank, excluded.rank)
        )
        select pg_notify($5, $1 || '|' || $2) is null`, []any{environment, string(flow), keys, RankBulk, s.channel()}, new(bool))
	if err != nil {
		return fmt.Errorf("ask for %d keys of %s that were in shadow: %w", len(keys), flow, err)
	}
	return nil
}

// ShadowedKeys lists the keys with a stored call in their order, after a key.
func (s *Store) ShadowedKeys(ctx context.Context, environment string, flow mapper.Flow, after mapper.Key, limit int) ([]mapper.Key, error) {
	rows, err := s.pool.Query(ctx, "select key from shadow_calls where environment = $1 and flow = $2 and key > $3 order by key limit $4", environment, flow, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the keys of %s in shadow: %w", flow, err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[mapper.Key])
	if err != nil {
		return nil, fmt.Errorf("list the keys of %s in shadow: %w", flow, err)
	}
	return keys, nil
}

// ShadowCalls lists stored calls of a flow in the order of their keys, after a key.
func (s *Store) ShadowCalls(ctx context.Context, environment string, flow mapper.Flow, after mapper.Key, limit int) ([]ShadowCall, error) {
	rows, err := s.pool.Query(ctx, `select key, action, remote_key, body, at from shadow_calls
        where environment = $1 and flow = $2 and key > $3 order by key limit $4`, environment, flow, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list shadow calls: %w", err)
	}
	defer rows.Close()
	var out []ShadowCall
	for rows.Next() {
		var c ShadowCall
		var packed []byte
		if err := rows.Scan(&c.Key, &c.Action, &c.RemoteKey, &packed, &c.At); err != nil {
			return nil, fmt.Errorf("read a shadow call: %w", err)
		}
		if c.Body, err = s.expand(packed); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
