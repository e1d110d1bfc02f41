package nuorder

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

func num100() decimal.Decimal { return decimal.NewFromInt(100) }

// applyShipments returns the shipments of an order after those of a body, replaced or merged as the switch says. Each line of
// a shipment must be of the order.
func (c *call) applyShipments(o doc, have []any, v any) ([]any, string) {
	sent, isList := v.([]any)
	if !isList {
		return nil, "shipments must be an array"
	}
	out := []any{}
	for _, e := range sent {
		s, isDoc := e.(doc)
		if !isDoc {
			return nil, "shipments must be objects"
		}
		ship := cloneDoc(s)
		if msg := c.buildShipment(o, ship); msg != "" {
			return nil, "shipments: " + msg
		}
		if i := findShipment(have, ship); i >= 0 {
			ship["_id"] = have[i].(doc)["_id"]
		} else {
			ship["_id"] = c.s.newID()
		}
		out = append(out, ship)
	}
	if c.sw.Arrays != "merge" {
		return out, ""
	}
	merged := clone(have).([]any)
	for _, v := range out {
		if i := findShipment(merged, v.(doc)); i >= 0 {
			merged[i] = v
		} else {
			merged = append(merged, v)
		}
	}
	return merged, ""
}

func (c *call) buildShipment(o, ship doc) string {
	if msg := first(texts(ship, "_id", "type", "status"), setDate(ship, "shipment_date", c.sw.DatesIn)); msg != "" {
		return msg
	}
	if len(c.sw.ShipmentTypes) > 0 && !slices.Contains(c.sw.ShipmentTypes, str(ship, "type")) {
		return "type " + str(ship, "type") + " is not accepted"
	}
	if len(c.sw.ShipmentStatuses) > 0 && !slices.Contains(c.sw.ShipmentStatuses, str(ship, "status")) {
		return "status " + str(ship, "status") + " is not accepted"
	}
	if v, there := ship["tracking_numbers"]; there {
		numbers, isList := v.([]any)
		if !isList || slices.ContainsFunc(numbers, func(n any) bool { s, isText := n.(string); return !isText || s == "" }) {
			return "tracking_numbers must be an array of texts"
		}
	}
	lines, isList := ship["line_items"].([]any)
	if !isList || len(lines) == 0 {
		return "line_items is required"
	}
	for _, v := range lines {
		line, isDoc := v.(doc)
		if !isDoc {
			return "line_items must be objects"
		}
		p := c.findProduct(line)
		if p == nil {
			return "product not found: " + lineName(line)
		}
		ordered := orderedSizes(o, p.id())
		if ordered == nil {
			return "product is not in the order: " + lineName(line)
		}
		if len(docs(line, "sizes")) == 0 {
			return "sizes is required"
		}
		for _, s := range docs(line, "sizes") {
			known := p.size(str(s, "size"), str(s, "upc"))
			if known == nil || !ordered[str(known, "size")] {
				return "size is not in the order: " + str(s, "size") + str(s, "upc")
			}
			n, valid := integer(s["quantity"], c.sw.NumbersAsText)
			if !valid || n == 0 {
				return "quantity must be a whole number above 0"
			}
			s["size"] = known["size"]
		}
		for _, k := range []string{"brand_id", "season", "style_number", "color"} {
			line[k] = p.Doc[k]
		}
		line["product"] = doc{"_id": p.id()}
	}
	return ""
}

// findShipment finds the shipment that another one means: the same _id, else a common tracking number.
func findShipment(have []any, ship doc) int {
	return slices.IndexFunc(have, func(v any) bool {
		old, isDoc := v.(doc)
		if !isDoc {
			return false
		}
		if id := str(ship, "_id"); id != "" {
			return id == str(old, "_id")
		}
		return slices.ContainsFunc(list(ship, "tracking_numbers"), func(n any) bool { return slices.Contains(list(old, "tracking_numbers"), n) })
	})
}

func orderedSizes(o doc, product string) map[string]bool {
	var out map[string]bool
	for _, line := range docs(o, "line_items") {
		if str(sub(line, "product"), "_id") != product {
			continue
		}
		if out == nil {
			out = map[string]bool{}
		}
		for _, s := range docs(line, "sizes") {
			out[str(s, "size")] = true
		}
	}
	return out
}

// shipState fills __shipment_status, and names a size of which more is shipped than ordered.
func shipState(o doc) (over string) {
	type key struct{ product, size string }
	ordered, shipped := map[key]int64{}, map[key]int64{}
	var keys []key
	add := func(into map[key]int64, lines []doc) {
		for _, line := range lines {
			for _, s := range docs(line, "sizes") {
				k := key{str(sub(line, "product"), "_id"), str(s, "size")}
				if !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
				n, _ := integer(s["quantity"], true)
				into[k] += n
			}
		}
	}
	add(ordered, docs(o, "line_items"))
	for _, ship := range docs(o, "shipments") {
		if !voided(ship) {
			add(shipped, docs(ship, "line_items"))
		}
	}
	rows := []any{}
	for _, k := range keys {
		if shipped[k] > ordered[k] {
			over = k.size
		}
		if len(docs(o, "shipments")) > 0 {
			rows = append(rows, doc{
				"product": k.product, "size": k.size, "ordered": count(ordered[k]), "shipped": count(shipped[k]),
				"open": count(max(0, ordered[k]-shipped[k])),
			})
		}
	}
	o["__shipment_status"] = rows
	return over
}

func voided(ship doc) bool {
	return slices.Contains([]string{"void", "voided", "cancelled", "canceled"}, strings.ToLower(str(ship, "status")))
}

// derive sets shipped when shipments cover every line, and takes that back when they no longer do.
func (c *call) derive(o *order) {
	rows := docs(o.Doc, "__shipment_status")
	covered := len(rows) > 0 && !slices.ContainsFunc(rows, func(r doc) bool { n, _ := integer(r["open"], true); return n > 0 })
	switch {
	case covered && (o.status() == "approved" || o.status() == "processed"):
		c.enter(o, "shipped")
		o.Derived = true
	case !covered && o.status() == "shipped" && o.Derived:
		c.enter(o, "processed")
	}
}
