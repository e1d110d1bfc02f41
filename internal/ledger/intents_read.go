package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/fault"
)

// IntentStep is one line of an order's history.
type IntentStep struct {
	At           time.Time
	Step, Detail string
	State        IntentState
	Trace, Owner string
	Fence        int64
}

// History lists what happened to an order, oldest first.
func (l *Intents) History(ctx context.Context, environment, nuorderID string) ([]IntentStep, error) {
	rows, err := l.pool.Query(ctx, `select at, step, detail, state, trace, owner, fence from order_intent_steps
		where environment = $1 and nuorder_id = $2 order by id`, environment, nuorderID)
	if err != nil {
		return nil, intentErr("read an order's history", err)
	}
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s IntentStep, err error) {
		return s, row.Scan(&s.At, &s.Step, &s.Detail, &s.State, &s.Trace, &s.Owner, &s.Fence)
	})
	if err != nil {
		return nil, intentErr("read an order's history", err)
	}
	return steps, nil
}

// Double is an OMS order beyond the first under one reference.
type Double struct {
	NuORDERID, OMSNumber, FoundBy string
	FoundAt                       time.Time
	// First is the OMS number that the order's row holds.
	First string
}

// Doubles lists doubles that nobody has settled.
func (l *Intents) Doubles(ctx context.Context, environment string) ([]Double, error) {
	rows, err := l.pool.Query(ctx, `select d.nuorder_id, d.oms_number, d.found_by, d.found_at, coalesce(i.oms_number, '')
		from order_doubles d left join order_intents i using (environment, nuorder_id)
		where d.environment = $1 and d.settled_at is null order by d.found_at`, environment)
	if err != nil {
		return nil, intentErr("list doubled orders", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Double, err error) {
		return d, row.Scan(&d.NuORDERID, &d.OMSNumber, &d.FoundBy, &d.FoundAt, &d.First)
	})
	if err != nil {
		return nil, intentErr("list doubled orders", err)
	}
	return found, nil
}

// SettleDouble closes a double with the reason a person gave.
func (l *Intents) SettleDouble(ctx context.Context, environment, nuorderID, omsNumber, why string) error {
	tag, err := l.pool.Exec(ctx, `update order_doubles set settled_at = clock_timestamp(), settled_why = $4
		where environment = $1 and nuorder_id = $2 and oms_number = $3 and settled_at is null`, environment, nuorderID, omsNumber, why)
	if err != nil {
		return intentErr("settle a doubled order", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Reject, "no_such_double", "order %s has no open double %s", nuorderID, omsNumber)
	}
	return nil
}

// List gives the orders in some states, all if none is named, those longest in their state first.
func (l *Intents) List(ctx context.Context, environment string, states []IntentState, limit int) ([]*Intent, error) {
	names := make([]string, len(states))
	for n, s := range states {
		names[n] = string(s)
	}
	return l.query(ctx, "list orders", `select `+intentColumns+` from order_intents
		where environment = $1 and (cardinality($2::text[]) = 0 or state = any($2)) order by state_at, nuorder_id limit $3`,
		environment, names, limit)
}

// Page gives the orders by _id, those after a given one, for walks over all of them.
func (l *Intents) Page(ctx context.Context, environment, after string, limit int) ([]*Intent, error) {
	return l.query(ctx, "walk over orders", `select `+intentColumns+` from order_intents
		where environment = $1 and nuorder_id > $2 order by nuorder_id limit $3`, environment, after, limit)
}

// Known tells which of the _ids have a row, or were created at NuORDER by the bridge.
func (l *Intents) Known(ctx context.Context, environment string, ids []string) (map[string]bool, error) {
	rows, err := l.pool.Query(ctx, `select nuorder_id from order_intents where environment = $1 and nuorder_id = any($2)
		union select nuorder_id from order_creations where environment = $1 and nuorder_id = any($2)`, environment, ids)
	if err != nil {
		return nil, intentErr("ask which orders are known", err)
	}
	known := map[string]bool{}
	var id string
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { known[id] = true; return nil }); err != nil {
		return nil, intentErr("ask which orders are known", err)
	}
	return known, nil
}

// ChangedOrders lists the orders of which another version was seen after the create.
func (l *Intents) ChangedOrders(ctx context.Context, environment string, limit int) ([]*Intent, error) {
	return l.query(ctx, "list changed orders", `select `+intentColumns+` from order_intents
		where environment = $1 and changed_at is not null order by changed_at, nuorder_id limit $2`, environment, limit)
}

// CountOpenQuestions counts the orders changed after their import and the doubles that nobody has settled.
func (l *Intents) CountOpenQuestions(ctx context.Context, environment string) (changed, doubled int64, err error) {
	err = l.pool.QueryRow(ctx, `select (select count(*) from order_intents where environment = $1 and changed_at is not null),
		(select count(*) from order_doubles where environment = $1 and settled_at is null)`, environment).Scan(&changed, &doubled)
	if err != nil {
		return 0, 0, intentErr("count what waits for a person", err)
	}
	return changed, doubled, nil
}

// IntentCount is how many orders stand in a state and the age of the oldest.
type IntentCount struct {
	State  IntentState
	Count  int64
	Oldest time.Duration
}

// CountIntents counts the orders by state, with the age of the oldest in each.
func (l *Intents) CountIntents(ctx context.Context, environment string) ([]IntentCount, error) {
	rows, err := l.pool.Query(ctx, `select state, count(*), extract(epoch from clock_timestamp() - min(state_at))::float8
		from order_intents where environment = $1 group by state`, environment)
	if err != nil {
		return nil, intentErr("count orders", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c IntentCount, err error) {
		var age float64
		err = row.Scan(&c.State, &c.Count, &age)
		c.Oldest = time.Duration(age * float64(time.Second))
		return c, err
	})
	if err != nil {
		return nil, intentErr("count orders", err)
	}
	return found, nil
}

// OpenOrders gives the NuORDER orders that are approved and not yet in the OMS as JSON: their lines are promised, though the
// OMS does not count them yet.
func (l *Intents) OpenOrders(ctx context.Context, environment string) ([]string, error) {
	rows, err := l.pool.Query(ctx, `select order_body from order_intents where environment = $1
		and state in ('SEEN', 'HELD', 'INTENT', 'AMBIGUOUS', 'QUARANTINED') and order_body <> ''`, environment)
	if err != nil {
		return nil, intentErr("list open orders", err)
	}
	bodies, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, intentErr("list open orders", err)
	}
	return bodies, nil
}

// PollerState is who polls an environment, and when.
type PollerState struct {
	Owner string
	Fence int64
	// Taken is when the owner became the active one; Polled when the last poll began, Asked when one was last asked for: zero
	// if never.
	Taken, Polled, Asked time.Time
}

// PollerState tells who polls an environment; nil if nobody ever did.
func (l *Intents) PollerState(ctx context.Context, environment string) (*PollerState, error) {
	var s PollerState
	err := l.pool.QueryRow(ctx, `select owner, fence, taken_at, coalesce(polled_at, 'epoch'), coalesce(asked_at, 'epoch')
		from order_pollers where environment = $1`, environment).Scan(&s.Owner, &s.Fence, &s.Taken, &s.Polled, &s.Asked)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, intentErr("read who polls", err)
	}
	for _, t := range []*time.Time{&s.Polled, &s.Asked} {
		if t.Unix() == 0 {
			*t = time.Time{}
		}
	}
	return &s, nil
}

// Forget drops what buyers ordered from rows that have long been at rest: the OMS and NuORDER have it. It gives how many.
func (l *Intents) Forget(ctx context.Context, environment string, after time.Duration) (int64, error) {
	tag, err := l.pool.Exec(ctx, `update order_intents set order_body = '' where environment = $1 and order_body <> ''
		and state in ('NUMBERED', 'WITHDRAWN') and changed_at is null and state_at < clock_timestamp() - make_interval(secs => $2)`,
		environment, after.Seconds())
	if err != nil {
		return 0, intentErr("forget old orders", err)
	}
	return tag.RowsAffected(), nil
}
