package nuorder

import (
	"context"

	"nubridge/internal/fault"
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
		switch id := ConflictID(err); {
		case IsNotFound(err):
			t.gone()
		case id != "" && id != t.object.RemoteID: // another _id may have our code by now
			p, err = r.adopt(ctx, t, body, err)
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
		p, err := r.client.UpdateCompanyByCode(ctx, code, body)
		if err == nil && p.ID != "" && string(p.ID) != t.object.RemoteID {
			err = contradicted("update of a company by code", true, "another company than the one that has the code")
		}
		return p, err
	}
	return r.client.UpdateCompany(ctx, t.object.RemoteID, body)
}

func (r *Customers) create(ctx context.Context, t *turn, body []byte) (Company, error) {
	p, err := r.client.UpsertCompany(ctx, body)
	err = notMade("create of a company", err)
	if fault.CodeOf(err) == CodeConflict {
		return r.adopt(ctx, t, body, err)
	}
	switch {
	case err != nil:
		return p, err
	case p.ID == "":
		return p, unreadable("the portal's answer holds no _id of the company")
	case p.Code != "" && !Same(string(p.Code), t.work.Body.RemoteKey):
		return p, contradicted("create of a company", true, "another code than that of the company")
	}
	return p, nil
}

// adopt updates the company that a conflict is about, if it has our code. It is read by the _id that NuORDER named, or, if it named none
// or one that it does not show, by our code.
func (r *Customers) adopt(ctx context.Context, t *turn, body []byte, conflict error) (Company, error) {
	id := ConflictID(conflict)
	stored, err := Company{}, conflict
	if id != "" {
		if stored, err = r.client.Company(ctx, id); err != nil && !IsNotFound(err) {
			return stored, err
		}
	}
	if err != nil {
		stored, err = r.client.CompanyByCode(ctx, t.work.Body.RemoteKey)
	}
	switch {
	case IsNotFound(err):
		return stored, unseen(id, conflict)
	case err != nil:
		return stored, err
	case stored.Code != "" && !Same(string(stored.Code), t.work.Body.RemoteKey):
		return stored, conflictWith(conflict, "code", "another company at NuORDER conflicts with this one under another code; correct one of the two")
	}
	p, err := r.client.UpdateCompany(ctx, string(stored.ID), body)
	return p, notMade("update of a company", err)
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
	err = notShown(ctx, "end of a company", err, r.client.Company, t.object.RemoteID)
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
