package nuorder

import (
	"slices"
	"strings"
)

// product is a stored product with its stock.
type product struct {
	Doc   doc         `json:"doc"`
	Stock []*stockRow `json:"stock"`
	// Open holds the warehouses in which orders beyond the stock are allowed.
	Open map[string]bool `json:"open"`
}

func (p *product) document() doc { return p.Doc }
func (p *product) id() string    { return str(p.Doc, "_id") }

func natural(d doc) string {
	return str(d, "style_number") + "\x00" + str(d, "season") + "\x00" + str(d, "color")
}

// size finds a size by its exact name, by upc, or by _id.
func (p *product) size(name, upc string) doc {
	for _, s := range docs(p.Doc, "sizes") {
		if name != "" && str(s, "size") == name || name == "" && upc != "" && str(s, "upc") == upc {
			return s
		}
	}
	return nil
}

func (c *call) productByID() *product { return c.p.products[c.vars["id"]] }

func (c *call) productByExt() *product {
	return c.p.productByBrand(c.vars["ext"], c.sw.PathCase == "folded")
}

func (p *portal) productByBrand(brand string, folded bool) *product {
	if pr := p.products[p.byBrand[brand]]; pr != nil || !folded {
		return pr
	}
	for stored, id := range p.byBrand {
		if strings.EqualFold(stored, brand) {
			return p.products[id]
		}
	}
	return nil
}

func (c *call) getProduct(p *product) answer {
	if p == nil {
		return fail(404, "product not found")
	}
	return ok(c.productView(p))
}

func (c *call) productsOfSeason() answer {
	found := slices.DeleteFunc(sorted(c.p.products), func(p *product) bool {
		return str(p.Doc, "season") != c.vars["season"] && !slices.Contains(list(p.Doc, "seasons"), any(c.vars["season"]))
	})
	found, a := page(c, found, (*product).id)
	if a != nil {
		return *a
	}
	out := []any{}
	for _, p := range found {
		out = append(out, p.id())
	}
	return ok(out)
}

// productView is the document as answered: what is stored, and what follows from the stock.
func (c *call) productView(p *product) doc {
	out := make(doc, len(p.Doc)+8)
	for k, v := range p.Doc {
		out[k] = v
	}
	ids := []any{}
	for _, s := range docs(p.Doc, "sizes") {
		ids = append(ids, doc{"_id": s["_id"], "size": s["size"], "__global_id": s["_id"]})
	}
	out["__size_ids"] = ids
	c.stockView(p, out)
	return c.outDates(out)
}

// putProduct creates a product or, forced, updates the one that has its brand_id or natural key.
func (c *call) putProduct(force bool) answer {
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := c.checkProduct(d); msg != "" {
		return fail(400, msg)
	}
	byBrand := c.p.products[c.p.byBrand[str(d, "brand_id")]]
	byKey := c.p.products[c.p.byNatural[natural(d)]]
	if str(d, "brand_id") == "" {
		byBrand = nil
	}
	known := byBrand
	if known == nil {
		known = byKey
	}
	if known != nil && !force {
		return conflict("product already exists", known.id())
	}
	if known == nil {
		if msg := missing(d, "style_number", "season", "color", "name"); msg != "" {
			return fail(400, msg)
		}
	}
	return c.storeProduct(known, d)
}

func (c *call) updateProduct(p *product) answer {
	if a := c.badUpdateVerb(); a != nil {
		return *a
	}
	if p == nil {
		return fail(404, "product not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := c.checkProduct(d); msg != "" {
		return fail(400, msg)
	}
	return c.storeProduct(p, d)
}

// storeProduct checks what the product would be, and only then stores it.
func (c *call) storeProduct(known *product, d doc) answer {
	next := productDefaults()
	if known != nil && c.sw.ProductUpdate == "merge" {
		next = cloneDoc(known.Doc)
	}
	for k, v := range d {
		if k != "_id" && k != "created_on" && k != "modified_on" && !strings.HasPrefix(k, "__") {
			next[k] = v
		}
	}
	if msg := missing(next, "style_number", "season", "color", "name"); msg != "" {
		return fail(400, msg)
	}
	if len(list(next, "sizes")) == 0 {
		return fail(400, "sizes is required")
	}
	if msg := c.checkSchema("product", next); msg != "" {
		return fail(400, msg)
	}
	brand := str(next, "brand_id")
	if other := c.p.products[c.p.byNatural[natural(next)]]; other != nil && other != known {
		return conflict("another product has this style number, season and color", other.id())
	}
	if other := c.p.products[c.p.byBrand[brand]]; brand != "" && other != nil && other != known {
		return conflict("another product has this brand_id", other.id())
	}
	if known != nil && str(known.Doc, "brand_id") != "" && str(known.Doc, "brand_id") != brand {
		return conflict("brand_id must not change", known.id())
	}
	p, status := known, 200
	if p == nil {
		p, status = &product{Open: map[string]bool{}, Doc: doc{"_id": c.s.newID(), "created_on": stamp(c.now)}}, 201
	}
	c.keepSizeIDs(p, next)
	next["_id"], next["created_on"], next["modified_on"] = p.Doc["_id"], p.Doc["created_on"], stamp(c.now)
	if str(next, "unique_key") == "" {
		next["unique_key"] = strings.Join([]string{str(next, "style_number"), str(next, "season"), str(next, "color")}, ",")
	}
	next["__pending_initial_pricing"] = len(sub(next, "pricing")) == 0
	c.p.forgetProduct(p)
	p.Doc = next
	c.p.indexProduct(p)
	c.wrote("product", p.id())
	return answer{status: status, body: c.productView(p)}
}

func productDefaults() doc {
	return doc{
		"available_now": false, "active": true, "cancelled": false, "archived": false, "description": "", "available_from": "",
		"available_until": "", "order_closing": "", "images": []any{}, "seasons": []any{}, "size_groups": []any{}, "schema_id": "product",
	}
}

// keepSizeIDs gives sizes the ids they had, and new ones an id; stock of sizes that are gone goes with them.
func (c *call) keepSizeIDs(p *product, next doc) {
	kept := map[string]bool{}
	for _, s := range docs(next, "sizes") {
		if old := p.size(str(s, "size"), ""); old != nil {
			s["_id"] = old["_id"]
		} else {
			s["_id"] = c.s.newID()
		}
		kept[str(s, "_id")] = true
	}
	p.Stock = slices.DeleteFunc(p.Stock, func(r *stockRow) bool { return !kept[r.Size] })
}

func (p *portal) indexProduct(pr *product) {
	p.products[pr.id()] = pr
	p.byNatural[natural(pr.Doc)] = pr.id()
	if b := str(pr.Doc, "brand_id"); b != "" {
		p.byBrand[b] = pr.id()
	}
	for _, s := range docs(pr.Doc, "sizes") {
		p.bySize[str(s, "_id")] = pr.id()
	}
}

func (p *portal) forgetProduct(pr *product) {
	delete(p.byNatural, natural(pr.Doc))
	delete(p.byBrand, str(pr.Doc, "brand_id"))
	for _, s := range docs(pr.Doc, "sizes") {
		delete(p.bySize, str(s, "_id"))
	}
	delete(p.products, pr.id())
}

// checkProduct checks the form of what is sent and brings it into the stored form.
func (c *call) checkProduct(d doc) string {
	if _, there := d["brand_id"]; !there && str(d, "external_id") != "" {
		d["brand_id"] = d["external_id"]
	}
	if msg := texts(d, "style_number", "season", "color", "name", "brand_id", "external_id", "color_code", "category", "subcategory", "department",
		"division", "description", "fabric_description", "country_of_origin"); msg != "" {
		return msg
	}
	if msg := bools(d, "available_now", "active", "archived", "cancelled"); msg != "" {
		return msg
	}
	for _, k := range []string{"available_from", "available_until", "order_closing"} {
		if msg := setDate(d, k, c.sw.DatesIn); msg != "" {
			return msg
		}
	}
	if c.sw.Case == "fold" {
		for k, f := range map[string]func(string) string{"brand_id": strings.ToLower, "name": strings.ToLower, "style_number": strings.ToUpper} {
			if v, there := d[k].(string); there {
				d[k] = f(v)
			}
		}
	}
	if msg := c.checkPricing(d, "pricing"); msg != "" {
		return msg
	}
	return first(c.checkSizes(d), c.unknownFields("product", d))
}

func (c *call) checkSizes(d doc) string {
	v, there := d["sizes"]
	if !there {
		return ""
	}
	sizes, isList := v.([]any)
	if !isList || len(sizes) == 0 {
		return "sizes must be an array of at least one size"
	}
	seen := map[string]bool{}
	for _, e := range sizes {
		s, isDoc := e.(doc)
		if !isDoc || str(s, "size") == "" {
			return "sizes must be objects with a size"
		}
		if seen[str(s, "size")] {
			return "size " + str(s, "size") + " is there twice"
		}
		seen[str(s, "size")] = true
		if msg := texts(s, "upc", "size_group"); msg != "" {
			return "sizes." + msg
		}
		if !c.sw.SizePricing {
			delete(s, "pricing")
		} else if msg := c.checkPricing(s, "pricing"); msg != "" {
			return "sizes." + msg
		}
	}
	return ""
}

// checkPricing checks an object of currencies.
func (c *call) checkPricing(d doc, key string) string {
	v, there := d[key]
	if !there {
		return ""
	}
	prices, isDoc := v.(doc)
	if !isDoc {
		return key + " must be an object of currencies"
	}
	for currency, e := range prices {
		price, isDoc := e.(doc)
		if !isDoc || len(currency) != 3 || currency != strings.ToUpper(currency) {
			return key + " must hold one object for each three-letter currency"
		}
		if _, there := price["wholesale"]; !there {
			return key + "." + currency + ".wholesale is required"
		}
		for _, k := range []string{"wholesale", "retail"} {
			n, isNumber := number(price[k], c.sw.NumbersAsText)
			if _, there := price[k]; there && (!isNumber || n.IsNegative()) {
				return key + "." + currency + "." + k + " must be a number that is not negative"
			}
		}
		if msg := bools(price, "disabled"); msg != "" {
			return key + "." + currency + "." + msg
		}
	}
	return ""
}
