package nuorder

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// portal is one brand with all that it stores. mu guards everything below it.
type portal struct {
	cfg      Portal
	inFlight atomic.Int64

	rateMu sync.Mutex
	rate   bucket

	mu         sync.Mutex
	tokens     map[string]string
	apps       map[string]*application
	nonces     map[int64]map[string]bool
	nonceSweep int64

	warehouses []Warehouse
	products   map[string]*product
	byBrand    map[string]string
	byNatural  map[string]string
	bySize     map[string]string
	companies  map[string]*company
	byCode     map[string]string
	orders     map[string]*order
	byNumber   map[string]string
	sheets     map[string]map[string]doc
	nextNumber int
}

func (s *Server) newPortal(pc Portal) *portal {
	p := &portal{cfg: pc, tokens: map[string]string{}, apps: map[string]*application{}, nonces: map[int64]map[string]bool{}}
	if pc.Token != "" {
		p.tokens[pc.Token] = pc.TokenSecret
	}
	p.empty(s)
	return p
}

// empty puts the stores back to their beginning; tokens stay valid.
func (p *portal) empty(s *Server) {
	p.products, p.byBrand, p.byNatural, p.bySize = map[string]*product{}, map[string]string{}, map[string]string{}, map[string]string{}
	p.companies, p.byCode = map[string]*company{}, map[string]string{}
	p.orders, p.byNumber = map[string]*order{}, map[string]string{}
	p.sheets = map[string]map[string]doc{}
	p.nextNumber = p.cfg.FirstOrderNumber
	if p.nextNumber == 0 {
		p.nextNumber = 100001
	}
	if p.warehouses == nil {
		for _, w := range p.cfg.Warehouses {
			p.addWarehouse(s, w)
		}
		if len(p.warehouses) == 0 {
			p.addWarehouse(s, Warehouse{Code: "default", DisplayName: "default"})
		}
	}
}

func (p *portal) addWarehouse(s *Server, w Warehouse) Warehouse {
	if w.ID == "" {
		w.ID = s.newID()
	}
	if w.DisplayName == "" {
		w.DisplayName = w.Code
	}
	p.warehouses = append(p.warehouses, w)
	return w
}

// warehouse finds one by code, name or _id.
func (p *portal) warehouse(name string) (Warehouse, bool) {
	for _, w := range p.warehouses {
		if name != "" && (w.Code == name || w.DisplayName == name || w.ID == name) {
			return w, true
		}
	}
	return Warehouse{}, false
}

// AddWarehouse creates a warehouse, as an administrator does in Brand Settings.
func (s *Server) AddWarehouse(portal string, w Warehouse) (Warehouse, error) {
	p, err := s.portal(portal)
	if err != nil {
		return Warehouse{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, there := p.warehouse(w.Code); there {
		return known, nil
	}
	return p.addWarehouse(s, w), nil
}

// Warehouses lists a portal's warehouses.
func (s *Server) Warehouses(portal string) ([]Warehouse, error) {
	p, err := s.portal(portal)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.warehouses), nil
}

// stored is anything kept as a document.
type stored interface{ document() doc }

// sorted lists a store in the order in which its ids were given.
func sorted[T stored](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}

// listByDate answers the documents created or modified before or after a day.
func listByDate[T stored](c *call, m map[string]T, view func(T) doc) answer {
	field, when := c.vars["field"], c.vars["when"]
	month, e1 := strconv.Atoi(c.vars["mm"])
	day, e2 := strconv.Atoi(c.vars["dd"])
	year, e3 := strconv.Atoi(c.vars["yyyy"])
	if (field != "created" && field != "modified") || (when != "before" && when != "after") {
		return fail(404, "not found")
	}
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if e1 != nil || e2 != nil || e3 != nil || int(at.Month()) != month || at.Day() != day {
		return fail(400, "the date is not valid")
	}
	bound, key := stamp(at), field+"_on"
	var found []T
	for _, e := range sorted(m) {
		on := str(e.document(), key)
		if (when == "after") == (on >= bound) {
			found = append(found, e)
		}
	}
	found, a := page(c, found, func(e T) string { return str(e.document(), "_id") })
	if a != nil {
		return *a
	}
	out := make([]any, len(found))
	for i, e := range found {
		out[i] = view(e)
	}
	return ok(out)
}

// page cuts a list as the switch and the query ask.
func page[T any](c *call, in []T, id func(T) string) ([]T, *answer) {
	if c.sw.Pagination == "off" {
		return in, nil
	}
	size := 0
	if c.sw.Pagination == "forced" {
		size = c.sw.PageSize
	}
	if text := c.query.Get("__limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			a := fail(400, "__limit is not valid")
			return nil, &a
		}
		size = min(n, c.sw.PageSize)
	}
	if last := c.query.Get("__last_id"); last != "" {
		in = slices.DeleteFunc(slices.Clone(in), func(e T) bool { return id(e) <= last })
	}
	if size > 0 && len(in) > size {
		in = in[:size]
	}
	return in, nil
}

// outDates puts the dates of a document into the form answered.
func (c *call) outDates(d doc) doc {
	if c.sw.DatesOut == "iso" {
		return d
	}
	return epochDates(d).(doc)
}

func epochDates(v any) any {
	switch t := v.(type) {
	case doc:
		out := make(doc, len(t))
		for k, e := range t {
			out[k] = epochDates(e)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = epochDates(e)
		}
		return out
	case string:
		if len(t) == 24 && strings.HasSuffix(t, "Z") {
			if at, err := time.Parse("2006-01-02T15:04:05.000Z", t); err == nil {
				return count(at.UnixMilli())
			}
		}
	}
	return v
}
