package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// HashOf is the hash by which bodies are compared.
func HashOf(body []byte) [32]byte { return sha256.Sum256(body) }

// ParkedKey is a key that a person must look at.
type ParkedKey struct {
	Flow mapper.Flow
	Key  mapper.Key
	Cause
	Touches, Attempts int64
	First, Last       time.Time
	Trace             string
}

// ParkedFilter selects parked keys; empty fields select all.
type ParkedFilter struct {
	Flow mapper.Flow
	Code string
	Keys []mapper.Key
	// After and Limit page through the list, which is in the order of flow and key. A zero Limit is 100.
	AfterFlow mapper.Flow
	AfterKey  mapper.Key
	Limit     int
}

const parkedWhere = ` environment = $1 and ($2 = '' or flow = $2) and ($3 = '' or code = $3) and (cardinality($4::text[]) = 0 or key = any($4))`

func (f ParkedFilter) args(environment string) []any {
	keys := f.Keys
	if keys == nil {
		keys = []mapper.Key{}
	}
	return []any{environment, string(f.Flow), f.Code, keys}
}

// ErrNotParked tells that the key is not parked.
var ErrNotParked = errors.New("the key is not parked")

// Parked lists parked keys.
func (s *Store) Parked(ctx context.Context, environment string, f ParkedFilter) ([]ParkedKey, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := s.pool.Query(ctx, `select flow, key, code, field, rule, value, text, violations, touches, attempts, first_at, last_at, trace
        from parked where`+parkedWhere+` and (flow, key) > ($5, $6) order by flow, key limit $7`,
		append(f.args(environment), string(f.AfterFlow), f.AfterKey, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list parked keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ParkedKey, error) {
		var p ParkedKey
		var violations []byte
		err := row.Scan(&p.Flow, &p.Key, &p.Code, &p.Field, &p.Rule, &p.Value, &p.Text, &violations, &p.Touches, &p.Attempts, &p.First, &p.Last, &p.Trace)
		if err == nil {
			err = json.Unmarshal(violations, &p.Violations)
		}
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list parked keys: %w", err)
	}
	return list, nil
}

// ParkedKey reads one parked key; ErrNotParked if it is none.
func (s *Store) ParkedKey(ctx context.Context, environment string, flow mapper.Flow, key mapper.Key) (ParkedKey, error) {
	list, err := s.Parked(ctx, environment, ParkedFilter{Flow: flow, Keys: []mapper.Key{key}})
	if err != nil {
		return ParkedKey{}, err
	}
	if len(list) == 0 {
		return ParkedKey{}, fmt.Errorf("%s %q: %w", flow, key, ErrNotParked)
	}
	return list[0], nil
}

// RetryParked asks for the selected keys to be tried again, all of them whatever Limit says; they stay parked until a
// delivery succeeds. It returns how many were asked for.
func (s *Store) RetryParked(ctx context.Context, environment string, f ParkedFilter) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, `
        with asked as (
            insert into requests as r (environment, flow, key, reason, rank)
            select environment, flow, key, $5, 0 from parked where`+parkedWhere+` order by flow, key
            on conflict (environment, flow, key) do update set seq = r.seq + 1, not_before = now(), reason = excluded.reason, rank = 0
            returning flow
        ), woken as (select count(pg_notify($6, $1 || '|' || flow)) from (select distinct flow from asked) f)
        select count(*) from asked, woken`, append(f.args(environment), ReasonRetry, s.channel())...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("retry parked keys: %w", err)
	}
	return n, nil
}

// CodeKeepsFailing marks keys whose delivery failed many times in a row while others succeeded.
const CodeKeepsFailing = "keeps_failing"

// RetryFailing asks for the keys that kept failing to be tried again, once they were left alone for so long. It returns how
// many.
func (s *Store) RetryFailing(ctx context.Context, environment string, flow mapper.Flow, after time.Duration) (int, error) {
	tag, err := s.pool.Exec(ctx, `
        insert into requests (environment, flow, key, reason, rank)
        select environment, flow, key, $4, 4 from parked
        where environment = $1 and flow = $2 and code = $3 and last_at < now() - make_interval(secs => $5) order by key
        on conflict do nothing`, environment, string(flow), CodeKeepsFailing, ReasonRetry, after.Seconds())
	if err != nil {
		return 0, fmt.Errorf("retry the keys of %s that keep failing: %w", flow, err)
	}
	return int(tag.RowsAffected()), nil
}

// DiscardParked takes the selected keys out of the lot without delivering them; their touches count as filtered, and the
// next change of a key is tried like any other. Who and why are for the caller to record. It returns how many.
func (s *Store) DiscardParked(ctx context.Context, environment string, f ParkedFilter) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, `
        with gone as (
            delete from parked where`+parkedWhere+` returning flow, key, touches
        ), still as (
            delete from waiting w using gone where (w.environment, w.flow, w.key) = ($1, gone.flow, gone.key) returning w.flow, w.touches
        ), ct as (
            update counters c set filtered = c.filtered + t.n
            from (select flow, sum(touches)::bigint as n from (select flow, touches from gone union all select flow, touches from still) x group by flow) t
            where c.environment = $1 and c.flow = t.flow
        )
        select count(*) from gone`, f.args(environment)...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("discard parked keys: %w", err)
	}
	return n, nil
}

// ParkedCount counts parked keys by flow and code.
type ParkedCount struct {
	Flow mapper.Flow
	Code string
	Keys int64
	// Oldest is when the first of them was parked.
	Oldest time.Time
}

// ParkedCounts groups the parked keys of an environment.
func (s *Store) ParkedCounts(ctx context.Context, environment string) ([]ParkedCount, error) {
	rows, err := s.pool.Query(ctx, "select flow, code, count(*), min(first_at) from parked where environment = $1 group by flow, code order by flow, code", environment)
	if err != nil {
		return nil, fmt.Errorf("count parked keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ParkedCount, error) {
		var c ParkedCount
		err := row.Scan(&c.Flow, &c.Code, &c.Keys, &c.Oldest)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count parked keys: %w", err)
	}
	return list, nil
}
