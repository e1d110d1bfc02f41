package orders

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/orders/oms"
)

// mark sets the imported order Processed at NuORDER. The row is in CREATED, durably, before the call: Processed implies created.
// Setting a status is repeatable, so a lost answer is simply asked again. // I5
func (p *Poller) mark(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	ctx, end := p.span(ctx, i, "orders.mark")
	next, err := p.markIn(ctx, fence, i)
	end(err)
	return next, err
}

func (p *Poller) markIn(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	raw, err := p.Portal.SetOrderStatus(p.sending(ctx, MarkSent), i.NuORDERID, p.cfg.MarkAs)
	if kind := fault.KindOf(err); err != nil && kind != fault.Reject {
		return nil, fmt.Errorf("mark order %s: %w", i.NuORDERID, err)
	}
	if err != nil || len(raw) == 0 {
		// Refused, or nothing told: what NuORDER holds decides.
		read, readErr := p.Portal.Order(ctx, i.NuORDERID)
		if readErr != nil && fault.KindOf(readErr) != fault.Reject {
			return nil, fmt.Errorf("read order %s after its mark: %w", i.NuORDERID, readErr)
		}
		if readErr == nil {
			raw = read
		}
	}
	var o *Order
	if len(raw) > 0 {
		var parseErr error
		if o, parseErr = ParseOrder(raw); parseErr != nil && err == nil {
			return nil, parseErr
		}
	}
	if err != nil && (o == nil || slices.Contains(p.cfg.Statuses, o.Status) || o.Status == "cancelled") {
		return p.markRefused(ctx, fence, i, o, err)
	}
	return p.marked(ctx, fence, i, o)
}

// markRefused leaves the order in CREATED, for a person to see: it is never created again.
func (p *Poller) markRefused(ctx context.Context, fence int64, i *ledger.Intent, o *Order, cause error) (*ledger.Intent, error) {
	// The OMS has the order: it stands at NuORDER as if nobody had taken it until this succeeds.
	wait := min(p.backoff(i.Failures, cause), p.cfg.HeldEvery)
	m := ledger.Move{
		Step: "mark refused", Detail: fault.CodeOf(cause), Fence: fence, Owner: p.Lock.Owner(), Failures: ledger.In(i.Failures + 1),
		DueIn: &wait, Code: "mark_refused", Reason: "NuORDER refused to set the imported order " + p.cfg.MarkAs + ": " + cause.Error(),
	}
	if o != nil && o.Status == "cancelled" {
		if i.Code == ledger.CodeReleased {
			return nil, p.Intents.Rest(ctx, i, fence) // a person knows; NuORDER locks it
		}
		return p.cancelledThere(ctx, fence, i, o)
	}
	if i.Code == m.Code && i.Reason == m.Reason { // nothing new: the history does not grow with each try
		return nil, p.Intents.Defer(ctx, i, fence, wait, i.Failures+1)
	}
	p.Log.Warn("an imported order could not be marked", slog.String("order", i.NuORDERID), slog.String("code", m.Code),
		slog.String("reason", m.Reason))
	return p.Intents.Move(ctx, i, m)
}

// cancelledThere parks an imported order that someone cancelled at NuORDER: the OMS still has it.
func (p *Poller) cancelledThere(ctx context.Context, fence int64, i *ledger.Intent, o *Order) (*ledger.Intent, error) {
	p.doubtStock(ctx, i, o)
	p.Log.Warn("an order was cancelled at NuORDER after its import", slog.String("order", i.NuORDERID), slog.String("oms", i.OMSNumber))
	changed := string(o.JSON)
	return p.Intents.Move(ctx, i, ledger.Move{
		Step: "changed", Detail: "cancelled at NuORDER after the create", Fence: fence, Owner: p.Lock.Owner(), Changed: &changed,
		Code: "cancelled_after_create", Reason: "the order was cancelled at NuORDER after the OMS had it as " + i.OMSNumber +
			": cancel it in the OMS too, or release it to let the OMS's version stand",
	})
}

// marked writes MARKED and wakes what waits for it: renumbering and edits.
func (p *Poller) marked(ctx context.Context, fence int64, i *ledger.Intent, o *Order) (*ledger.Intent, error) {
	m := ledger.Move{
		To: ledger.Marked, Step: "marked", Detail: p.cfg.MarkAs, Fence: fence, Owner: p.Lock.Owner(), Failures: ledger.In(0),
		DueIn: ledger.In(min(2*time.Second, p.cfg.Sweep)),
	}
	if o != nil {
		m.Number = &o.Number
		if i.Order == "" {
			// A row that an event made: what NuORDER holds now is what the OMS has.
			body := string(o.JSON)
			m.Order = &body
		}
	}
	next, err := p.Intents.Move(ctx, i, m)
	if err != nil {
		return nil, err
	}
	p.at(MarkedRow)
	p.wakeStock(ctx, next, o)
	if o != nil {
		if next, err = p.compare(ctx, fence, next, o); err != nil {
			return nil, err
		}
	}
	p.wake(ctx, i)
	return next, nil
}

// wake releases the OMS order's documents that waited for this order to be marked. A wake that is lost costs time, not the order:
// the sink looks at waiting keys by itself.
func (p *Poller) wake(ctx context.Context, i *ledger.Intent) {
	if _, err := p.Intents.Wake(ctx, i.Environment, mapper.Ref{Flow: mapper.OrdersIn, Key: mapper.Key(i.NuORDERID)}); err != nil {
		p.Log.Warn("what waits for an order was not woken", slog.String("order", i.NuORDERID), slog.Any("error", err))
	}
}

// afterMark looks at a marked order: it may be listed again, and the change stream may owe its number. Until the number is there
// whatever waits is woken again now and then, since a wake-up can pass a document that is just about to wait.
func (p *Poller) afterMark(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	if i.Listed {
		next, err := p.revisit(ctx, fence, i)
		if err != nil || next == nil || !next.ChangedAt.IsZero() {
			return next, err
		}
		i = next
	}
	if left := p.cfg.Sweep - i.Now.Sub(i.At); left > 0 || p.Numbers == nil {
		p.wake(ctx, i)
		wait := min(5*time.Second, max(left, time.Second))
		if p.Numbers == nil && left <= 0 {
			wait = p.cfg.Sweep
		}
		return nil, p.Intents.Defer(ctx, i, fence, wait, 0)
	}
	ctx, end := p.span(ctx, i, "orders.sweep")
	err := p.Numbers.Renumber(ctx, i)
	end(err)
	if err != nil {
		return nil, fmt.Errorf("renumber order %s: %w", i.NuORDERID, err)
	}
	return nil, nil
}

// revisit looks at an order that is past its create, or was withdrawn, and is listed or due again.
func (p *Poller) revisit(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	raw, err := p.Portal.Order(ctx, i.NuORDERID)
	if fault.CodeOf(err) == "not_found" {
		return p.settled(ctx, fence, i)
	}
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", i.NuORDERID, err)
	}
	o, err := ParseOrder(raw)
	if err != nil {
		return nil, err
	}
	if o.Status == "cancelled" && i.State.Imported() && i.Code != ledger.CodeCancelledByOMS && i.Code != ledger.CodeReleased {
		return p.cancelledThere(ctx, fence, i, o)
	}
	if !slices.Contains(p.cfg.Statuses, o.Status) {
		return p.settled(ctx, fence, i)
	}
	if i.State == ledger.Withdrawn {
		if i.Code == codeByHand {
			return p.settled(ctx, fence, i)
		}
		born, err := p.born(ctx, i, o)
		if err != nil || born {
			next, settleErr := p.settled(ctx, fence, i)
			if err == nil {
				err = settleErr
			}
			return next, err
		}
		return p.Intents.Move(ctx, i, ledger.Move{
			To: ledger.Seen, Step: "approved again", Fence: fence, Owner: p.Lock.Owner(), Failures: ledger.In(0),
			DueIn: ledger.In(time.Duration(0)),
		})
	}
	next, err := p.compare(ctx, fence, i, o)
	if err != nil || !next.ChangedAt.IsZero() {
		return next, err
	}
	// Approved again, and unchanged: the list was old, or a person set it back. It is in the OMS, so it is Processed.
	if _, err := p.Portal.SetOrderStatus(ctx, i.NuORDERID, p.cfg.MarkAs); err != nil {
		return nil, fmt.Errorf("mark order %s again: %w", i.NuORDERID, err)
	}
	return p.settled(ctx, fence, next)
}

// settled takes a row off the list of what is due, without a line of history: nothing happened.
func (p *Poller) settled(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	if i.State == ledger.Marked {
		return i, nil
	}
	return nil, p.Intents.Rest(ctx, i, fence)
}

// compare parks an order of which NuORDER shows another version than the OMS got: the OMS is the master by then, and a person must
// carry the change over or let the OMS's version stand. What the mapping does not use is no difference.
func (p *Poller) compare(ctx context.Context, fence int64, i *ledger.Intent, o *Order) (*ledger.Intent, error) {
	if i.Order == "" || i.State == ledger.Numbered || i.Code == ledger.CodeReleased {
		return i, nil // from then on the OMS's own edits differ from what was imported
	}
	now, err := p.OMS.Draft(oms.Order{Environment: i.Environment, Reference: i.Reference(), JSON: o.JSON})
	if err == nil && now.Hash == [32]byte(padded(i.BodyHash)) {
		return i, nil
	}
	if err == nil {
		// The mapping itself may have changed since: both versions are translated by today's.
		then, thenErr := p.OMS.Draft(oms.Order{Environment: i.Environment, Reference: i.Reference(), JSON: []byte(i.Order)})
		if thenErr != nil || then.Hash == now.Hash {
			return i, nil
		}
	}
	p.doubtStock(ctx, i, o)
	changed := string(o.JSON)
	p.Log.Warn("an order was changed at NuORDER after its import", slog.String("order", i.NuORDERID), slog.String("oms", i.OMSNumber))
	return p.Intents.Move(ctx, i, ledger.Move{
		Step: "changed", Detail: "another version at NuORDER after the create", Fence: fence, Owner: p.Lock.Owner(), Changed: &changed, Due: true,
		Code: "changed_after_create", Reason: "the order was changed at NuORDER after the OMS had it as " + i.OMSNumber +
			": make the change in the OMS too, or release it to let the OMS's version stand",
	})
}

func padded(hash []byte) []byte {
	out := make([]byte, 32)
	copy(out, hash)
	return out
}
