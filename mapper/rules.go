package mapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// rule is what the remote demands of one place in a body.
type rule struct {
	say string
	// required: the field must be mapped, and its value there and not empty; a list must have an element.
	required              bool
	positive, notNegative bool
	// dropZero leaves out the enclosing element when the value is zero; dropEmpty when the list is empty.
	dropZero, dropEmpty bool
	// allowed are the values that the portal accepts; any if nil.
	allowed map[string]bool
	// note says in words what list demands.
	note string
	list func(c *evalContext, json []byte)
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
			"sizes":               {say: "The sizes", required: true, list: uniqueIn("size"), note: "each size once"},
			"sizes[].size":        {say: "The size", required: true},
			"pricing":             {say: "The prices", required: true},
			"pricing.*.wholesale": {say: "The wholesale price", required: true, positive: zeroPrice != "send", notNegative: true},
			"pricing.*.retail":    {say: "The retail price", notNegative: true},
			"price_sheets":        {say: "The price sheets", list: sheetRules, note: "each template and currency once; opt-in: rows of the product in price sheets, not part of the product itself"},

			"price_sheets[].template":      {say: "The price sheet's name", required: true},
			"price_sheets[].currency_code": {say: "The price sheet's currency", required: true},
			"price_sheets[].wholesale":     {say: "The wholesale price of the sheet", required: true, positive: zeroPrice != "send", notNegative: true},
			"price_sheets[].retail":        {say: "The retail price of the sheet", notNegative: true},
			"price_sheets[].sizes[].size":  {say: "The size", required: true},
		}
	case "customers.yaml":
		return map[string]rule{
			"name":                {say: "The company's name", required: true},
			"code":                {say: "The company's code", required: true},
			"currency_code":       {say: "The currency", required: true},
			"addresses":           {say: "The addresses", list: addressRules, note: "at least one billing and one shipping address, at most one default of each; type is billing, shipping or both"},
			"addresses[].line_1":  {say: "Address line 1", required: true},
			"addresses[].country": {say: "The country", required: true},
			"addresses[].type":    {say: "The address type", required: true},
		}
	case "inventory.yaml":
		return map[string]rule{
			"inventory":                          {say: "The inventory"},
			"inventory[].warehouse":              {say: "The warehouse", required: true},
			"inventory[].wip":                    {say: "The deliveries", list: uniqueIn("name"), note: "each name once"},
			"inventory[].wip[].name":             {say: "The delivery's name", required: true},
			"inventory[].wip[].sizes":            {say: "The sizes", list: uniqueIn("size"), note: "each size once"},
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
	if r.allowed != nil {
		r.checkAllowed(c, text)
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

// checkAllowed demands that a text, or each text of a list, is one that the portal accepts.
func (r *rule) checkAllowed(c *evalContext, text []byte) {
	var many []string
	switch text[0] {
	case '{':
		return
	case '[':
		if json.Unmarshal(text, &many) != nil {
			return
		}
	case '"':
		var one string
		if json.Unmarshal(text, &one) != nil {
			return
		}
		many = []string{one}
	default: // a number or a boolean
		many = []string{string(text)}
	}
	for _, v := range many {
		if !r.allowed[v] && v != "" {
			c.violate("one_of", v, r.say+" is none of the values that the portal accepts. Correct it in OMS, or add the value to the portal or to a look-up table of the mapping.")
			return
		}
	}
}

// of gives the fields that the portal defines for the bodies of a file.
func (p *Portal) of(file string) []PortalField {
	if p == nil {
		return nil
	}
	kinds := map[string]Kind{"products.yaml": Product, "customers.yaml": Company, "orders.yaml": Order}
	return p.Fields[kinds[file]]
}

// path gives the place in the body that a key of the portal's schema names: a dot leads into the elements of a list, or into an object.
func (f PortalField) path() string {
	head, rest, nested := strings.Cut(f.Key, ".")
	switch {
	case !nested:
		return f.Key
	case head == "pricing":
		return "pricing.*." + rest
	case slices.Contains([]string{"retailer", "billing_address", "shipping_address", "shipping_information"}, head):
		return f.Key
	}
	return head + "[]." + strings.ReplaceAll(rest, ".", "[].")
}

// portalRules adds what the portal demands to the rules of a file.
func portalRules(rules map[string]rule, file string, portal *Portal) map[string]rule {
	if portal == nil || rules == nil {
		return rules
	}
	for _, f := range portal.of(file) {
		path := f.path()
		r, known := rules[path]
		if !known {
			r.say = "The portal's field " + f.Key
		}
		r.required = r.required || f.Required
		if len(f.Allowed) > 0 {
			r.allowed = map[string]bool{}
			for _, v := range f.Allowed {
				r.allowed[v] = true
			}
		}
		rules[path] = r
	}
	if portal.Warehouses != nil {
		for _, path := range warehousePaths(file) {
			r := rules[path]
			r.say, r.allowed = "The warehouse", map[string]bool{}
			for _, w := range portal.Warehouses {
				r.allowed[w] = true
			}
			rules[path] = r
		}
	}
	return rules
}

// warehousePaths gives where the documents of a file name warehouses.
func warehousePaths(file string) []string {
	switch file {
	case "inventory.yaml":
		return []string{"inventory[].warehouse"}
	case "orders.yaml":
		return []string{"line_items[].warehouse"}
	}
	return nil
}

// uniqueIn demands that no two elements of a list have the same value in a field.
func uniqueIn(field string) func(c *evalContext, text []byte) {
	prefix := []byte(`"` + field + `":`)
	return func(c *evalContext, text []byte) {
		c.values = topValues(c.values[:0], text, prefix)
		for i, v := range c.values {
			for _, earlier := range c.values[:i] {
				if bytes.Equal(earlier, v) {
					c.violate("unique", string(v), fmt.Sprintf("Two elements have the %s %s; NuORDER tells them apart by it. Remove one in OMS.", field, v))
					return
				}
			}
		}
	}
}

// topValues appends the scalar values of a field in the objects directly inside a JSON list; the JSON is our own and canonical.
func topValues(out [][]byte, text, prefix []byte) [][]byte {
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

// sheetRules demands that a product has one row in each price sheet and currency.
func sheetRules(c *evalContext, text []byte) {
	type row struct {
		Template string `json:"template"`
		Currency string `json:"currency_code"`
	}
	var list []row
	if err := json.Unmarshal(text, &list); err != nil {
		return
	}
	slices.SortFunc(list, func(a, b row) int {
		return strings.Compare(a.Template+"\x00"+a.Currency, b.Template+"\x00"+b.Currency)
	})
	for i := 1; i < len(list); i++ {
		if list[i] == list[i-1] {
			c.violate("unique", list[i].Template, fmt.Sprintf("The product has two rows in price sheet %s in %s. Give one in OMS, or group them in the mapping.", list[i].Template, list[i].Currency))
			return
		}
	}
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

// checkConstant compares what a leaf can only be, a constant or the entries of the look-up tables it uses, with what the portal
// accepts.
func (t *treeCompiler) checkConstant(out *tree, lookups []string) {
	if out.rule == nil || out.rule.allowed == nil || out.expr == nil {
		return
	}
	accepted := make([]string, 0, len(out.rule.allowed))
	for v := range out.rule.allowed {
		accepted = append(accepted, v)
	}
	slices.Sort(accepted)
	if s, ok := out.expr.value.(string); out.expr.constant && ok && !out.rule.allowed[s] {
		t.add(out.expr.node.Finding(Error, fmt.Sprintf("the portal does not accept %q here", s), "one of "+shorten(accepted), suggest(s, accepted)))
	}
	for _, name := range lookups {
		table := t.lookups[name]
		for _, k := range sortedKeys(table.entries) {
			if v := table.entries[k]; !out.rule.allowed[v] && table.node != nil {
				t.add(table.node.Finding(Error, fmt.Sprintf("look-up table %q gives %q, which the portal does not have", name, v), "one of "+shorten(accepted), suggest(v, accepted)))
			}
		}
	}
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
