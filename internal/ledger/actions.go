package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Action is something that a person did by hand.
type Action struct {
	At time.Time
	// Who did it, and What, such as parked.discard.
	Who, What, Environment, Flow string
	// Reason is kept as it was given.
	Reason string
	// Detail is JSON: names and counts, no personal data. // I11
	Detail []byte
}

// Record keeps an action; callers record before they act, so that nothing is done that nobody knows of.
func (s *Store) Record(ctx context.Context, a Action) error {
	if len(a.Detail) == 0 {
		a.Detail = []byte("{}")
	}
	_, err := s.pool.Exec(ctx, "insert into actions (who, what, environment, flow, reason, detail) values ($1, $2, $3, $4, $5, $6)",
		a.Who, a.What, a.Environment, a.Flow, a.Reason, a.Detail)
	if err != nil {
		return fmt.Errorf("record %s: %w", a.What, err)
	}
	return nil
}

// Actions lists what was done in an environment, the newest first; an empty what lists all.
func (s *Store) Actions(ctx context.Context, environment, what string, limit int) ([]Action, error) {
	rows, err := s.pool.Query(ctx, `select at, who, what, environment, flow, reason, detail from actions
        where ($1 = '' or environment = $1) and ($2 = '' or what = $2) order by id desc limit $3`, environment, what, limit)
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Action, err error) {
		return a, row.Scan(&a.At, &a.Who, &a.What, &a.Environment, &a.Flow, &a.Reason, &a.Detail)
	})
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	return list, nil
}
