package nuorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// Objects is what the Remotes ask of the ledger.
type Objects interface {
	// ByKey reads objects without owning them; unknown ones are missing from the result.
	ByKey(ctx context.Context, environment string, kind mapper.Kind, keys []mapper.Key) (map[mapper.Key]ledger.Object, error)
	// Doubt marks what a flow delivers of the objects in doubt and wakes the flow.
	Doubt(ctx context.Context, environment string, flow mapper.Flow, keys []mapper.Key, reason string) error
	// ByRemoteID finds objects by NuORDER's _id.
	ByRemoteID(ctx context.Context, environment string, kind mapper.Kind, ids []string) (map[string]ledger.Object, error)
}

// Reasons for which a Remote marks other objects in doubt.
const (
	reasonProductMissing   = "product_missing"   // stock found its product gone
	reasonProductRecreated = "product_recreated" // a new product has no stock
)

// Names of what the Remotes keep in an object's identity.
const (
	identitySize      = "size:"      // of a product: size to its _id
	identityWarehouse = "warehouse:" // of a product: name or code of a warehouse to its id
	identityArchived  = "archived"   // "true" while the object is archived because it is not selected
	identityYielded   = "yielded"    // "true" when an archived product has given up its colour's name to another
	identityRows      = "rows"       // of stock: the replenishments as last written
)

// Products delivers products. The hash that it stores for the part is the SHA-256 of Body.JSON, filtered bodies included.
type Products struct {
	client  *Client
	objects Objects
	// keepsCase is set once a stored product shows that the portal does not fold the case of names.
	keepsCase atomic.Bool
	// shown are the price sheets that were read to compare with.
	shown shownSheets
	// tried are rows of price sheets whose writes had no good end yet.
	tried triedSheets
}

// NewProducts makes the Remote of the products flow.
func NewProducts(c *Client, o Objects) *Products { return &Products{client: c, objects: o} }

// Customers delivers companies; the hash is as with Products.
type Customers struct {
	client *Client
}

// NewCustomers makes the Remote of the customers flow.
func NewCustomers(c *Client) *Customers { return &Customers{client: c} }

// Stock delivers the inventory of products; the hash is as with Products.
type Stock struct {
	client  *Client
	objects Objects
}

// NewStock makes the Remote of the inventory flow.
func NewStock(c *Client, o Objects) *Stock { return &Stock{client: c, objects: o} }

// counterKey carries the tally of one delivery.
type counterKey struct{}

// tally is what the attempts of one delivery come to.
type tally struct {
	calls atomic.Int64
	// late is set when an attempt got no answer and may yet be carried out.
	late atomic.Bool
	// wrote is set when an attempt may have changed something at NuORDER.
	wrote atomic.Bool
}

// written notes an attempt that may have changed something.
func written(ctx context.Context) {
	if n, ok := ctx.Value(counterKey{}).(*tally); ok {
		n.wrote.Store(true)
	}
}

// turn is one delivery under way.
type turn struct {
	work   sink.Work
	object ledger.Object
	calls  *tally
	now    time.Time
	// imported is the order as NuORDER had it at its import, while nothing was delivered yet.
	imported []byte
}

// begin binds the calls of a delivery to the lease: none goes on when it ends. // decision 4
func begin(ctx context.Context, c *Client, w sink.Work) (context.Context, *turn, context.CancelFunc) {
	t := &turn{work: w, object: w.Object, calls: new(tally), now: c.now()}
	t.object.Identity = maps.Clone(w.Object.Identity)
	if t.object.Identity == nil {
		t.object.Identity = make(map[string]string)
	}
	t.object.Parts = maps.Clone(w.Object.Parts)
	if t.object.Parts == nil {
		t.object.Parts = make(map[string]ledger.Part)
	}
	ctx = withUrgent(WithRank(context.WithValue(ctx, counterKey{}, t.calls), rankOfWork(w)), w.Urgent)
	cancel := context.CancelFunc(func() {})
	if !w.Deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, w.Deadline)
	}
	return ctx, t, cancel
}

// rankOfWork puts the loop's order of service into the gate's. A parent that an order waits for comes with the rank of orders.
func rankOfWork(w sink.Work) Rank {
	switch {
	case w.Body.Flow.Kind() == mapper.Order:
		return RankOrders
	case w.Rank <= ledger.RankOrders:
		return RankParents
	case w.Rank < ledger.RankStock:
		return RankProducts
	case w.Rank == ledger.RankStock:
		return RankInventory
	default:
		return RankBulk
	}
}

// countAttempt counts an attempt for the delivery that the context belongs to, if any.
func countAttempt(ctx context.Context) {
	if n, ok := ctx.Value(counterKey{}).(*tally); ok {
		n.calls.Add(1)
	}
}

// unanswered notes that an attempt got no answer.
func unanswered(ctx context.Context) {
	if n, ok := ctx.Value(counterKey{}).(*tally); ok {
		n.late.Store(true)
	}
}

func (t *turn) part() string { return ledger.PartOf(t.work.Body.Flow) }

// made is how many attempts were made.
func (t *turn) made() int64 { return t.calls.calls.Load() }

// last is the body that was last delivered, empty if the ledger does not have it.
func (t *turn) last() []byte { return t.object.Parts[t.part()].Body }

// before is the order that NuORDER holds, as far as is known.
func (t *turn) before() []byte {
	if last := t.last(); len(last) > 0 {
		return last
	}
	return t.imported
}

// sent records what NuORDER holds from now on.
func (t *turn) sent(body []byte) {
	t.object.Known = true
	t.object.Parts[t.part()] = ledger.Part{Hash: sha256.Sum256(t.work.Body.JSON), Body: body, At: t.now}
}

// inStep tells that NuORDER is known to hold this very body. In doubt is not unchanged. // decision 5
func (t *turn) inStep() bool {
	part, sent := t.object.Parts[t.part()]
	return sent && !t.object.InDoubt && part.Hash == sha256.Sum256(t.work.Body.JSON)
}

// kept ends a turn whose body is in step: unchanged, unless something else of the object had to be delivered.
func (t *turn) kept() ledger.Disposition {
	if t.made() > 0 {
		return ledger.Delivered
	}
	return ledger.Unchanged
}

// gone forgets an object that NuORDER does not know any more.
func (t *turn) gone() {
	t.object.Known, t.object.RemoteID, t.object.StoredKey = false, "", ""
	clear(t.object.Identity)
	delete(t.object.Parts, t.part())
}

func (t *turn) end(d ledger.Disposition, err error) (sink.Delivery, error) {
	out := sink.Delivery{Object: t.work.Object, Calls: int(t.made()), Late: t.calls.late.Load(), Wrote: t.calls.wrote.Load()}
	if err != nil {
		return out, err
	}
	out.Disposition, out.Object = d, t.object
	return out, nil
}

func (t *turn) wait(refs ...mapper.Ref) (sink.Delivery, error) {
	out, _ := t.end(ledger.Waiting, nil)
	out.WaitFor = refs
	return out, nil
}

// with gives the body with some fields set, all others as they are, keys sorted.
func with(body []byte, set map[string]any) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := decode(body, &doc); err != nil || doc == nil {
		return nil, &fault.Error{Kind: fault.Reject, Code: CodeBadRequest, Err: fmt.Errorf("the body is no JSON object")}
	}
	for k, v := range set {
		raw, err := encodeJSON(v)
		if err != nil {
			return nil, err
		}
		doc[k] = raw
	}
	return encodeJSON(doc)
}

// has tells whether the body names a field.
func has(body []byte, field string) bool {
	if !bytes.Contains(body, []byte(`"`+field+`"`)) {
		return false
	}
	var doc map[string]json.RawMessage
	return decode(body, &doc) == nil && doc[field] != nil
}

// restored gives the body to send for an object that was archived by us: a mapping that does not name the fields itself would
// leave it archived.
func (t *turn) restored(live map[string]any) ([]byte, error) {
	body := t.work.Body.JSON
	if t.object.Identity[identityArchived] == "" {
		return body, nil
	}
	lacking := make(map[string]any)
	for field, v := range live {
		if !has(body, field) {
			lacking[field] = v
		}
	}
	if len(lacking) == 0 {
		return body, nil
	}
	return with(body, lacking)
}

// writable drops from a stored document what only the portal writes, so that it can be sent back.
func writable(raw json.RawMessage) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := decode(raw, &doc); err != nil {
		return nil, &fault.Error{Kind: fault.Retry, Code: CodeUnreadable, Err: fmt.Errorf("the stored document is no JSON object")}
	}
	for k := range doc {
		switch k {
		case "_id", "created_on", "modified_on", "schema_id", "warehouses", "buyers", "user_connections":
			delete(doc, k)
		default:
			if len(k) > 1 && k[:2] == "__" {
				delete(doc, k)
			}
		}
	}
	return encodeJSON(doc)
}
