package draft

import (
	"fmt"
	"slices"
	"strings"

	"nubridge/mapper"
)

func (f *flowDraft) product() {
	y := &f.y
	y.line(0, "")
	y.line(0, "fields:")
	y.line(1, "brand_id: "+scalar(f.id()))
	f.wishes(1)
	if d := descriptions(f.root.fields, f.numberTable()); d != "" {
		y.line(1, "description: "+scalar(d))
	}
	f.activeFields()
	if p := f.part("size", "upc ean barcode gtin"); p != nil {
		y.line(1, "sizes:")
		y.line(2, "each: "+p.name)
		y.line(2, "fields:")
		y.line(3, "size: "+asText(one(p.fields, "size")))
		y.line(3, "upc: "+asText(one(p.fields, "upc ean barcode gtin")))
	} else {
		f.undecided(1, "sizes", []string{"a part with one row per size: each: part, fields: {size: ..., upc: ...}"})
	}
	f.pricing()
}

// numberTable is the table that holds the style number, else the document's.
func (f *flowDraft) numberTable() *Table {
	if x := one(f.root.fields, strings.Join(wishes(mapper.Products)[0].names, " ")); x != nil && f.flow == mapper.Products {
		return x.table
	}
	return f.doc
}

func (f *flowDraft) activity() string {
	return activeOf(owners(f.root.fields, f.doc, f.numberTable()))
}

func (f *flowDraft) activeFields() {
	if f.activity() == "" {
		f.note("no column says whether a document is active: all are sent as active")
		return
	}
	f.y.line(1, "active: active")
	if f.flow == mapper.Products {
		f.y.line(1, "archived: not active")
	}
}

// pricePart is a part with one row per price type and currency.
func (f *flowDraft) pricePart() *part {
	if f.flow != mapper.Products {
		return nil
	}
	var best *part
	for i := range f.parts {
		p := &f.parts[i]
		if one(p.fields, "price amount") == nil || one(p.fields, "currency currencycode cur") == nil {
			continue
		}
		// Prices of single sizes lie further away than those of the style.
		if best == nil || len(f.graph.path(p.table, f.doc)) < len(f.graph.path(best.table, f.doc)) || one(p.fields, "size") == nil && f.sized(best) && !f.sized(p) {
			best = p
		}
	}
	return best
}

// sized tells whether the part's table points to the table of sizes.
func (f *flowDraft) sized(p *part) bool {
	for _, l := range f.graph.links[p.table] {
		if !l.up {
			continue
		}
		for _, c := range l.to.Columns {
			if plain(c.Name) == "size" {
				return true
			}
		}
	}
	return false
}

// pivot makes one row per currency of the rows per price type, with the first two types as wholesale and retail.
func (f *flowDraft) pivot(p *part) {
	kind := one(p.fields, "pricetype type kind pricecode pricelist")
	if kind == nil || one(p.fields, "wholesale") != nil {
		return
	}
	price, currency := one(p.fields, "price amount"), one(p.fields, "currency currencycode cur")
	values := kind.column.Values
	slices.Sort(values)
	var keys, columns []string
	for _, k := range keyNames(f.doc) {
		keys = append(keys, "p."+quote(k))
	}
	names := []string{"wholesale", "retail"}
	fields := slices.Clone(p.fields[:len(f.doc.Key)])
	fields = append(fields, *currency)
	fields[len(fields)-1].name = "currency"
	for i, v := range values {
		name := "price_" + plain(v)
		if i < 2 {
			name = names[i]
		}
		literal := "'" + strings.ReplaceAll(v, "'", "''") + "'"
		columns = append(columns, fmt.Sprintf("max(p.%s) filter (where p.%s::text = %s) as %s", quote(price.name), quote(kind.name), literal, quote(name)))
		fields = append(fields, field{name: name, table: price.table, column: price.column})
	}
	if len(values) == 0 {
		return
	}
	list := append(append(slices.Clone(keys), fmt.Sprintf("p.%s::text as currency", quote(currency.name))), columns...)
	group := strings.Join(append(keys, "p."+quote(currency.name)), ", ")
	p.sql = "select " + strings.Join(list, ",\n       ") + "\nfrom (\n" + indent(p.sql) + "\n) p\ngroup by " + group + "\norder by " + group
	p.fields = fields
	f.note("wholesale is price type %s and retail the next; change the two names in the query of part %s if others are meant", values[0], p.name)
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

func (f *flowDraft) pricing() {
	y := &f.y
	p := f.prices
	if p == nil {
		p = f.part("wholesale", "currency")
	}
	switch {
	case p != nil && one(p.fields, "wholesale") != nil:
		y.line(1, "pricing:")
		y.line(2, "each: "+p.name)
		y.line(2, "where: "+expression(one(p.fields, "wholesale").name)+" != nil")
		y.line(2, "key: "+asText(one(p.fields, "currency currencycode cur")))
		y.line(2, "fields:")
		y.line(3, "wholesale: "+expression(one(p.fields, "wholesale").name))
		if r := one(p.fields, "retail"); r != nil {
			y.line(3, "retail: "+expression(r.name))
		}
	case one(f.root.fields, "wholesale wholesaleprice price1 price") != nil:
		f.note("the currency of the prices is taken to be USD")
		y.line(1, "pricing:")
		y.line(2, "USD:")
		y.line(3, "wholesale: "+expression(one(f.root.fields, "wholesale wholesaleprice price1 price").name))
		if r := one(f.root.fields, "retail retailprice price2 msrp"); r != nil {
			y.line(3, "retail: "+expression(r.name))
		}
	default:
		f.undecided(1, "pricing", []string{"{USD: {wholesale: ..., retail: ...}}, or each: over a part with a row per currency"})
	}
}

func (f *flowDraft) customer() {
	y := &f.y
	y.line(0, "")
	y.line(0, "fields:")
	for _, w := range wishes(f.flow) {
		if w.path == "code" {
			y.line(1, "code: "+scalar(f.id()))
			continue
		}
		f.wish(1, w, f.root.fields)
	}
	f.activeFields()
	p := f.addressPart()
	if p == nil {
		return
	}
	y.line(1, "addresses:")
	y.line(2, "each: "+p.name)
	y.line(2, "fields:")
	kind := one(p.fields, "kind type addresstype addrtype addresskind")
	if kind == nil {
		f.undecided(3, "type", columnNames(p.fields))
	} else {
		y.line(3, "type: "+scalar(f.addressType(kind)))
	}
	for _, w := range []wish{
		{"display_name", words("displayname storenumber name code"), false, true},
		{"line_1", addressWords(1), true, true},
		{"line_2", addressWords(2), false, true},
		{"city", words("city town"), false, true},
		{"state", words("state province region"), false, true},
		{"zip", words("zip zipcode postcode postalcode"), false, true},
		{"country", words("country countrycode"), true, true},
	} {
		f.wish(3, w, p.fields)
	}
	code, isDefault := one(p.fields, "code addresscode addresscode addrcode"), one(p.fields, "isdefault default standard")
	if kind == nil || f.billingValue(kind) == "" {
		return
	}
	billing := fmt.Sprintf("%s == %q", expression(kind.name), f.billingValue(kind))
	if code != nil {
		y.line(3, "billing_code: "+scalar(fmt.Sprintf("%s ? %s : nil", billing, asText(code))))
		y.line(3, "shipping_code: "+scalar(fmt.Sprintf("%s ? nil : %s", billing, asText(code))))
	}
	if isDefault != nil && isDefault.column.Type == mapper.Bool {
		y.line(3, "default_billing: "+scalar(billing+" and "+expression(isDefault.name)))
		if s := f.valueLike(kind, "ship", "s", "delivery"); s != "" {
			y.line(3, "default_shipping: "+scalar(fmt.Sprintf("%s == %q and %s", expression(kind.name), s, expression(isDefault.name))))
		}
	}
}

func addressWords(n int) []string {
	if n == 1 {
		return words("line1 address1 addressline1 street street1 addr1 address")
	}
	return words("line2 address2 addressline2 street2 addr2")
}

func columnNames(fields []field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.name)
	}
	return out
}

func (f *flowDraft) addressPart() *part {
	if f.flow != mapper.Customers {
		return nil
	}
	for i := range f.parts {
		if _, ok := match1(f.parts[i].fields, addressWords(1)); ok {
			return &f.parts[i]
		}
	}
	return nil
}

func match1(fields []field, names []string) (*field, bool) {
	x, _ := match(wish{names: names}, fields)
	return x, x != nil
}

func (f *flowDraft) valueLike(kind *field, starts ...string) string {
	for _, v := range kind.column.Values {
		for _, s := range starts {
			if n := plain(v); n == s || len(s) > 1 && strings.HasPrefix(n, s) {
				return v
			}
		}
	}
	return ""
}

func (f *flowDraft) billingValue(kind *field) string {
	return f.valueLike(kind, "bill", "b", "invoice")
}

func (f *flowDraft) addressType(kind *field) string {
	b := f.billingValue(kind)
	if b == "" {
		f.note("column %s does not show which address is for billing: values seen are %s", kind.name, strings.Join(kind.column.Values, ", "))
		return Mark
	}
	return fmt.Sprintf("%s == %q ? \"billing\" : \"shipping\"", expression(kind.name), b)
}

// addresses rewrites the query of the addresses: a shipping address whose line 1 is empty is copied from the billing address, and a
// customer without any other address ships to the billing address.
func (f *flowDraft) addresses(p *part) string {
	kind, _ := match1(p.fields, words("kind type addresstype addrtype addresskind"))
	line1, _ := match1(p.fields, addressWords(1))
	if kind == nil || f.billingValue(kind) == "" || f.valueLike(kind, "ship", "s", "delivery") == "" {
		return p.sql
	}
	literal := func(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }
	billing, shipping := literal(f.billingValue(kind)), literal(f.valueLike(kind, "ship", "s", "delivery"))
	copied := append(append(addressWords(1), addressWords(2)...), words("city town state province region zip zipcode postcode postalcode country countrycode")...)
	keys := keyNames(f.doc)
	var same, all, from []string
	for _, k := range keys {
		same = append(same, fmt.Sprintf("b.%s = a.%s", quote(k), quote(k)))
	}
	for _, x := range p.fields {
		q := quote(x.name)
		switch {
		case slices.Contains(copied, plain(x.name)):
			all = append(all, fmt.Sprintf("case when a.%s = %s and coalesce(a.%s, '') = '' then b.%s else a.%s end as %s", quote(kind.name), shipping, quote(line1.name), q, q, q))
			from = append(from, "b."+q)
		case x.name == kind.name:
			all, from = append(all, "a."+q), append(from, shipping)
		default:
			all, from = append(all, "a."+q), append(from, "b."+q)
		}
	}
	var distinct []string
	for _, k := range keys {
		distinct = append(distinct, quote(k))
	}
	on := strings.Join(same, " and ")
	return "with address as (\n" + indent(p.sql) + "\n), billing as (\n    select distinct on (" + strings.Join(distinct, ", ") + ") * from address where " + quote(kind.name) + " = " + billing +
		"\n)\nselect " + strings.Join(all, ",\n       ") + "\nfrom address a\nleft join billing b on " + on +
		"\nunion all\nselect " + strings.Join(from, ", ") + "\nfrom billing b\nwhere not exists (select from address a where " + on + " and a." + quote(kind.name) + " <> " + billing + ")"
}
