package nuorder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/shopspring/decimal"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// OrderEdits delivers changes and cancels of orders that NuORDER knows, and the OMS's number itself. An order that NuORDER does not
// know is the creation's: its touch is filtered here.
type OrderEdits struct {
	*Orders
}

// NewOrderEdits makes the Remote of the order edits flow.
func NewOrderEdits(o *Orders) *OrderEdits { return &OrderEdits{Orders: o} }

// Deliver makes the order at NuORDER equal to the OMS's.
func (r *OrderEdits) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	if w.Body.Filtered {
		if t.object.RemoteID == "" || !t.object.Known {
			return t.end(ledger.Filtered, nil)
		}
		return r.endOf(r.cancel(ctx, t, nil))
	}
	switch from, id := r.originOf(w.Body); {
	case from == born && t.object.RemoteID == "" && r.cfg.Creation && r.partShipped(t) && r.young(t):
		return t.wait(mapper.Ref{Flow: mapper.OrderCreation, Key: w.Body.Key}) // to be cut down to what has shipped
	case from == foreign, from == born && t.object.RemoteID == "":
		return t.end(ledger.Filtered, nil)
	case from == imported:
		before := t.made()
		intent, end, err := r.follow(ctx, t, id)
		if err != nil {
			return t.end("", err)
		}
		if end != nil {
			return *end, nil
		}
		if r.shipmentsFirst(t) {
			if len(t.last()) == 0 {
				t.imported = []byte(intent.Order)
			}
			return r.awaitShipments(ctx, t)
		}
		if len(t.last()) == 0 && t.object.Parts[partBody].At.IsZero() {
			return r.baseline(ctx, t, intent, t.made() > before)
		}
	}
	if r.shipmentsFirst(t) {
		return r.awaitShipments(ctx, t)
	}
	return r.endOf(r.edit(ctx, t, w.Body.JSON))
}

// awaitShipments lets a cancel wait for what has shipped. What the OMS had put into the order before, and NuORDER was not told of, goes
// before: a shipment of it would be refused, and wait for the edit.
func (r *OrderEdits) awaitShipments(ctx context.Context, t *turn) (sink.Delivery, error) {
	doc, err := readOrderDoc(t.work.Body.JSON)
	if err != nil {
		return t.end("", err)
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return t.end("", err)
	}
	wanted := withoutZero(lines)
	if t.object.Identity[identityCancelled] != "true" && t.holdsLess(wanted) {
		if r.cfg.Merge {
			if wanted, err = r.withRemovals(ctx, t, wanted); err != nil {
				return t.end("", err)
			}
		}
		if _, err := r.send(ctx, t, doc, wanted); err != nil {
			return t.end("", err)
		}
		t.sent(t.work.Body.JSON)
		r.tell(ctx, t.object.RemoteID, "edited", "what the OMS cancels has shipped in part, and was not in the order yet")
		d, err := t.wait(mapper.Ref{Flow: mapper.Shipments, Key: t.work.Body.Key})
		d.Told = true
		return d, err
	}
	return t.wait(mapper.Ref{Flow: mapper.Shipments, Key: t.work.Body.Key})
}

// holdsLess tells that the order, as NuORDER was last told of it, holds less of something than is wanted.
func (t *turn) holdsLess(wanted []docLine) bool {
	last := t.object.Parts[partBody].Body
	if len(last) == 0 {
		last = t.imported
	}
	doc, err := readOrderDoc(last)
	if len(last) == 0 || err != nil {
		return false
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return false
	}
	all := newItemSums()
	all.add(wanted)
	return belowShipped(withoutZero(lines), all) != nil
}

// shipmentsFirst tells that the OMS cancels an order of which something else has shipped than NuORDER was told. The flows run side
// by side, and a cancel that comes before the shipments would take back what the buyer has, for good.
func (r *OrderEdits) shipmentsFirst(t *turn) bool {
	facts := t.work.Body.Facts
	units, err := decimal.NewFromString(facts[factShipped])
	if !r.cfg.Shipments || facts[factCancelled] != "true" || err != nil {
		return false
	}
	told := newItemSums()
	if err := shippedOf(shipmentsOf(t.object.Parts[partShipments].Body), told); err != nil {
		return false // the cancel itself reads it again and says what is wrong
	}
	return !told.total().Equal(units)
}

// result is what an edit came to.
type result struct {
	t           *turn
	disposition ledger.Disposition
	err         error
}

func (r *OrderEdits) endOf(x result) (sink.Delivery, error) { return x.t.end(x.disposition, x.err) }

// baseline takes the first body after the import for what NuORDER has: it is not sent. Only what the OMS itself has changed since is:
// lines, dates, the customer's number, a cancel.
func (r *OrderEdits) baseline(ctx context.Context, t *turn, i *ledger.Intent, renumbered bool) (sink.Delivery, error) {
	changed, err := omsChanged(t.work.Body.JSON, []byte(i.Order))
	if err != nil {
		return t.end("", err)
	}
	if len(changed) > 0 || t.work.Body.Facts[factCancelled] == "true" {
		r.tell(ctx, i.NuORDERID, "changed by OMS", fmt.Sprintf("before its first event: %v", changed))
		t.imported = []byte(i.Order)
		return r.endOf(r.edit(ctx, t, t.work.Body.JSON))
	}
	t.sent(t.work.Body.JSON)
	t.object.Parts[partNumber] = ledger.Part{Body: []byte(`"` + i.OMSNumber + `"`), At: t.now}
	if renumbered {
		return t.end(ledger.Delivered, nil)
	}
	return t.end(ledger.Unchanged, nil)
}

// edit sends the body, or what it amounts to. The line set is always whole, computed from the OMS's state, never a difference.
func (r *OrderEdits) edit(ctx context.Context, t *turn, body []byte) result {
	done := func(d ledger.Disposition, err error) result { return result{t, d, err} }
	doc, err := readOrderDoc(body)
	if err != nil {
		return done("", err)
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return done("", err)
	}
	wanted := withoutZero(lines)
	if t.work.Body.Facts[factCancelled] == "true" || (len(lines) > 0 && len(wanted) == 0) {
		return r.cancel(ctx, t, wanted)
	}
	if t.object.Identity[identityCancelled] == "true" {
		return done("", &fault.Error{
			Kind: fault.Reject, Code: "order_cancelled_at_nuorder", Field: "status", Rule: "locked",
			Err:  fmt.Errorf("order %s is open in the OMS and cancelled at NuORDER, which locks it", omsNumber(t.work.Body)),
			Hint: "cancel it in the OMS and enter a new order",
		})
	}
	if t.object.Identity[identityCut] == "" && t.object.RemoteKey == omsNumber(t.work.Body) && t.editInStep(doc) {
		t.sent(body)
		return done(t.kept(), nil)
	}
	shipped := newItemSums()
	if err := shippedOf(shipmentsOf(t.object.Parts[partShipments].Body), shipped); err != nil {
		return done("", err)
	}
	if err := belowShipped(wanted, shipped); err != nil {
		return done("", err)
	}
	if r.cfg.Merge {
		if wanted, err = r.withRemovals(ctx, t, wanted); err != nil {
			return done("", err)
		}
	}
	got, err := r.send(ctx, t, doc, wanted)
	if err != nil {
		return done("", err)
	}
	if len(t.object.Parts[partShipments].Body) > 0 {
		// Fewer may be ordered now, so that what has shipped is all.
		if err := r.shippedWhenCovered(ctx, t, &got); err != nil {
			return done("", err)
		}
	}
	if t.object.InDoubt {
		err = r.doubtWhole(ctx, reasonOrderEdited, body, t.before())
	} else {
		err = r.doubtStock(ctx, reasonOrderEdited, t.before(), body)
	}
	if err != nil {
		return done("", err)
	}
	t.sent(body)
	delete(t.object.Identity, identityCut)
	r.tell(ctx, t.object.RemoteID, "edited", "the OMS's state was sent")
	return done(ledger.Delivered, nil)
}

// withRemovals adds what NuORDER has and the OMS no longer, with quantity zero.
func (r *OrderEdits) withRemovals(ctx context.Context, t *turn, wanted []docLine) ([]docLine, error) {
	stored, err := r.client.Order(ctx, t.object.RemoteID)
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", t.object.RemoteID, err)
	}
	doc, err := readOrderDoc(stored.Raw)
	if err != nil {
		return nil, err
	}
	old, err := readLines(doc["line_items"])
	if err != nil {
		return nil, err
	}
	codes, err := r.warehouseCodes(ctx)
	if err != nil {
		return nil, err
	}
	for n := range old {
		if code := codes[string(old[n].view.Warehouse)]; code != "" {
			old[n].view.Warehouse = Text(code)
		}
		err := old[n].asSent([]string{"product", "warehouse", "id", "ship_start", "ship_end"}, []string{"size", "price"})
		if err != nil {
			return nil, err
		}
	}
	return withRemoved(wanted, old), nil
}

// warehouseCodes gives the codes of warehouses by _id: the OMS's lines name the one, the stored ones the other.
func (o *Orders) warehouseCodes(ctx context.Context) (map[string]string, error) {
	codes, err := o.log.WarehouseNames(ctx, o.cfg.Environment)
	if err != nil {
		return nil, err
	}
	for code, id := range o.client.Dialect().Warehouses {
		codes[id] = code
	}
	return codes, nil
}

// dateOnly cuts stored timestamps to the dates that the API takes.
func dateOnly(whole map[string]json.RawMessage, fields ...string) error {
	for _, f := range fields {
		var text Text
		if len(whole[f]) == 0 || decode(whole[f], &text) != nil || text == "" {
			delete(whole, f)
			continue
		}
		raw, err := encodeJSON(string(text)[:min(len(text), 10)])
		if err != nil {
			return err
		}
		whole[f] = raw
	}
	return nil
}

// send updates the order by its number with the fields that an edit owns.
func (r *OrderEdits) send(ctx context.Context, t *turn, doc orderDoc, lines []docLine) (Order, error) {
	out, err := t.ownFields()
	if err != nil {
		return Order{}, err
	}
	if len(doc["line_items"]) > 0 {
		raw, err := encodeLines(lines)
		if err != nil {
			return Order{}, err
		}
		out["line_items"] = raw
	}
	body, err := encodeJSON(out)
	if err != nil {
		return Order{}, err
	}
	return r.update(ctx, t, body)
}

// editable tells whether an edit owns a field: the status goes by calls of its own, shipments and numbers by their own parts.
func editable(field string) bool {
	return !slices.Contains([]string{"status", "shipments", "external_id", "order_number"}, field)
}

// ownFields are the fields of the body that an edit sends, the lines apart.
func (t *turn) ownFields() (orderDoc, error) {
	out := orderDoc{}
	if len(t.work.Body.JSON) == 0 {
		return out, nil // the OMS no longer has the order
	}
	doc, err := readOrderDoc(t.work.Body.JSON)
	for field, value := range doc {
		if editable(field) && field != "line_items" {
			out[field] = value
		}
	}
	return out, err
}

// editInStep tells that NuORDER is known to hold all that an edit would send, perhaps from the order's creation.
func (t *turn) editInStep(doc orderDoc) bool {
	if t.inStep() {
		return true
	}
	last, err := readOrderDoc(t.last())
	if t.object.InDoubt || err != nil {
		return false
	}
	for _, d := range []orderDoc{last, doc} {
		for field := range d {
			if editable(field) && !bytes.Equal(last[field], doc[field]) {
				return false
			}
		}
	}
	return true
}

// update sends a body by the order's number. If NuORDER does not know the number, the order is looked up by _id and given its number
// back.
func (o *Orders) update(ctx context.Context, t *turn, body []byte) (Order, error) {
	number := omsNumber(t.work.Body)
	if number == "" {
		number = t.object.StoredKey
	}
	got, err := o.client.UpdateOrderByNumber(ctx, number, body)
	err = notItself("update of an order by number", err, t.object.RemoteID)
	if err == nil && (got.ID == "" || len(got.Lines) == 0) {
		// An answer that does not show the order: it is read.
		got, err = o.client.Order(ctx, t.object.RemoteID)
	}
	if err == nil && string(got.ID) == t.object.RemoteID {
		o.learnStored(t, &got)
		return got, nil
	}
	if err == nil {
		return got, o.numberOfAnother(ctx, t, number)
	}
	if !IsNotFound(err) {
		return got, err
	}
	named, err := with(body, map[string]any{"order_number": number})
	if err != nil {
		return got, err
	}
	got, err = o.client.UpdateOrder(ctx, t.object.RemoteID, named)
	err = notShown(ctx, "update of an order", err, o.client.Order, t.object.RemoteID)
	if IsNotFound(err) {
		return got, &fault.Error{
			Kind: fault.Reject, Code: "order_gone", Err: fmt.Errorf("NuORDER no longer knows order %s: %w", number, err),
			Hint: "ask NuORDER what became of it; the OMS's order stays",
		}
	}
	if err == nil {
		o.logger.Info("an order got its number back", slog.String("order", t.object.RemoteID))
		o.learnStored(t, &got)
	}
	return got, err
}

// numberOfAnother tells what it means that an update by number has shown another order: whose the number is, the number itself tells.
func (o *Orders) numberOfAnother(ctx context.Context, t *turn, number string) error {
	stored, err := o.client.OrderByNumber(ctx, number)
	switch {
	case err != nil:
		return fmt.Errorf("read order number %s, by which another order was shown: %w", number, err)
	case string(stored.ID) == t.object.RemoteID:
		return contradicted("update of an order by number", true, "another order than the one that has the number")
	}
	return &fault.Error{
		Kind: fault.Reject, Code: "number_taken", Field: "order_number", Rule: "unique",
		Err:  fmt.Errorf("order number %s belongs to NuORDER order %s and not to %s", number, stored.ID, t.object.RemoteID),
		Hint: "give the order its number back at NuORDER and correct the other one, then retry",
	}
}

func (o *Orders) learnStored(t *turn, got *Order) {
	t.object.Known = true
	if got.OrderNumber != "" {
		t.object.StoredKey = string(got.OrderNumber)
	}
	t.object.RemoteKey = omsNumber(t.work.Body)
}

// belowShipped refuses an edit that leaves less ordered than has shipped, or that drops a shipped line: NuORDER would show an order
// that never was.
func belowShipped(lines []docLine, shipped *itemSums) error {
	if len(shipped.sums) == 0 {
		return nil
	}
	ordered := newItemSums()
	ordered.alias = shipped.alias
	ordered.add(lines)
	for k, q := range shipped.sums {
		switch have, there := ordered.sums[k]; {
		case !q.IsPositive():
		case !there:
			return &fault.Error{
				Kind: fault.Reject, Code: "shipped_line_removed", Field: "line_items", Rule: "shipped",
				Err:  fmt.Errorf("size %s of a line is gone from the OMS's order, and %s of it have shipped", k.size, q),
				Hint: "put the line back in the OMS, or void its shipment",
			}
		case have.LessThan(q):
			return &fault.Error{
				Kind: fault.Reject, Code: "quantity_below_shipped", Field: "line_items", Rule: "shipped",
				Err:  fmt.Errorf("size %s of a line is ordered %s times in the OMS, and %s have shipped", k.size, have, q),
				Hint: "raise the quantity in the OMS, or void its shipment",
			}
		}
	}
	return nil
}

// shipmentsOf gives the shipments array of a delivered body.
func shipmentsOf(body []byte) json.RawMessage {
	var doc orderDoc
	if len(body) == 0 || decode(body, &doc) != nil {
		return nil
	}
	return doc["shipments"]
}
