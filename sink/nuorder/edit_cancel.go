package nuorder

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"nubridge/internal/ledger"
)

// cancel takes an order that the OMS has cancelled, emptied or dropped out of NuORDER: by its status while nothing has shipped, else
// by cutting every line down to what has.
func (r *OrderEdits) cancel(ctx context.Context, t *turn, _ []docLine) result {
	done := func(d ledger.Disposition, err error) result { return result{t, d, err} }
	shipped := newItemSums()
	if err := shippedOf(shipmentsOf(t.object.Parts[partShipments].Body), shipped); err != nil {
		return done("", err)
	}
	if units := shipped.total(); units.IsPositive() {
		if t.inStep() && t.object.Identity[identityCut] == units.String() {
			return done(t.kept(), nil)
		}
		return r.cutToShipped(ctx, t, shipped)
	}
	if t.inStep() && t.object.Identity[identityCancelled] == "true" {
		return done(t.kept(), nil)
	}
	if t.object.Identity[identityCancelled] != "true" || t.object.InDoubt {
		// Written first: the poller must not take our own cancel for a buyer's.
		if err := r.log.CancelledByOMS(ctx, r.cfg.Environment, t.object.RemoteID); err != nil {
			return done("", err)
		}
		err := notShown(ctx, "cancel of an order", r.setCancelled(ctx, t), r.client.Order, t.object.RemoteID)
		if IsNotFound(err) {
			t.gone()
			return done(ledger.Filtered, nil)
		}
		if err != nil {
			return done("", fmt.Errorf("cancel order %s: %w", t.object.RemoteID, err))
		}
		if err := r.doubtWhole(ctx, reasonOrderCancelled, t.work.Body.JSON, t.before()); err != nil {
			return done("", err)
		}
		r.tell(ctx, t.object.RemoteID, "cancelled", "by the OMS")
	}
	t.object.Identity[identityCancelled] = "true"
	t.object.Parts[partStatus] = ledger.Part{Body: []byte(`"cancelled"`), At: t.now}
	t.sent(t.work.Body.JSON)
	return done(ledger.Delivered, nil)
}

// setCancelled cancels by the OMS's number. A cancel cannot be taken back, so the number is asked first whose it is; if it is not this
// order's, the _id is used.
func (r *OrderEdits) setCancelled(ctx context.Context, t *turn) error {
	number := t.object.StoredKey
	if number != "" {
		stored, err := r.client.OrderByNumber(ctx, number)
		if err == nil && string(stored.ID) == t.object.RemoteID {
			_, err = r.client.SetOrderStatusByNumber(ctx, number, Cancelled)
			return notItself("cancel of an order by number", err, t.object.RemoteID)
		}
		if err != nil && !IsNotFound(err) {
			return err
		}
	}
	_, err := r.client.SetOrderStatus(ctx, t.object.RemoteID, Cancelled)
	return err
}

// cutToShipped leaves an order with exactly what has shipped; NuORDER then shows it as shipped. Nothing is taken back from the buyer.
func (r *OrderEdits) cutToShipped(ctx context.Context, t *turn, shipped *itemSums) result {
	done := func(d ledger.Disposition, err error) result { return result{t, d, err} }
	stored, err := r.client.Order(ctx, t.object.RemoteID)
	if err != nil {
		return done("", fmt.Errorf("read order %s: %w", t.object.RemoteID, err))
	}
	doc, err := readOrderDoc(stored.Raw)
	if err != nil {
		return done("", err)
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return done("", err)
	}
	units := shipped.total().String()
	left := newItemSums()
	left.alias, left.sums = shipped.alias, shipped.sums
	for n := range lines {
		l := &lines[n]
		err := l.asSent([]string{"product", "warehouse", "id", "discount", "ship_start", "ship_end", "notes", "prebook"},
			[]string{"size", "upc", "price", "original_price"})
		if err != nil {
			return done("", err)
		}
		for s := range l.sizes {
			k := item{left.product(l), lower(l.sizes[s].size)}
			q := decimal.Min(l.sizes[s].quantity, left.sums[k])
			left.sums[k] = left.sums[k].Sub(q)
			l.sizes[s].setQuantity(q)
		}
	}
	if !r.cfg.Merge {
		lines = withoutZero(lines)
	}
	raw, err := encodeLines(lines)
	if err != nil {
		return done("", err)
	}
	out, err := t.ownFields()
	if err != nil {
		return done("", err)
	}
	out["line_items"] = raw
	body, err := encodeJSON(out)
	if err != nil {
		return done("", err)
	}
	got, err := r.update(ctx, t, body)
	if err == nil {
		err = r.shippedWhenCovered(ctx, t, &got)
	}
	if err != nil {
		return done("", err)
	}
	if err := r.doubtWhole(ctx, reasonOrderCancelled, t.work.Body.JSON, t.before()); err != nil {
		return done("", err)
	}
	t.object.Identity[identityCut] = units
	r.tell(ctx, t.object.RemoteID, "cut to shipped", "the OMS cancelled what was still open")
	t.sent(t.work.Body.JSON)
	return done(ledger.Delivered, nil)
}
