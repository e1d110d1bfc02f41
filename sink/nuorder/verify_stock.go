package nuorder

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// cell is one figure of a stock: a size in a warehouse, at once or from a day on.
type cell struct{ warehouse, delivery, size string }

// figures are all of a stock, and the warehouses that take orders beyond it.
type figures struct {
	quantity map[cell]decimal.Decimal
	prebook  map[string]bool
}

// Compare reads the stock of a product and holds it against the body of its document. The product must be known. An order that a buyer
// placed meanwhile has moved the figure at NuORDER, so that it differs and is sent.
func (r *Stock) Compare(ctx context.Context, body mapper.Body, object, product ledger.Object) (Seen, error) {
	t := seenTurn(r.client, body, object)
	t.work.Parents = map[mapper.Ref]ledger.Object{{Flow: mapper.Products, Key: body.Key}: product}
	stored, err := r.Stored(ctx, &product)
	if err != nil && !IsNotFound(err) {
		return Seen{}, err
	}
	t.object.RemoteID, t.object.StoredKey, t.object.RemoteKey = product.RemoteID, product.StoredKey, body.RemoteKey
	if err != nil {
		return t.seen("inventory", nil), nil
	}
	wanted := body.JSON
	switch {
	case body.Filtered && !r.client.config.Dialect.Replenishments:
		if wanted, err = zeroStock(inventoryOf(stored)); err != nil {
			return Seen{}, err
		}
	case body.Filtered:
		wanted = nil
	case noStock(wanted):
		if wanted, err = r.nothingToSell(ctx, &t.work); err != nil {
			return Seen{}, err
		}
	}
	if r.client.config.Dialect.Replenishments {
		return r.compareRows(ctx, t, product, wanted, stored)
	}
	ours, err := r.figuresOf(wanted, &product)
	if err != nil {
		return Seen{}, err
	}
	theirs, err := r.figuresOf(inventoryOf(stored), &product)
	if err != nil {
		return Seen{}, unreadable("the stock at NuORDER is not readable")
	}
	seen := t.seen(ours.differ(theirs), wanted)
	if body.Filtered && seen.Differs != "" {
		// It is emptied from the body that was last delivered, which is what NuORDER shows.
		seen.Object.Parts = map[string]ledger.Part{t.part(): {Body: inventoryOf(stored), At: t.now}}
	}
	return seen, nil
}

// inventoryOf gives a stock as it was read in the form in which it is sent: some portals answer the bare list.
func inventoryOf(stored json.RawMessage) []byte {
	if text := strings.TrimSpace(string(stored)); strings.HasPrefix(text, "[") {
		return []byte(`{"inventory":` + text + `}`)
	}
	return stored
}

// figuresOf reads a stock. Warehouses are named by code, name or _id, deliveries by a date in one of several forms.
func (r *Stock) figuresOf(raw []byte, product *ledger.Object) (figures, error) {
	f := figures{map[cell]decimal.Decimal{}, map[string]bool{}}
	var stock Inventory
	if err := decode(raw, &stock); err != nil {
		return f, fault.New(fault.Reject, CodeBadRequest, "the stock body is not readable: %w", shape(err))
	}
	for _, w := range stock.Inventory {
		warehouse := r.warehouseName(product, string(w.Warehouse))
		if w.Prebook {
			f.prebook[warehouse] = true
		}
		for _, d := range w.WIP {
			for _, s := range d.Sizes {
				quantity, err := decimal.NewFromString(string(s.Quantity))
				if err != nil {
					return f, fault.New(fault.Reject, CodeBadRequest, "a quantity of stock is no number")
				}
				f.quantity[cell{warehouse, r.delivery(string(d.Name)), string(s.Size)}] = quantity
			}
		}
	}
	return f, nil
}

// warehouseName gives the one name by which a warehouse is compared: its _id, where that is known.
func (r *Stock) warehouseName(product *ledger.Object, name string) string {
	if id := r.warehouse(product, name); id != "" {
		return id
	}
	return name
}

// delivery gives the one form of a delivery's name: immediate, or a day.
func (r *Stock) delivery(name string) string {
	if strings.EqualFold(name, Immediate) {
		return Immediate
	}
	for _, layout := range append([]string{time.RFC3339Nano, "2006/01/02"}, r.client.config.Dialect.DateLayouts...) {
		if at, err := time.Parse(layout, name); err == nil {
			return at.Format(time.DateOnly)
		}
	}
	if at, ok := moment(json.Number(name)); ok && len(name) > 8 {
		return at.UTC().Format(time.DateOnly)
	}
	return name
}

// differ names what one stock has otherwise than another, nothing if they are the same. A figure of zero and none at all are not the
// same: without stock NuORDER sets no limit.
func (f figures) differ(o figures) string {
	for _, pair := range [][2]figures{{f, o}, {o, f}} {
		for w := range pair[0].prebook {
			if !pair[1].prebook[w] {
				return "inventory.prebook"
			}
		}
		for at, q := range pair[0].quantity {
			if there, ok := pair[1].quantity[at]; !ok || !there.Equal(q) {
				return "inventory." + at.delivery + "." + at.size
			}
		}
	}
	return ""
}

// compareRows holds the rows that replenishments made, as the product shows them, against those that the body asks for. An extra row
// of zero is one that was taken out.
func (r *Stock) compareRows(ctx context.Context, t *turn, product ledger.Object, body []byte, stored json.RawMessage) (Seen, error) {
	have, theirs, err := r.shownRows(stored)
	if err != nil {
		return Seen{}, err
	}
	var want []Replenishment
	if body != nil {
		if err := r.needSizes(ctx, t, &product, body); err != nil {
			return Seen{}, err
		}
		if want, err = r.rows(t, &product, body); err != nil {
			return Seen{}, err
		}
	}
	differs := ""
	for i := range want {
		at := cell{want[i].WarehouseID, want[i].DisplayName, want[i].SKUID}
		quantity := ""
		if want[i].Quantity != nil {
			quantity = string(*want[i].Quantity)
		}
		if want[i].DisplayName == displayFuture {
			at.delivery = r.delivery(want[i].PeriodStart)
		}
		if there, ok := theirs[at]; !ok || there != quantity {
			differs = "inventory." + at.delivery
		}
		delete(theirs, at)
	}
	for at, quantity := range theirs {
		if quantity != "0" {
			differs = "inventory." + at.delivery
		}
	}
	if body == nil && differs != "" {
		return Seen{}, needs("inventory", "selected", "the stock of a document that is not selected any more stands at NuORDER; set it to zero there")
	}
	rows := want
	if differs != "" {
		rows = have // the delivery takes out what is there and not wanted
	}
	raw, err := encodeJSON(rows)
	if err != nil {
		return Seen{}, err
	}
	t.object.Identity[identityRows] = string(raw)
	return t.seen(differs, body), nil
}

// shownRows reads the rows that a product shows, and their figures.
func (r *Stock) shownRows(stored json.RawMessage) (rows []Replenishment, figures map[cell]string, err error) {
	var doc struct {
		Cache []struct {
			Bucket    Text  `json:"bucket"`
			Warehouse Text  `json:"warehouse"`
			SKU       Text  `json:"sku_id"`
			Quantity  *Text `json:"quantity"`
		} `json:"__inventory_cache"`
	}
	if err := decode(stored, &doc); err != nil {
		return nil, nil, unreadable("the stock that a product shows is not readable")
	}
	figures = map[cell]string{}
	for _, c := range doc.Cache {
		delivery, quantity := r.delivery(string(c.Bucket)), ""
		row := Replenishment{WarehouseID: string(c.Warehouse), SKUID: string(c.SKU), DisplayName: displayFuture, Active: true}
		if c.Quantity != nil {
			quantity = string(*c.Quantity)
			figure := json.Number(quantity)
			row.Quantity = &figure
		}
		switch day, err := time.Parse(time.DateOnly, delivery); {
		case strings.EqualFold(delivery, displayPrebook):
			delivery, quantity = displayPrebook, ""
			row.DisplayName, row.Prebook, row.Quantity = displayPrebook, true, nil
		case delivery == Immediate:
			row.DisplayName = Immediate
		case err == nil:
			row.PeriodStart = day.Format(replenishmentDate)
		}
		figures[cell{string(c.Warehouse), delivery, string(c.SKU)}] = quantity
		rows = append(rows, row)
	}
	return rows, figures, nil
}
