package mapper_test

import (
	"bytes"
	"strings"
	"testing"

	"nubridge/mapper"
)

func portal() *mapper.Portal {
	return &mapper.Portal{Warehouses: []string{"default", "west"}, Fields: map[mapper.Kind][]mapper.PortalField{
		mapper.Order: {{Key: "channel", Allowed: []string{"web", "shop"}}, {Key: "order_tags", Allowed: []string{"new"}}, {Key: "line_items.reason"}},
	}}
}

func TestPortalSchemaIsCheckedBeforehandAndAtEachDocument(t *testing.T) {
	t.Parallel()
	schema := orderSchema()
	schema.Portal = portal()
	m, findings := load(schema, "orders.yaml", strings.Replace(orders, "  start_ship", "  channel: '\"webb\"'\n  start_ship", 1))
	if m != nil || !strings.Contains(findings.String(), `does not accept "webb"`) || !strings.Contains(findings.String(), `did you mean "web"?`) {
		t.Errorf("a constant that the portal does not accept: got %s", findings)
	}
	table := strings.Replace(orders, "    group: product\n    fields:\n", "    group: product\n    fields:\n      warehouse: lookup(\"w\", size)\n", 1) + "lookups: {w: {S: default, M: eest}}\n"
	m, findings = load(schema, "orders.yaml", table)
	if m != nil || !strings.Contains(findings.String(), `look-up table "w" gives "eest", which the portal does not have`) {
		t.Errorf("a warehouse that does not exist: got %s", findings)
	}
	text := strings.Replace(orders, "  start_ship", "  channel: status\n  order_tags: '[\"old\"]'\n  start_ship", 1)
	m, findings = load(schema, "orders.yaml", text)
	if m == nil {
		t.Fatal(findings)
	}
	b, err := m.Body(mapper.OrderEdits, "7", order("Open", []string{"7", "P1", "S", "1", "1"}))
	if err != nil || len(b.Violations) != 2 || b.Violations[0].Field != "channel" || b.Violations[0].Rule != "one_of" || b.Violations[1].Value != "old" {
		t.Errorf("got %+v %v, want two violations of one_of", b.Violations, err)
	}
	schema.Portal.Fields[mapper.Order][0].Required = true
	if m, findings = load(schema, "orders.yaml", orders); m != nil || !strings.Contains(findings.String(), "required field channel is not mapped") {
		t.Errorf("a required field of the portal: got %s", findings)
	}
}

// What a portal shows of its warehouses alters no document, and concerns only those that name any.
func TestWarehousesOfThePortalConcernOnlyWhatNamesThem(t *testing.T) {
	t.Parallel()
	const customers = `
document: {key: cust, root: "select cust, name from shop.custs where cust = any($1)"}
routes: [{table: shop.custs, key: cust}]
id: cust
fields: {code: cust, name: name, currency_code: '"USD"'}
`
	columns := []mapper.Column{column("cust", mapper.Text), column("name", mapper.Text)}
	with := func(p *mapper.Portal) *mapper.Mapping {
		t.Helper()
		schema := orderSchema()
		schema.Queries[mapper.QueryID{File: "customers.yaml", Name: "root"}] = mapper.QueryInfo{Columns: columns, Params: []string{"text[]"}, Tables: []string{"shop.custs"}}
		schema.Tables["shop.custs"] = mapper.TableInfo{Columns: columns, Key: []string{"cust"}, Identity: []string{"cust"}}
		schema.Portal = p
		m, findings := load(schema, "orders.yaml", orders, "customers.yaml", customers)
		if m == nil {
			t.Fatal(findings)
		}
		return m
	}
	unknown, one, two := with(&mapper.Portal{}), with(&mapper.Portal{Warehouses: []string{"default"}}), with(&mapper.Portal{Warehouses: []string{"default", "west"}})
	for _, flow := range []mapper.Flow{mapper.Customers, mapper.OrderEdits} {
		if !bytes.Equal(unknown.Sum(flow), one.Sum(flow)) || !bytes.Equal(one.Sum(flow), two.Sum(flow)) {
			t.Errorf("%s: the portal's warehouses alter the sum of the documents", flow)
		}
	}
	for _, m := range []*mapper.Mapping{unknown, one, two} {
		if m.WarehousesSum(mapper.Customers) != nil || m.WarehousesSum(mapper.Products) != nil {
			t.Error("customers, or a flow without a file, have a sum of warehouses")
		}
	}
	if got := one.WarehousesSum(mapper.OrderEdits); unknown.WarehousesSum(mapper.OrderEdits) != nil || got == nil || bytes.Equal(got, two.WarehousesSum(mapper.OrderEdits)) {
		t.Errorf("orders: sums %x of no known warehouses, %x of one, %x of two; want nothing and two different ones", unknown.WarehousesSum(mapper.OrderEdits), got, two.WarehousesSum(mapper.OrderEdits))
	}
}
