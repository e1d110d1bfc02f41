package compare

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/nuorder"
)

// Sandbox is the part of the NuORDER sandbox that differences are planted with.
type Sandbox interface {
	State(portal string) (nuorder.State, error)
	Alter(portal, kind, id string, set map[string]any, remove []string) error
	Forget(portal, kind, id string) error
}

// Planted is a difference that was planted.
type Planted struct {
	Kind, Key string
	// Field is the beginning of the path that must be named; empty means the whole object.
	Field string
	// What says in words what was done.
	What string
}

// Plant plants n differences of as many sorts as there are, each in an object of its own, behind the back of everybody. Equal
// seeds plant the same in equal states. It fails when the state has too little to spoil.
func Plant(sandbox Sandbox, portal string, n int, seed uint64) ([]Planted, error) {
	state, err := sandbox.State(portal)
	if err != nil {
		return nil, err
	}
	g := gardener{sandbox: sandbox, portal: portal, rand: rand.New(rand.NewPCG(seed, 20)), used: map[string]bool{}, lists: map[string][]doc{
		"products": state.Products, "companies": state.Companies, "inventory": state.Inventory, "orders": sent(state.Orders),
	}}
	var out []Planted
	for round := 0; len(out) < n; round++ {
		before := len(out)
		for _, s := range sorts() {
			if len(out) == n {
				break
			}
			p, err := g.plant(s)
			if err != nil {
				return out, err
			}
			if p != nil {
				out = append(out, *p)
			}
		}
		if len(out) == before {
			return out, fmt.Errorf("only %d of %d differences could be planted: the portal holds too little", len(out), n)
		}
	}
	return out, nil
}

// Unnamed gives the planted differences that a comparison did not name.
func Unnamed(planted []Planted, differences []Difference) []Planted {
	var out []Planted
	for _, p := range planted {
		named := false
		for _, d := range differences {
			named = named || d.Kind == p.Kind && d.Key == p.Key && (p.Field == "" && d.Field == "" || p.Field != "" && strings.HasPrefix(d.Field, p.Field))
		}
		if !named {
			out = append(out, p)
		}
	}
	return out
}

// sent are the orders that the OMS knows.
func sent(all []doc) []doc {
	var out []doc
	for _, o := range all {
		if s := text(o, "status"); s == "processed" || s == "shipped" {
			out = append(out, o)
		}
	}
	return out
}

// sort is one sort of difference.
type sort struct {
	list, what string
	// spoil gives the path to set with its value, and the field that must be named; empty path: not possible in this object.
	spoil func(d doc) (path string, value any, field string)
	// remove takes the path away; forget the whole object.
	remove, forget bool
}

// sorts are dealt out in turn, so that twenty touch every kind of object and of field.
func sorts() []sort {
	put := func(path string, value any) func(doc) (string, any, string) {
		return func(doc) (string, any, string) { return path, value, path }
	}
	return []sort{
		{list: "products", what: "wholesale price", spoil: func(d doc) (string, any, string) { return raise(d, "pricing.USD.wholesale", "pricing[USD].wholesale") }},
		{list: "products", what: "retail price", spoil: func(d doc) (string, any, string) { return raise(d, "pricing.USD.retail", "pricing[USD].retail") }},
		{list: "products", what: "archived", spoil: func(d doc) (string, any, string) { return "archived", !flag(d, "archived"), "archived" }},
		{list: "products", what: "color code", spoil: put("color_code", "XXX")},
		{list: "products", what: "upc of the first size", spoil: put1("sizes", "sizes.0.upc", "000000000000", "sizes[0]")},
		{list: "products", what: "currency taken away", remove: true, spoil: func(d doc) (string, any, string) {
			if pricing, _ := d["pricing"].(doc); pricing["EUR"] == nil {
				return "", nil, ""
			}
			return "pricing.EUR", nil, "pricing[EUR]"
		}},
		{list: "products", what: "product gone", forget: true},
		{list: "companies", what: "name", spoil: put("name", "Another Name")},
		{list: "companies", what: "discount", spoil: func(d doc) (string, any, string) { return raise(d, "discount", "discount") }},
		{list: "companies", what: "terms", spoil: put("payment_terms", "Net 7")},
		{list: "companies", what: "street of the first address", spoil: put1("addresses", "addresses.0.line_1", "1 Elsewhere", "addresses[")},
		{list: "companies", what: "last address taken away", spoil: func(d doc) (string, any, string) {
			all := list(d, "addresses")
			if len(all) < 3 {
				return "", nil, ""
			}
			return "addresses", all[:len(all)-1], "addresses["
		}},
		{list: "companies", what: "company gone", forget: true},
		{list: "inventory", what: "stock at once", spoil: func(d doc) (string, any, string) { return stock(d, true) }},
		{list: "inventory", what: "stock to come", spoil: func(d doc) (string, any, string) { return stock(d, false) }},
		{list: "inventory", what: "all stock gone", forget: true},
		{list: "orders", what: "quantity of the first line", spoil: func(d doc) (string, any, string) {
			return raise(d, "line_items.0.sizes.0.quantity", "lines[")
		}},
		{list: "orders", what: "status", spoil: put("status", "pending")},
		{list: "orders", what: "number", spoil: func(d doc) (string, any, string) { return "order_number", "X" + text(d, "order_number"), "" }},
		{list: "orders", what: "purchase order number", spoil: put("customer_po_number", "another")},
		{list: "orders", what: "shipments taken away", spoil: put1("shipments", "shipments", []any{}, "shipments[")},
	}
}

// put1 sets a value where a list has at least one element.
func put1(of, path string, value any, field string) func(doc) (string, any, string) {
	return func(d doc) (string, any, string) {
		if len(list(d, of)) == 0 {
			return "", nil, ""
		}
		return path, value, field
	}
}

// raise adds one to a figure.
func raise(d doc, path, field string) (string, any, string) {
	at := any(d)
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		switch t := at.(type) {
		case doc:
			at = t[step]
		case []any:
			if len(t) == 0 {
				return "", nil, ""
			}
			at = t[0]
		}
	}
	holder, there := at.(doc)
	if !there || holder[steps[len(steps)-1]] == nil {
		return "", nil, ""
	}
	n := figure(holder, steps[len(steps)-1]).Add(decimal.NewFromInt(1))
	return path, n.IntPart(), field
}

// stock adds one to a figure at once, or to one of a delivery.
func stock(d doc, atOnce bool) (string, any, string) {
	for i, r := range docs(d, "rows") {
		if (text(r, "start") == "") == atOnce && !flag(r, "prebook") {
			when := "immediate"
			if !atOnce {
				when = day(r, "start")
			}
			return fmt.Sprintf("%d.quantity", i), figure(r, "quantity").IntPart() + 1, "[" + text(r, "warehouse") + " " + when + " " + text(r, "size") + "]"
		}
	}
	return "", nil, ""
}

type gardener struct {
	sandbox Sandbox
	portal  string
	rand    *rand.Rand
	lists   map[string][]doc
	used    map[string]bool // brand_id, code and number of what is spoilt already
}

// plant spoils one object that nobody has spoilt; nil when there is none to spoil in this way.
func (g *gardener) plant(s sort) (*Planted, error) {
	all := g.lists[s.list]
	names := map[string][2]string{"products": {"product", "brand_id"}, "companies": {"company", "code"}, "inventory": {"inventory", "brand_id"}, "orders": {"order", "order_number"}}
	kind, key := names[s.list][0], names[s.list][1]
	for _, i := range g.rand.Perm(len(all)) {
		d := all[i]
		id := text(d, key)
		if id == "" || g.used[key+id] {
			continue
		}
		p := &Planted{Kind: kind, Key: id, What: s.what}
		var err error
		if s.forget {
			if s.list == "inventory" {
				if len(docs(d, "rows")) == 0 {
					continue
				}
				p.Field = "["
			}
			err = g.sandbox.Forget(g.portal, s.list, id)
		} else {
			path, value, field := s.spoil(d)
			if path == "" || path != "status" && text(d, path) != "" && text(d, path) == value {
				continue
			}
			p.Field = field
			if s.remove {
				err = g.sandbox.Alter(g.portal, s.list, id, nil, []string{path})
			} else {
				err = g.sandbox.Alter(g.portal, s.list, id, map[string]any{path: value}, nil)
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("plant %s in %s %s", s.what, kind, id), err)
		}
		g.used[key+id] = true
		return p, nil
	}
	return nil, nil
}
