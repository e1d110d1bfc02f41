package nuorder

import (
	"slices"
	"strings"
	"time"
)

func (c *call) addReplenishment() answer {
	if a := c.badV3(); a != nil {
		return *a
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	d["sku_id"] = c.vars["sku"]
	r, p, msg := c.replenishment(d)
	if msg != "" {
		return fail(400, msg)
	}
	if slices.ContainsFunc(p.Stock, func(o *stockRow) bool { return o.key() == r.key() }) {
		return conflict("replenishment already exists", r.Size)
	}
	p.Stock = append(p.Stock, r)
	c.wrote("inventory", p.id())
	return created(r.view())
}

// putReplenishments creates or updates rows in bulk, all or none.
func (c *call) putReplenishments() answer {
	if a := c.badV3(); a != nil {
		return *a
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	all, isList := d["replenishments"].([]any)
	if !isList || len(all) == 0 {
		return fail(400, "replenishments must be an array of at least one row")
	}
	rows, owners := make([]*stockRow, len(all)), make([]*product, len(all))
	for i, v := range all {
		e, isDoc := v.(doc)
		if !isDoc {
			return fail(400, "replenishments must hold objects")
		}
		var msg string
		if rows[i], owners[i], msg = c.replenishment(e); msg != "" {
			return fail(400, msg)
		}
	}
	out := []any{}
	for i, r := range rows {
		p := owners[i]
		if at := slices.IndexFunc(p.Stock, func(o *stockRow) bool { return o.key() == r.key() }); at >= 0 {
			p.Stock[at] = r
		} else {
			p.Stock = append(p.Stock, r)
		}
		if !contains(c.objects, "inventory:"+p.id()) {
			c.wrote("inventory", p.id())
		}
		out = append(out, r.view())
	}
	return ok(out)
}

func (c *call) dropReplenishments() answer {
	if a := c.badV3(); a != nil {
		return *a
	}
	p := c.p.products[c.p.bySize[c.vars["sku"]]]
	if p == nil {
		return fail(404, "sku not found")
	}
	w, _ := c.p.warehouse(c.vars["warehouse"])
	p.Stock = slices.DeleteFunc(p.Stock, func(r *stockRow) bool { return r.Warehouse == w.ID && r.Size == c.vars["sku"] })
	c.wrote("inventory", p.id())
	return ok(doc{"success": true})
}

// inventoryFlags recomputes what a product shows; here that is always in step, so only the products are checked.
func (c *call) inventoryFlags() answer {
	d, a := c.object()
	if a != nil {
		return *a
	}
	ids, isList := d["product_ids"].([]any)
	if !isList {
		return fail(400, "product_ids must be an array")
	}
	for _, v := range ids {
		id, isText := v.(string)
		if !isText || c.p.products[id] == nil {
			return fail(404, "product not found")
		}
	}
	return ok(doc{"success": true})
}

func (c *call) badV3() *answer {
	if c.sw.Inventory == "classic" {
		a := fail(404, "not found")
		return &a
	}
	for _, w := range c.p.warehouses {
		if w.ID == c.vars["warehouse"] {
			return nil
		}
	}
	a := fail(404, "warehouse not found")
	return &a
}

// replenishment reads one row of the v3.0 calls.
func (c *call) replenishment(d doc) (*stockRow, *product, string) {
	r := &stockRow{Warehouse: c.vars["warehouse"], Size: str(d, "sku_id"), Name: str(d, "display_name"), Active: true}
	p := c.p.products[c.p.bySize[r.Size]]
	if p == nil {
		return nil, nil, "sku " + r.Size + " does not exist"
	}
	if w := str(d, "warehouse_id"); w != "" && w != r.Warehouse {
		return nil, nil, "warehouse_id differs from the path"
	}
	if msg := first(bools(d, "prebook", "active"), texts(d, "display_name", "period_start", "period_end")); msg != "" {
		return nil, nil, msg
	}
	r.Prebook = flag(d, "prebook")
	if _, there := d["active"]; there {
		r.Active = flag(d, "active")
	}
	for k, to := range map[string]*string{"period_start": &r.Start, "period_end": &r.End} {
		text := str(d, k)
		if text == "" {
			continue
		}
		at, valid := parseDate(text, []string{"us"})
		if !valid {
			return nil, nil, k + " must be MM/DD/YYYY"
		}
		*to = stamp(at)
	}
	if r.End != "" && r.End < r.Start {
		return nil, nil, "period_end is before period_start"
	}
	// Stock at hand is one row, on whatever day its period was said to begin.
	if strings.EqualFold(r.Name, "immediate") && !r.Prebook {
		r.Start, r.End = "", ""
	} else if r.Start == "" && !r.Prebook {
		return nil, nil, "period_start is required"
	}
	if v := d["quantity"]; r.Prebook {
		if v != nil {
			return nil, nil, "quantity must be null for prebook"
		}
	} else {
		n, valid := integer(v, c.sw.NumbersAsText)
		if !valid {
			return nil, nil, "quantity must be a whole number that is not negative"
		}
		r.Quantity = &n
	}
	return r, p, ""
}

// view is a row as the v3.0 calls answer it, with epoch milliseconds.
func (r *stockRow) view() doc {
	epoch := func(s string) any {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", s)
		if err != nil {
			return nil
		}
		return count(at.UnixMilli())
	}
	shown := ""
	if r.Quantity != nil {
		shown = count(*r.Quantity).String()
	}
	return doc{
		"id": r.key(), "__key": r.key(), "warehouse_id": r.Warehouse, "sku_id": r.Size, "quantity": quantity(r), "display_name": r.Name,
		"display_quantity": shown, "period_start": epoch(r.Start), "period_end": epoch(r.End), "prebook": r.Prebook, "active": r.Active,
	}
}
