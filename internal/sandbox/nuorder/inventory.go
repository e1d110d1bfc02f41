package nuorder

import (
	"slices"
	"strings"
	"time"
)

// stockRow is one figure: a size in a warehouse, at once or in a period. Both inventory calls write these rows.
type stockRow struct {
	Warehouse string `json:"warehouse_id"`
	Size      string `json:"sku_id"`
	// Name is "immediate", the delivery's name of the classic call, or the display name of the v3 call.
	Name string `json:"name"`
	// Start and End bound the period; both are empty for stock at hand.
	Start string `json:"start"`
	End   string `json:"end"`
	// Quantity is nil for prebook.
	Quantity *int64 `json:"quantity"`
	Prebook  bool   `json:"prebook"`
	Active   bool   `json:"active"`
}

// key is what one row replaces another by.
func (r *stockRow) key() string {
	kind := "stock"
	if r.Prebook {
		kind = "prebook"
	}
	return strings.Join([]string{r.Warehouse, r.Size, kind, r.Start, r.End}, "|")
}

// putInventory replaces all stock of a product, of every warehouse and kind.
func (c *call) putInventory(p *product) answer {
	if c.sw.Inventory == "v3" {
		return fail(404, "not found")
	}
	if p == nil {
		return fail(404, "product not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	elements, isList := d["inventory"].([]any)
	if !isList {
		return fail(400, "inventory must be an array")
	}
	var rows []*stockRow
	open, seen := map[string]bool{}, map[string]bool{}
	for _, v := range elements {
		e, isDoc := v.(doc)
		if !isDoc {
			return fail(400, "inventory must hold objects")
		}
		w, known := c.p.warehouse(str(e, "warehouse"))
		if !known {
			return fail(400, "warehouse "+str(e, "warehouse")+" does not exist")
		}
		if seen[w.ID] {
			return fail(400, "warehouse "+w.Code+" is there twice")
		}
		seen[w.ID] = true
		if msg := bools(e, "prebook"); msg != "" {
			return fail(400, msg)
		}
		if flag(e, "prebook") {
			open[w.ID] = true
		}
		more, msg := c.classicRows(p, w, e)
		if msg != "" {
			return fail(400, msg)
		}
		rows = append(rows, more...)
	}
	p.Stock, p.Open = rows, open
	c.wrote("inventory", p.id())
	if c.sw.ClassicAnswer == "array" {
		return ok(c.classic(p))
	}
	return ok(doc{"success": true})
}

func (c *call) classicRows(p *product, w Warehouse, e doc) ([]*stockRow, string) {
	deliveries, isList := e["wip"].([]any)
	if !isList {
		return nil, "wip must be an array"
	}
	var rows []*stockRow
	keys := map[string]bool{}
	for _, v := range deliveries {
		delivery, isDoc := v.(doc)
		name := str(delivery, "name")
		if !isDoc || name == "" {
			return nil, "wip must hold objects with a name"
		}
		start := ""
		if name != "immediate" {
			at, valid := parseDate(name, c.sw.WIPDates)
			if !valid {
				return nil, "wip name " + name + " is neither immediate nor a date"
			}
			start = stamp(at)
		}
		for _, v := range list(delivery, "sizes") {
			s, isDoc := v.(doc)
			if !isDoc {
				return nil, "sizes must hold objects"
			}
			size := p.size(str(s, "size"), str(s, "upc"))
			if size == nil {
				return nil, "size " + str(s, "size") + " does not exist at this product"
			}
			n, valid := integer(s["quantity"], c.sw.NumbersAsText)
			if !valid {
				return nil, "quantity must be a whole number that is not negative"
			}
			r := &stockRow{Warehouse: w.ID, Size: str(size, "_id"), Name: name, Start: start, Quantity: &n, Active: true}
			if keys[r.key()] {
				return nil, "size " + str(size, "size") + " is there twice in " + name
			}
			keys[r.key()] = true
			rows = append(rows, r)
		}
	}
	return rows, ""
}

func (c *call) getInventory(p *product) answer {
	if c.sw.Inventory == "v3" {
		return fail(404, "not found")
	}
	if p == nil {
		return fail(404, "product not found")
	}
	return ok(doc{"inventory": c.classic(p)})
}

// classic is the stock of a product as the classic calls show it.
func (c *call) classic(p *product) []any { return c.p.classic(p) }

func (p *portal) classic(pr *product) []any {
	out := []any{}
	names := map[string]doc{}
	for _, s := range docs(pr.Doc, "sizes") {
		names[str(s, "_id")] = s
	}
	for _, w := range p.warehouses {
		e := doc{"warehouse": w.Code, "prebook": pr.Open[w.ID]}
		wip, byName := []any{}, map[string]doc{}
		there := pr.Open[w.ID]
		for _, r := range pr.Stock {
			if r.Warehouse != w.ID {
				continue
			}
			there = true
			if r.Prebook {
				e["prebook"] = true
				continue
			}
			bucket := bucketName(r)
			if byName[bucket] == nil {
				byName[bucket] = doc{"name": bucket, "sizes": []any{}}
				wip = append(wip, byName[bucket])
			}
			size := doc{"size": names[r.Size]["size"], "quantity": quantity(r)}
			if upc := names[r.Size]["upc"]; upc != nil {
				size["upc"] = upc
			}
			byName[bucket]["sizes"] = append(byName[bucket]["sizes"].([]any), size)
		}
		if there {
			e["wip"] = wip
			out = append(out, e)
		}
	}
	return out
}

// bucketName is what the classic view calls a row's delivery.
func bucketName(r *stockRow) string {
	if r.Start == "" {
		return "immediate"
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", r.Start); err == nil && (r.Name == "" || strings.EqualFold(r.Name, "future") || strings.EqualFold(r.Name, "immediate")) {
		return at.Format("01/02/2006")
	}
	return r.Name
}

func quantity(r *stockRow) any {
	if r.Quantity == nil {
		return nil
	}
	return count(*r.Quantity)
}

// stockView adds to a product's document what follows from its stock.
func (c *call) stockView(p *product, out doc) {
	buckets, cache := []any{}, []any{}
	used := map[string]bool{}
	total, open := int64(0), len(p.Open) > 0
	for _, r := range p.Stock {
		name := bucketName(r)
		if r.Prebook {
			name, open = "prebook", true
		}
		if !slices.Contains(buckets, any(name)) {
			buckets = append(buckets, name)
		}
		used[r.Warehouse] = true
		if r.Quantity != nil {
			total += *r.Quantity
		}
		cache = append(cache, doc{"bucket": name, "warehouse": r.Warehouse, "sku_id": r.Size, "_id": r.Size, "quantity": quantity(r)})
	}
	ids, details := []any{}, []any{}
	for i, w := range c.p.warehouses {
		details = append(details, doc{"id": w.ID, "display_name": w.DisplayName, "code": w.Code, "sort": i, "active": true})
		if used[w.ID] {
			ids = append(ids, w.ID)
		}
	}
	out["warehouses"], out["__warehouses"] = ids, details
	out["__inventory"], out["__inventory_cache"] = buckets, cache
	out["__tracks_inventory"], out["__sold_out"] = len(p.Stock) > 0, len(p.Stock) > 0 && total == 0 && !open
}
