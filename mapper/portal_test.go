package mapper_test

import (
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

// What a portal shows of its warehouses must not have documents read anew that name none.
func TestWarehousesOfThePortalAlterOnlyWhatNamesThem(t *testing.T) {
	t.Parallel()
	const customers = `
document: {key: cust, root: "select cust, name from shop.custs where cust = any($1)"}
routes: [{table: shop.custs, key: cust}]
id: cust
fields: {code: cust, name: name, currency_code: '"USD"'}
`
	columns := []mapper.Column{column("cust", mapper.Text), column("name", mapper.Text)}
	sums := func(p *mapper.Portal) (customer, order string) {
		t.Helper()
		schema := orderSchema()
		schema.Queries[mapper.QueryID{File: "customers.yaml", Name: "root"}] = mapper.QueryInfo{Columns: columns, Params: []string{"text[]"}, Tables: []string{"shop.custs"}}
		schema.Tables["shop.custs"] = mapper.TableInfo{Columns: columns, Key: []string{"cust"}, Identity: []string{"cust"}}
		schema.Portal = p
		m, findings := load(schema, "orders.yaml", orders, "customers.yaml", customers)
		if m == nil {
			t.Fatal(findings)
		}
		return string(m.Sum(mapper.Customers)), string(m.Sum(mapper.OrderEdits))
	}
	customer, order := sums(&mapper.Portal{})
	customer2, order2 := sums(&mapper.Portal{Warehouses: []string{"default"}})
	if customer != customer2 || order == order2 {
		t.Errorf("the sum of customers changed: %t, that of orders: %t; want only orders", customer != customer2, order != order2)
	}
}
