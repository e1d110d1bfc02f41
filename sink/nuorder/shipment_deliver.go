package nuorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/shopspring/decimal"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// Shipments delivers the shipments of an order: always all of them, inside an update of the order, computed from the OMS's state.
type Shipments struct {
	*Orders
	refused refusals
}

// NewShipments makes the Remote of the shipments flow.
func NewShipments(o *Orders) *Shipments { return &Shipments{Orders: o} }

// refusals remembers shipments that were refused because an edit of their order is due: until it is, they would be refused again.
type refusals struct {
	mu sync.Mutex
	of map[mapper.Key][sha256.Size]byte
}

// refusalsMost bounds what is remembered; a key that is forgotten costs one more call.
const refusalsMost = 10_000

func (r *refusals) has(key mapper.Key, list []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum, ok := r.of[key]
	return ok && sum == sha256.Sum256(list)
}

func (r *refusals) add(key mapper.Key, list []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= refusalsMost {
		r.of = map[mapper.Key][sha256.Size]byte{}
	}
	r.of[key] = sha256.Sum256(list)
}

func (r *refusals) forget(key mapper.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, key)
}

// Deliver makes the order's shipments equal to the OMS's.
func (r *Shipments) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	had := len(t.object.Parts[partShipments].Body) > 0
	if w.Body.Filtered {
		if !had || t.object.RemoteID == "" {
			return t.end(ledger.Filtered, nil)
		}
		if t.inStep() {
			return t.end(ledger.Filtered, nil)
		}
		// Every invoice is gone: what was shown as shipped is taken back.
		return r.ship(ctx, t, []byte(`{"shipments":[]}`))
	}
	switch from, id := r.originOf(w.Body); {
	case from == foreign:
		return t.end(ledger.Filtered, nil)
	case from == imported:
		intent, end, err := r.follow(ctx, t, id)
		if err != nil {
			return t.end("", err)
		}
		if end != nil {
			return *end, nil
		}
		t.imported = []byte(intent.Order)
	case t.object.RemoteID == "" || !t.object.Known:
		if !r.young(t) || w.Body.Facts[factCancelled] == "true" && noShipments(w.Body.JSON) {
			return t.end(ledger.Filtered, nil) // an old order that NuORDER never had, or a cancelled one of which nothing has shipped
		}
		return t.wait(mapper.Ref{Flow: mapper.OrderCreation, Key: w.Body.Key})
	}
	if t.inStep() {
		return t.end(ledger.Unchanged, nil)
	}
	if !had && noShipments(w.Body.JSON) {
		t.object.Parts[partShipments] = ledger.Part{Hash: sha256.Sum256(w.Body.JSON), At: t.now}
		return t.end(ledger.Unchanged, nil)
	}
	return r.ship(ctx, t, w.Body.JSON)
}

func noShipments(body []byte) bool {
	var list []json.RawMessage
	return decode(shipmentsOf(body), &list) == nil && len(list) == 0
}

// ship sends all shipments and sees to the order's status.
func (r *Shipments) ship(ctx context.Context, t *turn, body []byte) (sink.Delivery, error) {
	list := shipmentsOf(body)
	if list == nil {
		list = json.RawMessage("[]")
	}
	if r.cfg.Merge {
		var err error
		if list, err = withVoided(list, shipmentsOf(t.object.Parts[partShipments].Body)); err != nil {
			return t.end("", err)
		}
	}
	out, err := encodeJSON(orderDoc{"shipments": list})
	if err != nil {
		return t.end("", err)
	}
	key := t.work.Body.Key
	if r.refused.has(key, list) && editIsDue(t, list) {
		return t.wait(mapper.Ref{Flow: mapper.OrderEdits, Key: key})
	}
	got, err := r.sendShipments(ctx, t, list, out)
	if fault.KindOf(err) == fault.Reject && editIsDue(t, list) {
		// The line came into the order in the OMS, and the edit that tells NuORDER of it travels beside the shipment.
		r.refused.add(key, list)
		return t.wait(mapper.Ref{Flow: mapper.OrderEdits, Key: key})
	}
	r.refused.forget(key)
	if err != nil {
		return t.end("", fmt.Errorf("send the shipments of order %s: %w", omsNumber(t.work.Body), err))
	}
	if err := r.shippedWhenCovered(ctx, t, &got); err != nil {
		return t.end("", err)
	}
	// With merged arrays the voided ones stay part of what was delivered, so that they stay voided.
	t.object.Known = true
	t.object.Parts[partShipments] = ledger.Part{Hash: sha256.Sum256(t.work.Body.JSON), Body: out, At: t.now}
	r.tell(ctx, t.object.RemoteID, "shipped", t.object.Identity[identityShipped]+" units shipped, "+t.object.Identity[identityOpenUnits]+" open")
	return t.end(ledger.Delivered, nil)
}

// editIsDue tells that something has shipped that the order, as NuORDER was last told of it, does not hold.
func editIsDue(t *turn, list json.RawMessage) bool {
	body := t.object.Parts[partBody].Body
	if len(body) == 0 {
		body = t.imported // the edits flow has not looked at it yet
	}
	doc, err := readOrderDoc(body)
	if len(body) == 0 || err != nil {
		return false
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return false
	}
	shipped := newItemSums()
	return shippedOf(list, shipped) == nil && belowShipped(withoutZero(lines), shipped) != nil || namesAnother(list, doc["line_items"])
}

// namesAnother tells that a shipment names a product by a brand_id that the order's lines do not have: the product has a new one.
func namesAnother(list, lines json.RawMessage) bool {
	type line struct {
		BrandID Text `json:"brand_id"`
		Product struct {
			BrandID Text `json:"brand_id"`
		} `json:"product"`
	}
	var shipments []struct {
		Lines []line `json:"line_items"`
	}
	var ordered []line
	if decode(list, &shipments) != nil || decode(lines, &ordered) != nil {
		return false
	}
	known := map[Text]bool{"": true}
	for _, l := range ordered {
		known[l.BrandID], known[l.Product.BrandID] = true, true
	}
	for _, s := range shipments {
		for _, l := range s.Lines {
			if !known[l.BrandID] || !known[l.Product.BrandID] {
				return true
			}
		}
	}
	return false
}

// sendShipments sends the list inside an update of the order, or by its own call where the portal has one.
func (r *Shipments) sendShipments(ctx context.Context, t *turn, list json.RawMessage, body []byte) (Order, error) {
	if !r.client.Dialect().OwnShipments {
		return r.update(ctx, t, body)
	}
	err := r.client.SetShipments(ctx, t.object.RemoteID, list)
	if err = notShown(ctx, "write of shipments", err, r.client.Order, t.object.RemoteID); err != nil {
		return Order{}, err
	}
	return r.client.Order(ctx, t.object.RemoteID)
}

// shippedWhenCovered sets the order Shipped when every unit of every line has shipped and NuORDER did not find out by itself. It
// remembers what is still open.
func (o *Orders) shippedWhenCovered(ctx context.Context, t *turn, got *Order) error {
	doc, err := readOrderDoc(got.Raw)
	if err != nil {
		return err
	}
	lines, err := readLines(doc["line_items"])
	if err != nil {
		return err
	}
	ordered, shipped := newItemSums(), newItemSums()
	ordered.add(lines)
	shipped.alias = ordered.alias
	if err := shippedOf(doc["shipments"], shipped); err != nil {
		return err
	}
	open := decimal.Zero
	for k, q := range ordered.sums {
		open = open.Add(decimal.Max(decimal.Zero, q.Sub(shipped.sums[k])))
	}
	t.object.Identity[identityOpenUnits] = open.String()
	t.object.Identity[identityShipped] = shipped.total().String()
	if !open.IsZero() || !shipped.total().IsPositive() || string(got.Status) == string(Shipped) || string(got.Status) == string(Cancelled) {
		return nil
	}
	_, err = o.client.SetOrderStatus(ctx, t.object.RemoteID, Shipped)
	if err = notShown(ctx, "ending of an order", err, o.client.Order, t.object.RemoteID); err != nil {
		return fmt.Errorf("set order %s shipped: %w", t.object.RemoteID, err)
	}
	t.object.Parts[partStatus] = ledger.Part{Body: []byte(`"shipped"`), At: t.now}
	return nil
}

// withVoided adds the shipments that the OMS no longer has, marked as cancelled: a portal that merges arrays forgets nothing by
// itself. Shipments are known by their tracking numbers.
func withVoided(now, before json.RawMessage) (json.RawMessage, error) {
	var list, old []map[string]json.RawMessage
	if err := decode(now, &list); err != nil {
		return nil, fmt.Errorf("read shipments: %w", err)
	}
	if len(before) == 0 || decode(before, &old) != nil {
		return now, nil
	}
	numbers := func(s map[string]json.RawMessage) []Text {
		var out []Text
		if len(s["tracking_numbers"]) > 0 && decode(s["tracking_numbers"], &out) != nil {
			return nil
		}
		return out
	}
	for _, s := range old {
		mine := numbers(s)
		kept := slices.ContainsFunc(list, func(n map[string]json.RawMessage) bool {
			return slices.ContainsFunc(numbers(n), func(x Text) bool { return slices.Contains(mine, x) })
		})
		if kept || len(mine) == 0 {
			continue
		}
		if !bytes.Equal(s["status"], []byte(`"cancelled"`)) {
			s["status"] = json.RawMessage(`"cancelled"`)
		}
		list = append(list, s)
	}
	return encodeJSON(list)
}
