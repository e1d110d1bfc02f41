package nuorder

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Product is a product as the portal stores it; what the view does not name stays in Raw.
type Product struct {
	ID          Text          `json:"_id"`
	BrandID     Text          `json:"brand_id"`
	StyleNumber Text          `json:"style_number"`
	Season      Text          `json:"season"`
	Color       Text          `json:"color"`
	Sizes       []ProductSize `json:"sizes"`
	// SizeIDs is where newer documents list the ids of sizes.
	SizeIDs    []ProductSize      `json:"__size_ids"`
	Warehouses []ProductWarehouse `json:"__warehouses"`
	Raw        json.RawMessage    `json:"-"`
}

// ProductSize is one size of a product.
type ProductSize struct {
	ID   Text `json:"_id"`
	Size Text `json:"size"`
	UPC  Text `json:"upc"`
}

// ProductWarehouse is a warehouse that a product document lists.
type ProductWarehouse struct {
	ID          Text `json:"id"`
	BrandID     Text `json:"brand_id"`
	DisplayName Text `json:"display_name"`
	Code        Text `json:"code"`
}

// UnmarshalJSON reads the view and keeps the whole.
func (p *Product) UnmarshalJSON(raw []byte) error {
	if read := (Product{}); read.scan(raw) {
		*p = read
	} else {
		type view Product
		if err := decode(raw, (*view)(p)); err != nil {
			return err
		}
	}
	p.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// scan reads a product of the usual shape from JSON that is known to be whole: there is one in every answer to a write.
func (p *Product) scan(raw []byte) bool {
	usual := true
	whole := members(raw, func(name, value []byte) {
		switch string(name) {
		case "_id":
			usual = p.ID.UnmarshalJSON(value) == nil && usual
		case "brand_id":
			usual = p.BrandID.UnmarshalJSON(value) == nil && usual
		case "style_number":
			usual = p.StyleNumber.UnmarshalJSON(value) == nil && usual
		case "season":
			usual = p.Season.UnmarshalJSON(value) == nil && usual
		case "color":
			usual = p.Color.UnmarshalJSON(value) == nil && usual
		case "sizes":
			usual = scanSizes(value, &p.Sizes) && usual
		case "__size_ids":
			usual = scanSizes(value, &p.SizeIDs) && usual
		case "__warehouses":
			usual = decode(value, &p.Warehouses) == nil && usual
		}
	})
	return whole && usual
}

// scanSizes reads a list of sizes of the usual shape.
func scanSizes(raw []byte, sizes *[]ProductSize) bool {
	*sizes = []ProductSize{}
	return elements(raw, func(value []byte) bool {
		var size ProductSize
		usual := true
		whole := members(value, func(name, value []byte) {
			switch string(name) {
			case "_id":
				usual = size.ID.UnmarshalJSON(value) == nil && usual
			case "size":
				usual = size.Size.UnmarshalJSON(value) == nil && usual
			case "upc":
				usual = size.UPC.UnmarshalJSON(value) == nil && usual
			}
		})
		*sizes = append(*sizes, size)
		return whole && usual
	})
}

// SizeID finds the _id of a size, which replenishments are addressed by; empty if the portal did not tell it.
func (p *Product) SizeID(size string) string {
	for _, list := range [][]ProductSize{p.Sizes, p.SizeIDs} {
		for _, s := range list {
			if string(s.Size) == size && s.ID != "" {
				return string(s.ID)
			}
		}
	}
	return ""
}

// UpsertProduct creates the product or, if the portal knows its brand_id or natural key, updates it.
func (c *Client) UpsertProduct(ctx context.Context, body json.RawMessage) (Product, error) {
	var p Product
	err := c.fetch(ctx, &request{class: ClassProducts, method: http.MethodPut, route: "product/new/force", body: body}, &p)
	return p, err
}

// CreateProduct creates the product; a known one is refused as a conflict that may name its _id.
func (c *Client) CreateProduct(ctx context.Context, body json.RawMessage) (Product, error) {
	var p Product
	err := c.fetch(ctx, &request{class: ClassProducts, method: http.MethodPut, route: "product/new", body: body, once: true}, &p)
	return p, err
}

// UpdateProduct replaces what the body names of the product with this _id.
func (c *Client) UpdateProduct(ctx context.Context, id string, body json.RawMessage) (Product, error) {
	var p Product
	r := &request{class: ClassProducts, method: http.MethodPost, route: "product/{id}", args: []string{id}, body: body}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.ID, id)
}

// UpdateProductByExternalID replaces what the body names of the product with this brand_id.
func (c *Client) UpdateProductByExternalID(ctx context.Context, brandID string, body json.RawMessage) (Product, error) {
	var p Product
	r := &request{class: ClassProducts, method: http.MethodPost, route: "product/external_id/{ext}", args: []string{brandID}, body: body}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.BrandID, brandID)
}

// Product reads one product by _id.
func (c *Client) Product(ctx context.Context, id string) (Product, error) {
	var p Product
	r := &request{class: ClassProducts, method: http.MethodGet, route: "product/{id}", args: []string{id}}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.ID, id)
}

// ProductByExternalID reads one product by brand_id.
func (c *Client) ProductByExternalID(ctx context.Context, brandID string) (Product, error) {
	var p Product
	r := &request{class: ClassProducts, method: http.MethodGet, route: "product/external_id/{ext}", args: []string{brandID}}
	err := c.fetch(ctx, r, &p)
	return p, r.about(err, p.BrandID, brandID)
}

// ProductIDs lists the _ids of a season's products.
func (c *Client) ProductIDs(ctx context.Context, season string) ([]string, error) {
	return c.ids(ctx, &request{class: ClassProducts, method: http.MethodGet, route: "products/season/{season}/list", args: []string{season}, list: true})
}

// ProductsModifiedAfter reads all products modified after a day; the portal's clock counts in UTC.
func (c *Client) ProductsModifiedAfter(ctx context.Context, day time.Time) ([]Product, error) {
	r := &request{class: ClassProducts, method: http.MethodGet, route: "products/modified/after/{mm}/{dd}/{yyyy}", args: dayParts(day), list: true}
	return pages(ctx, c, r, func(p *Product) string { return string(p.ID) })
}

// dayParts are month, day and year without leading zeros, as the portal's date filters want them.
func dayParts(day time.Time) []string {
	y, m, d := day.UTC().Date()
	return []string{fmt.Sprint(int(m)), fmt.Sprint(d), fmt.Sprint(y)}
}
