package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/fault"
)

// IntentState is where a NuORDER order stands on its way into the OMS.
type IntentState string

// The states of an order. SEEN, HELD and WITHDRAWN say that no create is under way; INTENT that one may be; AMBIGUOUS that one
// was and its answer is not known.
const (
	Seen        IntentState = "SEEN"
	Held        IntentState = "HELD" // the OMS would refuse it: tried again when what is missing appears
	Intended    IntentState = "INTENT"
	Ambiguous   IntentState = "AMBIGUOUS"
	Created     IntentState = "CREATED"
	Marked      IntentState = "MARKED"
	Numbered    IntentState = "NUMBERED"
	Quarantined IntentState = "QUARANTINED" // a person decides
	Withdrawn   IntentState = "WITHDRAWN"
)

// IntentStates lists the states in the order of the way.
func IntentStates() []IntentState {
	return []IntentState{Seen, Held, Intended, Ambiguous, Created, Marked, Numbered, Quarantined, Withdrawn}
}

// Imported tells whether the OMS is known to have the order.
func (s IntentState) Imported() bool { return s == Created || s == Marked || s == Numbered }

// Intent is one NuORDER order in the intent log.
type Intent struct {
	Environment string
	// NuORDERID is NuORDER's _id: the only name of an order that never changes.
	NuORDERID string
	State     IntentState
	// Version rises with each move; a move names the version it starts from.
	Version int64
	// Owner and Fence are those of the poller that wrote INTENT.
	Owner string
	Fence int64
	// Attempts counts creates that may have reached the OMS; Searches those since the answer was lost.
	Attempts, Searches int
	// Number is NuORDER's order number as last read, OMSNumber the OMS's.
	Number, OMSNumber string
	// BodyHash is of the OMS body that the last create carried.
	BodyHash []byte
	// Order is the NuORDER order that the OMS has or will get, as JSON; Changed another version seen after the create.
	Order, Changed string
	ChangedAt      time.Time
	// Code and Reason tell why it stands where it stands, for the OMS administrator.
	Code, Reason string
	// Failures in a row, for the back-off.
	Failures int
	// Due is when the poller looks again; zero when nothing is to be done.
	Due time.Time
	// Lost is when an answer was lost; a search before Settle proves nothing.
	Lost, Settle time.Time
	// Listed tells that a status list shows an order again that was past it.
	Listed bool
	// Trace is the W3C traceparent of the whole way.
	Trace               string
	SeenAt, At, Created time.Time
	// Now is the database's clock when the row was read.
	Now time.Time
}

// Reference is what the OMS stores as the other system's reference.
func (i *Intent) Reference() string { return Reference(i.Environment, i.NuORDERID) }

// Reference joins environment and NuORDER _id to the reference that is written into the OMS. // I12
func Reference(environment, nuorderID string) string { return environment + ":" + nuorderID }

// Intents is the intent log. Safe for concurrent use.
type Intents struct {
	pool *pgxpool.Pool
}

// NewIntents makes the intent log over a pool whose search_path is the ledger's schema. It touches no network.
func NewIntents(pool *pgxpool.Pool) *Intents { return &Intents{pool: pool} }

const intentColumns = `environment, nuorder_id, state, version, owner, fence, attempts, searches, order_number, oms_number,
	body_hash, order_body, changed_body, coalesce(changed_at, 'epoch'), code, reason, failures, coalesce(due_at, 'epoch'),
	coalesce(lost_at, 'epoch'), coalesce(settle_until, 'epoch'), listed, trace, seen_at, state_at, coalesce(created_at, 'epoch'),
	clock_timestamp()`

// intentRow reads the columns of intentColumns.
func intentRow(row pgx.CollectableRow) (*Intent, error) {
	var i Intent
	err := row.Scan(&i.Environment, &i.NuORDERID, &i.State, &i.Version, &i.Owner, &i.Fence, &i.Attempts, &i.Searches, &i.Number,
		&i.OMSNumber, &i.BodyHash, &i.Order, &i.Changed, &i.ChangedAt, &i.Code, &i.Reason, &i.Failures, &i.Due, &i.Lost,
		&i.Settle, &i.Listed, &i.Trace, &i.SeenAt, &i.At, &i.Created, &i.Now)
	if err != nil {
		return nil, err
	}
	for _, t := range []*time.Time{&i.ChangedAt, &i.Due, &i.Lost, &i.Settle, &i.Created} {
		if t.Unix() == 0 {
			*t = time.Time{}
		}
	}
	return &i, nil
}

// query collects intents.
func (l *Intents) query(ctx context.Context, what, sql string, args ...any) ([]*Intent, error) {
	rows, err := l.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, intentErr(what, err)
	}
	found, err := pgx.CollectRows(rows, intentRow)
	if err != nil {
		return nil, intentErr(what, err)
	}
	return found, nil
}

// Get reads one order's row; nil when there is none.
func (l *Intents) Get(ctx context.Context, environment, nuorderID string) (*Intent, error) {
	found, err := l.query(ctx, "read order intent", `select `+intentColumns+`
		from order_intents where environment = $1 and nuorder_id = $2`, environment, nuorderID)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// ByOMSNumber finds the order that has this OMS number; nil when there is none.
func (l *Intents) ByOMSNumber(ctx context.Context, environment, number string) (*Intent, error) {
	found, err := l.query(ctx, "find order intent", `select `+intentColumns+`
		from order_intents where environment = $1 and oms_number = $2 and oms_number <> '' limit 1`, environment, number)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// Due lists rows the poller must look at, those furthest on their way first: what is due by its time, and every INTENT,
// because an INTENT that nobody in this process works on is unanswered. Rows named in busy are left out.
func (l *Intents) Due(ctx context.Context, environment string, busy []string, limit int) ([]*Intent, error) {
	return l.query(ctx, "list due orders", `select `+intentColumns+`
		from order_intents
		where environment = $1 and (due_at <= clock_timestamp() or state = 'INTENT') and not nuorder_id = any($2)
		order by array_position(array['CREATED', 'MARKED', 'AMBIGUOUS', 'INTENT'], state), due_at, nuorder_id
		limit $3`, environment, busy, limit)
}

// NextDue tells when the earliest row becomes due; zero when none waits.
func (l *Intents) NextDue(ctx context.Context, environment string) (time.Duration, bool, error) {
	var seconds *float64
	err := l.pool.QueryRow(ctx, `select extract(epoch from min(due_at) - clock_timestamp())::float8
		from order_intents where environment = $1 and due_at is not null`, environment).Scan(&seconds)
	if err != nil {
		return 0, false, intentErr("read the next due order", err)
	}
	if seconds == nil {
		return 0, false, nil
	}
	return max(0, time.Duration(*seconds*float64(time.Second))), true, nil
}

// intentErr wraps a database error; the ledger that cannot be reached is tried again.
func intentErr(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &fault.Error{Kind: fault.Retry, Code: "ledger_unavailable", Err: fmt.Errorf("%s: %w", what, err)}
}
