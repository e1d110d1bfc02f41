package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Report is what an instance last told of itself.
type Report struct {
	Instance string
	// Age is how long ago it was told, by the database's clock.
	Age time.Duration
	// State is JSON.
	State []byte
}

// Report tells what an instance does now. Those that have not been heard of for an hour are forgotten.
func (s *Store) Report(ctx context.Context, instance string, state []byte) error {
	_, err := s.pool.Exec(ctx, `
        with gone as (delete from instance_reports where at < now() - interval '1 hour' and instance <> $1)
        insert into instance_reports (instance, state) values ($1, $2::jsonb) on conflict (instance) do update set state = excluded.state, at = now()`,
		instance, string(state))
	if err != nil {
		return fmt.Errorf("report what the instance does: %w", err)
	}
	return nil
}

// EndReport tells that an instance ends.
func (s *Store) EndReport(ctx context.Context, instance string) error {
	if _, err := s.pool.Exec(ctx, "delete from instance_reports where instance = $1", instance); err != nil {
		return fmt.Errorf("take back the report of the instance: %w", err)
	}
	return nil
}

// Reports gives what the instances told that were heard of within a time, sorted by name.
func (s *Store) Reports(ctx context.Context, within time.Duration) ([]Report, error) {
	rows, err := s.pool.Query(ctx, `select instance, greatest(extract(epoch from now() - at), 0)::float8, state::text from instance_reports
        where at > now() - make_interval(secs => $1) order by instance`, within.Seconds())
	if err != nil {
		return nil, fmt.Errorf("read what the instances report: %w", err)
	}
	reports, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Report, error) {
		var r Report
		var age float64
		var state string
		err := row.Scan(&r.Instance, &age, &state)
		r.Age, r.State = time.Duration(age*float64(time.Second)), []byte(state)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what the instances report: %w", err)
	}
	return reports, nil
}
