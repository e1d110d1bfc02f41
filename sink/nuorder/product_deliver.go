package nuorder

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// Deliver makes the product equal to its body. A product that is not selected any more is archived from the last body.
func (r *Products) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	if w.Body.Filtered {
		return r.archive(ctx, t)
	}
	body, err := t.restored(map[string]any{"archived": false, "active": true})
	if err != nil {
		return t.end("", err)
	}
	body, sheets, err := withoutSheets(body)
	if err != nil {
		return t.end("", err)
	}
	before := t.object.RemoteID
	var p Product
	if t.object.RemoteID != "" {
		p, err = r.client.UpdateProduct(ctx, t.object.RemoteID, body)
		switch id := ConflictID(err); {
		case IsNotFound(err):
			t.gone()
		case id != "" && id != t.object.RemoteID:
			// Another _id may have our brand_id by now.
			if stored, readErr := r.client.Product(ctx, id); readErr == nil && stored.BrandID != "" && Same(string(stored.BrandID), w.Body.RemoteKey) {
				p, err = r.client.UpdateProduct(ctx, id, body)
				err = notMade("update of a product", err) // it was shown a moment ago
			}
		}
	}
	if t.object.RemoteID == "" {
		p, err = r.create(ctx, t, body)
	}
	if fault.KindOf(err) == fault.Reject && ConflictID(err) != "" {
		return r.askForName(ctx, t, err)
	}
	if err != nil {
		return t.end("", err)
	}
	delete(t.object.Identity, identityYielded)
	t.learn(&p)
	t.object.RemoteKey = w.Body.RemoteKey
	delete(t.object.Identity, identityArchived)
	if err := r.sheets(ctx, t, sheets, t.work.Object.InDoubt || before != t.object.RemoteID); err != nil {
		return t.end("", err)
	}
	t.sent(w.Body.JSON)
	if before != "" && before != t.object.RemoteID {
		// A new product has no stock, which NuORDER takes for no limit on orders.
		if err := r.objects.Doubt(ctx, w.Environment, mapper.Inventory, []mapper.Key{w.Body.Key}, reasonProductRecreated); err != nil {
			return t.end("", err)
		}
	}
	return t.end(ledger.Delivered, nil)
}

// create makes the product known. A conflict is an answer, not an end: if the stored product is ours, it is updated.
func (r *Products) create(ctx context.Context, t *turn, body []byte) (Product, error) {
	p, err := r.client.UpsertProduct(ctx, body)
	err = notMade("create of a product", err)
	if fault.CodeOf(err) == CodeConflict {
		return r.adopt(ctx, t, body, err)
	}
	switch {
	case err != nil:
		return p, err
	case p.ID == "":
		return p, unreadable("the portal's answer holds no _id of the product")
	case p.BrandID != "" && !Same(string(p.BrandID), t.work.Body.RemoteKey):
		return p, contradicted("create of a product", true, "another brand_id than that of the product")
	}
	return p, nil
}

// adopt updates the product that a conflict is about, if it is this one: it has our brand_id, or none and our style, season and colour.
func (r *Products) adopt(ctx context.Context, t *turn, body []byte, conflict error) (Product, error) {
	stored, err := r.inTheWay(ctx, t, conflict)
	if err != nil {
		return Product{}, err
	}
	switch {
	case stored.BrandID != "" && !Same(string(stored.BrandID), t.work.Body.RemoteKey):
		return Product{}, conflictWith(conflict, "style_number", "another product at NuORDER has this style, season and colour under another brand_id; archive one of the two or give them different colours")
	case stored.BrandID == "" && !sameStyle(body, &stored):
		return Product{}, conflictWith(conflict, "brand_id", "NuORDER names a product that has neither this brand_id nor this style, season and colour; look at both there")
	}
	p, err := r.client.UpdateProduct(ctx, string(stored.ID), body)
	return p, notMade("update of a product", err)
}

// inTheWay reads the product that a conflict is about: by the _id that NuORDER named, or, if it named none or one that it does not show,
// by our brand_id.
func (r *Products) inTheWay(ctx context.Context, t *turn, conflict error) (Product, error) {
	id := ConflictID(conflict)
	if id != "" {
		stored, err := r.client.Product(ctx, id)
		if err == nil || !IsNotFound(err) {
			return stored, err
		}
	}
	stored, err := r.client.ProductByExternalID(ctx, t.work.Body.RemoteKey)
	if IsNotFound(err) {
		return stored, unseen(id, conflict)
	}
	return stored, err
}

// unseen ends a conflict with a document that NuORDER does not show. One that it named by _id may yet appear.
func unseen(id string, conflict error) error {
	if id == "" {
		return conflict
	}
	return &fault.Error{Kind: fault.Retry, Code: CodeConflict, Rule: "unique", Err: fmt.Errorf("NuORDER names document %s and does not show it: %w", id, conflict)}
}

// sameStyle tells whether a stored product has the natural key of a body.
func sameStyle(body []byte, stored *Product) bool {
	var ours Product
	return decode(body, &ours) == nil && Same(string(ours.StyleNumber), string(stored.StyleNumber)) &&
		Same(string(ours.Season), string(stored.Season)) && Same(string(ours.Color), string(stored.Color))
}

func unreadable(text string) error {
	e := fault.New(fault.Retry, CodeUnreadable, "%s", text)
	e.Ambiguous = true
	return e
}

// conflictWith explains a conflict to the OMS administrator.
func conflictWith(err error, field, hint string) error {
	return &fault.Error{Kind: fault.Reject, Code: CodeConflict, Field: field, Rule: "unique", Hint: hint, Err: err}
}

// askForName deals with a product whose style, season and colour another product of ours has at NuORDER, as after the rename of a key that
// the brand_id is made of. Its owner is asked to give the name up, which it does if its own document is not selected any more; meanwhile
// this one waits. If that was of no use, two living documents claim one name, which a person must decide. // decision 4
func (r *Products) askForName(ctx context.Context, t *turn, conflict error) (sink.Delivery, error) {
	id := ConflictID(conflict)
	found, err := r.objects.ByRemoteID(ctx, t.work.Environment, mapper.Product, []string{id})
	if err != nil {
		return t.end("", err)
	}
	other, ours := found[id]
	// One that is archived will give the name up. One that is not may be about to be; an object that waited with a call behind it is in
	// doubt, so that it asks once.
	willing := other.Identity[identityArchived] != "" && other.Identity[identityYielded] == ""
	if !ours || other.Key == t.work.Body.Key || !willing && t.work.Object.InDoubt {
		return t.end("", conflict)
	}
	if err := r.objects.Doubt(ctx, t.work.Environment, mapper.Products, []mapper.Key{other.Key}, ledger.ReasonNameWanted); err != nil {
		return t.end("", err)
	}
	return t.wait(mapper.Ref{Flow: mapper.Products, Key: other.Key})
}

// yielded gives the body of an archived product another colour, so that its style, season and colour are free.
func (t *turn) yielded(body []byte) ([]byte, error) {
	if t.work.Yield {
		t.object.Identity[identityYielded] = "true"
	}
	if t.object.Identity[identityYielded] == "" {
		return body, nil
	}
	var doc struct {
		Color string `json:"color"`
	}
	if err := decode(body, &doc); err != nil {
		return nil, fault.New(fault.Reject, CodeBadRequest, "the body is no JSON object")
	}
	mark := " (" + t.brandID() + ")"
	if strings.HasSuffix(doc.Color, mark) {
		return body, nil
	}
	return with(body, map[string]any{"color": doc.Color + mark})
}

// find looks for a product whose create had no answer.
func (r *Products) find(ctx context.Context, t *turn) error {
	name := t.work.Body.RemoteKey
	if t.object.RemoteID != "" || !t.object.InDoubt || name == "" {
		return nil
	}
	p, err := r.client.ProductByExternalID(ctx, name)
	if err == nil {
		t.learn(&p)
		t.object.RemoteKey = name
	}
	if IsNotFound(err) {
		return nil
	}
	return err
}

// archive takes the product out of the shop window. One that NuORDER does not know is filtered already.
func (r *Products) archive(ctx context.Context, t *turn) (sink.Delivery, error) {
	if err := r.find(ctx, t); err != nil || t.object.RemoteID == "" {
		return t.end(ledger.Filtered, err)
	}
	body := t.last()
	if len(body) == 0 {
		stored, err := r.client.Product(ctx, t.object.RemoteID)
		if IsNotFound(err) {
			t.gone()
			return t.end(ledger.Filtered, nil)
		}
		if err != nil {
			return t.end("", err)
		}
		if body, err = writable(stored.Raw); err != nil {
			return t.end("", err)
		}
	}
	body, _, err := withoutSheets(body)
	if err != nil {
		return t.end("", err)
	}
	if body, err = t.yielded(body); err != nil {
		return t.end("", err)
	}
	if body, err = with(body, map[string]any{"archived": true, "active": false}); err != nil {
		return t.end("", err)
	}
	p, err := r.client.UpdateProduct(ctx, t.object.RemoteID, body)
	err = notShown(ctx, "archival of a product", err, r.client.Product, t.object.RemoteID)
	if IsNotFound(err) {
		t.gone()
		return t.end(ledger.Filtered, nil)
	}
	if err != nil {
		return t.end("", err)
	}
	t.learn(&p)
	t.object.Identity[identityArchived] = "true"
	t.sent(body)
	return t.end(ledger.Delivered, nil)
}

// learn keeps what the portal told of a product: ids of itself, its sizes and its warehouses, and the brand_id as stored.
func (t *turn) learn(p *Product) {
	if p.ID != "" {
		t.object.RemoteID = string(p.ID)
	}
	if p.BrandID != "" {
		t.object.StoredKey = string(p.BrandID)
	}
	if len(p.Sizes)+len(p.SizeIDs) > 0 {
		for k := range t.object.Identity {
			if strings.HasPrefix(k, identitySize) {
				delete(t.object.Identity, k)
			}
		}
	}
	for _, list := range [][]ProductSize{p.SizeIDs, p.Sizes} {
		for _, s := range list {
			if s.ID != "" {
				t.object.Identity[identitySize+string(s.Size)] = string(s.ID)
			}
		}
	}
	for _, w := range p.Warehouses {
		for _, name := range []Text{w.Code, w.DisplayName, w.BrandID} {
			if name != "" && w.ID != "" {
				t.object.Identity[identityWarehouse+string(name)] = string(w.ID)
			}
		}
	}
}

// productOf finds the product of a stock document: its _id, its stored brand_id and its sizes.
func productOf(ctx context.Context, o Objects, w *sink.Work) (ledger.Object, bool, error) {
	if p, ok := w.Parents[mapper.Ref{Flow: mapper.Products, Key: w.Body.Key}]; ok && p.RemoteID != "" {
		return p, true, nil
	}
	found, err := o.ByKey(ctx, w.Environment, mapper.Product, []mapper.Key{w.Body.Key})
	if err != nil {
		return ledger.Object{}, false, err
	}
	p, ok := found[w.Body.Key]
	return p, ok && p.RemoteID != "", nil
}

// zeroStock gives a stock body with nothing to sell: every quantity zero and no prebook. An empty inventory would mean no limit.
func zeroStock(body []byte) ([]byte, error) {
	var doc struct {
		Inventory []map[string]json.RawMessage `json:"inventory"`
	}
	if err := decode(body, &doc); err != nil {
		return nil, fault.New(fault.Reject, CodeBadRequest, "the last stock body is not readable")
	}
	for _, w := range doc.Inventory {
		w["prebook"] = json.RawMessage("false")
		var wip []map[string]json.RawMessage
		if len(w["wip"]) > 0 && decode(w["wip"], &wip) != nil {
			return nil, fault.New(fault.Reject, CodeBadRequest, "the last stock body is not readable")
		}
		for _, d := range wip {
			var sizes []map[string]json.RawMessage
			if len(d["sizes"]) > 0 && decode(d["sizes"], &sizes) != nil {
				return nil, fault.New(fault.Reject, CodeBadRequest, "the last stock body is not readable")
			}
			for _, s := range sizes {
				s["quantity"] = json.RawMessage("0")
			}
			raw, err := encodeJSON(sizes)
			if err != nil {
				return nil, err
			}
			d["sizes"] = raw
		}
		raw, err := encodeJSON(wip)
		if err != nil {
			return nil, err
		}
		w["wip"] = raw
	}
	return encodeJSON(doc)
}
