package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// planning says which plan of a statement the server shall use.
type planning string

const (
	// planAnew is a plan for the arguments at hand.
	planAnew planning = "force_custom_plan"
	// planOnce is one plan for all arguments, made for arrays of ten: many would be compared each with each.
	planOnce planning = "force_generic_plan"
)

// inTurn runs one statement that gives one row, alone among the statements of the environment that run so, in one round trip.
// Settlements of several flows touch each other's requests and waiting keys: side by side they could block each other in a
// circle, and a key could begin to wait just after its parent's settlement had looked for it.
// They look at single keys, so the server shall not read a whole table, which it would where it has no statistics of it yet.
func (s *Store) inTurn(ctx context.Context, environment string, plan planning, sql string, args []any, dest ...any) error {
	b := &pgx.Batch{}
	b.Queue("select pg_advisory_xact_lock(hashtextextended($1, 0)), set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', $2, true)",
		s.schema+"|"+environment, string(plan))
	b.Queue(sql, args...)
	results := s.pool.SendBatch(ctx, b)
	_, err := results.Exec()
	if err == nil {
		err = results.QueryRow().Scan(dest...)
	}
	return errors.Join(err, results.Close())
}
