package nuorder

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"nubridge/internal/fault"
)

// OrderPortal is NuORDER as the order poller sees it.
type OrderPortal struct {
	client *Client
	names  func(ctx context.Context) (map[string]string, error)

	// named matches an order that names a warehouse.
	named *regexp.Regexp

	mu sync.Mutex
	// warehouses are codes by _id, as last asked for.
	warehouses map[string]string
	asked      time.Time
}

// NewOrderPortal makes the poller's view of a portal. Orders name warehouses by NuORDER's _id; names, if not nil, gives their codes
// by _id, and orders are then shown with codes, which mappings can know.
func NewOrderPortal(c *Client, names func(ctx context.Context) (map[string]string, error)) *OrderPortal {
	p := &OrderPortal{client: c, names: names, warehouses: map[string]string{}, named: regexp.MustCompile(`"warehouse"\s*:\s*"[^"]`)}
	for name, id := range c.Dialect().Warehouses {
		p.warehouses[id] = name
	}
	return p
}

// OrderIDs lists the _ids of all orders in a status.
func (p *OrderPortal) OrderIDs(ctx context.Context, status string) ([]string, error) {
	return p.client.OrderIDs(ctx, Status(strings.ToLower(status)))
}

// Order reads one order by _id.
func (p *OrderPortal) Order(ctx context.Context, id string) ([]byte, error) {
	o, err := p.client.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.shown(ctx, o.Raw)
}

// SetOrderStatus sets a status and gives the order as the answer shows it, nothing if it does not.
func (p *OrderPortal) SetOrderStatus(ctx context.Context, id, status string) ([]byte, error) {
	a, err := p.client.statusAnswer(ctx, "order/{id}", id, Status(strings.ToLower(status)))
	if err != nil || a.status == http.StatusNotModified {
		return nil, err
	}
	var o Order
	if decode(a.body, &o) != nil || string(o.ID) != id {
		return nil, nil //nolint:nilerr // the status is set; the caller reads the order if it wants it
	}
	return p.shown(ctx, o.Raw)
}

// statusAnswer changes a status and gives the whole answer.
func (c *Client) statusAnswer(ctx context.Context, route, id string, s Status) (*answer, error) {
	if !s.Known() {
		return nil, unknownStatus(s)
	}
	d := c.config.Dialect
	r := &request{class: ClassOrderWrites, method: d.StatusVerb, want: expect{body: true, notModified: true}}
	if d.StatusInBody {
		r.route, r.args = route+"/status", []string{id}
		r.body = []byte(`{"status":"` + strings.ToUpper(string(s)) + `"}`)
	} else {
		word := string(s)
		if w := d.StatusWords[s]; w != "" {
			word = w
		}
		r.route, r.args = route+"/{status}", []string{id, word}
	}
	a, err := c.do(ctx, r)
	if err == nil && a.status != http.StatusNotModified {
		err = r.aboutStatus(a, id, s)
	}
	if err != nil {
		return nil, notItself(r.name(), err, id)
	}
	return a, nil
}

// aboutStatus holds the order that the answer to a status change shows, if it does, against what was asked for. One whose units have all
// shipped goes on from processed by itself.
func (r *request) aboutStatus(a *answer, name string, s Status) error {
	var o Order
	if decode(a.body, &o) != nil || objectID(string(o.ID)) == "" {
		return nil //nolint:nilerr // it shows no order
	}
	shows := o.ID
	if strings.HasPrefix(r.route, "order/number/") {
		shows = o.OrderNumber
	}
	if err := r.about(nil, shows, name); err != nil {
		return err
	}
	now := Status(strings.ToLower(string(o.Status)))
	if !now.Known() || now == s || s == Processed && now == Shipped {
		return nil
	}
	return contradicted(r.name(), true, fmt.Sprintf("an order that is %s", now))
}

// shown replaces the _ids of warehouses by their codes.
func (p *OrderPortal) shown(ctx context.Context, raw json.RawMessage) ([]byte, error) {
	if !p.named.Match(raw) {
		return raw, nil // orders are large, and most name no warehouse
	}
	var doc map[string]json.RawMessage
	if err := decode(raw, &doc); err != nil {
		return nil, fault.New(fault.Retry, CodeUnreadable, "read an order: the answer is no JSON object")
	}
	var lines []map[string]json.RawMessage
	if decode(doc["line_items"], &lines) != nil {
		return raw, nil //nolint:nilerr // an order without lines is shown as it is
	}
	changed := false
	for _, l := range lines {
		var id Text
		if len(l["warehouse"]) == 0 || decode(l["warehouse"], &id) != nil || id == "" {
			continue
		}
		if code := p.code(ctx, string(id)); code != "" {
			text, err := encodeJSON(code)
			if err != nil {
				return nil, err
			}
			l["warehouse"], changed = text, true
		}
	}
	if !changed {
		return raw, nil
	}
	text, err := encodeJSON(lines)
	if err != nil {
		return nil, err
	}
	doc["line_items"] = text
	return encodeJSON(doc)
}

// code gives the code of a warehouse, empty if nobody knows it. Unknown ones are asked for at most once a minute.
func (p *OrderPortal) code(ctx context.Context, id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.warehouses[id]; code != "" || p.names == nil || time.Since(p.asked) < time.Minute {
		return p.warehouses[id]
	}
	p.asked = time.Now()
	found, err := p.names(ctx)
	if err != nil {
		return ""
	}
	for k, v := range found {
		p.warehouses[k] = v
	}
	return p.warehouses[id]
}
