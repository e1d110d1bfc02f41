package main

import (
	"strings"
	"testing"

	"nubridge/internal/sandbox/nuorder"
)

// TestSecondForeignOMSEndsRight maps an OMS of another kind, and does to it, live and while the bridge is down, what people do to
// tables: rows deleted, keys renamed, a colour moved to another style, a filter switched, tables emptied, a line moved to another
// order, a portal's own fields.
func TestSecondForeignOMSEndsRight(t *testing.T) {
	t.Parallel()
	f := newForeignOf(t, foreignOMS{
		folder: "foreign2", database: "wms",
		schemas: map[string][]nuorder.Field{"product": {{Key: "fabric", Required: true}, {Key: "category", AllowedValues: []string{"Tops", "Denim"}}}},
	})
	f.cfg.Environments["sandbox"].Guards.AlteredPercent = 100
	f.exec(`insert into "WMS"."Attr" values (1, 'ST-6', 'category', 'Hats')`)
	if failed := f.check("fail"); len(failed) > 0 {
		t.Fatalf("the mapping does not pass:\n%s", strings.Join(failed, "\n"))
	}
	warned := strings.Join(f.check("warn"), "\n")
	if !strings.Contains(warned, "products: 2 of 12 documents would be parked: category (one_of)") {
		t.Errorf("the check does not tell of the portal's allowed values: %s", warned)
	}
	f.start()
	defer f.stop()
	uid := func(style, colour string) string {
		t.Helper()
		return f.text(`select uid::text from "WMS"."StyleColor" where "Style" = $1 and "Color" = $2`, style, colour)
	}
	product := func(id, contains string) wanted { return wanted{"products", "brand_id", id, contains} }
	stock := func(id, contains string) wanted { return wanted{"inventory", "brand_id", id, contains} }
	order := func(no, contains string) wanted { return wanted{"orders", "order_number", no, contains} }
	f.await("load",
		product(uid("ST-1", "BL|U"), `{"style_number": "ST-1", "color": "Blue | dark", "fabric": "cotton", "category": "Tops", "sizes": [{"size": "30"}, {"size": "32"}, {"size": "34"}, {"size": "36"}],
			"pricing": {"USD": {"wholesale": 11.5, "retail": 31}, "EUR": {"wholesale": 10, "retail": 29}}}`),
		product(uid("ST-6", "RED"), ""), // its category is none of the portal's
		wanted{"companies", "code", "C1", `{"name": "Shop One", "addresses": [{"line_1": "1 Main St"}, {"line_1": "2 \"Side\" St, rear", "line_2": "dock"}], "payment_terms": "Net 30"}`},
		wanted{"companies", "code", "C2", `{"addresses": [{"type": "billing"}, {"type": "shipping", "line_1": "3 Rue"}]}`},
		order("7001", `{"line_items": [{"sizes": [{"quantity": 2, "price": 12.5}, {"quantity": 3}]}, {"sizes": [{"quantity": 1}]}], "shipments": [{"tracking_numbers": ["1Z9", "1Z8"]}]}`),
		order("7002", `{"line_items": [{"sizes": [{"size": "32", "quantity": 2}]}]}`),
		stock(uid("ST-2", "RED"), `{"inventory": [{"warehouse": "default", "wip": [{"name": "immediate", "sizes": [{"quantity": 10}, {"quantity": 0}, {"quantity": 5}]}, {"sizes": [{"quantity": 4}, {"quantity": 3}, {"quantity": 5}]}]}]}`),
		wanted{"pricesheets", "brand_id", uid("ST-1", "RED"), `{"template": "Outlet", "wholesale": 5.75}`},
	)
	parked := f.text(`select string_agg(field || ' ' || rule || ' ' || value || ' ' || key, ', ' order by key) from nubridge.parked where flow = 'products'`)
	if parked != `category one_of Hats 1|ST-6|BL\|U  , category one_of Hats 1|ST-6|RED   ` {
		t.Errorf("parked with field, rule, value and key: got %q", parked)
	}
	gone, moved, off, renamed := uid("ST-5", "BL|U"), uid("ST-3", "RED"), uid("ST-4", "RED"), uid("ST-5", "RED")
	f.exec(`
		update "WMS"."Attr" set "Value" = 'Denim' where "Value" = 'Hats';
		delete from "WMS"."StyleColor" where "Style" = 'ST-5' and "Color" = 'BL|U';
		update "WMS"."Style" set "Style" = 'ST-5X' where "Style" = 'ST-5';
		insert into "WMS"."Attr" values (1, 'ST-5X', 'fabric', 'wool');
		update "WMS"."StyleColor" set "Style" = 'ST-1', "Color" = 'GRN', "Color Name" = 'Green' where "Style" = 'ST-3' and "Color" = 'RED';
		update "WMS"."Style" set "Deleted" = 'Y' where "Style" = 'ST-4';
		truncate "WMS"."OnHand";
		insert into "WMS"."OnHand" select "Division", "Style", "Color", 'NYC', 7, 7, 7, 7, null, null, null from "WMS"."StyleColor" where "Style" = 'ST-2';
		truncate "WMS"."PO";
		update "WMS"."OrderRow" set "Doc" = 7002, "Row" = 9 where "Doc" = 7001 and "Row" = 3;
		delete from "WMS"."Inv" where inv = 1;
		delete from crm."CustomerVersion" where "Cust" = 'C1' and "Version" = 1`)
	f.await("live",
		product(uid("ST-6", "RED"), `{"category": "Denim"}`),
		product(gone, `{"archived": true}`),
		product(renamed, `{"style_number": "ST-5X", "archived": false, "fabric": "wool"}`),
		product(moved, `{"style_number": "ST-1", "color": "Green", "archived": false}`),
		product(off, `{"archived": true}`),
		stock(uid("ST-2", "RED"), `{"inventory": [{"wip": [{"name": "immediate", "sizes": [{"quantity": 7}, {"quantity": 7}, {"quantity": 7}]}]}]}`),
		stock(uid("ST-1", "RED"), `{"inventory": [{"wip": [{"name": "immediate", "sizes": [{"quantity": 0}, {"quantity": 0}, {"quantity": 0}, {"quantity": 0}]}]}]}`),
		order("7001", `{"line_items": [{"sizes": [{"size": "S"}, {"size": "M"}]}], "shipments": []}`),
		order("7002", `{"line_items": [{"sizes": [{"quantity": 2}]}, {"sizes": [{"quantity": 1}]}]}`),
	)
	f.stop()
	deleted, rekeyed := uid("ST-6", "RED"), uid("ST-2", "RED")
	f.exec(`
		update "WMS"."StyleColor" set "Color" = 'NEW' where "Style" = 'ST-2' and "Color" = 'RED';
		update "WMS"."OnHand" set "Col" = 'NEW' where "Sty" = 'ST-2' and "Col" = 'RED';
		update "WMS"."Style" set "Deleted" = 'N' where "Style" = 'ST-4';
		delete from "WMS"."StyleColor" where "Style" = 'ST-6';
		update crm."CustomerVersion" set "Cust" = 'C9' where "Cust" = 'C2';
		update "WMS"."OrderRow" set "Cust" = 'C9' where "Cust" = 'C2';
		update "WMS"."OrderRow" set "Col" = 'NEW' where "Sty" = 'ST-2' and "Col" = 'RED';
		update "WMS"."OrderRow" set "Sty" = 'ST-1', "Col" = 'BL|U' where "Doc" = 7002 and "Row" = 1;
		insert into "WMS"."Inv" values (5, 7002, '2026-12-02', '{"no": ["T1"]}', '[{"row": 1, "qty": 2}]');
		update "WMS"."OrderRow" set "State" = 'VOID' where "Doc" = 7001 and "IsHeader"`)
	f.edit("products.yaml", `wholesale: "round(ws * 0.5, 2)"`, `wholesale: "round(ws * 0.25, 2)"`)
	f.start()
	f.await("down",
		product(rekeyed, `{"color_code": "NEW", "archived": false}`),
		stock(rekeyed, `{"inventory": [{"wip": [{"sizes": [{"quantity": 7}, {"quantity": 7}, {"quantity": 7}]}]}]}`),
		product(off, `{"archived": false, "active": true}`),
		product(deleted, `{"archived": true}`),
		wanted{"companies", "code", "C2", `{"active": false}`},
		wanted{"companies", "code", "C9", `{"active": true}`},
		order("7001", `{"status": "cancelled"}`),
		order("7002", `{"retailer": {"retailer_code": "C9"}, "line_items": [{"sizes": [{"size": "32", "quantity": 2}]}, {"sizes": [{"quantity": 1}]}], "shipments": [{"tracking_numbers": ["T1"]}]}`),
		wanted{"pricesheets", "brand_id", rekeyed, `{"wholesale": 3.13}`},
	)
	if n := f.text("select count(*)::text from nubridge.parked"); n != "0" {
		t.Errorf("%s keys are parked in the end", n)
		f.parked()
	}
}
