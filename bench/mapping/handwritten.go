package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"nubridge/mapper"
)

// The hand-written translation of a product that the mapping is measured against. It is frozen: it does for the reference
// mapping's products.yaml what a programmer would write by hand, with structs and encoding/json, and gives the same bytes.

type product struct {
	BrandID        string            `json:"brand_id"`
	StyleNumber    string            `json:"style_number"`
	Season         string            `json:"season"`
	Color          string            `json:"color"`
	ColorCode      string            `json:"color_code"`
	Name           string            `json:"name"`
	Description    string            `json:"description"`
	Category       string            `json:"category"`
	Department     string            `json:"department"`
	AvailableFrom  string            `json:"available_from"`
	AvailableUntil string            `json:"available_until"`
	Active         bool              `json:"active"`
	Archived       bool              `json:"archived"`
	Images         []string          `json:"images,omitempty"`
	Sizes          []size            `json:"sizes"`
	Pricing        map[string]prices `json:"pricing"` // keys come out sorted, as the query orders them
}

type size struct {
	Size string `json:"size"`
	UPC  string `json:"upc"`
}

type prices struct {
	Wholesale json.Number `json:"wholesale"`
	Retail    json.Number `json:"retail,omitempty"`
	Disabled  bool        `json:"disabled"`
}

func text(s mapper.Slice, row int32, column string) string {
	for i, c := range s.Rows.Columns() {
		if c.Name == column {
			v, _ := s.Rows.Value(int(row), i)
			return string(v)
		}
	}
	return ""
}

func number(s string) json.Number {
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return json.Number(s)
}

// handwritten translates a product of the reference OMS.
func handwritten(d *mapper.Document) ([]byte, error) {
	root := d.Root()
	row := root.Index[0]
	active := text(root, row, "status") == "Active" && text(root, row, "color_status") == "Active"
	p := product{
		BrandID: text(root, row, "style_color_id"), StyleNumber: text(root, row, "item_number"), Season: text(root, row, "season_code"),
		Color: text(root, row, "color_description"), ColorCode: text(root, row, "color_code"), Name: text(root, row, "item_number"),
		Description: strings.TrimSpace(text(root, row, "description_1") + " " + text(root, row, "description_2")),
		Category:    text(root, row, "style_group"), Department: text(root, row, "department_code"),
		AvailableFrom: text(root, row, "available_from"), AvailableUntil: text(root, row, "available_until"),
		Active: active, Archived: !active, Sizes: []size{}, Pricing: map[string]prices{},
	}
	if image := text(root, row, "image_url"); image != "" {
		p.Images = []string{image}
	}
	sizes, list := d.Parts()[0], d.Parts()[1]
	for _, r := range sizes.Index {
		p.Sizes = append(p.Sizes, size{text(sizes, r, "size"), text(sizes, r, "upc")})
	}
	for _, r := range list.Index {
		if wholesale := text(list, r, "price_1"); wholesale != "" {
			p.Pricing[text(list, r, "currency")] = prices{Wholesale: number(wholesale), Retail: number(text(list, r, "price_2"))}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
