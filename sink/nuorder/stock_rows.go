package nuorder

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Display names of replenishments; the one at once is Immediate.
const (
	displayFuture  = "future"
	displayPrebook = "Prebook"
)

const replenishmentDate = "01/02/2006"

// replenishProduct writes the stock and reads what a refusal was about. Whatever names the rows is shown by the product: as long as it
// shows what they name, a 404 tells nothing. Where the ids of its sizes are others by now, its own flow learns them.
func (r *Stock) replenishProduct(ctx context.Context, t *turn, product *ledger.Object, body []byte, missing error) error {
	refused := r.replenish(ctx, t, product, body)
	if refused == nil {
		t.object.RemoteID, t.object.StoredKey = product.RemoteID, product.StoredKey
		return nil
	}
	e, ok := errors.AsType[*fault.Error](refused)
	if !ok || e.Code != CodeNotFound && e.Code != CodeBadRequest && e.Code != CodeUnprocessable {
		return refused
	}
	shown, err := r.client.Product(ctx, product.RemoteID)
	switch {
	case IsNotFound(err):
		return r.remake(ctx, t, missing)
	case err != nil:
		return err
	case otherSizes(&shown, product):
		return r.remake(ctx, t, missing)
	case e.Code != CodeNotFound:
		return refused
	case lacksWarehouse(&shown, r.named(product, body)):
		return &fault.Error{Kind: fault.Reject, Code: CodeNotFound, Field: "inventory", Rule: "known_to_portal", Hint: hintInventory, Err: refused}
	}
	return denied("write of inventory", hintInventory, refused)
}

// otherSizes tells that a size of the product has another _id than the ledger has.
func otherSizes(shown *Product, product *ledger.Object) bool {
	for _, list := range [][]ProductSize{shown.SizeIDs, shown.Sizes} {
		for _, s := range list {
			if old := product.Identity[identitySize+string(s.Size)]; s.ID != "" && old != "" && old != string(s.ID) {
				return true
			}
		}
	}
	return false
}

// named are the ids of the warehouses that a body names.
func (r *Stock) named(product *ledger.Object, body []byte) []string {
	var stock Inventory
	if decode(body, &stock) != nil {
		return nil // it was read before
	}
	var ids []string
	for _, w := range stock.Inventory {
		ids = append(ids, r.warehouse(product, string(w.Warehouse)))
	}
	return ids
}

// lacksWarehouse tells that a product that lists its warehouses does not list one of these.
func lacksWarehouse(shown *Product, ids []string) bool {
	return len(shown.Warehouses) > 0 && slices.ContainsFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(shown.Warehouses, func(w ProductWarehouse) bool { return string(w.ID) == id })
	})
}

// replenish writes the stock as v3.0 replenishments: only the rows that differ from those last written, all of them if it is in
// doubt what NuORDER holds, and never a delete.
func (r *Stock) replenish(ctx context.Context, t *turn, product *ledger.Object, body []byte) error {
	if err := r.needSizes(ctx, t, product, body); err != nil {
		return err
	}
	want, err := r.rows(t, product, body)
	if err != nil {
		return err
	}
	have := known(t.object.Identity[identityRows], product)
	keepPrebook(have, want)
	rows := DiffReplenishments(have, want)
	if t.object.InDoubt {
		rows = DiffReplenishments(nil, want)
		for _, gone := range DiffReplenishments(have, want) {
			if !gone.Active {
				rows = append(rows, gone)
			}
		}
		rows = sorted(rows)
	}
	if err := r.put(ctx, t, product, rows); err != nil {
		return err
	}
	if t.object.InDoubt {
		strays, err := r.strays(ctx, product, want)
		if err != nil {
			return err
		}
		if err := r.put(ctx, t, product, strays); err != nil {
			return err
		}
	}
	raw, err := encodeJSON(want)
	if err != nil {
		return err
	}
	t.object.Identity[identityRows] = string(raw)
	return nil
}

// put writes rows and has the portal compute what it shows.
func (r *Stock) put(ctx context.Context, t *turn, product *ledger.Object, rows []Replenishment) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		if rows[i].PeriodStart == "" {
			rows[i].PeriodStart = t.now.UTC().Format(replenishmentDate) // NuORDER does not show it
		}
	}
	if _, err := r.client.PutReplenishments(ctx, rows); err != nil {
		return err
	}
	return r.client.FlagInventory(ctx, product.RemoteID)
}

// strays gives rows to take out what NuORDER shows and nobody wants: a write whose answer was lost may have made rows that the ledger
// never heard of, such as a delivery that has another date by now.
func (r *Stock) strays(ctx context.Context, product *ledger.Object, want []Replenishment) ([]Replenishment, error) {
	p, err := r.client.Product(ctx, product.RemoteID)
	if err != nil {
		return nil, err
	}
	shown, _, err := r.shownRows(p.Raw)
	if err != nil {
		return nil, err
	}
	wanted := make(map[rowKey]bool, len(want))
	open := make(map[rowKey]bool)
	for i := range want {
		wanted[want[i].key()] = true
		if want[i].Prebook {
			open[rowKey{warehouse: want[i].WarehouseID, sku: want[i].SKUID}] = true
		}
	}
	var strays []Replenishment
	for _, row := range shown {
		switch {
		case wanted[row.key()], row.Prebook && open[rowKey{warehouse: row.WarehouseID, sku: row.SKUID}]:
		case row.DisplayName == displayFuture && row.PeriodStart == "": // named in a way that cannot be written
		case row.Quantity != nil && *row.Quantity == "0":
		default:
			strays = append(strays, row)
		}
	}
	return DiffReplenishments(strays, nil), nil
}

// known reads the rows last written, without those of sizes that the product has no more: they went with the size.
func known(text string, product *ledger.Object) []Replenishment {
	var rows []Replenishment
	if text == "" || decode([]byte(text), &rows) != nil {
		return nil
	}
	sizes := make(map[string]bool)
	for k, id := range product.Identity {
		if strings.HasPrefix(k, identitySize) {
			sizes[id] = true
		}
	}
	var kept []Replenishment
	for _, row := range rows {
		if sizes[row.SKUID] {
			kept = append(kept, row)
		}
	}
	return kept
}

// keepPrebook leaves open prebook on the day on which it was opened, so that it stays one row.
func keepPrebook(have, want []Replenishment) {
	type place struct{ warehouse, sku string }
	since := make(map[place]string)
	for _, row := range have {
		if row.Prebook {
			since[place{row.WarehouseID, row.SKUID}] = row.PeriodStart
		}
	}
	for i := range want {
		if start := since[place{want[i].WarehouseID, want[i].SKUID}]; want[i].Prebook && start != "" {
			want[i].PeriodStart = start
		}
	}
}

// needSizes reads the product once if the ledger lacks the id of a size or of a warehouse.
func (r *Stock) needSizes(ctx context.Context, t *turn, product *ledger.Object, body []byte) error {
	var stock Inventory
	if err := decode(body, &stock); err != nil {
		return fault.New(fault.Reject, CodeBadRequest, "the stock body is not readable: %w", shape(err))
	}
	lacking := false
	for _, w := range stock.Inventory {
		lacking = lacking || r.warehouse(product, string(w.Warehouse)) == ""
		for _, d := range w.WIP {
			for _, s := range d.Sizes {
				lacking = lacking || product.Identity[identitySize+string(s.Size)] == ""
			}
		}
	}
	if !lacking {
		return nil
	}
	p, err := r.client.Product(ctx, product.RemoteID)
	if err != nil {
		return err
	}
	read := turn{object: *product}
	if read.object.Identity == nil {
		read.object.Identity = make(map[string]string)
	}
	read.learn(&p)
	*product = read.object
	return nil
}

func (r *Stock) warehouse(product *ledger.Object, name string) string {
	if id := r.client.config.Dialect.Warehouses[name]; id != "" {
		return id
	}
	return product.Identity[identityWarehouse+name]
}

// rows translates a classic body into replenishments.
func (r *Stock) rows(t *turn, product *ledger.Object, body []byte) ([]Replenishment, error) {
	var stock Inventory
	if err := decode(body, &stock); err != nil {
		return nil, fault.New(fault.Reject, CodeBadRequest, "the stock body is not readable: %w", shape(err))
	}
	today := t.now.UTC().Truncate(24 * time.Hour)
	var rows []Replenishment
	for _, w := range stock.Inventory {
		id := r.warehouse(product, string(w.Warehouse))
		if id == "" {
			return nil, needs("warehouse", "warehouse_known", "list this warehouse with its id at NuORDER in the settings of the environment")
		}
		open := make(map[string]bool)
		for _, d := range w.WIP {
			start, name, err := r.period(string(d.Name), today)
			if err != nil {
				return nil, err
			}
			for _, s := range d.Sizes {
				sku := product.Identity[identitySize+string(s.Size)]
				if sku == "" {
					return nil, needs("sizes.size", "size_known", "NuORDER's product has no size of this name; sizes must agree exactly")
				}
				quantity := json.Number(s.Quantity)
				if quantity == "" {
					quantity = "0"
				}
				rows = append(rows, Replenishment{WarehouseID: id, SKUID: sku, DisplayName: name, PeriodStart: start, Quantity: &quantity, Active: true})
				if w.Prebook && !open[sku] {
					open[sku] = true
					rows = append(rows, Replenishment{WarehouseID: id, SKUID: sku, DisplayName: displayPrebook, Prebook: true, PeriodStart: today.Format(replenishmentDate), Active: true})
				}
			}
		}
	}
	return merged(rows), nil
}

// period reads the name of a delivery; a date that is past is moved to today.
func (r *Stock) period(name string, today time.Time) (start, display string, err error) {
	if strings.EqualFold(name, Immediate) {
		return today.Format(replenishmentDate), Immediate, nil
	}
	for _, layout := range r.client.config.Dialect.DateLayouts {
		if at, err := time.Parse(layout, name); err == nil {
			if at.Before(today) {
				at = today
			}
			return at.Format(replenishmentDate), displayFuture, nil
		}
	}
	return "", "", needs("wip.name", "date", "name a delivery immediate or by a date in one of the configured forms")
}

// merged adds up rows that became one, as past dates do when they are moved to today.
func merged(rows []Replenishment) []Replenishment {
	at := make(map[rowKey]int, len(rows))
	out := rows[:0:0]
	for _, row := range rows {
		i, twice := at[row.key()]
		if !twice {
			at[row.key()] = len(out)
			out = append(out, row)
			continue
		}
		if row.Quantity == nil || out[i].Quantity == nil {
			continue
		}
		a, errA := out[i].Quantity.Int64()
		b, errB := row.Quantity.Int64()
		if errA == nil && errB == nil {
			sum := number(a + b)
			out[i].Quantity = &sum
		}
	}
	return out
}

func needs(field, rule, hint string) error {
	e := fault.New(fault.Reject, rule, "the stock cannot be written as replenishments")
	e.Field, e.Rule, e.Hint = field, rule, hint
	return e
}
