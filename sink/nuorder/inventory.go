package nuorder

import (
	"context"
	"encoding/json"
	"net/http"
)

// Inventory is the classic stock of one product. It is replaced whole: what a body leaves out is wiped.
type Inventory struct {
	Inventory []WarehouseStock `json:"inventory"`
}

// WarehouseStock is the stock of one product in one warehouse.
type WarehouseStock struct {
	Warehouse Text            `json:"warehouse"`
	Prebook   bool            `json:"prebook"`
	WIP       []StockDelivery `json:"wip"`
}

// StockDelivery is what is there at once ("immediate") or from a date on.
type StockDelivery struct {
	Name  Text           `json:"name"`
	Sizes []SizeQuantity `json:"sizes"`
}

// SizeQuantity is the stock of one size.
type SizeQuantity struct {
	Size     Text `json:"size"`
	UPC      Text `json:"upc,omitempty"`
	Quantity Text `json:"quantity"`
}

// Immediate is the name of the delivery that is there at once.
const Immediate = "immediate"

// ReplaceInventory replaces the stock of the product with this _id.
func (c *Client) ReplaceInventory(ctx context.Context, productID string, body json.RawMessage) error {
	return c.replaceInventory(ctx, "inventory/{id}", productID, body)
}

// ReplaceInventoryByExternalID replaces the stock of the product with this brand_id, as the portal stores it.
func (c *Client) ReplaceInventoryByExternalID(ctx context.Context, brandID string, body json.RawMessage) error {
	return c.replaceInventory(ctx, "inventory/external_id/{ext}", brandID, body)
}

func (c *Client) replaceInventory(ctx context.Context, route, id string, body json.RawMessage) error {
	_, err := c.do(ctx, &request{class: ClassInventory, method: http.MethodPost, route: route, args: []string{id}, body: body, want: expect{body: true}})
	return noConflict("write of inventory", err)
}

// ReadInventory reads the stock of the product with this _id as the portal has it.
func (c *Client) ReadInventory(ctx context.Context, productID string) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.fetch(ctx, &request{class: ClassInventory, method: http.MethodGet, route: "inventory/{id}", args: []string{productID}}, &raw)
	return raw, err
}

// ReadInventoryByExternalID reads the stock of the product with this brand_id, as the portal stores it.
func (c *Client) ReadInventoryByExternalID(ctx context.Context, brandID string) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.fetch(ctx, &request{class: ClassInventory, method: http.MethodGet, route: "inventory/external_id/{ext}", args: []string{brandID}}, &raw)
	return raw, err
}
