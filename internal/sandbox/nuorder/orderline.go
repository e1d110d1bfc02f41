package nuorder

import (
	"slices"
	"strings"
)

// applyLines returns the lines of an order after a body's line_items, replaced or merged as the switch says.
func (c *call) applyLines(have []any, v any, user bool) ([]any, string) {
	sent, isList := v.([]any)
	if !isList {
		return nil, "line_items must be an array"
	}
	merge := c.sw.Arrays == "merge" && !user
	var out []any
	for _, e := range sent {
		line, msg := c.buildLine(e, have, user, merge)
		if msg != "" {
			return nil, "line_items: " + msg
		}
		if slices.ContainsFunc(out, func(o any) bool { return str(o.(doc), "id") == str(line, "id") }) {
			line["id"] = c.s.newID()
		}
		out = append(out, line)
	}
	if merge {
		out = mergeLines(have, out)
	}
	return out, ""
}

// buildLine resolves one line. Its product and each of its sizes must exist.
func (c *call) buildLine(v any, have []any, user, merge bool) (doc, string) {
	in, isDoc := v.(doc)
	if !isDoc {
		return nil, "must be objects"
	}
	if msg := c.unknownInLine(in); msg != "" && !user {
		return nil, msg
	}
	p := c.findProduct(in)
	if p == nil {
		return nil, "product not found: " + lineName(in)
	}
	line := cloneDoc(in)
	for _, k := range []string{"_id", "brand_id", "external_id", "style_number", "season", "color"} {
		delete(line, k)
	}
	ref := doc{}
	for _, k := range []string{"_id", "style_number", "season", "color", "color_code", "brand_id", "department"} {
		if p.Doc[k] != nil {
			ref[k] = p.Doc[k]
		}
	}
	line["product"] = ref
	for _, k := range []string{"ship_start", "ship_end"} {
		if msg := setDate(line, k, c.sw.DatesIn); msg != "" {
			return nil, msg
		}
		if c.sw.RequireLineDates && !user && str(line, k) == "" {
			return nil, k + " is required"
		}
	}
	if msg := first(bools(line, "prebook"), texts(line, "notes", "warehouse")); msg != "" {
		return nil, msg
	}
	line["prebook"] = flag(line, "prebook")
	if name := str(line, "warehouse"); name != "" {
		w, known := c.p.warehouse(name)
		if !known {
			return nil, "warehouse " + name + " does not exist"
		}
		line["warehouse"] = w.ID
	} else {
		line["warehouse"] = ""
	}
	if line["discount"] == nil {
		line["discount"] = count(0)
	} else if n, isNumber := number(line["discount"], c.sw.NumbersAsText); !isNumber || n.IsNegative() || n.GreaterThan(num100()) {
		return nil, "discount must be a number from 0 to 100"
	}
	if msg := c.buildSizes(p, line, user, merge); msg != "" {
		return nil, msg
	}
	keepLineID(c, line, have)
	return line, ""
}

// unknownInLine names a field that an answer may show and a client does not send, if such are refused.
func (c *call) unknownInLine(line doc) string {
	if c.sw.UnknownFields != "refuse" {
		return ""
	}
	other := func(d doc, at, known string) string {
		for k := range d {
			if !slices.Contains(strings.Fields(known), k) {
				return at + k + " is not a field of this order"
			}
		}
		return ""
	}
	const product = "_id brand_id external_id style_number season color"
	msg := first(other(line, "", product+" product id discount ship_start ship_end notes warehouse prebook sizes"), other(sub(line, "product"), "product.", product))
	for _, s := range docs(line, "sizes") {
		msg = first(msg, other(s, "sizes.", "size upc quantity price original_price"))
	}
	return msg
}

func (c *call) buildSizes(p *product, line doc, user, merge bool) string {
	sizes, isList := line["sizes"].([]any)
	if !isList || len(sizes) == 0 {
		return "sizes is required"
	}
	seen := map[string]bool{}
	for _, v := range sizes {
		s, isDoc := v.(doc)
		if !isDoc {
			return "sizes must be objects"
		}
		known := p.size(str(s, "size"), str(s, "upc"))
		if known == nil {
			return "size not found: " + str(s, "size") + str(s, "upc") + " at " + str(p.Doc, "style_number")
		}
		if upc := str(s, "upc"); upc != "" && str(known, "upc") != "" && upc != str(known, "upc") {
			return "upc is not that of size " + str(known, "size")
		}
		if seen[str(known, "size")] {
			return "size " + str(known, "size") + " is there twice"
		}
		seen[str(known, "size")] = true
		n, valid := integer(s["quantity"], c.sw.NumbersAsText)
		if !valid {
			return "quantity must be a whole number that is not negative"
		}
		if n == 0 && !user && !merge && c.sw.ZeroQuantity == "refuse" {
			return "quantity must be above 0"
		}
		price, isNumber := number(s["price"], c.sw.NumbersAsText)
		if !isNumber || price.IsNegative() {
			return "price must be a number that is not negative"
		}
		if price.IsZero() && n > 0 && !user && c.sw.ZeroPrice == "refuse" {
			return "price must be above 0"
		}
		s["size"], s["quantity"], s["price"] = known["size"], count(n), num(price)
		if known["upc"] != nil {
			s["upc"] = known["upc"]
		}
		if s["original_price"] == nil {
			s["original_price"] = s["price"]
		}
		s["price_precise"] = price.String()
	}
	return ""
}

// keepLineID gives a line the id that it had, or a new one.
func keepLineID(c *call, line doc, have []any) {
	for _, v := range have {
		if old, isDoc := v.(doc); isDoc && sameLine(old, line) {
			line["id"] = old["id"]
			return
		}
	}
	line["id"] = c.s.newID()
}

// sameLine tells whether two lines are one: the same id, or the same product in the same warehouse.
func sameLine(a, b doc) bool {
	if id := str(b, "id"); id != "" {
		return str(a, "id") == id
	}
	return str(sub(a, "product"), "_id") == str(sub(b, "product"), "_id") && str(a, "warehouse") == str(b, "warehouse")
}

// mergeLines puts sent lines into those that are there. A size of quantity 0 is taken out, and a line that has none left.
func mergeLines(have, sent []any) []any {
	out := clone(have).([]any)
	for _, v := range sent {
		line := v.(doc)
		at := slices.IndexFunc(out, func(o any) bool { return sameLine(o.(doc), line) })
		if at < 0 {
			out = append(out, line)
			continue
		}
		old := out[at].(doc)
		sizes := list(old, "sizes")
		for _, s := range docs(line, "sizes") {
			i := slices.IndexFunc(sizes, func(o any) bool { return str(o.(doc), "size") == str(s, "size") })
			if i < 0 {
				sizes = append(sizes, s)
			} else {
				sizes[i] = s
			}
		}
		for k, e := range line {
			old[k] = e
		}
		old["sizes"] = sizes
	}
	for _, v := range out {
		line := v.(doc)
		line["sizes"] = slices.DeleteFunc(list(line, "sizes"), func(s any) bool {
			n, _ := integer(s.(doc)["quantity"], true)
			return n == 0
		})
	}
	return slices.DeleteFunc(out, func(v any) bool { return len(list(v.(doc), "sizes")) == 0 })
}

// lineName is how a message names the product of a line.
func lineName(line doc) string {
	ref := line
	if s := sub(line, "product"); s != nil {
		ref = s
	}
	for _, k := range []string{"_id", "brand_id", "external_id"} {
		if s := str(ref, k); s != "" {
			return s
		}
	}
	return strings.Join([]string{str(ref, "style_number"), str(ref, "season"), str(ref, "color")}, ",")
}
