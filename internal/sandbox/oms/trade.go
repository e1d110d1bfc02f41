package oms

import (
	"fmt"
	"strings"
	"time"
)

type genCustomer struct {
	id, currency, terms, rep string
	discount                 string
	active                   bool
	bill, ship               genAddress
}

type genAddress struct {
	code, line1, line2, city, state, zip, country string
}

type stockKey struct{ sku, warehouse int }

type genStock struct {
	stockKey
	onHand, allocated int
}

var places = []struct { //nolint:gochecknoglobals // a constant in all but form
	currency, country, state, city, zip string
}{
	{"USD", "US", "NY", "New York", "10013"},
	{"USD", "US", "CA", "Los Angeles", "90014"},
	{"USD", "US", "IL", "Chicago", "60607"},
	{"USD", "US", "TX", "Austin", "78701"},
	{"USD", "US", "WA", "Seattle", "98101"},
	{"USD", "US", "MA", "Boston", "02116"},
	{"EUR", "DE", "BE", "Berlin", "10119"},
	{"EUR", "FR", "", "Saint-Étienne", "42000"},
	{"CAD", "CA", "QC", "Montréal", "H2T 1S6"},
}

// makeCustomers makes customers with billing, shipping and chain-store addresses.
func (g *generator) makeCustomers() {
	first := []string{"Maple", "Blue Door", "Atelier", "Corner", "Harbor", "Field & Fern", "O'Neill's", "Nordic", "Café Noir", "Second Story", "Wildflower", "Söhne"}
	second := []string{"Outfitters", "Boutique", "Dry Goods", "Department Store", "Shoes", "Mercantile", "Collective", "Kids"}
	terms := []string{"N30", "N60", "N90", "COD", "PPD", "2N10"}
	for i := range g.sizes.Customers {
		place := places[0]
		if i > 0 {
			place = pick(g, places)
		}
		c := &genCustomer{
			id: fmt.Sprintf("C%05d", 10001+i), currency: place.currency, terms: pick(g, terms),
			rep: fmt.Sprintf("R%02d", g.between(1, 8)), discount: "0.00", active: i%29 != 28,
		}
		if g.chance(35) {
			c.discount = fmt.Sprintf("%d.%02d", g.between(2, 20), pick(g, []int{0, 0, 50}))
		}
		tax, status := "0.00", "Active"
		if g.chance(15) {
			tax = pick(g, []string{"5.00", "8.88", "19.00"})
		}
		if !c.active {
			status = "Inactive"
		}
		var rep, termsCode any = c.rep, c.terms
		if i%31 == 30 {
			rep, termsCode, c.rep, c.terms = nil, nil, "", ""
		}
		name := fmt.Sprintf("%s %s %d", pick(g, first), pick(g, second), i+1)
		g.add("customers", c.id, name, status, c.currency, termsCode, c.discount, tax, rep, fmt.Sprintf("+1 555 %07d", i+1),
			fmt.Sprintf("orders%d@example.com", i+1), jsonText(map[string]string{"tier": pick(g, []string{"gold", "silver", "bronze"})}))
		g.makeAddresses(c, i, place.country, place.state, place.city, place.zip)
		g.customers = append(g.customers, c)
	}
}

func (g *generator) makeAddresses(c *genCustomer, i int, country, state, city, zip string) {
	streets := []string{"Main Street", "Market Street", "5th Avenue", "Rue de la Paix", "Karl-Marx-Allee", "Harbor Road"}
	address := func(code string) genAddress {
		a := genAddress{code: code, line1: fmt.Sprintf("%d %s", g.between(1, 990), pick(g, streets)), city: city, state: state, zip: zip, country: country}
		if g.chance(20) {
			a.line2 = fmt.Sprintf("Suite %d", g.between(1, 40))
		}
		return a
	}
	c.bill = address("BILL")
	g.addAddress(c.id, "billing", "", true, c.bill)
	if i%11 == 5 { // left empty by the OMS: ship to the billing address
		g.addAddress(c.id, "shipping", "", true, genAddress{code: "SHIP"})
		c.ship = c.bill
		c.ship.code = "SHIP"
	} else {
		c.ship = address("SHIP")
		g.addAddress(c.id, "shipping", "", true, c.ship)
	}
	stores := 0
	switch {
	case i%5 == 0:
		stores = g.between(2, 5)
	case i%17 == 3:
		stores = g.between(15, 30)
	}
	for n := range stores {
		number := fmt.Sprintf("%04d", n+1)
		g.addAddress(c.id, "store", number, false, address("S"+number))
	}
}

func (g *generator) addAddress(customer, kind, store string, isDefault bool, a genAddress) {
	number := any(nil)
	if store != "" {
		number = store
	}
	g.add("customer_addresses", len(g.byName["customer_addresses"].rows)+1, customer, kind, a.code, number, isDefault,
		a.line1, a.line2, a.city, a.state, a.zip, a.country)
}

// makeStock puts stock into the three warehouses; the main one knows every sku.
func (g *generator) makeStock() {
	for _, sku := range g.skus {
		for warehouse := 1; warehouse <= 3; warehouse++ {
			if warehouse > 1 && !g.chance(40) {
				continue
			}
			s := &genStock{stockKey: stockKey{sku.id, warehouse}, onHand: g.between(0, 400)}
			if g.chance(12) {
				s.onHand = 0
			}
			g.stock[s.stockKey] = s
			g.stockRows = append(g.stockRows, s)
		}
	}
}

func (g *generator) writeStock() {
	for _, s := range g.stockRows {
		g.add("stock", s.sku, s.warehouse, s.onHand, s.allocated)
	}
}

// makePurchaseOrders makes purchase orders that are due from a month ago to half a year ahead; some have come in part or whole.
func (g *generator) makePurchaseOrders() {
	if len(g.skus) == 0 {
		return
	}
	for i := range g.sizes.PurchaseOrders {
		number, status := fmt.Sprintf("PO-%05d", 70001+i), "Open"
		switch i % 10 {
		case 8:
			status = "Received"
		case 9:
			status = "Cancelled"
		}
		due := g.day(g.between(5, 180))
		if i%7 == 3 {
			due = g.day(-g.between(1, 30)) // late
		}
		g.add("purchase_orders", number, pick(g, []string{"Porto Textil", "Hanoi Garment", "Izmir Mills"}), g.between(1, 3), due, status)
		start := g.rand.IntN(len(g.skus))
		for line := range min(30, len(g.skus)) {
			ordered, received := g.between(1, 20)*12, 0
			switch {
			case status == "Received":
				received = ordered
			case status == "Open" && g.chance(15):
				received = g.rand.IntN(ordered)
			case status == "Open" && g.chance(3):
				received = ordered
			}
			g.add("purchase_order_lines", number, line+1, g.skus[(start+line)%len(g.skus)].id, ordered, received)
		}
	}
}

// makeOrders makes sales orders of earlier years, invoiced, and recent ones that are open.
func (g *generator) makeOrders() {
	var active []*genCustomer
	for _, c := range g.customers {
		if c.active {
			active = append(active, c)
		}
	}
	var sellable []*genSKU
	for _, s := range g.skus {
		if s.sellable {
			sellable = append(sellable, s)
		}
	}
	if len(active) == 0 || len(sellable) == 0 {
		return
	}
	for i := range g.sizes.OldOrders {
		g.makeOrder(500001+i, pick(g, active), sellable, g.day(-g.between(365, 1095)), i)
	}
	for i := range g.sizes.RecentOrders {
		g.makeOrder(500001+g.sizes.OldOrders+i, pick(g, active), sellable, g.day(-g.between(0, 10)), -1)
	}
}

// makeOrder makes one order; old counts the old ones, and is -1 for a recent one.
func (g *generator) makeOrder(no int, c *genCustomer, sellable []*genSKU, date time.Time, old int) {
	status := "Open"
	switch {
	case old >= 0 && old%20 == 19:
		status = "Cancelled"
	case old >= 0:
		status = "Closed"
	}
	start, end := date.AddDate(0, 0, 14), date.AddDate(0, 0, 45)
	nothing := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	g.add("sales_orders", no, c.id, status, fmt.Sprintf("B%d", 4000+no%5000), date, start, end, c.currency, c.discount, nothing(c.terms), nothing(c.rep),
		strings.Repeat("Call before delivery.", no%2),
		c.bill.code, c.bill.line1, c.bill.line2, c.bill.city, c.bill.state, c.bill.zip, c.bill.country,
		c.ship.code, c.ship.line1, c.ship.line2, c.ship.city, c.ship.state, c.ship.zip, c.ship.country)
	invoice := status == "Closed" || old < 0 && no%4 == 0
	quantities := map[int]int{}
	seen := map[int]bool{}
	for line := range g.between(1, 6) {
		sku := pick(g, sellable)
		for tries := 0; !sku.style.soldIn(c.currency) && tries < 100; tries++ {
			sku = pick(g, sellable)
		}
		if seen[sku.id] {
			continue
		}
		seen[sku.id] = true
		quantity, shipped := g.between(1, 24), 0
		g.add("sales_order_lines", no, line+1, sku.id, 1, quantity, money(sku.style.price(c.currency)), nil, nil, "")
		if status == "Closed" {
			shipped = quantity
		} else if invoice {
			shipped = quantity / 2
		}
		quantities[line+1] = shipped
		if status == "Open" {
			s := g.stock[stockKey{sku.id, 1}]
			s.allocated += quantity - shipped
			s.onHand = max(s.onHand, s.allocated)
		}
	}
	if invoice {
		g.makeInvoice(no, date, quantities)
	}
}

func (g *generator) makeInvoice(order int, date time.Time, quantities map[int]int) {
	number := 900001 + len(g.byName["invoices"].rows)
	tracking := fmt.Sprintf("1Z999AA1%010d", number)
	switch {
	case number%9 == 0:
		tracking = "" // collected by the customer
	case number%7 == 0:
		tracking += "," + fmt.Sprintf("1Z999AA2%010d", number)
	}
	day := date.AddDate(0, 0, 3)
	if day.After(g.sizes.Today) {
		day = g.sizes.Today
	}
	made := false
	for line := 1; line <= 6; line++ {
		if q := quantities[line]; q > 0 {
			if !made {
				g.add("invoices", number, order, "Posted", day, day, pick(g, []string{"UPS", "FedEx", "DHL"}), tracking)
				made = true
			}
			g.add("invoice_lines", number, line, q)
		}
	}
}
