package nuorder

import (
	"maps"
	"slices"
	"strings"
)

// putSheet upserts rows of a price sheet; rows that fail are named inside a 200.
func (c *call) putSheet() answer {
	d, a := c.object()
	if a != nil {
		return *a
	}
	rows, isList := d["pricing"].([]any)
	if !isList {
		return fail(400, "pricing must be an array")
	}
	if cur := str(d, "currency_code"); len(cur) != 3 {
		return fail(400, "currency_code is required")
	}
	updates, errs := []any{}, []any{}
	for i, v := range rows {
		id, msg := c.sheetRow(c.vars["template"], str(d, "currency_code"), v)
		if msg != "" {
			errs = append(errs, doc{"index": i, "message": msg})
			continue
		}
		updates = append(updates, doc{"index": i, "_id": id})
	}
	return ok(doc{"updates": updates, "errors": errs})
}

// sheetRow stores one row, or says why it cannot.
func (c *call) sheetRow(template, currency string, v any) (string, string) {
	row, isDoc := v.(doc)
	if !isDoc {
		return "", "a row must be an object"
	}
	if c.rowErrors {
		return "", "row refused by the sandbox"
	}
	p := c.findProduct(row)
	if p == nil {
		return "", "product not found"
	}
	wholesale, isNumber := number(row["wholesale"], c.sw.NumbersAsText)
	if !isNumber || wholesale.IsNegative() {
		return "", "wholesale must be a number that is not negative"
	}
	stored := cloneDoc(row)
	if stored["retail"] == nil {
		stored["retail"] = sub(sub(p.Doc, "pricing"), currency)["retail"]
	} else if retail, isNumber := number(row["retail"], c.sw.NumbersAsText); !isNumber || retail.IsNegative() {
		return "", "retail must be a number that is not negative"
	}
	for _, s := range docs(row, "sizes") {
		if p.size(str(s, "size"), "") == nil && c.p.bySize[str(s, "_id")] != p.id() {
			return "", "size not found"
		}
	}
	for _, k := range []string{"_id", "brand_id", "style_number", "season", "color"} {
		stored[k] = p.Doc[k]
	}
	stored["template"], stored["currency_code"] = template, currency
	if c.p.sheets[template] == nil {
		c.p.sheets[template] = map[string]doc{}
	}
	c.p.sheets[template][p.id()+" "+currency] = stored
	c.wrote("pricesheet", template+"/"+p.id())
	return p.id(), ""
}

func (c *call) getSheet() answer {
	sheet := c.p.sheets[c.vars["template"]]
	if sheet == nil {
		return fail(404, "price sheet not found")
	}
	rows := []any{}
	for _, k := range slices.Sorted(maps.Keys(sheet)) {
		rows = append(rows, sheet[k])
	}
	return ok(doc{"template": c.vars["template"], "pricing": rows})
}

func (c *call) assignToSheet() answer {
	p := c.productByExt()
	if p == nil {
		return fail(404, "product not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	d["_id"] = p.id()
	currency := str(d, "currency_code")
	if currency == "" {
		currency = "USD"
	}
	id, msg := c.sheetRow(c.vars["template"], currency, d)
	if msg != "" {
		return ok(doc{"updates": []any{}, "errors": []any{doc{"index": 0, "message": msg}}})
	}
	return ok(doc{"updates": []any{doc{"index": 0, "_id": id}}, "errors": []any{}})
}

func (c *call) removeFromSheet() answer {
	p := c.productByExt()
	if p == nil {
		return fail(404, "product not found")
	}
	if c.rowErrors {
		return ok(doc{"success": false})
	}
	n := c.dropFromSheet(c.vars["template"], p)
	return ok(doc{"success": n > 0})
}

func (c *call) dropFromSheet(template string, p *product) int {
	before := len(c.p.sheets[template])
	maps.DeleteFunc(c.p.sheets[template], func(k string, _ doc) bool { return strings.HasPrefix(k, p.id()+" ") })
	if n := before - len(c.p.sheets[template]); n > 0 {
		c.wrote("pricesheet", template+"/"+p.id())
		return n
	}
	return 0
}

// putProductSheets takes an array of rows, each with its template, and answers for each row.
func (c *call) putProductSheets() answer {
	p := c.productByExt()
	if p == nil {
		return fail(404, "product not found")
	}
	v, err := decodeJSON(c.body)
	rows, isList := v.([]any)
	if err != nil || !isList {
		return fail(400, "the body must be an array of rows")
	}
	out := []any{}
	for i, v := range rows {
		row, isDoc := v.(doc)
		msg := "template is required"
		if isDoc && str(row, "template") != "" {
			row["_id"] = p.id()
			currency := str(row, "currency_code")
			if currency == "" {
				currency = "USD"
			}
			_, msg = c.sheetRow(str(row, "template"), currency, row)
		}
		shown := msg
		if msg == "" {
			shown = "ok"
		}
		out = append(out, doc{"index": i, "success": msg == "", "message": shown})
	}
	return ok(out)
}

func (c *call) dropProductSheets() answer {
	p := c.productByExt()
	if p == nil {
		return fail(404, "product not found")
	}
	if c.rowErrors {
		return ok(doc{"success": false})
	}
	for template := range c.p.sheets {
		c.dropFromSheet(template, p)
	}
	return ok(doc{"success": true})
}
