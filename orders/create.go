package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/orders/oms"
)

// bornPrefix begins the external id of the orders that the bridge itself creates at NuORDER, followed by environment and key.
const bornPrefix = "oms:"

// BornID is the external id of an OMS-born order at NuORDER. Orders that carry one are never imported. // I12
func BornID(environment, key string) string { return bornPrefix + environment + ":" + key }

// begin reads an order again, asks whether it may be created and creates it.
func (p *Poller) begin(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	ctx, end := p.span(ctx, i, "orders.create")
	next, err := p.beginIn(ctx, fence, i)
	end(err)
	return next, err
}

func (p *Poller) beginIn(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	o, next, err := p.reread(ctx, fence, i)
	if o == nil {
		return next, err
	}
	draft, err := p.OMS.Draft(oms.Order{Environment: i.Environment, Reference: i.Reference(), JSON: o.JSON})
	if err != nil {
		return p.holdBack(ctx, fence, i, o, fault.CodeOf(err), err.Error())
	}
	problems, err := p.OMS.Check(ctx, draft)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		texts := make([]string, len(problems))
		for n, problem := range problems {
			texts[n] = problem.Text
		}
		return p.holdBack(ctx, fence, i, o, problems[0].Code, strings.Join(texts, "; "))
	}
	if !p.cfg.SkipSearch && p.OMS.CanSearch() {
		found, err := p.OMS.Search(ctx, draft)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return p.adopt(ctx, fence, i, found, "found before the create")
		}
	}
	return p.create(ctx, fence, i, o, draft)
}

// reread reads the order at NuORDER before its create. It gives no order when there is nothing to create; the row then tells why.
func (p *Poller) reread(ctx context.Context, fence int64, i *ledger.Intent) (*Order, *ledger.Intent, error) {
	raw, err := p.Portal.Order(ctx, i.NuORDERID)
	if fault.CodeOf(err) == "not_found" {
		next, err := p.withdraw(ctx, fence, i, nil, "order_gone", "NuORDER no longer knows the order")
		return nil, next, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read order %s: %w", i.NuORDERID, err)
	}
	p.at(PageRead)
	o, err := ParseOrder(raw)
	if err != nil {
		return nil, nil, err
	}
	born, err := p.born(ctx, i, o)
	if err != nil {
		return nil, nil, err
	}
	if born {
		next, err := p.withdraw(ctx, fence, i, o, "oms_born", "the order was born in the OMS")
		return nil, next, err
	}
	if !slices.Contains(p.cfg.Statuses, o.Status) {
		next, err := p.withdraw(ctx, fence, i, o, "not_approved", "the order is "+o.Status+" at NuORDER, which is not imported")
		return nil, next, err
	}
	if before, err := ParseOrder([]byte(i.Order)); err != nil || !slices.Equal(before.Lines, o.Lines) {
		p.doubtStock(ctx, i, o) // new, or its lines have changed
	}
	return o, nil, nil
}

// born tells whether the bridge itself created the order at NuORDER: then it must not come back.
func (p *Poller) born(ctx context.Context, i *ledger.Intent, o *Order) (bool, error) {
	if strings.HasPrefix(o.ExternalID, BornID(i.Environment, "")) {
		return true, nil
	}
	born, unanswered, err := p.Intents.BornInOMS(ctx, i.Environment, o.ID, o.Number)
	if err != nil || born {
		return born, err
	}
	// The answer of a create under this number may still be on its way: the order creation flow finds out, then this goes on.
	if unanswered {
		err = fault.New(fault.Retry, "maybe_oms_born", "order number %q belongs to an order which the bridge is creating", o.Number)
	}
	return false, err
}

// withdraw ends the way of an order that is not to be created.
func (p *Poller) withdraw(ctx context.Context, fence int64, i *ledger.Intent, o *Order, code, reason string) (*ledger.Intent, error) {
	m := ledger.Move{
		To: ledger.Withdrawn, Step: "withdrawn", Detail: reason, Fence: fence, Owner: p.Lock.Owner(), Failures: ledger.In(0),
		Code: code, Reason: reason,
	}
	if o != nil {
		m.Number = &o.Number
	}
	if o != nil { // its stock is seen to here, so that it is not new where the next poll lists it
		products, err := productsOf(o.Lines)
		if err != nil {
			return nil, err
		}
		if err := p.Intents.Sighted(ctx, i.Environment, o.Status, []ledger.Sighted{{NuORDERID: i.NuORDERID, Products: products}}); err != nil {
			return nil, err
		}
	} else if i.Order != "" {
		o, _ = ParseOrder([]byte(i.Order)) // what it took from stock, as last read
	}
	p.doubtStock(ctx, i, o)
	return p.Intents.Move(ctx, i, m)
}

// holdBack keeps an order that the OMS would refuse, with the reason in business words, and looks at it again later. Lines are never
// dropped: all or nothing.
func (p *Poller) holdBack(ctx context.Context, fence int64, i *ledger.Intent, o *Order, code, reason string) (*ledger.Intent, error) {
	wait := min(p.cfg.HeldEvery<<min(i.Failures, 10), max(p.cfg.Every, p.cfg.HeldEvery))
	if i.State == ledger.Held && i.Code == code && i.Reason == reason {
		// Nothing new: the history does not grow with each look.
		return nil, p.Intents.Defer(ctx, i, fence, wait, i.Failures+1)
	}
	p.Log.Warn("an order is held", slog.String("order", i.NuORDERID), slog.String("code", code), slog.String("reason", reason))
	body := string(o.JSON)
	return p.Intents.Move(ctx, i, ledger.Move{
		To: ledger.Held, Step: "held", Detail: reason, Fence: fence, Owner: p.Lock.Owner(), Failures: ledger.In(i.Failures + 1),
		Number: &o.Number, Order: &body, Code: code, Reason: reason, DueIn: &wait,
	})
}

// create writes INTENT, posts once and writes what the answer says. The call and its row are finished even when the program is
// told to stop, so that an ordered stop leaves nothing in doubt.
func (p *Poller) create(ctx context.Context, fence int64, i *ledger.Intent, o *Order, draft oms.Draft) (*ledger.Intent, error) {
	body := string(o.JSON)
	deadline := time.Now().Add(p.cfg.Timeout)
	intent, err := p.Intents.Move(ctx, i, ledger.Move{
		To: ledger.Intended, Step: "intent", Detail: fmt.Sprintf("create %d as %s", i.Attempts+1, i.Reference()), Fence: fence,
		Owner: p.Lock.Owner(), Attempts: ledger.In(i.Attempts + 1), Searches: ledger.In(0), Number: &o.Number, Order: &body,
		BodyHash: draft.Hash[:], SettleIn: ledger.In(p.cfg.Timeout + p.cfg.Settle),
	})
	if err != nil {
		return nil, err
	}
	p.at(IntentWritten)
	// A lost lock ends the context: whoever has the lock now must not meet a create that begins after its search.
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	finish := context.WithoutCancel(ctx)
	call, cancel := context.WithDeadline(p.sending(finish, CreateSent), deadline)
	answer, err := p.OMS.Create(call, draft)
	cancel()
	p.at(CreateAnswer)
	write, cancel := context.WithTimeout(finish, 10*time.Second)
	defer cancel()
	if err != nil {
		answer = oms.Answer{Outcome: oms.Lost, Reason: err.Error()}
	}
	return p.answered(write, fence, intent, answer)
}

// answered writes the outcome of a create.
func (p *Poller) answered(ctx context.Context, fence int64, i *ledger.Intent, a oms.Answer) (*ledger.Intent, error) {
	m := ledger.Move{Fence: fence, Owner: p.Lock.Owner(), Reason: a.Reason}
	switch {
	case a.Outcome == oms.Created, a.Outcome == oms.Duplicate && a.Number != "":
		return p.created(ctx, fence, i, a.Number, string(a.Outcome))
	case a.Outcome == oms.Duplicate:
		m.To, m.Step, m.Detail, m.Code = ledger.Ambiguous, "duplicate", "the OMS says it has the reference", "duplicate"
		m.Searches, m.SettleIn, m.SettleExact, m.DueIn, m.Lost = ledger.In(0), &p.cfg.Settle, true, ledger.In(time.Duration(0)), true
	case a.Outcome == oms.Refused:
		wait := p.cfg.HeldEvery
		p.Log.Warn("the OMS refused an order", slog.String("order", i.NuORDERID), slog.String("reason", a.Reason))
		m.To, m.Step, m.Detail, m.Code, m.DueIn = ledger.Held, "refused", a.Reason, "refused", &wait
		m.Attempts, m.Failures = ledger.In(i.Attempts-1), ledger.In(i.Failures+1)
	case a.Outcome == oms.Again:
		wait := max(p.backoff(i.Failures, nil), a.After)
		m.To, m.Step, m.Detail, m.Code, m.DueIn = ledger.Seen, "not sent", a.Reason, "oms_unavailable", &wait
		m.Attempts, m.Failures = ledger.In(i.Attempts-1), ledger.In(i.Failures+1)
		if a.Everyone {
			p.restFor(wait)
		}
	default:
		p.Log.Warn("the answer of a create was lost", slog.String("order", i.NuORDERID), slog.String("reason", a.Reason))
		m.To, m.Step, m.Detail, m.Code = ledger.Ambiguous, "answer lost", a.Reason, "answer_lost"
		m.Searches, m.SettleIn, m.SettleExact, m.DueIn, m.Lost = ledger.In(0), &p.cfg.Settle, true, ledger.In(time.Duration(0)), true
		if a.Everyone {
			p.restFor(max(p.backoff(0, nil), a.After))
		}
	}
	return p.Intents.Move(ctx, i, m)
}

// created writes that the OMS has the order. If the row has moved meanwhile, the number is proof all the same. // I5
func (p *Poller) created(ctx context.Context, fence int64, i *ledger.Intent, number, how string) (*ledger.Intent, error) {
	next, err := p.Intents.Move(ctx, i, ledger.Move{
		To: ledger.Created, Step: "created", Detail: how + " as OMS order " + number, Fence: fence, Owner: p.Lock.Owner(),
		OMSNumber: &number, Failures: ledger.In(0), DueIn: ledger.In(time.Duration(0)),
	})
	if errors.Is(err, ledger.ErrMoved) {
		proven, err := p.Intents.Prove(ctx, ledger.Proof{
			Environment: i.Environment, NuORDERID: i.NuORDERID, OMSNumber: number, By: "the answer of the create",
		})
		if err != nil {
			return nil, err
		}
		if proven.OMSNumber != number {
			p.doubled(i, proven.OMSNumber, number)
		}
		return nil, nil
	}
	if err == nil {
		p.at(CreatedRow)
	}
	return next, err
}

// doubled tells that one reference has two OMS orders. // I4
func (p *Poller) doubled(i *ledger.Intent, first, second string) {
	p.Log.Error("one NuORDER order has two OMS orders: cancel one in the OMS", slog.String("order", i.NuORDERID),
		slog.String("first", first), slog.String("second", second))
}

// wakeStock lets the stock of an order's lines be looked at again: between the OMS's commit and the answer of its create the order
// was taken from the stock twice.
func (p *Poller) wakeStock(ctx context.Context, i *ledger.Intent, o *Order) {
	if o == nil {
		o, _ = ParseOrder([]byte(i.Order)) // what it took, as last read
	}
	if p.Stock == nil || o == nil || len(o.Lines) == 0 {
		return
	}
	if err := p.Stock.WakeStock(ctx, i.Environment, o.Lines); err != nil {
		p.Log.Warn("stock of an order was not looked at again", slog.String("order", i.NuORDERID), slog.Any("error", err))
	}
}

// doubtStock tells that NuORDER has moved the stock of an order's lines. It is a hint: the rolling read-back finds what it misses.
func (p *Poller) doubtStock(ctx context.Context, i *ledger.Intent, o *Order) {
	if p.Stock == nil || o == nil || len(o.Lines) == 0 {
		return
	}
	if err := p.Stock.DoubtStock(ctx, i.Environment, o.Lines); err != nil {
		p.Log.Warn("stock of an order was not marked in doubt", slog.String("order", i.NuORDERID), slog.Any("error", err))
	}
}
