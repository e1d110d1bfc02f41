package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/fault"
)

// ErrMoved tells that a row was no longer as the mover had read it, or that the mover is no longer the active poller.
// Whoever gets it reads the row again.
var ErrMoved = errors.New("the order's row was moved by someone else")

// Move changes a row by compare-and-set on its version. Zero fields of the pointer kind leave the column as it is.
type Move struct {
	// To is the new state; empty keeps the state.
	To IntentState
	// Step names what happened, for the history; Detail tells it in words without personal data.
	Step, Detail string
	// Fence, if not zero, must be that of the active poller.
	Fence int64
	Owner string

	Attempts, Searches, Failures      *int
	Number, OMSNumber, Order, Changed *string
	BodyHash                          []byte
	Code, Reason                      string
	// DueIn sets when the poller looks again, from the database's clock; nil clears it, unless Due is set: then it stays.
	DueIn *time.Duration
	Due   bool
	// SettleIn moves the end of the settle window, from the database's clock; never back, unless SettleExact is set.
	SettleIn    *time.Duration
	SettleExact bool
	// Lost sets the moment of the lost answer, once.
	Lost bool
}

// In gives a pointer, for the optional fields of a Move.
func In[T any](v T) *T { return &v }

// Move applies m to the row as it was read, writes the history and gives the new row. It fails with ErrMoved when the row has
// moved meanwhile or a poller with a newer fencing number is active.
func (l *Intents) Move(ctx context.Context, i *Intent, m Move) (*Intent, error) {
	found, err := l.query(ctx, "move order intent", `with moved as (
		update order_intents set
			state = case when $4 = '' then state else $4 end,
			state_at = case when $4 in ('', state) then state_at else clock_timestamp() end,
			created_at = case when $4 = 'CREATED' then coalesce(created_at, clock_timestamp()) else created_at end,
			version = version + 1, listed = false,
			owner = case when $6::bigint = 0 then owner else $5 end,
			fence = case when $6::bigint = 0 then fence else $6 end,
			attempts = coalesce($7, attempts), searches = coalesce($8, searches), failures = coalesce($9, failures),
			order_number = coalesce($10, order_number), oms_number = coalesce($11, oms_number),
			order_body = coalesce($12, order_body), changed_body = coalesce($13, changed_body),
			changed_at = case when $13::text is null then changed_at when $13 = '' then null else clock_timestamp() end,
			body_hash = coalesce($14, body_hash), code = $15, reason = $16,
			due_at = case when $23 then due_at else clock_timestamp() + make_interval(secs => $17::float8) end,
			settle_until = case when $22 then clock_timestamp() + make_interval(secs => $18::float8)
				else greatest(settle_until, clock_timestamp() + make_interval(secs => $18::float8)) end,
			lost_at = case when $19 then coalesce(lost_at, clock_timestamp()) else lost_at end
		where environment = $1 and nuorder_id = $2 and version = $3
			and ($6::bigint = 0 or exists (select from order_pollers p where p.environment = $1 and p.fence = $6))
		returning *
	), told as (
		insert into order_intent_steps (environment, nuorder_id, step, state, detail, trace, owner, fence)
		select environment, nuorder_id, $20, state, $21, trace, $5, $6 from moved
	) select `+intentColumns+` from moved`,
		i.Environment, i.NuORDERID, i.Version, string(m.To), m.Owner, m.Fence, m.Attempts, m.Searches, m.Failures,
		m.Number, m.OMSNumber, m.Order, m.Changed, m.BodyHash, m.Code, m.Reason, seconds(m.DueIn), seconds(m.SettleIn), m.Lost,
		m.Step, m.Detail, m.SettleExact, m.Due)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s of order %s from version %d: %w", m.Step, i.NuORDERID, i.Version, ErrMoved)
	}
	return found[0], nil
}

// seconds gives a duration as PostgreSQL's make_interval takes it.
func seconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	return In(d.Seconds())
}

// Note writes one line into an order's history without moving its row.
func (l *Intents) Note(ctx context.Context, i *Intent, step, detail string) error {
	_, err := l.pool.Exec(ctx, `insert into order_intent_steps (environment, nuorder_id, step, state, detail, trace)
		values ($1, $2, $3, $4, $5, $6)`, i.Environment, i.NuORDERID, step, string(i.State), detail, i.Trace)
	if err != nil {
		return intentErr("note a step of an order", err)
	}
	return nil
}

// Sighting is one id of a status list; Trace begins the order's trace if it is new.
type Sighting struct {
	NuORDERID, Trace string
}

// See writes a row in SEEN for every id that has none, and makes those due that were withdrawn or have been imported, since an
// order that is listed again may have changed. It gives the ids that are new.
func (l *Intents) See(ctx context.Context, environment string, fence int64, owner string, listed []Sighting) ([]string, error) {
	ids, traces := make([]string, len(listed)), make([]string, len(listed))
	for n, s := range listed {
		ids[n], traces[n] = s.NuORDERID, s.Trace
	}
	rows, err := l.pool.Query(ctx, `with listed as (
		select * from unnest($2::text[], $3::text[]) as t(id, trace)
	), fresh as (
		insert into order_intents (environment, nuorder_id, state, due_at, trace)
		select $1, id, 'SEEN', clock_timestamp(), trace from listed
		where exists (select from order_pollers p where p.environment = $1 and p.fence = $4)
		on conflict do nothing
		returning nuorder_id, trace
	), told as (
		insert into order_intent_steps (environment, nuorder_id, step, state, trace, owner, fence)
		select $1, nuorder_id, 'seen', 'SEEN', trace, $5, $4 from fresh
	), again as (
		update order_intents set due_at = clock_timestamp(), listed = true, version = version + 1
		where environment = $1 and nuorder_id in (select id from listed)
			and state in ('WITHDRAWN', 'MARKED', 'NUMBERED') and changed_at is null
			and (due_at is null or due_at > clock_timestamp())
	) select nuorder_id from fresh`, environment, ids, traces, fence, owner)
	if err != nil {
		return nil, intentErr("write seen orders", err)
	}
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, intentErr("write seen orders", err)
	}
	return fresh, nil
}

// Proof is what an event of the OMS order tells about the create of its reference.
type Proof struct {
	Environment, NuORDERID, OMSNumber string
	// By names who saw it, such as the change stream or the audit; Trace is used if the order has no row.
	By, Trace string
}

// Prove takes the sight of an OMS order with our reference as proof of its create: whatever stands before CREATED moves there by
// compare-and-set, also without any row. A second OMS number for one reference is recorded as a double, which is an alert,
// and leaves the row. The row as it stands afterwards is given. // I4
func (l *Intents) Prove(ctx context.Context, p Proof) (*Intent, error) {
	for range 10 {
		i, err := l.Get(ctx, p.Environment, p.NuORDERID)
		if err != nil {
			return nil, err
		}
		switch {
		case i == nil:
			if err := l.insertProven(ctx, p); err != nil {
				return nil, err
			}
			continue
		case i.OMSNumber == p.OMSNumber && i.State.Imported():
			return i, nil
		case i.State.Imported():
			return i, l.Double(ctx, i, p.OMSNumber, p.By)
		case i.State == Quarantined && (i.Code == CodeDoubled || i.Code == CodeDiffers):
			return i, nil // which OMS order it is, is the very question that a person was asked
		}
		moved, err := l.Move(ctx, i, Move{
			To: Created, Step: "proved", Detail: "OMS order " + p.OMSNumber + " seen by " + p.By,
			OMSNumber: &p.OMSNumber, Failures: In(0), DueIn: In(time.Duration(0)),
		})
		if errors.Is(err, ErrMoved) {
			continue
		}
		return moved, err
	}
	return nil, fault.New(fault.Retry, "order_contended", "prove order %s: its row keeps moving", p.NuORDERID)
}

// insertProven writes the row of an order which the OMS has and the log does not, such as after the log was restored.
func (l *Intents) insertProven(ctx context.Context, p Proof) error {
	_, err := l.pool.Exec(ctx, `with fresh as (
		insert into order_intents (environment, nuorder_id, state, oms_number, due_at, created_at, trace)
		values ($1, $2, 'CREATED', $3, clock_timestamp(), clock_timestamp(), $5)
		on conflict do nothing returning *
	) insert into order_intent_steps (environment, nuorder_id, step, state, detail, trace)
	select environment, nuorder_id, 'proved', state, 'OMS order ' || $3 || ' seen by ' || $4 || ' without a row', trace from fresh`,
		p.Environment, p.NuORDERID, p.OMSNumber, p.By, p.Trace)
	if err != nil {
		return intentErr("write a proven order", err)
	}
	return nil
}

// Double records an OMS order beyond the first under one reference.
func (l *Intents) Double(ctx context.Context, i *Intent, number, by string) error {
	_, err := l.pool.Exec(ctx, `with fresh as (
		insert into order_doubles (environment, nuorder_id, oms_number, found_by) values ($1, $2, $3, $4)
		on conflict do nothing returning *
	) insert into order_intent_steps (environment, nuorder_id, step, state, detail, trace)
	select environment, nuorder_id, 'doubled', $5, 'second OMS order ' || oms_number || ' beside ' || $6 || ', seen by ' || found_by, $7
	from fresh`, i.Environment, i.NuORDERID, number, by, string(i.State), i.OMSNumber, i.Trace)
	if err != nil {
		return intentErr("record a doubled order", err)
	}
	return nil
}

// Defer moves only the moment at which the poller looks again; the history does not grow.
func (l *Intents) Defer(ctx context.Context, i *Intent, fence int64, wait time.Duration, failures int) error {
	_, err := l.pool.Exec(ctx, `update order_intents set due_at = clock_timestamp() + make_interval(secs => $4), failures = $5,
			version = version + 1, listed = false
		where environment = $1 and nuorder_id = $2 and version = $3
			and exists (select from order_pollers p where p.environment = $1 and p.fence = $6)`,
		i.Environment, i.NuORDERID, i.Version, wait.Seconds(), failures, fence)
	if err != nil {
		return intentErr("defer an order", err)
	}
	return nil
}

// Rest takes the row off the list of what is due; the history does not grow.
func (l *Intents) Rest(ctx context.Context, i *Intent, fence int64) error {
	_, err := l.pool.Exec(ctx, `update order_intents set due_at = null, failures = 0, listed = false, version = version + 1
		where environment = $1 and nuorder_id = $2 and version = $3
			and exists (select from order_pollers p where p.environment = $1 and p.fence = $4)`,
		i.Environment, i.NuORDERID, i.Version, fence)
	if err != nil {
		return intentErr("rest an order", err)
	}
	return nil
}

// Remind makes a row due at once; listed tells that NuORDER lists the order as not imported.
func (l *Intents) Remind(ctx context.Context, i *Intent, listed bool) error {
	_, err := l.pool.Exec(ctx, `update order_intents set due_at = clock_timestamp(), listed = listed or $4, version = version + 1
		where environment = $1 and nuorder_id = $2 and version = $3`, i.Environment, i.NuORDERID, i.Version, listed)
	if err != nil {
		return intentErr("make an order due", err)
	}
	return nil
}

// Absent makes those orders due at once that no list shows any more and that are not in the OMS yet: they were withdrawn, or someone
// else took them.
func (l *Intents) Absent(ctx context.Context, environment string, fence int64, listed []string) error {
	_, err := l.pool.Exec(ctx, `update order_intents set due_at = clock_timestamp(), version = version + 1
		where environment = $1 and state in ('SEEN', 'HELD') and due_at > clock_timestamp() and not nuorder_id = any($2)
			and exists (select from order_pollers p where p.environment = $1 and p.fence = $3)`, environment, listed, fence)
	if err != nil {
		return intentErr("make absent orders due", err)
	}
	return nil
}

// Codes of questions to a person which an event does not answer.
const (
	CodeDoubled = "doubled" // several OMS orders carry the reference
	CodeDiffers = "differs" // the OMS order that carries it is another order
)

// Codes that keep a row from being looked at again because NuORDER shows it cancelled.
const (
	// CodeCancelledByOMS marks an order that the bridge itself cancelled at NuORDER.
	CodeCancelledByOMS = "cancelled_by_oms"
	// CodeReleased marks an order of which a person decided that the OMS's version stands.
	CodeReleased = "released"
)

// Watch makes imported orders due that a list shows in a status that someone else must have set.
func (l *Intents) Watch(ctx context.Context, environment string, fence int64, listed []string) error {
	_, err := l.pool.Exec(ctx, `update order_intents set due_at = clock_timestamp(), listed = true, version = version + 1
		where environment = $1 and nuorder_id = any($2) and state in ('CREATED', 'MARKED', 'NUMBERED') and changed_at is null
			and code not in ($4, $5)
			and exists (select from order_pollers p where p.environment = $1 and p.fence = $3)`,
		environment, listed, fence, CodeCancelledByOMS, CodeReleased)
	if err != nil {
		return intentErr("look at watched orders", err)
	}
	return nil
}

// CancelledByOMS writes that the bridge is about to cancel an imported order at NuORDER; orders born in the OMS have no row.
func (l *Intents) CancelledByOMS(ctx context.Context, environment, nuorderID string) error {
	_, err := l.pool.Exec(ctx, `update order_intents set code = $3, reason = '', version = version + 1
		where environment = $1 and nuorder_id = $2 and code <> $3`, environment, nuorderID, CodeCancelledByOMS)
	if err != nil {
		return intentErr("write a cancel by the OMS", err)
	}
	return nil
}
