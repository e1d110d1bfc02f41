package nuorder

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// Seen is how an object stands at NuORDER, read and not written.
type Seen struct {
	// Differs names what NuORDER holds otherwise than it should, by field; empty if the two are in step.
	Differs string
	// Object is what the ledger shall know: names and identity as NuORDER shows them, and the part, if it is in step.
	Object ledger.Object
}

// seenTurn is the turn of an object that is looked at and not delivered.
func seenTurn(c *Client, body mapper.Body, object ledger.Object) *turn {
	_, t, cancel := begin(context.Background(), c, sink.Work{Environment: object.Environment, Body: body, Object: object})
	cancel()
	return t
}

// seen ends a look. The hash is that of the document as the loop computes it; sent is the body that is in force, if it is known.
func (t *turn) seen(differs string, sent []byte) Seen {
	t.object.Known = true
	if differs != "" {
		t.object.Parts = nil
		return Seen{Differs: differs, Object: t.object}
	}
	t.object.Parts = map[string]ledger.Part{t.part(): {Hash: sha256.Sum256(t.work.Body.JSON), Body: sent, At: t.now}}
	return Seen{Object: t.object}
}

// Compare holds a stored product against the body of its document. It makes no call but the one that reads a price sheet, the first
// time that a product has a row in it.
func (r *Products) Compare(ctx context.Context, body mapper.Body, object ledger.Object, stored *Product) (Seen, error) {
	t := seenTurn(r.client, body, object)
	t.learn(stored)
	t.object.RemoteKey = body.RemoteKey
	var flags struct {
		Archived bool `json:"archived"`
	}
	if err := decode(stored.Raw, &flags); err != nil {
		return Seen{}, unreadable("the flags of a stored product are not readable")
	}
	if body.Filtered {
		if !flags.Archived {
			return t.seen("archived", nil), nil
		}
		t.object.Identity[identityArchived] = "true"
		return t.seen("", nil), nil
	}
	delete(t.object.Identity, identityArchived)
	if flags.Archived && !has(body.JSON, "archived") {
		t.object.Identity[identityArchived] = "true" // so that the delivery restores it
		return t.seen("archived", nil), nil
	}
	ours, sheets, err := withoutSheets(body.JSON)
	if err != nil {
		return Seen{}, err
	}
	if !r.keepsCase.Load() {
		if ours, err = asFolded(ours, stored); err != nil {
			return Seen{}, err
		}
	}
	differs, err := readBack(ours, stored.Raw)
	if err != nil {
		return Seen{}, unreadable(err.Error())
	}
	for i := range sheets {
		if differs != "" {
			break
		}
		row, readable, err := r.shown.row(ctx, r.client, &sheets[i], stored)
		switch {
		case err != nil:
			return Seen{}, err
		case readable && row != nil && sheets[i].shows(row):
			t.object.Identity[sheets[i].name()] = sheets[i].hash
		case readable || object.Identity[sheets[i].name()] != sheets[i].hash:
			// Where NuORDER does not show its sheets, only what the ledger itself wrote there is known.
			differs = fieldSheets
		}
	}
	return t.seen(differs, body.JSON), nil
}

// Observe looks whether the portal keeps the case of names: one that folds it has no brand_id or name with a capital and no
// style_number with a small letter. What was seen once holds for all products that are compared afterwards.
func (r *Products) Observe(stored []*Product) {
	for _, p := range stored {
		var name struct {
			Name Text `json:"name"`
		}
		_ = decode(p.Raw, &name) // it was read before
		small := string(p.BrandID) + string(name.Name)
		if small != strings.ToLower(small) || string(p.StyleNumber) != strings.ToUpper(string(p.StyleNumber)) {
			r.keepsCase.Store(true)
			return
		}
	}
}

// asFolded gives the body as a portal stores it that folds case, if this one does: brand_id and name in small letters, style_number
// in capitals, all three or none.
func asFolded(ours []byte, stored *Product) ([]byte, error) {
	var our, their struct {
		BrandID     Text `json:"brand_id"`
		Name        Text `json:"name"`
		StyleNumber Text `json:"style_number"`
	}
	if decode(ours, &our) != nil || decode(stored.Raw, &their) != nil {
		return nil, unreadable("the names of a product are not readable")
	}
	folded := our
	folded.BrandID, folded.Name = Text(strings.ToLower(string(our.BrandID))), Text(strings.ToLower(string(our.Name)))
	folded.StyleNumber = Text(strings.ToUpper(string(our.StyleNumber)))
	if their != folded || their == our {
		return ours, nil
	}
	set := map[string]any{}
	for field, v := range map[string]Text{"brand_id": folded.BrandID, "name": folded.Name, "style_number": folded.StyleNumber} {
		if has(ours, field) {
			set[field] = string(v)
		}
	}
	return with(ours, set)
}

// Name is our name for a stored product.
func (r *Products) Name(p *Product) string { return string(p.BrandID) }

// Each reads all products of the portal, page by page, and hands each page over.
func (r *Products) Each(ctx context.Context, page func([]Product) error) error {
	return eachModified(ctx, r.client, ClassProducts, "products", func(p *Product) string { return string(p.ID) }, page)
}

// Find reads the product of a document by its name at NuORDER, or by its _id if that is known; nil if it is not there.
func (r *Products) Find(ctx context.Context, object ledger.Object, name string) (*Product, error) {
	names := []string{name}
	if folded := strings.ToLower(name); folded != name {
		names = append(names, folded)
	}
	return firstThere(ctx, "product", object.RemoteID, names, r.client.Product, r.client.ProductByExternalID, func(p *Product) Text { return p.ID })
}

// Compare holds a stored company against the body of its document. It makes no call.
func (r *Customers) Compare(_ context.Context, body mapper.Body, object ledger.Object, stored *Company) (Seen, error) {
	t := seenTurn(r.client, body, object)
	t.learnCompany(stored)
	t.object.RemoteKey = body.RemoteKey
	flags := struct {
		Active *bool `json:"active"`
	}{}
	if err := decode(stored.Raw, &flags); err != nil {
		return Seen{}, unreadable("the flags of a stored company are not readable")
	}
	inactive := flags.Active != nil && !*flags.Active
	if body.Filtered {
		if !inactive {
			return t.seen("active", nil), nil
		}
		t.object.Identity[identityArchived] = "true"
		return t.seen("", nil), nil
	}
	delete(t.object.Identity, identityArchived)
	if inactive && !has(body.JSON, "active") {
		t.object.Identity[identityArchived] = "true"
		return t.seen("active", nil), nil
	}
	differs, err := readBack(body.JSON, stored.Raw)
	if err != nil {
		return Seen{}, unreadable(err.Error())
	}
	return t.seen(differs, body.JSON), nil
}

// Name is our name for a stored company.
func (r *Customers) Name(p *Company) string { return string(p.Code) }

// Observe has nothing to learn from companies.
func (r *Customers) Observe([]*Company) {}

// Each reads all companies of the portal, page by page, and hands each page over.
func (r *Customers) Each(ctx context.Context, page func([]Company) error) error {
	return eachModified(ctx, r.client, ClassCompanies, "companies", func(p *Company) string { return string(p.ID) }, page)
}

// Find reads the company of a document by its code, or by its _id if that is known; nil if it is not there.
func (r *Customers) Find(ctx context.Context, object ledger.Object, code string) (*Company, error) {
	return firstThere(ctx, "company", object.RemoteID, []string{code}, r.client.Company, r.client.CompanyByCode, func(p *Company) Text { return p.ID })
}

// firstThere reads an object by its _id and, while it is not found, by one name after the other; empty ones are passed over. It gives
// nil if it is not there.
func firstThere[T any](ctx context.Context, what, id string, names []string, byID, byName func(context.Context, string) (T, error), idOf func(*T) Text) (*T, error) {
	read := func(by func(context.Context, string) (T, error), name string) (*T, error) {
		if name == "" {
			return nil, nil //nolint:nilnil // it is not there
		}
		p, err := by(ctx, name)
		switch {
		case IsNotFound(err):
			return nil, nil //nolint:nilnil // it is not there
		case err != nil:
			return nil, err
		case idOf(&p) == "":
			return nil, unreadable("the portal's answer holds no _id of the " + what)
		}
		return &p, nil
	}
	p, err := read(byID, id)
	for _, name := range names {
		if p != nil || err != nil {
			break
		}
		p, err = read(byName, name)
	}
	return p, err
}

// epoch is a day before any product or company.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// ErrNotListed tells that a portal does not give a list as a whole: its objects are to be asked for one by one.
var ErrNotListed = errors.New("the portal does not list them")

// eachModified reads the list of all objects of a kind, page by page.
func eachModified[T any](ctx context.Context, c *Client, class Class, kind string, id func(*T) string, page func([]T) error) error {
	r := &request{class: class, method: http.MethodGet, route: kind + "/modified/after/{mm}/{dd}/{yyyy}", args: dayParts(epoch), list: true}
	return notListed(eachPage(ctx, c, r, id, page))
}

// notListed tells a portal that has no such list, or too long a one to be taken whole, from one that fails.
func notListed(err error) error {
	if IsNotFound(err) || fault.CodeOf(err) == CodeAnswerTooLarge {
		return fmt.Errorf("%w: %w", ErrNotListed, err)
	}
	return err
}

// Stored reads the stock of a product, as NuORDER shows it by the calls that it is written with. Replenishments have no call that
// reads them; the product shows what came of them.
func (r *Stock) Stored(ctx context.Context, product *ledger.Object) (json.RawMessage, error) {
	switch d := r.client.config.Dialect; {
	case d.Replenishments:
		p, err := r.client.Product(ctx, product.RemoteID)
		return p.Raw, err
	case d.StockByExternalID && product.StoredKey != "":
		return r.client.ReadInventoryByExternalID(ctx, product.StoredKey)
	default:
		return r.client.ReadInventory(ctx, product.RemoteID)
	}
}

// readTries is how often in a row a read may fail before Patiently gives up.
const readTries = 8

// Patiently reads until it succeeds: it waits out what the portal or the client's own limits ask for, and tries again what may succeed
// later. Refused credentials, refused input and lists that are too long are no matter of patience.
func Patiently(ctx context.Context, read func() error) error {
	for failures := 1; ; {
		err := read()
		e, known := errors.AsType[*fault.Error](err)
		if err == nil || !known || ctx.Err() != nil {
			return err
		}
		wait := e.After
		switch {
		case e.Code == CodeUnauthorized || e.Code == CodeForbidden || e.Code == CodeAnswerTooLarge || e.Code == CodeCancelled:
			return err
		case e.Kind == fault.Throttle:
		case e.Kind == fault.Retry && failures < readTries:
			failures++
			wait = max(wait, jitter(failures))
		default:
			return err
		}
		timer := time.NewTimer(max(wait, 50*time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}
