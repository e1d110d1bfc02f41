package nuorder

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// asUser runs what a person does in the user interface, with the portal to itself.
func (s *Server) asUser(portal string, do func(c *call) error) error {
	p, err := s.portal(portal)
	if err != nil {
		return err
	}
	sw := s.Switches()
	sw.DatesIn = []string{"dash", "slash", "iso"}
	sw.NumbersAsText = true
	c := &call{s: s, p: p, sw: &sw, now: s.now(), vars: map[string]string{}, query: values{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	return do(c)
}

func refused(a *answer) error {
	d, isDoc := a.body.(doc)
	if !isDoc {
		return errors.New("the order was refused")
	}
	return errors.New(str(d, "message"))
}

// order finds an order by _id or number.
func (p *portal) order(ref string) (*order, error) {
	if o := p.orders[ref]; o != nil {
		return o, nil
	}
	if o := p.orders[p.byNumber[ref]]; o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("there is no order %q", ref)
}

// PlaceOrder places an order as a buyer or a brand user does and returns what came of it: one order, or several if "split" is
// ship, season, department or warehouse, or if "doors" names several shipping codes of the company. The body is that of an order create; number, currency, dates and prices have defaults,
// and status is review unless it is given.
func (s *Server) PlaceOrder(portal string, body map[string]any) ([]map[string]any, error) {
	v, err := normalise(body)
	if err != nil {
		return nil, fmt.Errorf("read order: %w", err)
	}
	d, isDoc := v.(doc)
	if !isDoc {
		return nil, errors.New("an order is an object")
	}
	var out []map[string]any
	err = s.asUser(portal, func(c *call) error {
		by, doors := str(d, "split"), list(d, "doors")
		delete(d, "split")
		delete(d, "doors")
		if err := c.userDefaults(d); err != nil {
			return err
		}
		addresses, err := c.doorAddresses(d, doors)
		if err != nil {
			return err
		}
		o, a := c.newOrder(d, true)
		if a != nil {
			return refused(a)
		}
		o.Doc["submitted_by"], o.Doc["buyer_submitted"] = str(sub(o.Doc, "retailer"), "buyer_name"), o.status() == "review"
		group := []*order{o}
		if by != "" {
			if group, err = c.split(o, by); err != nil {
				return err
			}
		}
		for _, o := range c.bulk(group, addresses) {
			if c.sw.DecrementOnSubmit && o.status() != "draft" {
				c.take(o)
			}
			out = append(out, cloneDoc(o.Doc))
		}
		return nil
	})
	return out, err
}

// doorAddresses finds the addresses of a bulk order by their shipping codes.
func (c *call) doorAddresses(d doc, doors []any) ([]doc, error) {
	co := c.p.companies[c.p.byCode[str(sub(d, "retailer"), "retailer_code")]]
	var out []doc
	for _, v := range doors {
		code, _ := v.(string)
		all := docs(co.Doc, "addresses")
		i := slices.IndexFunc(all, func(a doc) bool { return code != "" && str(a, "shipping_code") == code })
		if i < 0 {
			return nil, fmt.Errorf("the company has no address with the shipping code %q", code)
		}
		address := cloneDoc(all[i])
		address["code"], address["ref"] = code, ""
		out = append(out, address)
	}
	if len(out) > 26 {
		return nil, errors.New("a bulk order goes to 26 doors at most")
	}
	return out, nil
}

// bulk makes one order for each door, with the suffixes -A, -B; the first keeps its _id.
func (c *call) bulk(group []*order, doors []doc) []*order {
	if len(doors) == 0 {
		return group
	}
	var out []*order
	for _, o := range group {
		base := o.number()
		delete(c.p.byNumber, base)
		for i, address := range doors {
			e := o
			if i > 0 {
				e = &order{Doc: cloneDoc(o.Doc), Since: c.now}
				e.Doc["_id"] = c.s.newID()
			}
			e.Doc["order_number"], e.Doc["shipping_address"] = base+"-"+string(rune('A'+i)), cloneDoc(address)
			c.p.orders[e.id()], c.p.byNumber[e.number()] = e, e.id()
			out = append(out, e)
		}
	}
	return out
}

// userDefaults fills what the user interface would fill.
func (c *call) userDefaults(d doc) error {
	if str(d, "status") == "" {
		d["status"] = "review"
	}
	for str(d, "order_number") == "" || c.p.byNumber[str(d, "order_number")] != "" {
		d["order_number"] = strconv.Itoa(c.p.nextNumber)
		c.p.nextNumber++
	}
	co := c.p.companies[c.p.byCode[str(sub(d, "retailer"), "retailer_code")]]
	if co == nil {
		return errors.New("the order needs a known retailer.retailer_code")
	}
	if str(d, "currency_code") == "" {
		d["currency_code"] = co.Doc["currency_code"]
	}
	for key, days := range map[[2]string]int{{"start_ship", "ship_start"}: 0, {"end_ship", "ship_end"}: 30} {
		if str(d, key[0]) == "" && str(d, key[1]) == "" {
			d[key[0]] = c.now.UTC().AddDate(0, 0, days).Format("2006-01-02")
		}
		for _, line := range docs(d, "line_items") {
			if str(line, key[1]) == "" {
				line[key[1]] = first(str(d, key[0]), str(d, key[1]))
			}
		}
	}
	c.userPrices(d)
	return nil
}

// userPrices fills prices from the product, in the order's currency.
func (c *call) userPrices(d doc) {
	for _, line := range docs(d, "line_items") {
		p := c.findProduct(line)
		if p == nil {
			continue
		}
		for _, s := range docs(line, "sizes") {
			if s["price"] == nil {
				s["price"] = sub(sub(p.Doc, "pricing"), str(d, "currency_code"))["wholesale"]
			}
		}
	}
}

// userStatus moves an order by hand.
func (s *Server) userStatus(portal, ref, to string) error {
	return s.asUser(portal, func(c *call) error {
		o, err := c.p.order(ref)
		if err != nil {
			return err
		}
		if o.status() == to {
			return nil
		}
		if msg := c.badStatusChange(o.status(), to, true); msg != "" {
			return errors.New(msg)
		}
		submitted := o.status() == "draft"
		c.enter(o, to)
		if submitted && to != "cancelled" && c.sw.DecrementOnSubmit {
			c.take(o)
		}
		return nil
	})
}

// SubmitOrder sends a draft to review, or to pending if a brand user does it.
func (s *Server) SubmitOrder(portal, ref, status string) error {
	if status == "" {
		status = "review"
	}
	return s.userStatus(portal, ref, status)
}

// ApproveOrder approves an order; doing it twice is no error.
func (s *Server) ApproveOrder(portal, ref string) error { return s.userStatus(portal, ref, "approved") }

// CancelOrder cancels an order; stock is given back if the switch says so.
func (s *Server) CancelOrder(portal, ref string) error { return s.userStatus(portal, ref, "cancelled") }

// RejectOrder sends an order back to draft; stock is given back if the switch says so.
func (s *Server) RejectOrder(portal, ref string) error { return s.userStatus(portal, ref, "draft") }

// EditOrder changes an order as a user does: fields are those of an update, prices have defaults, and lines replace lines. The
// order is then marked as edited; with "to_pending" it also goes back to pending. Returned is the order.
func (s *Server) EditOrder(portal, ref string, fields map[string]any) (map[string]any, error) {
	v, err := normalise(fields)
	if err != nil {
		return nil, fmt.Errorf("read fields: %w", err)
	}
	d, isDoc := v.(doc)
	if !isDoc {
		return nil, errors.New("the fields are an object")
	}
	var out map[string]any
	err = s.asUser(portal, func(c *call) error {
		o, err := c.p.order(ref)
		if err != nil {
			return err
		}
		if o.status() == "cancelled" {
			return errors.New("a cancelled order is locked for users")
		}
		back := flag(d, "to_pending")
		delete(d, "to_pending")
		d["currency_code"] = first(str(d, "currency_code"), str(o.Doc, "currency_code"))
		for _, line := range docs(d, "line_items") {
			line["ship_start"] = first(str(line, "ship_start"), str(o.Doc, "start_ship"))
			line["ship_end"] = first(str(line, "ship_end"), str(o.Doc, "end_ship"))
		}
		c.userPrices(d)
		next, a := c.applyOrder(o.Doc, d, true)
		if a != nil {
			return refused(a)
		}
		held := len(o.Taken) > 0
		c.giveBack(o)
		c.replaceOrder(o, next)
		o.Doc["edited"], o.Doc["edited_on"] = true, stamp(c.now)
		if held {
			c.take(o)
		}
		if back && o.status() != "pending" {
			c.enter(o, "pending")
		}
		c.derive(o)
		out = cloneDoc(o.Doc)
		return nil
	})
	return out, err
}

// SplitOrder splits an order by ship, season, department or warehouse and returns all siblings. The order itself keeps its _id
// and takes the suffix -1. Lines of one group stay one order with its number.
func (s *Server) SplitOrder(portal, ref, by string) ([]map[string]any, error) {
	var out []map[string]any
	err := s.asUser(portal, func(c *call) error {
		o, err := c.p.order(ref)
		if err != nil {
			return err
		}
		held := len(o.Taken) > 0
		c.giveBack(o)
		group, err := c.split(o, by)
		if err != nil {
			return err
		}
		for _, o := range group {
			if held {
				c.take(o)
			}
			out = append(out, cloneDoc(o.Doc))
		}
		return nil
	})
	return out, err
}

// split cuts an order into groups of lines.
func (c *call) split(o *order, by string) ([]*order, error) {
	key := map[string]func(doc) string{
		"ship":       func(l doc) string { return str(l, "ship_start") + "_" + str(l, "ship_end") },
		"season":     func(l doc) string { return str(sub(l, "product"), "season") },
		"department": func(l doc) string { return str(sub(l, "product"), "department") },
		"warehouse":  func(l doc) string { return str(l, "warehouse") },
	}[by]
	if key == nil {
		return nil, fmt.Errorf("an order is split by ship, season, department or warehouse, not by %q", by)
	}
	groups := map[string][]any{}
	for _, l := range docs(o.Doc, "line_items") {
		groups[key(l)] = append(groups[key(l)], l)
	}
	if len(groups) < 2 {
		return []*order{o}, nil
	}
	base, out := o.number(), []*order{}
	for i := range len(groups) {
		if number := base + "-" + strconv.Itoa(i+1); c.p.byNumber[number] != "" {
			return nil, fmt.Errorf("order number %q is taken", number)
		}
	}
	delete(c.p.byNumber, base)
	for i, k := range slices.Sorted(maps.Keys(groups)) {
		e := o
		if i > 0 {
			e = &order{Doc: cloneDoc(o.Doc), Since: c.now}
			e.Doc["_id"], e.Doc["shipments"] = c.s.newID(), []any{}
			delete(e.Doc, "external_id")
		}
		e.Doc["line_items"], e.Doc["order_number"], e.Doc["split"] = clone(groups[k]), base+"-"+strconv.Itoa(i+1), true
		e.Doc["__split_overrides"] = []any{doc{"_id": c.s.newID(), "key": "_" + strings.ReplaceAll(k, " ", "_"), "split_po": "", "self": i == 0}}
		e.Doc["modified_on"] = stamp(c.now)
		c.totals(e.Doc)
		shipState(e.Doc)
		c.p.orders[e.id()], c.p.byNumber[e.number()] = e, e.id()
		out = append(out, e)
	}
	return out, nil
}
