package nuorder

import (
	"context"

	"nubridge/internal/ledger"
	"nubridge/sink"
)

// Deliver makes the company equal to its body. A company that is not selected any more is set inactive from the last body.
func (r *Customers) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	if w.Body.Filtered {
		return r.archive(ctx, t)
	}
	body, err := t.restored(map[string]any{"active": true})
	if err != nil {
		return t.end("", err)
	}
	var p Company
	if t.object.RemoteID != "" {
		p, err = r.update(ctx, t, body)
		if IsNotFound(err) {
			t.gone()
		}
	}
	if t.object.RemoteID == "" {
		p, err = r.create(ctx, t, body)
	}
	if err != nil {
		return t.end("", err)
	}
	t.learnCompany(&p)
	t.object.RemoteKey = w.Body.RemoteKey
	delete(t.object.Identity, identityArchived)
	t.sent(w.Body.JSON)
	return t.end(ledger.Delivered, nil)
}

func (r *Customers) update(ctx context.Context, t *turn, body []byte) (Company, error) {
	code := t.object.StoredKey
	if code == "" {
		code = t.object.RemoteKey
	}
	if r.client.config.Dialect.CompanyByCode && code != "" {
		return r.client.UpdateCompanyByCode(ctx, code, body)
	}
	return r.client.UpdateCompany(ctx, t.object.RemoteID, body)
}

func (r *Customers) create(ctx context.Context, t *turn, body []byte) (Company, error) {
	p, err := r.client.UpsertCompany(ctx, body)
	id := ConflictID(err)
	if id == "" {
		if err == nil && p.ID == "" {
			return p, unreadable("the portal's answer holds no _id of the company")
		}
		return p, err
	}
	stored, readErr := r.client.Company(ctx, id)
	if readErr != nil {
		return p, readErr
	}
	if stored.Code != "" && !Same(string(stored.Code), t.work.Body.RemoteKey) {
		return p, conflictWith(err, "code", "another company at NuORDER conflicts with this one under another code; correct one of the two")
	}
	return r.client.UpdateCompany(ctx, id, body)
}

// find looks for a company whose create had no answer.
func (r *Customers) find(ctx context.Context, t *turn) error {
	code := t.work.Body.RemoteKey
	if t.object.RemoteID != "" || !t.object.InDoubt || code == "" {
		return nil
	}
	p, err := r.client.CompanyByCode(ctx, code)
	if err == nil {
		t.learnCompany(&p)
		t.object.RemoteKey = code
	}
	if IsNotFound(err) {
		return nil
	}
	return err
}

func (r *Customers) archive(ctx context.Context, t *turn) (sink.Delivery, error) {
	if err := r.find(ctx, t); err != nil || t.object.RemoteID == "" {
		return t.end(ledger.Filtered, err)
	}
	body := t.last()
	if len(body) == 0 {
		stored, err := r.client.Company(ctx, t.object.RemoteID)
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
	body, err := with(body, map[string]any{"active": false})
	if err != nil {
		return t.end("", err)
	}
	p, err := r.update(ctx, t, body)
	if IsNotFound(err) {
		t.gone()
		return t.end(ledger.Filtered, nil)
	}
	if err != nil {
		return t.end("", err)
	}
	t.learnCompany(&p)
	t.object.Identity[identityArchived] = "true"
	t.sent(body)
	return t.end(ledger.Delivered, nil)
}

func (t *turn) learnCompany(p *Company) {
	if p.ID != "" {
		t.object.RemoteID = string(p.ID)
	}
	if p.Code != "" {
		t.object.StoredKey = string(p.Code)
	}
}
