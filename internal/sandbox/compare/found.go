package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/nuorder"
)

type doc = map[string]any

// found brings what a portal stores into the form of what is expected. Orders that nobody expects in the OMS are left out;
// strays are those that should be there and are not.
func found(s nuorder.State, want map[string]objects, c Config) (got map[string]objects, strays []Difference) {
	got = map[string]objects{"product": {}, "company": {}, "inventory": {}, "order": {}}
	codes := map[string]string{}
	for _, w := range s.Warehouses {
		codes[w.ID] = w.Code
	}
	for _, p := range s.Products {
		if o, key := product(p), text(p, "brand_id"); want["product"][key] != nil || !flag(p, "archived") {
			got["product"][key] = o
		}
	}
	for _, co := range s.Companies {
		if o, key := company(co), text(co, "code"); want["company"][key] != nil || flag(co, "active") {
			got["company"][key] = o
		}
	}
	for _, i := range s.Inventory {
		if o, key := inventory(i), text(i, "brand_id"); want["inventory"][key] != nil || len(o) > 0 && got["product"][key] != nil {
			got["inventory"][key] = o
		}
	}
	imported := map[string]bool{}
	for _, w := range want["order"] {
		imported[w["_id"]] = true
	}
	for _, o := range s.Orders {
		key, status := text(o, "order_number"), text(o, "status")
		switch {
		case want["order"][key] != nil:
			got["order"][key] = order(o, codes, c)
		case !imported[text(o, "_id")] && slices.Contains([]string{"approved", "processed", "shipped"}, status):
			strays = append(strays, Difference{Kind: "order", Key: key, OMS: None, NuORDER: quote(status)})
		}
	}
	return got, strays
}

func product(d doc) object {
	o := object{}
	for _, k := range []string{"style_number", "season", "color", "color_code", "name", "description", "category", "department"} {
		o[k] = text(d, k)
	}
	for _, k := range []string{"active", "archived"} {
		o[k] = fmt.Sprint(flag(d, k))
	}
	o["available_from"], o["available_until"] = day(d, "available_from"), day(d, "available_until")
	var images []string
	for _, v := range list(d, "images") {
		images = append(images, fmt.Sprint(v))
	}
	o["images"] = strings.Join(images, " ")
	for i, s := range docs(d, "sizes") {
		o[fmt.Sprintf("sizes[%d]", i)] = text(s, "size") + " " + text(s, "upc")
	}
	pricing, _ := d["pricing"].(doc)
	for currency, v := range pricing {
		price, _ := v.(doc)
		for _, k := range []string{"wholesale", "retail"} {
			if price[k] != nil {
				o["pricing["+currency+"]."+k] = number(price, k)
			}
		}
		o["pricing["+currency+"].disabled"] = fmt.Sprint(flag(price, "disabled"))
	}
	return o
}

func company(d doc) object {
	o := object{}
	for _, k := range []string{"name", "code", "currency_code", "payment_terms", "phone_office"} {
		o[k] = text(d, k)
	}
	o["discount"], o["surcharge"], o["active"] = number(d, "discount"), number(d, "surcharge"), fmt.Sprint(flag(d, "active"))
	for _, a := range docs(d, "addresses") {
		kind := text(a, "type")
		code := text(a, kind+"_code")
		at := "addresses[" + kind + " " + code + "]."
		for _, k := range []string{"display_name", "line_1", "line_2", "city", "state", "zip", "country"} {
			o[at+k] = text(a, k)
		}
		if flag(a, "default_"+kind) {
			o["default "+kind] = code
		}
	}
	return o
}

// inventory takes a figure of zero in a later delivery for none: one of the two calls sends every size for every date.
func inventory(d doc) object {
	o := object{}
	for _, r := range docs(d, "rows") {
		when, quantity := day(r, "start"), number(r, "quantity")
		switch {
		case flag(r, "prebook"):
			quantity, when = "prebook", "prebook"
		case when == "":
			when = "immediate"
		case quantity == "0":
			continue
		}
		o["["+text(r, "warehouse")+" "+when+" "+text(r, "size")+"]"] = quantity
	}
	return o
}

func order(d doc, codes map[string]string, c Config) object {
	o := object{}
	for _, k := range []string{"_id", "external_id", "status", "currency_code", "customer_po_number", "notes"} {
		o[k] = text(d, k)
	}
	retailer, _ := d["retailer"].(doc)
	o["retailer.retailer_code"], o["retailer.buyer_email"] = text(retailer, "retailer_code"), text(retailer, "buyer_email")
	o["discount"], o["start_ship"], o["end_ship"] = number(d, "discount"), day(d, "start_ship"), day(d, "end_ship")
	for _, kind := range []string{"billing_address", "shipping_address"} {
		address, _ := d[kind].(doc)
		for _, k := range []string{"code", "line_1", "line_2", "city", "state", "zip", "country"} {
			o[kind+"."+k] = text(address, k)
		}
	}
	lines(o, d, codes, c)
	for _, s := range docs(d, "shipments") {
		shipment(o, s)
	}
	return o
}

// lines puts the sizes of all lines together as the OMS side does. A line without a warehouse or dates has those that the OMS
// gives it: the first warehouse, and the order's dates.
func lines(o object, d doc, codes map[string]string, c Config) {
	type piece struct {
		quantity, price decimal.Decimal
	}
	pieces := map[string][]piece{}
	first := slices.Sorted(maps.Keys(c.Warehouses))
	for _, l := range docs(d, "line_items") {
		ref, _ := l["product"].(doc)
		warehouse := codes[text(l, "warehouse")]
		if warehouse == "" && len(first) > 0 {
			warehouse = c.Warehouses[first[0]]
		}
		start, end := day(l, "ship_start"), day(l, "ship_end")
		if start == "" {
			start = o["start_ship"]
		}
		if end == "" {
			end = o["end_ship"]
		}
		for _, s := range docs(l, "sizes") {
			path := strings.Join([]string{text(ref, "brand_id"), text(s, "size"), warehouse, start, end}, " ")
			if flag(l, "prebook") {
				path += " prebook"
			}
			quantity, price := figure(s, "quantity"), figure(s, "price")
			if !quantity.IsZero() {
				pieces[path] = append(pieces[path], piece{quantity, price})
			}
		}
	}
	for path, all := range pieces {
		slices.SortFunc(all, func(a, b piece) int {
			if n := a.quantity.Cmp(b.quantity); n != 0 {
				return n
			}
			return a.price.Cmp(b.price)
		})
		var parts []string
		for _, p := range all {
			parts = append(parts, p.quantity.String()+" at "+p.price.String())
		}
		o["lines["+path+"]"] = strings.Join(parts, ", ")
	}
}

func shipment(o object, s doc) {
	if slices.Contains([]string{"void", "voided", "cancelled", "canceled"}, strings.ToLower(text(s, "status"))) {
		return
	}
	var numbers []string
	for _, v := range list(s, "tracking_numbers") {
		numbers = append(numbers, fmt.Sprint(v))
	}
	slices.Sort(numbers)
	at := "shipments[" + strings.Join(numbers, " ") + "]"
	o[at+".shipment_date"] = day(s, "shipment_date")
	sums := map[string]decimal.Decimal{}
	for _, l := range docs(s, "line_items") {
		for _, size := range docs(l, "sizes") {
			path := at + "[" + text(l, "brand_id") + " " + text(size, "size") + "]"
			sums[path] = sums[path].Add(figure(size, "quantity"))
		}
	}
	for path, n := range sums {
		o[path] = n.String()
	}
}

func text(d doc, key string) string {
	s, _ := d[key].(string)
	return s
}

func flag(d doc, key string) bool {
	b, _ := d[key].(bool)
	return b
}

func list(d doc, key string) []any {
	l, _ := d[key].([]any)
	return l
}

func docs(d doc, key string) []doc {
	var out []doc
	for _, v := range list(d, key) {
		if e, ok := v.(doc); ok {
			out = append(out, e)
		}
	}
	return out
}

// day gives the date of a stored moment.
func day(d doc, key string) string {
	s := text(d, key)
	return s[:min(len(s), len("2006-01-02"))]
}

func figure(d doc, key string) decimal.Decimal {
	var n decimal.Decimal
	switch t := d[key].(type) {
	case json.Number:
		n, _ = decimal.NewFromString(t.String()) // no number is shown as zero, and differs
	case string:
		n, _ = decimal.NewFromString(t)
	}
	return n
}

func number(d doc, key string) string { return figure(d, key).String() }
