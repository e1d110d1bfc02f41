package draft

import (
	"fmt"

	"nubridge/mapper"
)

func (f *flowDraft) inventory() {
	y := &f.y
	y.line(0, "parents:")
	y.line(1, "- {flow: products, key: "+flow(keyNames(f.doc))+"}")
	y.line(0, "")
	y.line(0, "fields:")
	p := f.part("size", "onhand qty quantity available stock")
	if p == nil {
		p = f.part("onhand qty quantity available stock")
	}
	if p == nil {
		f.undecided(1, "inventory", []string{"each: over a part with one row per size and warehouse"})
		return
	}
	y.line(1, "inventory:")
	y.line(2, "each: "+p.name)
	warehouse := one(p.fields, "warehouseno warehouse warehousecode whs location")
	if warehouse == nil {
		y.line(2, "group: '\"default\"'")
	} else {
		y.line(2, "group: "+scalar(expression(warehouse.name)))
	}
	y.line(2, "fields:")
	if warehouse == nil {
		y.line(3, `warehouse: '"default"'`)
	} else {
		f.undecided(3, "warehouse", []string{fmt.Sprintf("the code in NuORDER, such as lookup(\"warehouse\", %s) with a look-up table of that name", expression(warehouse.name))})
	}
	y.line(3, `prebook: "false"`)
	y.line(3, "wip:")
	y.line(4, "- name: '\"immediate\"'")
	y.line(4, "  sizes:")
	y.line(6, "each: group")
	y.line(6, "fields:")
	f.wish(7, wish{"size", words("size"), true, true}, p.fields)
	f.wish(7, wish{"upc", words("upc ean barcode gtin"), false, true}, p.fields)
	quantity := expression(one(p.fields, "onhand qty quantity available stock").name)
	if a := one(p.fields, "allocated reserved committed"); a != nil {
		quantity += " - " + expression(a.name)
	}
	y.line(7, "quantity: "+scalar("max("+quantity+", 0)"))
}

func (f *flowDraft) order() {
	y := &f.y
	customer := one(f.root.fields, "customerid customerno custno customercode customer")
	lines := f.part("quantity qty pieces pcs")
	if customer != nil {
		y.line(0, "parents:")
		y.line(1, "- {flow: customers, key: "+scalar(expression(customer.name))+"}")
	}
	y.line(0, "facts:")
	y.line(1, "number: "+scalar(f.id()))
	f.factOf("reference", one(f.root.fields, "externalref reference externalreference ref externalid"), ` ?? ""`)
	f.factOf("date", one(f.root.fields, "orderdate placed created entered date"), "")
	f.cancelled()
	y.line(0, "")
	y.line(0, "fields:")
	y.line(1, "order_number: "+scalar(f.id()))
	f.wishes(1)
	y.line(1, "retailer:")
	f.wish(2, wish{"retailer_code", words("customerid customerno custno customercode customer"), true, true}, f.root.fields)
	if lines == nil {
		f.undecided(1, "line_items", []string{"each: over a part with the lines of the order"})
		return
	}
	y.line(1, "line_items:")
	y.line(2, "each: "+lines.name)
	y.line(2, "fields:")
	y.line(3, "product:")
	f.wish(4, wish{"style_number", words("stylenumber styleno itemnumber itemno style item"), true, true}, lines.fields)
	f.wish(4, wish{"season", words("seasoncode season"), true, true}, lines.fields)
	f.wish(4, wish{"color", words("colordescription colorname color colorcode"), true, true}, lines.fields)
	y.line(3, "sizes:")
	y.line(4, "- ")
	f.wish(5, wish{"size", words("size"), true, true}, lines.fields)
	f.wish(5, wish{"upc", words("upc ean barcode"), false, true}, lines.fields)
	f.wish(5, wish{"quantity", words("quantity qty pieces pcs"), true, false}, lines.fields)
	f.wish(5, wish{"price", words("price unitprice each"), true, false}, lines.fields)
}

func (f *flowDraft) factOf(name string, x *field, tail string) {
	if x == nil {
		f.undecided(1, name, columnNames(f.root.fields))
		return
	}
	e := asText(x)
	if x.column.Type == mapper.Timestamp {
		e = "date(" + expression(x.name) + `, "YYYY-MM-DD")`
	}
	f.y.line(1, name+": "+scalar(e+tail))
}

func (f *flowDraft) cancelled() {
	status := one(f.root.fields, "status orderstatus state")
	flag := one(f.root.fields, "cancelled canceled void voided iscancelled")
	switch {
	case flag != nil && flag.column.Type == mapper.Bool:
		f.y.line(1, "cancelled: "+expression(flag.name))
	case status != nil && f.valueLike(status, "cancel", "void") != "":
		f.y.line(1, "cancelled: "+scalar(expression(status.name)+` == "`+f.valueLike(status, "cancel", "void")+`"`))
	default:
		f.undecided(1, "cancelled", columnNames(f.root.fields))
	}
}

func (f *flowDraft) shipment() {
	y := &f.y
	y.line(0, "facts:")
	y.line(1, "number: "+scalar(f.id()))
	f.factOf("reference", one(f.root.fields, "externalref reference externalreference ref externalid"), ` ?? ""`)
	f.factOf("date", one(f.root.fields, "orderdate placed created entered date"), "")
	f.cancelled()
	p := f.part("trackingnumber tracking trackingno track")
	if p == nil {
		y.line(0, "")
		y.line(0, "fields:")
		f.undecided(1, "shipments", []string{"each: over a part with the invoices of the order"})
		return
	}
	tracking := one(p.fields, "trackingnumber tracking trackingno track")
	y.line(0, "filter: "+scalar("len("+p.name+") > 0"))
	y.line(0, "")
	y.line(0, "fields:")
	y.line(1, "shipments:")
	y.line(2, "each: "+p.name)
	y.line(2, "where: "+scalar(expression(tracking.name)+` != ""`))
	y.line(2, "fields:")
	y.line(3, `type: '"ship"'`)
	y.line(3, `status: '"shipped"'`)
	y.line(3, "tracking_numbers: "+scalar("["+asText(tracking)+"]"))
	f.wish(3, wish{"shipment_date", words("shipdate invoicedate date"), false, false}, p.fields)
}
