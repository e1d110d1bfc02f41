package nuorder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"nubridge/internal/fault"
)

// shownSheets are the price sheets as NuORDER shows them. Each is read once, by one call, when the first product has a row in it.
type shownSheets struct {
	mu    sync.Mutex
	read  map[string]shownSheet
	bytes int
}

// shownMost bounds the rows that are held. A sheet beyond it counts as not readable. // I6
const shownMost = 48 << 20

// shownSheet is one sheet: its rows by product and currency. One that is not there has none; rows is nil if it is not readable.
type shownSheet struct {
	rows map[shownAt]json.RawMessage
}

// shownAt names a row by one of the names of its product.
type shownAt struct{ product, currency string }

// natural is the name of a product that has nothing but its style, season and colour.
func natural(style, season, color Text) string {
	return strings.ToLower(string(style) + "\x00" + string(season) + "\x00" + string(color))
}

// row finds a product's row in a sheet; readable tells whether NuORDER shows such rows at all.
func (s *shownSheets) row(ctx context.Context, c *Client, w *sheetRow, p *Product) (row json.RawMessage, readable bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sheet, done := s.read[w.template]
	if !done {
		if sheet, err = s.ask(ctx, c, w.template); err != nil {
			return nil, false, err
		}
		if s.read == nil {
			s.read = map[string]shownSheet{}
		}
		s.read[w.template] = sheet
	}
	if sheet.rows == nil {
		return nil, false, nil
	}
	for _, name := range []string{string(p.ID), string(p.BrandID), natural(p.StyleNumber, p.Season, p.Color)} {
		if row := sheet.rows[shownAt{name, strings.ToUpper(w.currency)}]; name != "" && row != nil {
			return row, true, nil
		}
	}
	return nil, true, nil
}

// ask reads one sheet. One that is too long, or of another shape than is known, is not readable, which is no failure.
func (s *shownSheets) ask(ctx context.Context, c *Client, template string) (shownSheet, error) {
	var raw json.RawMessage
	err := Patiently(ctx, func() (err error) {
		raw, err = c.PriceSheet(ctx, template)
		return err
	})
	switch {
	case IsNotFound(err):
		return shownSheet{rows: map[shownAt]json.RawMessage{}}, nil
	case fault.CodeOf(err) == CodeAnswerTooLarge || fault.CodeOf(err) == CodeMethodRefused:
		return shownSheet{}, nil
	case err != nil:
		return shownSheet{}, fmt.Errorf("read price sheet %q: %w", template, err)
	}
	if s.bytes += len(raw); s.bytes > shownMost {
		s.bytes -= len(raw)
		return shownSheet{}, nil
	}
	return readSheet(raw), nil
}

// readSheet reads what NuORDER shows of a sheet: {"currency_code": ..., "pricing": [rows]}, or the rows alone.
func readSheet(raw json.RawMessage) shownSheet {
	var doc struct {
		Currency Text              `json:"currency_code"`
		Pricing  []json.RawMessage `json:"pricing"`
	}
	if decode(raw, &doc.Pricing) != nil && (decode(raw, &doc) != nil || doc.Pricing == nil) {
		return shownSheet{}
	}
	rows := make(map[shownAt]json.RawMessage, len(doc.Pricing))
	for _, raw := range doc.Pricing {
		var row struct {
			ID       Text            `json:"_id"`
			Product  json.RawMessage `json:"product"`
			BrandID  Text            `json:"brand_id"`
			Style    Text            `json:"style_number"`
			Season   Text            `json:"season"`
			Color    Text            `json:"color"`
			Currency Text            `json:"currency_code"`
			Price    json.RawMessage `json:"wholesale"`
		}
		if decode(raw, &row) != nil || row.Price == nil {
			return shownSheet{}
		}
		if row.Currency == "" {
			row.Currency = doc.Currency
		}
		var product struct {
			ID Text `json:"_id"`
		}
		if len(row.Product) > 0 && decode(row.Product, &product) != nil && decode(row.Product, &product.ID) != nil {
			return shownSheet{}
		}
		names := []string{string(product.ID), string(row.ID), string(row.BrandID)}
		if row.Style != "" {
			names = append(names, natural(row.Style, row.Season, row.Color))
		}
		named := false
		for _, name := range names {
			if name != "" {
				named = true
				rows[shownAt{name, strings.ToUpper(string(row.Currency))}] = raw
			}
		}
		if !named || row.Currency == "" {
			return shownSheet{}
		}
	}
	return shownSheet{rows: rows}
}

// shows tells whether a shown row holds what is wanted. What our row does not name is NuORDER's own, such as a retail price that
// follows the product's.
func (r *sheetRow) shows(stored json.RawMessage) bool {
	ours, err := encodeJSON(r.row)
	if err != nil {
		return false
	}
	var a, b map[string]any
	if exactly(ours, &a) != nil || exactly(stored, &b) != nil {
		return false
	}
	delete(a, "template")
	delete(a, "currency_code")
	return sameFields(a, b)
}

// sameFields compares what ours names, sizes by their names.
func sameFields(ours, stored map[string]any) bool {
	for k, v := range ours {
		s := stored[k]
		switch {
		case unset(v), v == false && unset(s):
		case k == "sizes":
			if !sameSizes(v, s) {
				return false
			}
		case different(v, s, k) != "":
			return false
		}
	}
	return true
}

func sameSizes(ours, stored any) bool {
	mine, _ := ours.([]any)
	theirs, _ := stored.([]any)
	for _, v := range mine {
		size, ok := v.(map[string]any)
		if !ok || !slices.ContainsFunc(theirs, func(t any) bool {
			other, ok := t.(map[string]any)
			return ok && other["size"] == size["size"] && sameFields(size, other)
		}) {
			return false
		}
	}
	return true
}
