package nuorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptrace"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Renumber gives a marked order its OMS number when the change stream did not bring the OMS order in time. Setting a number is
// repeatable and the row moves by compare-and-set, so it does no harm beside the change stream. // I5
func (o *Orders) Renumber(ctx context.Context, i *ledger.Intent) error {
	_, err := o.number(ctx, i)
	return err
}

// number replaces NuORDER's order number by the OMS's and moves the row to NUMBERED. The body carries the number alone.
func (o *Orders) number(ctx context.Context, i *ledger.Intent) (*ledger.Intent, error) {
	ctx = inTrace(ctx, i.Trace)
	how, err := o.rename(ctx, i)
	if err != nil {
		return nil, err
	}
	moved, err := o.log.Move(ctx, i, ledger.Move{
		To: ledger.Numbered, Step: "numbered", Detail: i.Number + " became " + i.OMSNumber + how, Failures: ledger.In(0),
		Code: keep(i.Code, i), Reason: keep(i.Reason, i),
	})
	if errors.Is(err, ledger.ErrMoved) {
		// The sweep or the change stream was faster, or a person: whatever the row says now stands.
		now, err := o.log.Get(ctx, i.Environment, i.NuORDERID)
		if err != nil {
			return nil, err
		}
		if now != nil && now.State == ledger.Numbered {
			return now, nil
		}
		return nil, fault.New(fault.Retry, "order_contended", "number order %s: its row moved meanwhile", i.NuORDERID)
	}
	if err != nil {
		return nil, err
	}
	o.at("R10")
	return moved, nil
}

// keep holds on to why an order is parked as changed, and to what was decided about it.
func keep(text string, i *ledger.Intent) string {
	if i.ChangedAt.IsZero() && i.Code != ledger.CodeReleased && i.Code != ledger.CodeCancelledByOMS {
		return ""
	}
	return text
}

// rename sets the number at NuORDER. A lost answer and an unknown number are both resolved by _id: the old number is gone once
// the rename went through.
func (o *Orders) rename(ctx context.Context, i *ledger.Intent) (string, error) {
	if i.OMSNumber == "" {
		return "", fault.New(fault.Halt, "number_missing", "number order %s: its row has no OMS number", i.NuORDERID)
	}
	if i.Number == i.OMSNumber {
		return ", as it was", nil
	}
	body, err := json.Marshal(map[string]string{"order_number": i.OMSNumber})
	if err != nil {
		return "", fmt.Errorf("encode an order number: %w", err)
	}
	if i.Number != "" {
		got, err := o.client.UpdateOrderByNumber(o.sending(ctx), i.Number, body)
		switch {
		case err == nil && string(got.ID) == i.NuORDERID && (got.OrderNumber == "" || string(got.OrderNumber) == i.OMSNumber):
			return "", nil
		case err == nil && (got.ID == "" || string(got.ID) == i.NuORDERID):
			// The answer does not tell whose number it was, or shows the old one: the order itself does.
		case err == nil:
			if err := o.undo(ctx, i, string(got.ID)); err != nil {
				return "", err
			}
		case ConflictID(err) == i.NuORDERID:
			// An order is not in its own way: it shows its number.
		case ConflictID(err) != "" || fault.CodeOf(err) == CodeConflict:
			return "", numberTaken(i.NuORDERID, i.OMSNumber, ConflictID(err), err)
		case err != nil && !IsNotFound(err) && !ambiguous(err):
			return "", fmt.Errorf("number order %s: %w", i.NuORDERID, err)
		}
	}
	stored, err := o.client.Order(ctx, i.NuORDERID)
	if err != nil {
		return "", fmt.Errorf("read order %s to number it: %w", i.NuORDERID, err)
	}
	if string(stored.OrderNumber) == i.OMSNumber {
		return ", found by _id", nil
	}
	got, err := o.client.UpdateOrder(o.sending(ctx), i.NuORDERID, body)
	err = notMade("renumbering of an order", err) // it was shown a moment ago
	if err == nil && got.OrderNumber != "" && string(got.OrderNumber) != i.OMSNumber {
		err = contradicted("renumbering of an order", true, "another number than the OMS's")
	}
	if err != nil {
		if fault.CodeOf(err) == CodeConflict {
			return "", numberTaken(i.NuORDERID, i.OMSNumber, ConflictID(err), err)
		}
		return "", fmt.Errorf("number order %s by _id: %w", i.NuORDERID, err)
	}
	return ", by _id", nil
}

// undo gives another order its number back: the number that we knew had passed to it. An answer that showed another order alone is
// none of that: only what that order itself shows counts.
func (o *Orders) undo(ctx context.Context, i *ledger.Intent, id string) error {
	other, err := o.client.Order(ctx, id)
	if err == nil && string(other.OrderNumber) != i.OMSNumber || IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read order %s, which a renumbering has shown: %w", id, err)
	}
	body, err := json.Marshal(map[string]string{"order_number": i.Number})
	if err != nil {
		return fmt.Errorf("encode an order number: %w", err)
	}
	if _, err := o.client.UpdateOrder(ctx, string(other.ID), body); err != nil {
		return &fault.Error{
			Kind: fault.Reject, Code: "number_went_astray", Field: "order_number",
			Err:  fmt.Errorf("NuORDER order %s had number %s and now has %s, which is that of order %s: %w", other.ID, i.Number, i.OMSNumber, i.NuORDERID, err),
			Hint: "give it its number back at NuORDER, then retry",
		}
	}
	moved, err := o.log.Move(ctx, i, ledger.Move{
		Step: "number moved", Detail: "number " + i.Number + " belongs to another order now", Number: ledger.In(""), Due: true,
	})
	if err != nil {
		return err
	}
	return fault.New(fault.Retry, "number_moved", "number order %s: its number passed to another order", moved.NuORDERID)
}

func numberTaken(id, number, other string, cause error) error {
	return &fault.Error{
		Kind: fault.Reject, Code: "number_taken", Field: "order_number", Rule: "unique",
		Err:  fmt.Errorf("order number %s, which order %s shall get, belongs to NuORDER order %s: %w", number, id, other, cause),
		Hint: "give the other order another number at NuORDER, then retry",
	}
}

func ambiguous(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e.Ambiguous
}

// sending reports R9 when a renumbering has left.
func (o *Orders) sending(ctx context.Context) context.Context {
	if o.cfg.At == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			o.cfg.At("R9")
		}
	}})
}
