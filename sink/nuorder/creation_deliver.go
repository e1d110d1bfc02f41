package nuorder

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/sink"
)

// OrderCreation creates orders that were born in the OMS. An order that NuORDER knows already is the edits': its touch is filtered
// here. What NuORDER has under the order's number decides before each create.
type OrderCreation struct {
	*Orders
}

// NewOrderCreation makes the Remote of the order creation flow.
func NewOrderCreation(o *Orders) *OrderCreation { return &OrderCreation{Orders: o} }

// bornID is the external id of an OMS-born order whose body names none.
func bornID(environment, key string) string { return "oms:" + environment + ":" + key }

// Deliver makes the order known to NuORDER.
func (r *OrderCreation) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	if w.Body.Filtered {
		return t.end(ledger.Filtered, nil)
	}
	// An order that carries a reference, whoever's, came from a portal: it is never made a second time. // I12
	from, _ := r.originOf(w.Body)
	known := t.object.RemoteID != "" && t.object.Known
	switch edits := NewOrderEdits(r.Orders); {
	case from != born, known && !t.object.InDoubt, known && edits.shipmentsFirst(t):
		return t.end(ledger.Filtered, nil)
	case known:
		// Adopting an order edits it: if that got no answer and comes late, what stands now is sent after it.
		return edits.endOf(edits.edit(ctx, t, w.Body.JSON))
	}
	doc, err := readOrderDoc(w.Body.JSON)
	if err != nil {
		return t.end("", err)
	}
	b := birth{doc: doc, number: omsNumber(w.Body), externalID: cmp.Or(firstField(doc, "external_id"), bornID(r.cfg.Environment, string(w.Body.Key)))}
	d, err := r.bear(ctx, t, b)
	return t.end(d, err)
}

// birth is one OMS-born order on its way.
type birth struct {
	doc                orderDoc
	number, externalID string
}

// young tells whether the order's date allows a create.
func (o *Orders) young(t *turn) bool {
	date := t.work.Body.Facts[factDate]
	return o.cfg.Since != "" && len(date) >= 10 && date[:10] >= o.cfg.Since
}

// partShipped tells that something has shipped of an order that the OMS has cancelled, and that NuORDER is told of shipments.
func (o *Orders) partShipped(t *turn) bool {
	units, err := decimal.NewFromString(t.work.Body.Facts[factShipped])
	return err == nil && units.IsPositive() && o.cfg.Shipments && t.work.Body.Facts[factCancelled] == "true"
}

// bear asks what NuORDER has under the number, and creates only what is not there.
func (r *OrderCreation) bear(ctx context.Context, t *turn, b birth) (ledger.Disposition, error) {
	before, err := r.log.Creation(ctx, r.cfg.Environment, string(t.work.Body.Key))
	if err != nil {
		return "", err
	}
	if before != nil && before.NuORDERID != "" {
		// Created, and its settlement was lost. The number may have been changed since: the _id tells.
		stored, err := r.client.Order(ctx, before.NuORDERID)
		if IsNotFound(err) {
			err = &fault.Error{
				Kind: fault.Reject, Code: "order_gone", Err: fmt.Errorf("NuORDER no longer knows order %s, which was created there as %s", b.number, before.NuORDERID),
				Hint: "ask NuORDER what became of it; the OMS's order stays",
			}
		}
		if err != nil {
			return "", err
		}
		return r.adopt(ctx, t, b, &stored, "adopted")
	}
	lines, err := readLines(b.doc["line_items"])
	if err != nil {
		return "", err
	}
	lines = withoutZero(lines)
	// An old one, one of which nothing is ordered, and one that was cancelled are not made. What has shipped of a cancelled one stands:
	// it is made, gets its shipments, and is then cut down to them.
	unwanted := !r.young(t) || len(lines) == 0 || t.work.Body.Facts[factCancelled] == "true" && !r.partShipped(t)
	if unwanted && t.object.Identity[identityAbsent] == "true" && !t.object.InDoubt {
		return ledger.Filtered, nil
	}
	stored, err := r.client.OrderByNumber(ctx, b.number)
	switch {
	case err == nil:
		return r.found(ctx, t, b, &stored)
	case !IsNotFound(err):
		return "", fmt.Errorf("look for order number %s: %w", b.number, err)
	case unwanted:
		t.object.Identity[identityAbsent] = "true" // a replay need not ask again
		return ledger.Filtered, nil
	}
	if before != nil {
		// A create was begun and its answer is not known. Until the window has passed it may only be late.
		if left := r.cfg.CreateSettle - before.Age; left > 0 {
			e := fault.New(fault.Retry, "create_settling", "order %s was sent to NuORDER %s ago and is not there yet", b.number, before.Age.Round(time.Millisecond))
			e.After = left
			return "", e
		}
		if before.Attempts >= r.cfg.CreateAttempts {
			return "", &fault.Error{
				Kind: fault.Reject, Code: "create_unanswered", Field: "order_number",
				Err:  fmt.Errorf("%d creates of order %s went unanswered, and NuORDER shows no such order", before.Attempts, b.number),
				Hint: "look for the order at NuORDER, then retry",
			}
		}
	}
	return r.create(ctx, t, b, lines)
}

// found decides about an order that has the number already.
func (r *OrderCreation) found(ctx context.Context, t *turn, b birth, stored *Order) (ledger.Disposition, error) {
	ours := stored.ExternalID != "" && string(stored.ExternalID) == b.externalID
	if !ours && !r.young(t) {
		// An old order is only linked: NuORDER had it before the bridge came.
		t.object.Identity[identityLinkedOnly] = "true"
		return r.adopt(ctx, t, b, stored, "linked")
	}
	if !ours {
		return "", &fault.Error{
			Kind: fault.Reject, Code: "number_taken", Field: "order_number", Rule: "unique",
			Err: fmt.Errorf("order number %s of OMS order %s belongs to NuORDER order %s with external id %q",
				b.number, t.work.Body.Key, stored.ID, clean(string(stored.ExternalID))),
			Hint: "give the NuORDER order another number, or set its external id if it is this order, then retry",
		}
	}
	return r.adopt(ctx, t, b, stored, "adopted")
}

// adopt makes the stored order the object. What was created may be older than the present body, so ours is sent again by the edits
// flow's rules; a linked one is the baseline.
func (r *OrderCreation) adopt(ctx context.Context, t *turn, b birth, stored *Order, how string) (ledger.Disposition, error) {
	id := string(stored.ID)
	if err := r.log.EndCreation(ctx, r.cfg.Environment, string(t.work.Body.Key), b.externalID, b.number, id); err != nil {
		return "", err
	}
	t.object.Known, t.object.RemoteID, t.object.RemoteKey, t.object.StoredKey = true, id, b.number, string(stored.OrderNumber)
	delete(t.object.Identity, identityAbsent)
	r.tell(ctx, id, how, "OMS order "+b.number)
	if how == "linked" {
		t.sent(t.work.Body.JSON)
		return ledger.Unchanged, nil
	}
	edits := NewOrderEdits(r.Orders)
	if edits.shipmentsFirst(t) {
		return ledger.Delivered, nil // the edits flow cuts it down when NuORDER knows what has shipped
	}
	x := edits.edit(ctx, t, t.work.Body.JSON)
	return x.disposition, x.err
}

// create writes the row, then makes the call, once. A lost answer leaves the row open; the next turn asks by number. // I10
func (r *OrderCreation) create(ctx context.Context, t *turn, b birth, lines []docLine) (ledger.Disposition, error) {
	body, err := r.bornBody(b, lines)
	if err != nil {
		return "", err
	}
	key := string(t.work.Body.Key)
	if err := r.log.BeginCreation(ctx, r.cfg.Environment, key, b.externalID, b.number); err != nil {
		return "", err
	}
	made, err := r.client.CreateOrder(ctx, body)
	err = notMade("create of an order", err)
	switch {
	case err != nil:
	case made.ID == "":
		err = unreadable("the portal's answer holds no _id of the order")
	case made.OrderNumber != "" && !Same(string(made.OrderNumber), b.number):
		err = contradicted("create of an order", true, "another number than that of the order")
	}
	if err != nil {
		return r.notCreated(ctx, t, b, err)
	}
	if err := r.log.EndCreation(ctx, r.cfg.Environment, key, b.externalID, b.number, string(made.ID)); err != nil {
		return "", err
	}
	if err := r.doubtStock(ctx, reasonOrderCreated, nil, body); err != nil {
		return "", err
	}
	delete(t.object.Identity, identityAbsent)
	t.object.Known, t.object.RemoteID, t.object.RemoteKey = true, string(made.ID), b.number
	t.object.StoredKey = cmp.Or(string(made.OrderNumber), b.number)
	t.object.Parts[partNumber] = ledger.Part{Body: []byte(`"` + b.number + `"`), At: t.now}
	t.sent(t.work.Body.JSON)
	r.tell(ctx, string(made.ID), "created at NuORDER", "OMS order "+b.number)
	return ledger.Delivered, nil
}

// bornBody is what is created: the body, and what NuORDER needs to know of a new order.
func (r *OrderCreation) bornBody(b birth, lines []docLine) ([]byte, error) {
	raw, err := encodeLines(lines)
	if err != nil {
		return nil, err
	}
	body, err := encodeJSON(b.doc)
	if err != nil {
		return nil, err
	}
	set := map[string]any{"line_items": raw, "external_id": b.externalID, "order_number": b.number}
	if firstField(b.doc, "status") == "" {
		set["status"] = r.cfg.BornStatus
	}
	return with(body, set)
}

// notCreated reads a failed create. A conflict is information: whoever has the number or the document is asked for.
func (r *OrderCreation) notCreated(ctx context.Context, t *turn, b birth, cause error) (ledger.Disposition, error) {
	if fault.CodeOf(cause) == CodeConflict {
		id := ConflictID(cause)
		stored, err := Order{}, cause
		if id != "" {
			if stored, err = r.client.Order(ctx, id); err != nil && !IsNotFound(err) {
				return "", fmt.Errorf("read order %s, which is in the way: %w", id, err)
			}
		}
		if err != nil { // it named none, or one that it does not show
			stored, err = r.client.OrderByNumber(ctx, b.number)
		}
		switch {
		case err == nil:
			return r.found(ctx, t, b, &stored)
		case !IsNotFound(err):
			return "", fmt.Errorf("read order number %s, which is in the way: %w", b.number, err)
		case id != "":
			return "", unseen(id, cause)
		}
	}
	if ambiguous(cause) {
		return "", fmt.Errorf("create order %s: %w", b.number, cause)
	}
	// Definitely not created: nothing is in doubt, and a corrected order may be sent at once.
	if err := r.log.EndCreation(ctx, r.cfg.Environment, string(t.work.Body.Key), b.externalID, b.number, ""); err != nil {
		return "", err
	}
	return "", fmt.Errorf("create order %s: %w", b.number, cause)
}
