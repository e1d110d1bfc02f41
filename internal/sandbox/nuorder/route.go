package nuorder

import "strings"

// route is one call of the API.
type route struct {
	method, pattern string
	segments        []string
	literals        int
	handle          func(*call) answer
}

// find looks for the handler of a path. wrong tells that the path exists, but not with this method; of several patterns that
// fit, the one with the most literal parts counts, whatever its methods are.
func (s *Server) find(method, path string) (found *route, vars map[string]string, wrong bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, part := range parts {
		v, ok := unescape(part)
		if !ok {
			return nil, nil, false
		}
		parts[i] = v
	}
	best := -1
	for _, r := range s.routes[len(parts)] {
		if r.literals < best || !r.fits(parts) {
			continue
		}
		if r.literals > best {
			best, found = r.literals, nil
		}
		if r.method == method {
			found = r
		}
	}
	if found == nil {
		return nil, nil, best >= 0
	}
	vars = map[string]string{"__method": method}
	for i, seg := range found.segments {
		if strings.HasPrefix(seg, "{") {
			vars[seg[1:len(seg)-1]] = parts[i]
		}
	}
	return found, vars, false
}

func (r *route) fits(parts []string) bool {
	for i, seg := range r.segments {
		if strings.HasPrefix(seg, "{") {
			if parts[i] == "" {
				return false
			}
		} else if seg != parts[i] {
			return false
		}
	}
	return true
}

// routes is the endpoint catalogue, by number of path segments.
func routes() map[int][]*route {
	out := map[int][]*route{}
	add := func(method, pattern string, h func(*call) answer) {
		r := &route{method: method, pattern: pattern, segments: strings.Split(strings.Trim(pattern, "/"), "/"), handle: h}
		for _, s := range r.segments {
			if !strings.HasPrefix(s, "{") {
				r.literals++
			}
		}
		out[len(r.segments)] = append(out[len(r.segments)], r)
	}
	both := func(pattern string, h func(*call) answer) {
		add("POST", pattern, h)
		add("PUT", pattern, h)
	}
	add("GET", "/api/initiate", (*call).initiate)
	add("GET", "/api/token", (*call).exchange)
	add("GET", "/api/schemas", (*call).schemas)
	add("GET", "/api/schemas/{kind}", (*call).schema)
	add("GET", "/api/v3.1/catalogs", func(*call) answer { return ok([]any{}) })
	productRoutes(add, both)
	companyRoutes(add, both)
	stockRoutes(add)
	priceRoutes(add)
	orderRoutes(add, both)
	return out
}

type adder func(method, pattern string, h func(*call) answer)

func productRoutes(add adder, both func(string, func(*call) answer)) {
	add("PUT", "/api/product/new", func(c *call) answer { return c.putProduct(false) })
	add("PUT", "/api/product/new/force", func(c *call) answer { return c.putProduct(true) })
	add("GET", "/api/product/{id}", func(c *call) answer { return c.getProduct(c.productByID()) })
	add("GET", "/api/product/external_id/{ext}", func(c *call) answer { return c.getProduct(c.productByExt()) })
	both("/api/product/{id}", func(c *call) answer { return c.updateProduct(c.productByID()) })
	both("/api/product/external_id/{ext}", func(c *call) answer { return c.updateProduct(c.productByExt()) })
	add("GET", "/api/products/season/{season}/list", (*call).productsOfSeason)
	add("GET", "/api/products/{field}/{when}/{mm}/{dd}/{yyyy}", func(c *call) answer {
		return listByDate(c, c.p.products, func(p *product) doc { return c.productView(p) })
	})
}

func companyRoutes(add adder, both func(string, func(*call) answer)) {
	add("PUT", "/api/company/new", func(c *call) answer { return c.putCompany(false) })
	add("PUT", "/api/company/new/force", func(c *call) answer { return c.putCompany(true) })
	add("GET", "/api/companies/codes/list", (*call).companyCodes)
	add("GET", "/api/companies/{field}/{when}/{mm}/{dd}/{yyyy}", func(c *call) answer {
		return listByDate(c, c.p.companies, func(co *company) doc { return c.companyView(co) })
	})
	for prefix, find := range map[string]func(*call) *company{
		"/api/company/{id}":        (*call).companyByID,
		"/api/company/code/{code}": (*call).companyByCode,
	} {
		add("GET", prefix, func(c *call) answer { return c.getCompany(find(c)) })
		both(prefix, func(c *call) answer { return c.updateCompany(find(c)) })
		add("PUT", prefix+"/add/buyer", func(c *call) answer { return c.addBuyer(find(c)) })
		add("POST", prefix+"/update/buyer/{email}", func(c *call) answer { return c.updateBuyer(find(c)) })
		add("DELETE", prefix+"/buyer/{email}", func(c *call) answer { return c.removeBuyers(find(c)) })
		add("DELETE", prefix+"/buyers", func(c *call) answer { return c.removeBuyers(find(c)) })
	}
}

func stockRoutes(add adder) {
	add("POST", "/api/inventory/{id}", func(c *call) answer { return c.putInventory(c.productByID()) })
	add("POST", "/api/inventory/external_id/{ext}", func(c *call) answer { return c.putInventory(c.productByExt()) })
	add("GET", "/api/inventory/{id}", func(c *call) answer { return c.getInventory(c.productByID()) })
	add("GET", "/api/inventory/external_id/{ext}", func(c *call) answer { return c.getInventory(c.productByExt()) })
	add("PUT", "/api/inventory/flags", (*call).inventoryFlags)
	add("POST", "/api/v3.0/warehouse/{warehouse}/sku/{sku}/replenishments", (*call).addReplenishment)
	add("DELETE", "/api/v3.0/warehouse/{warehouse}/sku/{sku}/replenishments", (*call).dropReplenishments)
	add("PUT", "/api/v3.0/warehouse/{warehouse}/replenishments", (*call).putReplenishments)
}

func priceRoutes(add adder) {
	add("PUT", "/api/pricesheet/{template}", (*call).putSheet)
	add("GET", "/api/pricesheet/{template}", (*call).getSheet)
	add("POST", "/api/pricesheet/{template}/assign/product/external_id/{ext}", (*call).assignToSheet)
	add("DELETE", "/api/pricesheet/{template}/remove/product/external_id/{ext}", (*call).removeFromSheet)
	add("POST", "/api/product/external_id/{ext}/pricesheets", (*call).putProductSheets)
	add("DELETE", "/api/product/external_id/{ext}/pricesheets", (*call).dropProductSheets)
	add("POST", "/api/pricesheet/bulk/assign/{template}", (*call).putSheet)
}

func orderRoutes(add adder, both func(string, func(*call) answer)) {
	add("GET", "/api/orders/list", (*call).ordersByDate)
	add("GET", "/api/orders/{status}/list", func(c *call) answer { return c.ordersByStatus(false) })
	add("GET", "/api/orders/{status}/detail", func(c *call) answer { return c.ordersByStatus(true) })
	add("PUT", "/api/order/new", (*call).createOrder)
	add("GET", "/api/order/{id}", func(c *call) answer { return c.getOrder(c.orderByID()) })
	add("GET", "/api/order/number/{number}", func(c *call) answer { return c.getOrder(c.orderByNumber()) })
	both("/api/order/{id}", (*call).postOrder)
	both("/api/order/number/{number}", (*call).postOrderByNumber)
	both("/api/order/{id}/{status}", func(c *call) answer { return c.statusInPath(c.orderByID()) })
	both("/api/order/number/{number}/{status}", func(c *call) answer { return c.statusInPath(c.orderByNumber()) })
	both("/api/order/{id}/status", func(c *call) answer { return c.statusInBody(c.orderByID()) })
	both("/api/order/number/{number}/status", func(c *call) answer { return c.statusInBody(c.orderByNumber()) })
	both("/api/order/{id}/shipments", func(c *call) answer { return c.ownShipments(c.orderByID()) })
	both("/api/order/number/{number}/shipments", func(c *call) answer { return c.ownShipments(c.orderByNumber()) })
	add("POST", "/api/order/{id}/set/{field}/{value}", (*call).setField)
}
