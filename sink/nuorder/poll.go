package nuorder

import (
	"bytes"
	"context"
)

// Polling is the client as the way back needs it: orders as NuORDER sends them, statuses as texts.
type Polling struct {
	client *Client
}

// NewPolling wraps a client.
func NewPolling(c *Client) *Polling { return &Polling{client: c} }

// OrderIDs lists the _ids of the orders in a status, all of them.
func (p *Polling) OrderIDs(ctx context.Context, status string) ([]string, error) {
	return p.client.OrderIDs(ctx, Status(status))
}

// Order reads one order by _id; the code is not_found when NuORDER does not know it.
func (p *Polling) Order(ctx context.Context, id string) ([]byte, error) {
	o, err := p.client.Order(ctx, id)
	return o.Raw, err
}

// SetOrderStatus sets a status; an order that has it already is no error. It gives the order as it is then, or nothing if the answer
// did not tell.
func (p *Polling) SetOrderStatus(ctx context.Context, id, status string) ([]byte, error) {
	a, err := p.client.setStatus(ctx, "order/{id}", id, Status(status))
	if err != nil {
		return nil, err
	}
	var o Order
	if body := bytes.TrimSpace(a.body); len(body) > 0 && decode(body, &o) == nil && string(o.ID) == id {
		return o.Raw, nil
	}
	return nil, nil
}
