package nuorder

import (
	"slices"
	"strings"
)

// company is a stored customer.
type company struct {
	Doc doc `json:"doc"`
}

func (c *company) document() doc { return c.Doc }
func (c *company) id() string    { return str(c.Doc, "_id") }

func (c *call) companyByID() *company { return c.p.companies[c.vars["id"]] }
func (c *call) companyByCode() *company {
	return c.p.companyByCode(c.vars["code"], c.sw.PathCase == "folded")
}

func (p *portal) companyByCode(code string, folded bool) *company {
	if co := p.companies[p.byCode[code]]; co != nil || !folded {
		return co
	}
	for stored, id := range p.byCode {
		if strings.EqualFold(stored, code) {
			return p.companies[id]
		}
	}
	return nil
}

func (c *call) getCompany(co *company) answer {
	if co == nil {
		return fail(404, "company not found")
	}
	return ok(c.companyView(co))
}

func (c *call) companyCodes() answer {
	out := []any{}
	for _, co := range sorted(c.p.companies) {
		out = append(out, co.Doc["code"])
	}
	return ok(out)
}

// companyView is the document as answered.
func (c *call) companyView(co *company) doc {
	out := make(doc, len(co.Doc)+4)
	for k, v := range co.Doc {
		out[k] = v
	}
	folded := strings.ToLower(str(co.Doc, "name"))
	out["__sortable_name"], out["__search_key"] = folded, folded
	out["__filter_key"] = folded[:min(1, len(folded))]
	refs := []any{}
	for _, b := range docs(co.Doc, "buyers") {
		refs = append(refs, b["email"])
	}
	out["__buyer_refs"] = refs
	return c.outDates(out)
}

func (c *call) putCompany(force bool) answer {
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := c.checkCompany(d); msg != "" {
		return fail(400, msg)
	}
	if msg := missing(d, "name", "code", "currency_code"); msg != "" {
		return fail(400, msg)
	}
	known := c.p.companies[c.p.byCode[str(d, "code")]]
	if known != nil && !force {
		return conflict("company already exists", known.id())
	}
	return c.storeCompany(known, d)
}

func (c *call) updateCompany(co *company) answer {
	if a := c.badUpdateVerb(); a != nil {
		return *a
	}
	if co == nil {
		return fail(404, "company not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := c.checkCompany(d); msg != "" {
		return fail(400, msg)
	}
	return c.storeCompany(co, d)
}

// storeCompany checks what the company would be, and only then stores it.
func (c *call) storeCompany(known *company, d doc) answer {
	next := companyDefaults()
	if known != nil && c.sw.CompanyUpdate == "merge" {
		next = cloneDoc(known.Doc)
	}
	for k, v := range d {
		if k != "_id" && k != "created_on" && k != "modified_on" && k != "buyers" && !strings.HasPrefix(k, "__") {
			next[k] = v
		}
	}
	if msg := first(missing(next, "name", "code", "currency_code"), c.checkSchema("company", next)); msg != "" {
		return fail(400, msg)
	}
	if other := c.p.companies[c.p.byCode[str(next, "code")]]; other != nil && other != known {
		return conflict("another company has this code", other.id())
	}
	co, status := known, 200
	if co == nil {
		co, status = &company{Doc: doc{"_id": c.s.newID(), "created_on": stamp(c.now), "buyers": []any{}}}, 201
	}
	for _, k := range []string{"_id", "created_on", "buyers"} {
		next[k] = co.Doc[k]
	}
	next["modified_on"] = stamp(c.now)
	next["default_discount"], next["default_surcharge"] = next["discount"], next["surcharge"]
	delete(c.p.byCode, str(co.Doc, "code"))
	co.Doc = next
	c.p.companies[co.id()] = co
	c.p.byCode[str(next, "code")] = co.id()
	c.wrote("company", co.id())
	return answer{status: status, body: c.companyView(co)}
}

func companyDefaults() doc {
	return doc{
		"payment_terms": "", "credit_status": "", "discount": count(0), "surcharge": count(0), "addresses": []any{}, "active": true,
		"user_connections": []any{}, "customer_groups": []any{}, "reps": []any{}, "schema_id": "company",
	}
}

// checkCompany checks the form of what is sent and brings it into the stored form.
func (c *call) checkCompany(d doc) string {
	if msg := first(texts(d, "name", "code", "currency_code", "payment_terms", "credit_status", "warehouse", "pricing_template", "legal_file",
		"phone_office", "phone"), bools(d, "active", "allow_bulk")); msg != "" {
		return msg
	}
	if cur := str(d, "currency_code"); cur != "" && (len(cur) != 3 || cur != strings.ToUpper(cur)) {
		return "currency_code must be three capital letters"
	}
	for _, k := range []string{"discount", "surcharge"} {
		if v, there := d[k]; there {
			if n, isNumber := number(v, c.sw.NumbersAsText); !isNumber || n.IsNegative() {
				return k + " must be a number that is not negative"
			}
		}
	}
	if name := str(d, "warehouse"); name != "" {
		w, known := c.p.warehouse(name)
		if !known {
			return "warehouse " + name + " does not exist"
		}
		d["warehouse"] = w.ID
	}
	return first(checkAddresses(d), c.unknownFields("company", d))
}

// checkAddresses holds the address rules: line 1 and country when any part is given, at least one address for billing and one
// for shipping, at most one default of each, and the first one where none is set.
func checkAddresses(d doc) string {
	v, there := d["addresses"]
	if !there {
		return ""
	}
	all, isList := v.([]any)
	if !isList {
		return "addresses must be an array"
	}
	firstOf, defaults := map[string]doc{}, map[string]int{}
	for _, e := range all {
		a, isDoc := e.(doc)
		if !isDoc {
			return "addresses must be objects"
		}
		if msg := checkAddress(a); msg != "" {
			return "addresses: " + msg
		}
		for _, kind := range []string{"billing", "shipping"} {
			if t := str(a, "type"); t != kind && t != "both" {
				if flag(a, "default_"+kind) {
					return "addresses: default_" + kind + " stands at an address of another type"
				}
				continue
			}
			if firstOf[kind] == nil {
				firstOf[kind] = a
			}
			if flag(a, "default_"+kind) {
				defaults[kind]++
			}
		}
	}
	for _, kind := range []string{"billing", "shipping"} {
		switch {
		case len(all) > 0 && firstOf[kind] == nil:
			return "addresses: at least one billing and one shipping address are needed"
		case defaults[kind] > 1:
			return "addresses: more than one default_" + kind
		case len(all) > 0 && defaults[kind] == 0:
			firstOf[kind]["default_"+kind] = true
		}
	}
	return ""
}

func checkAddress(a doc) string {
	parts := []string{"line_1", "line_2", "line_3", "line_4", "city", "state", "zip", "country"}
	if msg := first(texts(a, append(parts, "display_name", "type", "shipping_code", "billing_code", "code")...),
		bools(a, "default_shipping", "default_billing")); msg != "" {
		return msg
	}
	if slices.ContainsFunc(parts, func(k string) bool { return str(a, k) != "" }) {
		if msg := missing(a, "line_1", "country"); msg != "" {
			return msg
		}
	}
	kind := strings.ToLower(str(a, "type"))
	if kind == "" {
		kind = "both"
	}
	if kind != "billing" && kind != "shipping" && kind != "both" {
		return "type must be billing, shipping or both"
	}
	a["type"] = kind
	return ""
}

// buyer finds the place of a buyer by e-mail address.
func (co *company) buyer(email string) int {
	return slices.IndexFunc(list(co.Doc, "buyers"), func(v any) bool {
		b, isDoc := v.(doc)
		return isDoc && strings.EqualFold(str(b, "email"), email)
	})
}

func (c *call) addBuyer(co *company) answer {
	if co == nil {
		return fail(404, "company not found")
	}
	if c.sw.BuyerCreate == "broken" {
		return oops()
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := first(texts(d, "name", "email", "title", "phone_office", "phone_cell"), missing(d, "name", "email")); msg != "" {
		return fail(400, msg)
	}
	if !strings.Contains(str(d, "email"), "@") {
		return fail(400, "email is not valid")
	}
	if co.buyer(str(d, "email")) >= 0 {
		return conflict("buyer already exists", co.id())
	}
	return c.setBuyers(co, append(list(co.Doc, "buyers"), d))
}

func (c *call) updateBuyer(co *company) answer {
	if co == nil {
		return fail(404, "company not found")
	}
	i := co.buyer(c.vars["email"])
	if i < 0 {
		return fail(404, "buyer not found")
	}
	d, a := c.object()
	if a != nil {
		return *a
	}
	if msg := texts(d, "name", "email", "title", "phone_office", "phone_cell"); msg != "" {
		return fail(400, msg)
	}
	all := clone(list(co.Doc, "buyers")).([]any)
	for k, v := range d {
		all[i].(doc)[k] = v
	}
	return c.setBuyers(co, all)
}

func (c *call) removeBuyers(co *company) answer {
	if co == nil {
		return fail(404, "company not found")
	}
	email, one := c.vars["email"]
	if !one {
		return c.setBuyers(co, []any{})
	}
	i := co.buyer(email)
	if i < 0 {
		return fail(404, "buyer not found")
	}
	return c.setBuyers(co, slices.Delete(slices.Clone(list(co.Doc, "buyers")), i, i+1))
}

func (c *call) setBuyers(co *company, buyers []any) answer {
	co.Doc["buyers"], co.Doc["modified_on"] = buyers, stamp(c.now)
	c.wrote("company", co.id())
	return ok(c.companyView(co))
}
