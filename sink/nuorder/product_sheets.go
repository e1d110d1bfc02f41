package nuorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nubridge/internal/fault"
	"nubridge/mapper"
)

// fieldSheets is the field of a product's body that holds its rows in price sheets. The product's own calls do not know it.
const fieldSheets = "price_sheets"

// identitySheet begins the names under which a product's identity keeps what was last written to a sheet: the list [template,
// currency] to the hash of the row.
const identitySheet = "sheet:"

// sheetRow is a product's row in one price sheet in one currency.
type sheetRow struct {
	template, currency string
	row                map[string]json.RawMessage
	hash               string
}

// withoutSheets takes the price sheets out of a product's body.
func withoutSheets(body []byte) ([]byte, []sheetRow, error) {
	if !bytes.Contains(body, []byte(`"`+fieldSheets+`"`)) {
		return body, nil, nil
	}
	var doc map[string]json.RawMessage
	if err := decode(body, &doc); err != nil {
		return nil, nil, fault.New(fault.Reject, CodeBadRequest, "the body is no JSON object")
	}
	raw, there := doc[fieldSheets]
	if !there {
		return body, nil, nil
	}
	delete(doc, fieldSheets)
	rest, err := encodeJSON(doc)
	if err != nil {
		return nil, nil, err
	}
	var list []map[string]json.RawMessage
	if err := decode(raw, &list); err != nil {
		return nil, nil, &fault.Error{
			Kind: fault.Reject, Code: CodeBadRequest, Field: fieldSheets, Rule: "list", Err: fmt.Errorf("the price sheets are no list of rows"),
			Hint: "price_sheets in the mapping is a list: {each: ..., fields: {template: ..., currency_code: ..., wholesale: ...}}",
		}
	}
	rows := make([]sheetRow, 0, len(list))
	for _, row := range list {
		text, err := encodeJSON(row)
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(text)
		r := sheetRow{row: row, hash: hex.EncodeToString(sum[:12])}
		if decode(row["template"], &r.template) != nil || decode(row["currency_code"], &r.currency) != nil {
			return nil, nil, fault.New(fault.Reject, CodeBadRequest, "a row of price_sheets names no template or no currency_code")
		}
		rows = append(rows, r)
	}
	return rest, rows, nil
}

func (r *sheetRow) name() string {
	text, _ := json.Marshal([]string{r.template, r.currency}) // two texts cannot fail
	return identitySheet + string(text)
}

// sheets makes the product's rows in price sheets equal to the wanted ones. Rows that others made, in sheets that the mapping never
// named for this product, are left alone. In doubt, or new at NuORDER, every row is written again. // decision 5
func (r *Products) sheets(ctx context.Context, t *turn, wanted []sheetRow, all bool) error {
	had := map[string]string{}
	for name, hash := range t.object.Identity {
		if strings.HasPrefix(name, identitySheet) {
			had[name] = hash
		}
	}
	// A write whose answer was lost may have made a row that the ledger never heard of.
	for _, name := range r.tried.of(t.work.Body.Key) {
		if _, known := had[name]; !known {
			had[name] = ""
		}
	}
	if len(had)+len(wanted) == 0 {
		return nil
	}
	keep := map[string]bool{}
	for i := range wanted {
		keep[wanted[i].name()] = true
	}
	// A removal takes the product out of the sheet in all currencies: those that stay are written again.
	emptied := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(had)) {
		if keep[name] {
			continue
		}
		var of []string
		if json.Unmarshal([]byte(strings.TrimPrefix(name, identitySheet)), &of) != nil || len(of) != 2 {
			continue
		}
		if !emptied[of[0]] {
			if err := r.leaveSheet(ctx, t, of[0]); err != nil {
				return err
			}
		}
		emptied[of[0]] = true
		delete(t.object.Identity, name)
	}
	for i := range wanted {
		w := &wanted[i]
		if !all && !emptied[w.template] && had[w.name()] == w.hash {
			continue
		}
		r.tried.add(t.work.Body.Key, w.name())
		if err := r.writeSheet(ctx, t, w); err != nil {
			return err
		}
		t.object.Identity[w.name()] = w.hash
	}
	r.tried.drop(t.work.Body.Key)
	return nil
}

// triedSheets are the rows that deliveries which have not ended well yet may have written, by product.
type triedSheets struct {
	mu    sync.Mutex
	names map[mapper.Key][]string
}

func (s *triedSheets) of(key mapper.Key) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names[key])
}

func (s *triedSheets) add(key mapper.Key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[mapper.Key][]string{}
	}
	if !slices.Contains(s.names[key], name) {
		s.names[key] = append(s.names[key], name)
	}
}

func (s *triedSheets) drop(key mapper.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, key)
}

// leaveSheet takes the product out of a sheet. One that is not in it is out of it, whatever the answer calls that; whether it is in it,
// the sheet tells.
func (r *Products) leaveSheet(ctx context.Context, t *turn, template string) error {
	err := r.client.RemoveFromPriceSheet(ctx, template, t.brandID())
	if err == nil {
		return nil
	}
	if !IsNotFound(err) && fault.CodeOf(err) != CodeRowsRefused {
		return fmt.Errorf("take the product out of a price sheet: %w", err)
	}
	stored, readErr := r.client.PriceSheet(ctx, template)
	if IsNotFound(readErr) && t.wroteTo(template) {
		stored, readErr = r.client.PriceSheet(ctx, template) // it was there
	}
	switch {
	case IsNotFound(readErr):
		return nil
	case readErr != nil:
		return fmt.Errorf("read a price sheet: %w", readErr)
	case !t.namedIn(stored):
		return nil
	case IsNotFound(err):
		return denied("removal from a price sheet", "", err)
	}
	return fmt.Errorf("take the product out of a price sheet: %w", err)
}

// wroteTo tells that the product was written to a sheet before.
func (t *turn) wroteTo(template string) bool {
	for name := range t.work.Object.Identity {
		var of []string
		if text, ok := strings.CutPrefix(name, identitySheet); ok && json.Unmarshal([]byte(text), &of) == nil && len(of) == 2 && of[0] == template {
			return true
		}
	}
	return false
}

// namedIn tells that a price sheet has a row of the product.
func (t *turn) namedIn(sheet []byte) bool {
	for at := range readSheet(sheet).rows {
		if at.product == t.object.RemoteID || Same(at.product, t.brandID()) {
			return true
		}
	}
	return bytes.Contains(sheet, []byte(`"`+t.object.RemoteID+`"`))
}

// writeSheet upserts the product's row in one sheet.
func (r *Products) writeSheet(ctx context.Context, t *turn, w *sheetRow) error {
	row := maps.Clone(w.row)
	delete(row, "currency_code")
	for name, value := range map[string]string{"_id": t.object.RemoteID, "brand_id": t.brandID()} {
		raw, err := encodeJSON(value)
		if err != nil {
			return err
		}
		row[name] = raw
	}
	if err := t.nameSizes(row); err != nil {
		return err
	}
	body, err := encodeJSON(map[string]any{"currency_code": w.currency, "pricing": []any{row}})
	if err != nil {
		return err
	}
	err = r.client.UpsertPriceSheet(ctx, w.template, body)
	if IsNotFound(err) && t.wroteTo(w.template) {
		err = denied("write of a price sheet", "if it stays so, the sheet is gone at NuORDER", err)
	}
	err = notShown(ctx, "write of a price sheet", err, r.client.PriceSheet, w.template)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Reject && f.Field == "" {
			f.Field = fieldSheets
		}
		return fmt.Errorf("write price sheet %q: %w", w.template, err)
	}
	return nil
}

// nameSizes adds the portal's _id to the sizes of a row, which it may know them by.
func (t *turn) nameSizes(row map[string]json.RawMessage) error {
	var sizes []map[string]json.RawMessage
	if len(row["sizes"]) == 0 || decode(row["sizes"], &sizes) != nil {
		return nil
	}
	for _, s := range sizes {
		var size string
		if s["_id"] != nil || decode(s["size"], &size) != nil || t.object.Identity[identitySize+size] == "" {
			continue
		}
		id, err := encodeJSON(t.object.Identity[identitySize+size])
		if err != nil {
			return err
		}
		s["_id"] = id
	}
	raw, err := encodeJSON(sizes)
	if err != nil {
		return err
	}
	row["sizes"] = raw
	return nil
}

// brandID is the product's brand_id as the portal stores it.
func (t *turn) brandID() string {
	if t.object.StoredKey != "" {
		return t.object.StoredKey
	}
	return t.object.RemoteKey
}
