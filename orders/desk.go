package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Desk is what a person does with single orders. It needs no running poller: the active one, wherever it runs, goes on with what
// was decided here.
type Desk struct {
	intents     *ledger.Intents
	environment string
	who         string
}

// NewDesk makes the desk of an environment; who is kept in the history of what is decided.
func NewDesk(l *ledger.Intents, environment, who string) *Desk {
	return &Desk{intents: l, environment: environment, who: who}
}

// Poll asks the active poller, wherever it runs, to poll at once. It does not wait for it.
func (d *Desk) Poll(ctx context.Context) error { return d.intents.AskPoll(ctx, d.environment) }

// SettleDouble closes the alert of a second OMS order, once it is cancelled in the OMS, with a reason that is kept.
func (d *Desk) SettleDouble(ctx context.Context, name, omsNumber, reason string) error {
	if reason == "" {
		return fault.New(fault.Reject, "reason_missing", "settle a double: expected a reason, which is kept")
	}
	_, id, err := d.find(ctx, name)
	if err != nil {
		return err
	}
	return d.intents.SettleDouble(ctx, d.environment, id, omsNumber, "by "+d.who+": "+reason)
}

// Summary is the state of all orders: counts with the age of the oldest, and what waits for a person.
type Summary struct {
	Counts  []ledger.IntentCount
	Changed []*ledger.Intent
	Doubles []ledger.Double
}

// Summary counts the orders by state and lists what waits for a person.
func (d *Desk) Summary(ctx context.Context) (*Summary, error) {
	var s Summary
	var err error
	if s.Counts, err = d.intents.CountIntents(ctx, d.environment); err != nil {
		return nil, err
	}
	if s.Changed, err = d.intents.ChangedOrders(ctx, d.environment, 1000); err != nil {
		return nil, err
	}
	if s.Doubles, err = d.intents.Doubles(ctx, d.environment); err != nil {
		return nil, err
	}
	return &s, nil
}

// List gives orders in some states, those longest in their state first; all states if none is named.
func (d *Desk) List(ctx context.Context, states []ledger.IntentState, limit int) ([]*ledger.Intent, error) {
	return d.intents.List(ctx, d.environment, states, limit)
}

// Story is one order with everything that happened to it.
type Story struct {
	Order *ledger.Intent // nil for an order that was born in the OMS
	Steps []ledger.IntentStep
}

// Show gives the story of an order, named by NuORDER _id, by the reference in the OMS, or by the OMS's number.
func (d *Desk) Show(ctx context.Context, name string) (*Story, error) {
	i, id, err := d.find(ctx, name)
	if err != nil {
		return nil, err
	}
	steps, err := d.intents.History(ctx, d.environment, id)
	if err != nil {
		return nil, err
	}
	if i == nil && len(steps) == 0 {
		return nil, notThere(name)
	}
	return &Story{Order: i, Steps: steps}, nil
}

func notThere(name string) error {
	return &fault.Error{
		Kind: fault.Reject, Code: "no_such_order", Err: fmt.Errorf("there is no order %q in the log", name),
		Hint: "name it by NuORDER _id, by reference or by OMS number",
	}
}

// find resolves a name to a row and an _id.
func (d *Desk) find(ctx context.Context, name string) (*ledger.Intent, string, error) {
	id := name
	if rest, ours := cutReference(name, d.environment); ours {
		id = rest
	}
	i, err := d.intents.Get(ctx, d.environment, id)
	if err != nil || i != nil {
		return i, id, err
	}
	if i, err = d.intents.ByOMSNumber(ctx, d.environment, name); err != nil {
		return nil, "", err
	}
	if i != nil {
		return i, i.NuORDERID, nil
	}
	return nil, id, nil
}

func cutReference(name, environment string) (string, bool) {
	prefix := environment + ":"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

// Adopt takes an OMS order as the one that was created, on a person's word. The next steps follow by themselves.
func (d *Desk) Adopt(ctx context.Context, name, omsNumber, reason string) (*ledger.Intent, error) {
	if omsNumber == "" || reason == "" {
		return nil, fault.New(fault.Reject, "reason_missing", "adopt an order: expected an OMS number and a reason")
	}
	return d.decide(ctx, name, func(i *ledger.Intent) (ledger.Move, error) {
		switch i.State {
		case ledger.Seen, ledger.Held, ledger.Ambiguous, ledger.Quarantined, ledger.Withdrawn:
		default:
			return ledger.Move{}, wrongState("adopt an OMS number", i)
		}
		return ledger.Move{
			To: ledger.Created, Step: "adopted by hand", Detail: "OMS order " + omsNumber + " by " + d.who + ": " + reason,
			OMSNumber: &omsNumber, Failures: ledger.In(0), DueIn: ledger.In(time.Duration(0)),
		}, nil
	})
}

// Release sends an order on its way again, with a reason that is kept: out of quarantine it may be created again; a change that was
// seen after the create is set aside and the OMS's version stands.
func (d *Desk) Release(ctx context.Context, name, reason string) (*ledger.Intent, error) {
	if reason == "" {
		return nil, fault.New(fault.Reject, "reason_missing", "release an order: expected a reason, which is kept")
	}
	return d.decide(ctx, name, func(i *ledger.Intent) (ledger.Move, error) {
		m := ledger.Move{
			Step: "released", Detail: "by " + d.who + ": " + reason, Failures: ledger.In(0), Searches: ledger.In(0),
			DueIn: ledger.In(time.Duration(0)),
		}
		switch {
		case !i.ChangedAt.IsZero():
			m.Changed, m.Code = ledger.In(""), ledger.CodeReleased
			if i.State == ledger.Numbered {
				m.DueIn = nil
			}
		case i.State == ledger.Quarantined, i.State == ledger.Held:
			m.To, m.Attempts = ledger.Seen, ledger.In(0)
		default:
			return ledger.Move{}, wrongState("release it", i)
		}
		return m, nil
	})
}

// Withdraw ends the way of an order that shall not be created, with a reason that is kept.
func (d *Desk) Withdraw(ctx context.Context, name, reason string) (*ledger.Intent, error) {
	if reason == "" {
		return nil, fault.New(fault.Reject, "reason_missing", "withdraw an order: expected a reason, which is kept")
	}
	return d.decide(ctx, name, func(i *ledger.Intent) (ledger.Move, error) {
		if i.State != ledger.Quarantined && i.State != ledger.Held && i.State != ledger.Seen {
			return ledger.Move{}, wrongState("withdraw it", i)
		}
		return ledger.Move{To: ledger.Withdrawn, Step: "withdrawn by hand", Detail: "by " + d.who + ": " + reason, Code: codeByHand, Reason: reason}, nil
	})
}

// codeByHand marks an order that a person has withdrawn: it stays so, however long NuORDER lists it.
const codeByHand = "by_hand"

func wrongState(what string, i *ledger.Intent) error {
	return fault.New(fault.Reject, "wrong_state", "order %s is %s: nobody needs to %s", i.NuORDERID, i.State, what)
}

// decide reads the row, asks what to do and moves it; a row that moves meanwhile is read again.
func (d *Desk) decide(ctx context.Context, name string, decision func(i *ledger.Intent) (ledger.Move, error)) (*ledger.Intent, error) {
	for range 5 {
		i, _, err := d.find(ctx, name)
		if err != nil {
			return nil, err
		}
		if i == nil {
			return nil, notThere(name)
		}
		m, err := decision(i)
		if err != nil {
			return nil, err
		}
		moved, err := d.intents.Move(ctx, i, m)
		if errors.Is(err, ledger.ErrMoved) {
			continue
		}
		return moved, err
	}
	return nil, fault.New(fault.Retry, "order_contended", "order %q keeps moving: try again", name)
}

// Renumber sends a numbered order back to MARKED with the number that NuORDER shows now, so that it gets the OMS's number again.
func (p *Poller) Renumber(ctx context.Context, i *ledger.Intent, shown string) error {
	_, err := p.Intents.Move(ctx, i, ledger.Move{
		To: ledger.Marked, Step: "number lost", Detail: "NuORDER shows " + shown, Number: &shown, Failures: ledger.In(0),
		DueIn: ledger.In(time.Duration(0)),
	})
	return err
}
