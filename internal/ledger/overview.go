package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// Topics lists the topics of which a flow has taken partitions, sorted.
func (s *Store) Topics(ctx context.Context, environment string, flow mapper.Flow) ([]string, error) {
	rows, err := s.pool.Query(ctx, "select distinct topic from group_checkpoints where environment = $1 and flow = $2 order by topic", environment, flow)
	if err != nil {
		return nil, fmt.Errorf("list the topics of %s: %w", flow, err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the topics of %s: %w", flow, err)
	}
	return topics, nil
}

// Backlog is what a flow still has to do beside what lies in Kafka.
type Backlog struct {
	// Requested keys were asked for and are not settled.
	Requested int64
	// OldestRequest and OldestWaiting are ages, zero when there is none.
	OldestRequest, OldestWaiting time.Duration
	// Settled is when the flow last settled anything; zero if it never did.
	Settled time.Time
}

// Backlog counts the open requests of a flow and tells the ages of what is not done.
func (s *Store) Backlog(ctx context.Context, environment string, flow mapper.Flow) (Backlog, error) {
	var b Backlog
	var request, waiting float64
	var settled *time.Time
	err := s.pool.QueryRow(ctx, `
        select r.n, r.age, w.age, (select settled_at from counters where environment = $1 and flow = $2)
        from (select count(*) as n, coalesce(extract(epoch from now() - min(requested_at)), 0)::float8 as age from requests where environment = $1 and flow = $2) r,
            (select coalesce(extract(epoch from now() - min(since)), 0)::float8 as age from waiting where environment = $1 and flow = $2) w`,
		environment, flow).Scan(&b.Requested, &request, &waiting, &settled)
	if err != nil {
		return b, fmt.Errorf("count the backlog of %s: %w", flow, err)
	}
	b.OldestRequest, b.OldestWaiting = time.Duration(request*float64(time.Second)), time.Duration(waiting*float64(time.Second))
	if settled != nil {
		b.Settled = *settled
	}
	return b, nil
}

// Mark names the ledger: two programs that read the same mark at the same time write to the same tables.
func (s *Store) Mark(ctx context.Context) (string, error) {
	var mark string
	err := s.pool.QueryRow(ctx, `select md5(d.oid || '/' || n.oid || '/' || pg_postmaster_start_time())
        from pg_database d, pg_namespace n where d.datname = current_database() and n.nspname = $1`, s.schema).Scan(&mark)
	if err != nil {
		return "", fmt.Errorf("mark the ledger: %w", err)
	}
	return mark, nil
}

// Requested counts which of the keys are asked for and not settled yet.
func (s *Store) Requested(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key) (int, error) {
	var n int
	err := s.pool.QueryRow(ctx, "select count(*) from requests where environment = $1 and flow = $2 and key = any($3)", environment, flow, keys).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the requests of %s: %w", flow, err)
	}
	return n, nil
}
