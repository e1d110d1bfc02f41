package nuorder

import (
	"context"
	"encoding/json"
	"net/http"
)

// PriceSheet reads a price sheet by its name.
func (c *Client) PriceSheet(ctx context.Context, name string) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.fetch(ctx, &request{class: ClassPrices, method: http.MethodGet, route: "pricesheet/{template}", args: []string{name}, list: true}, &raw)
	return raw, noConflict("read of a price sheet", err)
}

// UpsertPriceSheet sets rows of a price sheet: {"currency_code": ..., "pricing": [...]}. A refused row is a failure of the call,
// although the others are stored.
func (c *Client) UpsertPriceSheet(ctx context.Context, name string, body json.RawMessage) error {
	return c.prices(ctx, http.MethodPut, "pricesheet/{template}", []string{name}, body)
}

// AssignToPriceSheet adds a product, by brand_id, to a price sheet.
func (c *Client) AssignToPriceSheet(ctx context.Context, name, brandID string, body json.RawMessage) error {
	return c.prices(ctx, http.MethodPost, "pricesheet/{template}/assign/product/external_id/{ext}", []string{name, brandID}, body)
}

// RemoveFromPriceSheet removes a product, by brand_id, from a price sheet.
func (c *Client) RemoveFromPriceSheet(ctx context.Context, name, brandID string) error {
	return c.prices(ctx, http.MethodDelete, "pricesheet/{template}/remove/product/external_id/{ext}", []string{name, brandID}, nil)
}

// SetProductPriceSheets sets the rows of one product, by brand_id, in several price sheets; the body is an array of rows.
func (c *Client) SetProductPriceSheets(ctx context.Context, brandID string, rows json.RawMessage) error {
	return c.prices(ctx, http.MethodPost, "product/external_id/{ext}/pricesheets", []string{brandID}, rows)
}

// RemoveProductPriceSheets removes a product, by brand_id, from all price sheets.
func (c *Client) RemoveProductPriceSheets(ctx context.Context, brandID string) error {
	return c.prices(ctx, http.MethodDelete, "product/external_id/{ext}/pricesheets", []string{brandID}, nil)
}

func (c *Client) prices(ctx context.Context, method, route string, args []string, body json.RawMessage) error {
	_, err := c.do(ctx, &request{class: ClassPrices, method: method, route: route, args: args, body: body, want: expect{body: true}, shown: method != http.MethodPost})
	return noConflict("write of price sheets", err)
}
