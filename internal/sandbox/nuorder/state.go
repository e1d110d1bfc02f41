package nuorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// State is all that a portal stores, as copies. Figures are json.Number, dates as they are stored: ISO 8601, UTC, milliseconds.
type State struct {
	// Products, Companies and Orders are the stored documents in the order of their creation.
	Products  []map[string]any `json:"products"`
	Companies []map[string]any `json:"companies"`
	Orders    []map[string]any `json:"orders"`
	// Inventory has one element for each product: product_id, brand_id, style_number, season, color, the classic view under
	// "inventory" and the rows under "rows" (warehouse code, size, name, start, end, quantity, prebook).
	Inventory []map[string]any `json:"inventory"`
	// Pricesheets are all rows of all sheets.
	Pricesheets []map[string]any `json:"pricesheets"`
	Warehouses  []Warehouse      `json:"warehouses"`
}

// State copies everything that a portal stores.
func (s *Server) State(portal string) (State, error) {
	var out State
	err := s.asUser(portal, func(c *call) error {
		p := c.p
		out = State{
			Products: dump(p.products), Companies: dump(p.companies), Orders: dump(p.orders), Inventory: []map[string]any{},
			Pricesheets: []map[string]any{}, Warehouses: slices.Clone(p.warehouses),
		}
		for _, pr := range sorted(p.products) {
			out.Inventory = append(out.Inventory, p.inventoryDump(pr))
		}
		for _, template := range slices.Sorted(maps.Keys(p.sheets)) {
			for _, k := range slices.Sorted(maps.Keys(p.sheets[template])) {
				out.Pricesheets = append(out.Pricesheets, cloneDoc(p.sheets[template][k]))
			}
		}
		return nil
	})
	return out, err
}

func dump[T stored](m map[string]T) []map[string]any {
	out := make([]map[string]any, 0, len(m))
	for _, e := range sorted(m) {
		out = append(out, cloneDoc(e.document()))
	}
	return out
}

func (p *portal) inventoryDump(pr *product) doc {
	names, codes := map[string]any{}, map[string]string{}
	for _, s := range docs(pr.Doc, "sizes") {
		names[str(s, "_id")] = s["size"]
	}
	for _, w := range p.warehouses {
		codes[w.ID] = w.Code
	}
	rows := []any{}
	for _, r := range pr.Stock {
		rows = append(rows, doc{
			"warehouse": codes[r.Warehouse], "size": names[r.Size], "name": bucketName(r), "start": r.Start, "end": r.End,
			"quantity": quantity(r), "prebook": r.Prebook, "active": r.Active,
		})
	}
	return doc{
		"product_id": pr.id(), "brand_id": pr.Doc["brand_id"], "style_number": pr.Doc["style_number"], "season": pr.Doc["season"],
		"color": pr.Doc["color"], "inventory": p.classic(pr), "rows": rows,
	}
}

// find finds what a hook names: a document by kind and _id, brand_id, code or number.
func (p *portal) find(kind, id string) (stored, error) {
	switch kind {
	case "products", "inventory":
		if e := p.products[first(p.byBrand[id], id)]; e != nil {
			return e, nil
		}
	case "companies":
		if e := p.companies[first(p.byCode[id], id)]; e != nil {
			return e, nil
		}
	case "orders":
		if o, err := p.order(id); err == nil {
			return o, nil
		}
	default:
		return nil, fmt.Errorf("%q is not products, companies, orders or inventory", kind)
	}
	return nil, fmt.Errorf("there is nothing under %q in %s", id, kind)
}

// Alter plants a difference: it sets and removes fields of a stored document without any check, modified_on included. Kind is
// products, companies, orders or inventory; id is an _id, brand_id, code or number. A path such as sizes.0.upc steps into
// objects and arrays. For inventory, paths step into the rows of State, and only "N.quantity" can be set.
func (s *Server) Alter(portal, kind, id string, set map[string]any, remove []string) error {
	return s.asUser(portal, func(c *call) error {
		e, err := c.p.find(kind, id)
		if err != nil {
			return err
		}
		if kind == "inventory" {
			return alterStock(e.(*product), set)
		}
		next := cloneDoc(e.document())
		for _, path := range slices.Sorted(maps.Keys(set)) {
			v, err := normalise(set[path])
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			if err := setPath(next, path, v, false); err != nil {
				return err
			}
		}
		for _, path := range remove {
			if err := setPath(next, path, nil, true); err != nil {
				return err
			}
		}
		switch t := e.(type) {
		case *product:
			c.p.forgetProduct(t)
			t.Doc = next
			c.p.indexProduct(t)
		case *company:
			delete(c.p.byCode, str(t.Doc, "code"))
			t.Doc = next
			c.p.byCode[str(next, "code")] = t.id()
		case *order:
			delete(c.p.byNumber, t.number())
			t.Doc = next
			c.p.byNumber[t.number()] = t.id()
		}
		return nil
	})
}

func alterStock(p *product, set map[string]any) error {
	for path, v := range set {
		at, field, _ := strings.Cut(path, ".")
		i, err := strconv.Atoi(at)
		raw, errNormal := normalise(v)
		n, valid := integer(raw, false)
		if err != nil || errNormal != nil || i < 0 || i >= len(p.Stock) || field != "quantity" || !valid {
			return fmt.Errorf("inventory has no whole figure to set at %q", path)
		}
		p.Stock[i].Quantity = &n
	}
	return nil
}

// setPath sets or removes one value; the way to it must exist.
func setPath(d doc, path string, v any, remove bool) error {
	steps := strings.Split(path, ".")
	var at any = d
	for _, step := range steps[:len(steps)-1] {
		switch t := at.(type) {
		case doc:
			at = t[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(t) {
				return fmt.Errorf("path %q leads nowhere", path)
			}
			at = t[i]
		}
	}
	last := steps[len(steps)-1]
	switch t := at.(type) {
	case doc:
		if remove {
			delete(t, last)
		} else {
			t[last] = v
		}
		return nil
	case []any:
		if i, err := strconv.Atoi(last); err == nil && i >= 0 && i < len(t) && !remove {
			t[i] = v
			return nil
		}
	}
	return fmt.Errorf("path %q leads nowhere", path)
}

// Forget removes a document as if it had never been there; see Alter for kind and id.
func (s *Server) Forget(portal, kind, id string) error {
	return s.asUser(portal, func(c *call) error {
		e, err := c.p.find(kind, id)
		if err != nil {
			return err
		}
		switch t := e.(type) {
		case *product:
			if kind == "inventory" {
				t.Stock, t.Open = nil, map[string]bool{}
				return nil
			}
			c.p.forgetProduct(t)
		case *company:
			delete(c.p.byCode, str(t.Doc, "code"))
			delete(c.p.companies, t.id())
		case *order:
			delete(c.p.byNumber, t.number())
			delete(c.p.orders, t.id())
		}
		return nil
	})
}

// Reset empties the stores of all portals; warehouses and tokens stay. With all set, faults, journal, switches, limits and clock
// also go back to where they began.
func (s *Server) Reset(all bool) {
	for _, p := range s.ordered {
		p.mu.Lock()
		p.empty(s)
		p.mu.Unlock()
	}
	if all {
		s.ClearFaults()
		s.ClearJournal()
		s.switches.Store(new(s.cfg.Switches.clone()))
		s.limits.Store(new(*s.cfg.Limits))
		s.SetSkew(0)
	}
}

// saved is the data file's content for one portal.
type saved struct {
	Products   map[string]*product       `json:"products"`
	Companies  map[string]*company       `json:"companies"`
	Orders     map[string]*order         `json:"orders"`
	Sheets     map[string]map[string]doc `json:"sheets"`
	Warehouses []Warehouse               `json:"warehouses"`
	Tokens     map[string]string         `json:"tokens"`
	NextNumber int                       `json:"next_number"`
	LastID     uint64                    `json:"last_id"`
}

// save writes the data file, if there is to be one, by replacing it whole; it can be read by its owner only.
func (s *Server) save() error {
	if s.cfg.DataFile == "" {
		return nil
	}
	out := map[string]saved{}
	for _, p := range s.ordered {
		p.mu.Lock()
		defer p.mu.Unlock()
		out[p.cfg.Name] = saved{p.products, p.companies, p.orders, p.sheets, p.warehouses, p.tokens, p.nextNumber, s.ids.Load()}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode data file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.cfg.DataFile), ".nuorder-*")
	if err != nil {
		return fmt.Errorf("store data file: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.cfg.DataFile)
	}
	if err != nil {
		return fmt.Errorf("store data file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// load reads the data file, if it is there.
func (s *Server) load() error {
	if s.cfg.DataFile == "" {
		return nil
	}
	f, err := os.Open(s.cfg.DataFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read data file: %w", err)
	}
	defer f.Close()
	in := map[string]saved{}
	d := json.NewDecoder(f)
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("read data file: %w", err)
	}
	for _, p := range s.ordered {
		if e, there := in[p.cfg.Name]; there {
			p.fill(e)
			s.ids.Store(max(s.ids.Load(), e.LastID))
		}
	}
	return nil
}

func (p *portal) fill(e saved) {
	for _, pr := range e.Products {
		p.indexProduct(pr)
	}
	for id, co := range e.Companies {
		p.companies[id] = co
		p.byCode[str(co.Doc, "code")] = id
	}
	for id, o := range e.Orders {
		p.orders[id] = o
		p.byNumber[o.number()] = id
	}
	maps.Copy(p.tokens, e.Tokens)
	maps.Copy(p.sheets, e.Sheets)
	if len(e.Warehouses) > 0 {
		p.warehouses = e.Warehouses
	}
	p.nextNumber = max(p.nextNumber, e.NextNumber)
}
