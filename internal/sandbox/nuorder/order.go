package nuorder

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// order is a stored order with what the server knows beside its document.
type order struct {
	Doc doc `json:"doc"`
	// Since is when the present status was entered, Listed how often its list was read since.
	Since  time.Time `json:"since"`
	Listed int       `json:"listed"`
	// Derived tells that the status shipped follows from the shipments.
	Derived bool `json:"derived"`
	// Taken is the stock that the order holds.
	Taken []taken `json:"taken"`
}

// taken is stock that an order took from one row.
type taken struct {
	Product  string `json:"product"`
	Row      string `json:"row"`
	Quantity int64  `json:"quantity"`
}

func (o *order) document() doc  { return o.Doc }
func (o *order) id() string     { return str(o.Doc, "_id") }
func (o *order) number() string { return str(o.Doc, "order_number") }
func (o *order) status() string { return str(o.Doc, "status") }

func (c *call) orderByID() *order     { return c.p.orders[c.vars["id"]] }
func (c *call) orderByNumber() *order { return c.p.orders[c.p.byNumber[c.vars["number"]]] }

// findProduct finds the product that a line or row means: by product{...} or by the same keys of its own.
func (c *call) findProduct(line doc) *product {
	ref := line
	switch t := line["product"].(type) {
	case string:
		return c.p.products[t]
	case doc:
		ref = t
	}
	if id := str(ref, "_id"); id != "" {
		return c.p.products[id]
	}
	brand := str(ref, "brand_id")
	if brand == "" {
		brand = str(ref, "external_id")
	}
	key := doc{"style_number": ref["style_number"], "season": ref["season"], "color": ref["color"]}
	if c.sw.Case == "fold" {
		brand, key["style_number"] = strings.ToLower(brand), strings.ToUpper(str(ref, "style_number"))
	}
	if brand != "" {
		return c.p.products[c.p.byBrand[brand]]
	}
	return c.p.products[c.p.byNatural[natural(key)]]
}

// createOrder creates an order by API, whole or not at all.
func (c *call) createOrder() answer {
	d, a := c.object()
	if a != nil {
		return *a
	}
	required := []string{"order_number", "currency_code"}
	if c.sw.RequireExternalID {
		required = append(required, "external_id")
	}
	if msg := missing(d, required...); msg != "" {
		return fail(400, msg)
	}
	if c.sw.RequireBuyerEmail && str(sub(d, "retailer"), "buyer_email") == "" {
		return fail(400, "retailer.buyer_email is required")
	}
	o, a := c.newOrder(d, false)
	if a != nil {
		return *a
	}
	if c.sw.DecrementOnAPI && o.status() != "draft" {
		c.take(o)
	}
	return created(c.orderView(o))
}

// newOrder checks and stores an order; user tells that a person places it.
func (c *call) newOrder(d doc, user bool) (*order, *answer) {
	o := &order{Doc: orderDefaults(), Since: c.now}
	status := strings.ToLower(str(d, "status"))
	if status == "" {
		status = "draft"
	}
	if !isStatus(status) {
		a := fail(400, "status "+status+" does not exist")
		return nil, &a
	}
	next, a := c.applyOrder(o.Doc, d, user)
	if a != nil {
		return nil, a
	}
	if msg := first(missing(next, "order_number", "currency_code", "start_ship", "end_ship"), missing(sub(next, "retailer"), "retailer_code")); msg != "" {
		a := fail(400, msg)
		return nil, &a
	}
	if len(list(next, "line_items")) == 0 {
		a := fail(400, "line_items is required")
		return nil, &a
	}
	next["_id"], next["status"], next["created_on"], next["modified_on"] = c.s.newID(), status, stamp(c.now), stamp(c.now)
	if str(next, "order_group_id") == "" {
		next["order_group_id"] = next["_id"]
	}
	o.Doc = next
	c.derive(o)
	c.p.orders[o.id()] = o
	c.p.byNumber[o.number()] = o.id()
	c.wrote("order", o.id())
	return o, nil
}

func orderDefaults() doc {
	return doc{
		"customer_po_number": "", "discount": count(0), "additional_percentage": count(0), "notes": "", "rep_name": "", "rep_code": "",
		"rep_email": "", "edited": false, "edited_on": "", "split": false, "submitted_by": "", "order_tags": []any{}, "schema_id": "order",
		"easy_order_ready": false, "creator_name": "", "payment_status": "Not Paid", "locked": false, "is_drop_ship": false,
		"buyer_submitted": false, "collaborative_draft": false, "shipments": []any{}, "shipping_information": doc{}, "line_items": []any{},
		"order_group_id": "", "order_type": "wholesale", "__shipment_status": []any{}, "__split_overrides": []any{},
		"__cancelled_units": count(0), "__includes_cancelled": false, "__is_rtp": false,
	}
}

// applyOrder returns what an order's document would be with a body applied; nothing is stored yet.
func (c *call) applyOrder(base, d doc, user bool) (doc, *answer) {
	bad := func(msg string) (doc, *answer) {
		a := fail(400, msg)
		return nil, &a
	}
	if msg := c.checkOrderForm(d); msg != "" {
		return bad(msg)
	}
	next := cloneDoc(base)
	special := []string{"_id", "status", "retailer", "line_items", "shipments", "created_on", "modified_on", "edited", "edited_on", "order_group_id"}
	for k, v := range d {
		if !slices.Contains(special, k) && !strings.HasPrefix(k, "__") {
			next[k] = v
		}
	}
	if _, there := d["order_number"]; there && str(d, "order_number") == "" {
		return bad("order_number is required")
	}
	if n := str(next, "order_number"); n != "" {
		if other := c.p.orders[c.p.byNumber[n]]; other != nil && other.id() != str(base, "_id") {
			a := conflict("order number is taken by another order", other.id())
			return nil, &a
		}
	}
	if msg := c.applyRetailer(next, d); msg != "" {
		return bad(msg)
	}
	if v, there := d["line_items"]; there {
		lines, msg := c.applyLines(list(base, "line_items"), v, user)
		if msg != "" {
			return bad(msg)
		}
		next["line_items"] = lines
	}
	if v, there := d["shipments"]; there {
		if c.sw.Shipments == "own" && !user {
			return bad("shipments is not a field of this order")
		}
		ships, msg := c.applyShipments(next, list(base, "shipments"), v)
		if msg != "" {
			return bad(msg)
		}
		next["shipments"] = ships
	}
	if msg := c.checkSchema("order", next); msg != "" {
		return bad(msg)
	}
	c.totals(next)
	over := shipState(next)
	if over != "" && c.sw.BelowShipped == "refuse" {
		return bad("less is ordered than shipped of " + over)
	}
	return next, nil
}

// checkOrderForm checks the form of what is sent and brings dates and names into the stored form.
func (c *call) checkOrderForm(d doc) string {
	if msg := texts(d, "order_number", "external_id", "currency_code", "status", "customer_po_number", "rep_code", "rep_email", "notes"); msg != "" {
		return msg
	}
	for _, pair := range [][2]string{{"ship_start", "start_ship"}, {"ship_end", "end_ship"}} {
		v, there := d[pair[0]]
		delete(d, pair[0])
		switch c.sw.OrderDates {
		case "ship_start":
			delete(d, pair[1])
		case "start_ship":
			there = false
		}
		if there {
			d[pair[1]] = v
		}
		if msg := setDate(d, pair[1], c.sw.DatesIn); msg != "" {
			return msg
		}
		if v, there := d[pair[1]]; there && v == "" {
			return pair[1] + " is required"
		}
	}
	if v, there := d["discount"]; there {
		n, isNumber := number(v, c.sw.NumbersAsText)
		if !isNumber || n.IsNegative() || n.GreaterThan(decimal.NewFromInt(100)) {
			return "discount must be a number from 0 to 100"
		}
	}
	for _, k := range []string{"billing_address", "shipping_address", "retailer", "shipping_information"} {
		if v, there := d[k]; there {
			if _, isDoc := v.(doc); !isDoc {
				return k + " must be an object"
			}
		}
	}
	return c.unknownFields("order", d)
}

// applyRetailer resolves the company, and takes addresses from it where none were ever given.
func (c *call) applyRetailer(next, d doc) string {
	if given := sub(d, "retailer"); given != nil {
		co := c.p.companies[c.p.byCode[str(given, "retailer_code")]]
		if str(given, "retailer_code") == "" {
			co = c.p.companies[str(given, "_id")]
		}
		if co == nil {
			return "retailer not found: " + str(given, "retailer_code")
		}
		r := doc{"buyer_name": "", "buyer_email": ""}
		maps.Copy(r, sub(next, "retailer"))
		maps.Copy(r, given)
		r["_id"], r["retailer_name"], r["retailer_code"] = co.id(), co.Doc["name"], co.Doc["code"]
		next["retailer"] = r
	}
	co := c.p.companies[str(sub(next, "retailer"), "_id")]
	if co == nil {
		return ""
	}
	for _, kind := range []string{"billing", "shipping"} {
		if sub(next, kind+"_address") != nil {
			continue
		}
		for _, a := range docs(co.Doc, "addresses") {
			if flag(a, "default_"+kind) {
				address := cloneDoc(a)
				address["code"], address["ref"] = a[kind+"_code"], ""
				next[kind+"_address"] = address
			}
		}
	}
	return ""
}

// totals computes the sums of an order; figures in texts are as the original answers them.
func (c *call) totals(d doc) {
	hundred := decimal.NewFromInt(100)
	sum, units := decimal.Zero, int64(0)
	for _, line := range docs(d, "line_items") {
		plain := decimal.Zero
		for _, s := range docs(line, "sizes") {
			q, _ := integer(s["quantity"], true)
			price, _ := number(s["price"], true)
			plain = plain.Add(price.Mul(decimal.NewFromInt(q)))
			units += q
		}
		off, _ := number(line["discount"], true)
		net := plain.Mul(hundred.Sub(off)).Div(hundred)
		line["original_total"], line["discounted_total"], line["effective_subtotal"] = plain.StringFixed(2), net.StringFixed(2), net.StringFixed(2)
		sum = sum.Add(net)
	}
	off, _ := number(d["discount"], true)
	d["total"], d["total_quantity"] = num(sum.Mul(hundred.Sub(off)).Div(hundred).Round(2)), count(units)
}

// orderView is the document as answered.
func (c *call) orderView(o *order) doc {
	out := o.Doc
	if strings.Contains(c.query.Get("__populate"), "__payments") {
		out = maps.Clone(o.Doc)
		out["__metadata"] = doc{"payments": doc{"paid": false, "transactions": []any{}}}
	}
	return c.outDates(out)
}

func (c *call) getOrder(o *order) answer {
	if o == nil {
		return fail(404, "order not found")
	}
	return ok(c.orderView(o))
}

// postOrder updates by _id, or by number in the position that has no word in between.
func (c *call) postOrder() answer {
	o := c.orderByID()
	if o == nil && c.sw.NumberPath != "number" {
		o = c.p.orders[c.p.byNumber[c.vars["id"]]]
	}
	return c.updateOrder(o)
}

func (c *call) postOrderByNumber() answer {
	if c.sw.NumberPath == "bare" {
		return fail(404, "not found")
	}
	return c.updateOrder(c.orderByNumber())
}

// updateOrder applies a body to an order, whole or not at all. A new order_number renames it: the old one is then unknown.
func (c *call) updateOrder(o *order) answer {
	if a := c.badUpdateVerb(); a != nil {
		return *a
	}
	if o == nil {
		return fail(404, "order not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	if c.sw.CancelledLocked && o.status() == "cancelled" {
		return fail(400, "order is cancelled")
	}
	status := strings.ToLower(str(d, "status"))
	if status != "" && status != o.status() {
		if msg := c.badStatusChange(o.status(), status, false); msg != "" {
			return fail(400, msg)
		}
	}
	next, a := c.applyOrder(o.Doc, d, false)
	if a != nil {
		return *a
	}
	if len(list(next, "line_items")) == 0 {
		return fail(400, "line_items must not be empty")
	}
	c.replaceOrder(o, next)
	if status != "" {
		c.enter(o, status)
	}
	c.derive(o)
	return ok(c.orderView(o))
}

// replaceOrder stores a document that was checked.
func (c *call) replaceOrder(o *order, next doc) {
	delete(c.p.byNumber, o.number())
	next["modified_on"] = stamp(c.now)
	o.Doc = next
	c.p.byNumber[o.number()] = o.id()
	c.wrote("order", o.id())
}

func (c *call) setField() answer {
	o := c.orderByID()
	if o == nil {
		return fail(404, "order not found")
	}
	field := c.vars["field"]
	if field != "external_id" && field != "notes" && field != "customer_po_number" {
		return fail(400, field+" cannot be set")
	}
	next := cloneDoc(o.Doc)
	next[field] = c.vars["value"]
	c.replaceOrder(o, next)
	return ok(c.orderView(o))
}

func (c *call) ownShipments(o *order) answer {
	if c.sw.Shipments != "own" {
		return fail(404, "not found")
	}
	if o == nil {
		return fail(404, "order not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	next := cloneDoc(o.Doc)
	ships, msg := c.applyShipments(next, list(o.Doc, "shipments"), d["shipments"])
	if msg != "" {
		return fail(400, msg)
	}
	next["shipments"] = ships
	shipState(next)
	c.replaceOrder(o, next)
	c.derive(o)
	return ok(c.orderView(o))
}
