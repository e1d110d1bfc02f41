package nuorder

import (
	"context"
	"encoding/json"
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
		if IsNotFound(err) {
			t.gone()
		}
	}
	if t.object.RemoteID == "" {
		p, err = r.create(ctx, t, body)
	}
	if ConflictID(err) != "" {
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

// create makes the product known. A conflict that names a stored product is an answer, not an end: if that one is ours, it is
// updated.
func (r *Products) create(ctx context.Context, t *turn, body []byte) (Product, error) {
	p, err := r.client.UpsertProduct(ctx, body)
	id := ConflictID(err)
	if id == "" {
		if err == nil && p.ID == "" {
			return p, unreadable("the portal's answer holds no _id of the product")
		}
		return p, err
	}
	stored, readErr := r.client.Product(ctx, id)
	if readErr != nil {
		return p, readErr
	}
	if stored.BrandID != "" && !Same(string(stored.BrandID), t.work.Body.RemoteKey) {
		return p, conflictWith(err, "style_number", "another product at NuORDER has this style, season and colour under another brand_id; archive one of the two or give them different colours")
	}
	return r.client.UpdateProduct(ctx, id, body)
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
