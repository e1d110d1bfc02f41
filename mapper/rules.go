package mapper

import (
	"encoding/json"
	"fmt"
)

// rule is what the remote demands of one place in a body.
type rule struct {
	say string
	// required: the field must be mapped, and its value there and not empty; a list must have an element.
	required bool
	// optionalMap: a required value that need not be mapped when its parent is not.
	positive, notNegative bool
	// dropZero leaves out the enclosing element when the value is zero; dropEmpty when the list is empty.
	dropZero, dropEmpty bool
	list                func(c *evalContext, json []byte)
	object              func(c *evalContext, json []byte)
}

// rulesOf gives the remote's rules for the bodies of a file, by path; [] is any element, .* any key.
func rulesOf(file, zeroPrice string) map[string]rule {
	switch file {
	case "products.yaml":
		return map[string]rule{
			"brand_id":            {say: "The product's own id", required: true},
			"style_number":        {say: "The style number", required: true},
			"season":              {say: "The season", required: true},
			"color":               {say: "The color", required: true},
			"name":                {say: "The name", required: true},
			"sizes":               {say: "The sizes", required: true, list: uniqueIn("size")},
			"sizes[].size":        {say: "The size", required: true},
			"pricing":             {say: "The prices", required: true},
			"pricing.*.wholesale": {say: "The wholesale price", required: true, positive: zeroPrice != "send", notNegative: true},
			"pricing.*.retail":    {say: "The retail price", notNegative: true},
		}
	case "customers.yaml":
		return map[string]rule{
			"name":                {say: "The company's name", required: true},
			"code":                {say: "The company's code", required: true},
			"currency_code":       {say: "The currency", required: true},
			"addresses":           {say: "The addresses", list: addressRules},
			"addresses[].line_1":  {say: "Address line 1", required: true},
			"addresses[].country": {say: "The country", required: true},
			"addresses[].type":    {say: "The address type", required: true},
		}
	case "inventory.yaml":
		return map[string]rule{
			"inventory":                          {say: "The inventory"},
			"inventory[].warehouse":              {say: "The warehouse", required: true},
			"inventory[].wip":                    {say: "The deliveries", list: uniqueIn("name")},
			"inventory[].wip[].name":             {say: "The delivery's name", required: true},
			"inventory[].wip[].sizes":            {say: "The sizes", list: uniqueIn("size")},
			"inventory[].wip[].sizes[].size":     {say: "The size", required: true},
			"inventory[].wip[].sizes[].quantity": {say: "The quantity", required: true, notNegative: true},
		}
	case "orders.yaml":
		return map[string]rule{
			"order_number":                  {say: "The order number", required: true},
			"currency_code":                 {say: "The currency", required: true},
			"start_ship":                    {say: "The ship date", required: true},
			"retailer.retailer_code":        {say: "The company's code", required: true},
			"line_items":                    {say: "The lines", required: true},
			"line_items[].sizes":            {say: "The sizes of the line", required: true, dropEmpty: true},
			"line_items[].sizes[].size":     {say: "The size", required: true},
			"line_items[].sizes[].quantity": {say: "The quantity", required: true, dropZero: true, notNegative: true},
			"line_items[].sizes[].price":    {say: "The price", required: true, positive: zeroPrice != "send", notNegative: true},
		}
	case "shipments.yaml":
		return map[string]rule{
			"shipments":                                 {say: "The shipments"},
			"shipments[].tracking_numbers":              {say: "The tracking numbers", required: true},
			"shipments[].line_items[].sizes":            {say: "The sizes of the line", dropEmpty: true},
			"shipments[].line_items[].sizes[].size":     {say: "The size", required: true},
			"shipments[].line_items[].sizes[].quantity": {say: "The quantity", required: true, dropZero: true, notNegative: true},
		}
	}
	return nil
}

// check applies a leaf's rules to the JSON text that was written for it.
func (r *rule) check(c *evalContext, start int, got outcome) outcome {
	text := c.buf[start:]
	empty := got == nothing || len(text) == 2 && text[0] == '"' || string(text) == "null" || string(text) == "[]"
	if empty {
		if r.required {
			c.violate("required", "", r.say+" is empty, and NuORDER requires it. Fill it in OMS or map another field.")
		}
		return got
	}
	if !r.positive && !r.notNegative && !r.dropZero {
		return got
	}
	if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		c.violate("number", string(text), r.say+" is no number.")
		return got
	}
	zero := string(text) == "0"
	switch {
	case zero && r.dropZero:
		return drop
	case zero && r.positive:
		c.violate("positive", "0", r.say+" must be above zero. Enter it in OMS, or set zero_price: send in the mapping.")
	case text[0] == '-':
		c.violate("not_negative", string(text), r.say+" must not be negative. Correct it in OMS.")
	}
	return got
}

// uniqueIn demands that no two elements of a list have the same value in a field.
func uniqueIn(field string) func(c *evalContext, text []byte) {
	return func(c *evalContext, text []byte) {
		c.seen = c.seen[:0]
		prefix := []byte(`"` + field + `":`)
		for _, v := range topValues(text, prefix) {
			for _, s := range c.seen {
				if s == string(v) {
					c.violate("unique", string(v), fmt.Sprintf("Two elements have the %s %s; NuORDER tells them apart by it. Remove one in OMS.", field, v))
					return
				}
			}
			c.seen = append(c.seen, string(v))
		}
	}
}

// topValues finds the scalar values of a field in the objects directly inside a JSON list; the JSON is our own and canonical.
func topValues(text, prefix []byte) [][]byte {
	var out [][]byte
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			match := depth == 2 && len(text)-i > len(prefix) && string(text[i:i+len(prefix)]) == string(prefix)
			if match {
				from := i + len(prefix)
				to := skipValue(text, from)
				out = append(out, text[from:to])
				i = to - 1
				continue
			}
			i = skipValue(text, i) - 1
		}
	}
	return out
}

// skipValue gives the index after the string or number that begins at i.
func skipValue(text []byte, i int) int {
	if text[i] != '"' {
		for i < len(text) && text[i] != ',' && text[i] != '}' && text[i] != ']' {
			i++
		}
		return i
	}
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(text))
}

// addressRules demands at least one billing and one shipping address, and at most one default of each.
func addressRules(c *evalContext, text []byte) {
	var list []struct {
		Type            string `json:"type"`
		DefaultBilling  bool   `json:"default_billing"`
		DefaultShipping bool   `json:"default_shipping"`
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list) == 0 {
		return
	}
	var billing, shipping, defaultBilling, defaultShipping int
	for _, a := range list {
		switch a.Type {
		case "billing":
			billing++
		case "shipping":
			shipping++
		case "both":
			billing++
			shipping++
		default:
			c.violate("one_of", a.Type, "The address type must be billing, shipping or both.")
			return
		}
		if a.DefaultBilling {
			defaultBilling++
		}
		if a.DefaultShipping {
			defaultShipping++
		}
	}
	if billing == 0 || shipping == 0 {
		c.violate("addresses", "", "NuORDER needs at least one billing and one shipping address. Add the missing one in OMS.")
	}
	if defaultBilling > 1 || defaultShipping > 1 {
		c.violate("one_default", "", "More than one address is the default of its type. Leave one in OMS.")
	}
}
