package nuorder

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"nubridge/internal/fault"
)

// Status is the status of an order at NuORDER.
type Status string

// The statuses.
const (
	Draft     Status = "draft"
	Review    Status = "review"
	Pending   Status = "pending"
	Approved  Status = "approved"
	Processed Status = "processed"
	Shipped   Status = "shipped"
	Cancelled Status = "cancelled"
)

// Known tells whether the status is one of NuORDER's. The portal answers an unknown word with an empty list, not with an error.
func (s Status) Known() bool {
	switch s {
	case Draft, Review, Pending, Approved, Processed, Shipped, Cancelled:
		return true
	}
	return false
}

// Order is an order as the portal stores it; what the view does not name stays in Raw.
type Order struct {
	ID          Text            `json:"_id"`
	OrderNumber Text            `json:"order_number"`
	ExternalID  Text            `json:"external_id"`
	Status      Text            `json:"status"`
	Retailer    Retailer        `json:"retailer"`
	Lines       []Line          `json:"line_items"`
	CreatedOn   Text            `json:"created_on"`
	ModifiedOn  Text            `json:"modified_on"`
	Shipments   []Shipment      `json:"shipments"`
	Raw         json.RawMessage `json:"-"`
}

// Retailer is who ordered.
type Retailer struct {
	ID   Text `json:"_id"`
	Code Text `json:"retailer_code"`
}

// Line is one line of an order: one product, several sizes.
type Line struct {
	Product   LineProduct `json:"product"`
	Sizes     []LineSize  `json:"sizes"`
	Warehouse Text        `json:"warehouse"`
	Prebook   bool        `json:"prebook"`
	ShipStart Text        `json:"ship_start"`
	ShipEnd   Text        `json:"ship_end"`
}

// LineProduct names the product of a line.
type LineProduct struct {
	ID          Text `json:"_id"`
	BrandID     Text `json:"brand_id"`
	StyleNumber Text `json:"style_number"`
	Season      Text `json:"season"`
	Color       Text `json:"color"`
}

// LineSize is one size of a line.
type LineSize struct {
	Size     Text `json:"size"`
	UPC      Text `json:"upc"`
	Quantity Text `json:"quantity"`
	Price    Text `json:"price"`
}

// Shipment is one shipment inside an order. An order is updated with all of its shipments, never with a part of them.
type Shipment struct {
	Type            Text           `json:"type"`
	TrackingNumbers []Text         `json:"tracking_numbers"`
	Status          Text           `json:"status"`
	ShipmentDate    Text           `json:"shipment_date"`
	Lines           []ShipmentLine `json:"line_items"`
}

// ShipmentLine is what one shipment holds of one product.
type ShipmentLine struct {
	BrandID     Text       `json:"brand_id"`
	Season      Text       `json:"season"`
	StyleNumber Text       `json:"style_number"`
	Color       Text       `json:"color"`
	Sizes       []LineSize `json:"sizes"`
}

// UnmarshalJSON reads the view and keeps the whole.
func (o *Order) UnmarshalJSON(raw []byte) error {
	type view Order
	if err := decode(raw, (*view)(o)); err != nil {
		return err
	}
	o.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// OrderIDs lists the _ids of all orders in a status. Poll by status and never by modification time, which a status change does
// not move.
func (c *Client) OrderIDs(ctx context.Context, s Status) ([]string, error) {
	if !s.Known() {
		return nil, unknownStatus(s)
	}
	return c.ids(ctx, &request{class: ClassOrderReads, method: http.MethodGet, route: "orders/{status}/list", args: []string{string(s)}, list: true})
}

// OrdersDetail reads all orders in a status in full. For statuses that grow without bound use OrderIDs.
func (c *Client) OrdersDetail(ctx context.Context, s Status) ([]Order, error) {
	if !s.Known() {
		return nil, unknownStatus(s)
	}
	r := &request{class: ClassOrderReads, method: http.MethodGet, route: "orders/{status}/detail", args: []string{string(s)}, list: true}
	return pages(ctx, c, r, func(o *Order) string { return string(o.ID) })
}

// OrderIDsBetween lists the _ids of orders of any status in a range of days. It needs the signature rfc5849.
func (c *Client) OrderIDsBetween(ctx context.Context, from, to time.Time) ([]string, error) {
	query := url.Values{"start_date": {from.UTC().Format(time.DateOnly)}, "end_date": {to.UTC().Format(time.DateOnly)}}
	return c.ids(ctx, &request{class: ClassOrderReads, method: http.MethodGet, route: "orders/list", query: query, list: true})
}

// Order reads one order by _id.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	var o Order
	r := &request{class: ClassOrderReads, method: http.MethodGet, route: "order/{id}", args: []string{id}}
	err := c.fetch(ctx, r, &o)
	return o, r.about(err, o.ID, id)
}

// OrderByNumber reads one order by its number, which changes when the OMS number replaces it: the old one is not found then.
func (c *Client) OrderByNumber(ctx context.Context, number string) (Order, error) {
	var o Order
	r := &request{class: ClassOrderReads, method: http.MethodGet, route: "order/number/{number}", args: []string{number}}
	err := c.fetch(ctx, r, &o)
	return o, r.about(err, o.OrderNumber, number)
}

// CreateOrder creates an order. After an ambiguous end it is never repeated here: look for its number first.
func (c *Client) CreateOrder(ctx context.Context, body json.RawMessage) (Order, error) {
	var o Order
	err := c.fetch(ctx, &request{class: ClassOrderWrites, method: http.MethodPut, route: "order/new", body: body, once: true}, &o)
	return o, err
}

// UpdateOrder replaces what the body names of the order with this _id; arrays are replaced whole.
func (c *Client) UpdateOrder(ctx context.Context, id string, body json.RawMessage) (Order, error) {
	var o Order
	r := &request{class: ClassOrderWrites, method: c.config.Dialect.UpdateVerb, route: "order/{id}", args: []string{id}, body: body}
	err := c.fetch(ctx, r, &o)
	return o, r.about(err, o.ID, id)
}

// UpdateOrderByNumber does the same by number. If the body changes the number, a repeat after a lost answer is not found under the
// old one: it is not repeated here, resolve it by _id.
func (c *Client) UpdateOrderByNumber(ctx context.Context, number string, body json.RawMessage) (Order, error) {
	var o Order
	route := "order/number/{number}"
	if c.config.Dialect.BareNumberPath {
		route = "order/{number}"
	}
	err := c.fetch(ctx, &request{class: ClassOrderWrites, method: c.config.Dialect.UpdateVerb, route: route, args: []string{number}, body: body, once: true}, &o)
	return o, err
}

// SetShipments replaces all shipments of the order with this _id: inside an order update, or by a call of their own where the
// dialect says so. The body is an array.
func (c *Client) SetShipments(ctx context.Context, id string, shipments json.RawMessage) error {
	body := append(append([]byte(`{"shipments":`), shipments...), '}')
	own := c.config.Dialect.OwnShipments // whether a call of its own replaces or adds is not known: it is not repeated
	r := &request{class: ClassOrderWrites, method: c.config.Dialect.UpdateVerb, route: "order/{id}", args: []string{id}, body: body, once: own}
	if own {
		r.route += "/shipments"
	}
	_, err := c.do(ctx, r)
	return err
}

// SetOrderStatus sets the status of the order with this _id. Changed is false if it was so already.
func (c *Client) SetOrderStatus(ctx context.Context, id string, s Status) (changed bool, err error) {
	a, err := c.statusAnswer(ctx, "order/{id}", id, s)
	return err == nil && a.status != http.StatusNotModified, err
}

// SetOrderStatusByNumber does the same by number.
func (c *Client) SetOrderStatusByNumber(ctx context.Context, number string, s Status) (changed bool, err error) {
	a, err := c.statusAnswer(ctx, "order/number/{number}", number, s)
	return err == nil && a.status != http.StatusNotModified, err
}

// SetOrderField sets one field of the order with this _id; external_id is the one that portals are known to allow.
func (c *Client) SetOrderField(ctx context.Context, id, field, value string) error {
	_, err := c.do(ctx, &request{class: ClassOrderWrites, method: http.MethodPost, route: "order/{id}/set/{field}/{value}", args: []string{id, field, value}, want: expect{notModified: true}})
	return err
}

func unknownStatus(s Status) error {
	return fault.New(fault.Reject, CodeBadRequest, "%q is no status of an order at NuORDER", clean(string(s)))
}
