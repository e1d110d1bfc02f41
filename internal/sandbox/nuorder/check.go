package nuorder

import (
	"slices"
	"strings"
)

// missing names the first required text that is absent or empty.
func missing(d doc, keys ...string) string {
	for _, k := range keys {
		if strings.TrimSpace(str(d, k)) == "" {
			return k + " is required"
		}
	}
	return ""
}

// texts names the first field that is there and no text; null counts as text not set.
func texts(d doc, keys ...string) string {
	for _, k := range keys {
		if v := d[k]; v == nil {
			continue
		} else if _, isText := v.(string); !isText {
			return k + " must be text"
		}
	}
	return ""
}

// bools names the first field that is there and neither true nor false.
func bools(d doc, keys ...string) string {
	for _, k := range keys {
		if v, there := d[k]; there {
			if _, isBool := v.(bool); !isBool {
				return k + " must be true or false"
			}
		}
	}
	return ""
}

// first returns the first message that is not empty.
func first(messages ...string) string {
	for _, m := range messages {
		if m != "" {
			return m
		}
	}
	return ""
}

// badUpdateVerb refuses an update whose verb is switched off.
func (c *call) badUpdateVerb() *answer { return c.badVerb(c.sw.UpdateVerbs) }

func (c *call) badVerb(allowed []string) *answer {
	if slices.Contains(allowed, c.vars["__method"]) {
		return nil
	}
	a := oops()
	return &a
}

// unknownFields does what the switch says to fields that are neither known nor in the portal's schema.
func (c *call) unknownFields(kind string, d doc) string {
	if c.sw.UnknownFields == "keep" {
		return ""
	}
	for k := range d {
		if slices.Contains(knownFields(kind), k) || strings.HasPrefix(k, "__") || slices.ContainsFunc(c.p.cfg.Schemas[kind], func(f Field) bool {
			return f.Key == k || strings.HasPrefix(f.Key, k+".")
		}) {
			continue
		}
		if c.sw.UnknownFields == "refuse" {
			return k + " is not a field of this " + kind
		}
		delete(d, k)
	}
	return ""
}

func knownFields(kind string) []string {
	own := map[string]string{
		"product": `style_number season color name brand_id external_id unique_key color_code category subcategory department division
			description fabric_description country_of_origin seasons sizes pricing available_now available_from available_until
			order_closing active archived cancelled images banners size_groups warehouses`,
		"company": `name code currency_code currency_codes addresses discount surcharge default_discount default_surcharge payment_terms
			credit_status warehouse pricing_template customer_groups allow_bulk active reps legal_file phone_office phone buyers user_connections`,
		"order": `order_number external_id currency_code status ship_start ship_end start_ship end_ship retailer billing_address
			shipping_address customer_po_number discount rep_code rep_email rep_name notes total shipping_information line_items shipments
			order_tags additional_percentage split`,
	}
	return append(strings.Fields(own[kind]), "_id", "schema_id", "created_on", "modified_on")
}

// checkSchema enforces the portal's required fields and allowed values.
func (c *call) checkSchema(kind string, d doc) string {
	if !c.sw.Schema {
		return ""
	}
	for _, f := range c.p.cfg.Schemas[kind] {
		holders := []doc{d}
		head, key, nested := strings.Cut(f.Key, ".")
		if !nested {
			key = head
		} else if holders = docs(d, head); sub(d, head) != nil {
			holders = []doc{sub(d, head)}
		}
		for _, h := range holders {
			if msg := f.check(h[key]); msg != "" {
				return f.Key + " " + msg
			}
		}
	}
	return ""
}

func (f Field) check(v any) string {
	values := []any{v}
	if f.Type == "multi" {
		many, isList := v.([]any)
		if v != nil && !isList {
			return "must be an array"
		}
		values = many
	}
	if f.Required && (len(values) == 0 || values[0] == nil || values[0] == "") {
		return "is required"
	}
	for _, e := range values {
		if e == nil || e == "" {
			continue
		}
		if text, isText := e.(string); len(f.AllowedValues) > 0 && (!isText || !slices.Contains(f.AllowedValues, text)) {
			return "is not one of the allowed values"
		}
	}
	return ""
}

// schemas answers the definitions of all kinds.
func (c *call) schemas() answer {
	out := doc{}
	for _, k := range []string{"order", "company", "product"} {
		out[k] = c.schemaOf(k)
	}
	return ok(out)
}

func (c *call) schema() answer {
	if kind := c.vars["kind"]; kind == "order" || kind == "company" || kind == "product" {
		return ok(c.schemaOf(kind))
	}
	return fail(404, "schema not found")
}

func (c *call) schemaOf(kind string) []any {
	required := map[string][]string{
		"product": {"style_number", "season", "color", "name"}, "company": {"name", "code", "currency_code"},
		"order": {"order_number", "currency_code"},
	}
	fields := []any{}
	for _, k := range required[kind] {
		fields = append(fields, doc{"key": k, "name": k, "type": "text", "required": true, "details": doc{"allowed_values": []any{}}})
	}
	for _, f := range c.p.cfg.Schemas[kind] {
		allowed := []any{}
		for _, v := range f.AllowedValues {
			allowed = append(allowed, doc{"value": v})
		}
		fields = append(fields, doc{"key": f.Key, "name": f.Name, "type": f.Type, "required": f.Required, "details": doc{"allowed_values": allowed}})
	}
	return []any{doc{"_id": kind, "fields": fields}}
}
