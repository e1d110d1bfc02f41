package nuorder

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// hookMux serves what doc.go lists. Each hook returns what to answer, or an error that is answered as 400.
func (s *Server) hookMux() *http.ServeMux {
	m := http.NewServeMux()
	handle := func(pattern string, h func(r *http.Request) (any, error)) {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
			v, err := h(r)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				v = doc{"error": err.Error()}
			}
			json.NewEncoder(w).Encode(v) //nolint:errcheck // the caller has gone
		})
	}
	handle("GET /_sandbox/health", func(*http.Request) (any, error) { return doc{"ok": true, "portals": s.Portals()}, nil })
	s.stateHooks(handle)
	s.controlHooks(handle)
	s.userHooks(handle)
	return m
}

type hookAdder func(pattern string, h func(r *http.Request) (any, error))

// readHook reads a hook's body into v; an empty body leaves it as it is.
func readHook(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func portalOf(r *http.Request) string { return r.URL.Query().Get("portal") }

func (s *Server) stateHooks(handle hookAdder) {
	handle("GET /_sandbox/state", func(r *http.Request) (any, error) { return s.State(portalOf(r)) })
	handle("GET /_sandbox/state/{kind}", func(r *http.Request) (any, error) {
		st, err := s.State(portalOf(r))
		if err != nil {
			return nil, err
		}
		v, there := map[string]any{
			"products": st.Products, "companies": st.Companies, "orders": st.Orders, "inventory": st.Inventory,
			"pricesheets": st.Pricesheets, "warehouses": st.Warehouses,
		}[r.PathValue("kind")]
		if !there {
			return nil, errors.New("there is no such list")
		}
		return v, nil
	})
	handle("GET /_sandbox/state/{kind}/{id}", func(r *http.Request) (any, error) {
		var out doc
		err := s.asUser(portalOf(r), func(c *call) error {
			e, err := c.p.find(r.PathValue("kind"), r.PathValue("id"))
			if err != nil {
				return err
			}
			if p, isProduct := e.(*product); isProduct && r.PathValue("kind") == "inventory" {
				out = c.p.inventoryDump(p)
				return nil
			}
			out = cloneDoc(e.document())
			return nil
		})
		return out, err
	})
	handle("PATCH /_sandbox/state/{kind}/{id}", func(r *http.Request) (any, error) {
		var in struct {
			Set    doc      `json:"set"`
			Remove []string `json:"remove"`
		}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		return doc{"ok": true}, s.Alter(portalOf(r), r.PathValue("kind"), r.PathValue("id"), in.Set, in.Remove)
	})
	handle("DELETE /_sandbox/state/{kind}/{id}", func(r *http.Request) (any, error) {
		return doc{"ok": true}, s.Forget(portalOf(r), r.PathValue("kind"), r.PathValue("id"))
	})
	handle("GET /_sandbox/warehouses", func(r *http.Request) (any, error) { return s.Warehouses(portalOf(r)) })
	handle("POST /_sandbox/warehouses", func(r *http.Request) (any, error) {
		var w Warehouse
		if err := readHook(r, &w); err != nil {
			return nil, err
		}
		if w.Code == "" {
			return nil, errors.New("a warehouse needs a code")
		}
		return s.AddWarehouse(portalOf(r), w)
	})
}

func (s *Server) controlHooks(handle hookAdder) {
	handle("GET /_sandbox/journal", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		in := JournalQuery{Method: q.Get("method"), Path: q.Get("path"), Object: q.Get("object")}
		var errs [3]error
		if t := q.Get("since"); t != "" {
			in.Since, errs[0] = strconv.ParseUint(t, 10, 64)
		}
		if t := q.Get("limit"); t != "" {
			in.Limit, errs[1] = strconv.Atoi(t)
		}
		if t := q.Get("status"); t != "" {
			in.Status, errs[2] = strconv.Atoi(t)
		}
		return s.Journal(in), errors.Join(errs[:]...)
	})
	handle("DELETE /_sandbox/journal", func(*http.Request) (any, error) { s.ClearJournal(); return doc{"ok": true}, nil })
	handle("GET /_sandbox/counts", func(*http.Request) (any, error) { return s.Counts(), nil })
	handle("GET /_sandbox/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	handle("POST /_sandbox/faults", func(r *http.Request) (any, error) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var many []Fault
		if json.Unmarshal(b, &many) != nil {
			var one Fault
			if err := json.Unmarshal(b, &one); err != nil {
				return nil, err
			}
			many = []Fault{one}
		}
		for i := range many {
			if many[i].ID, err = s.AddFault(many[i]); err != nil {
				return nil, err
			}
		}
		return many, nil
	})
	handle("DELETE /_sandbox/faults", func(*http.Request) (any, error) { s.ClearFaults(); return doc{"ok": true}, nil })
	handle("DELETE /_sandbox/faults/{id}", func(r *http.Request) (any, error) {
		s.ClearFaults(r.PathValue("id"))
		return doc{"ok": true}, nil
	})
	handle("GET /_sandbox/switches", func(*http.Request) (any, error) { return s.Switches(), nil })
	handle("PATCH /_sandbox/switches", func(r *http.Request) (any, error) {
		sw := s.Switches()
		if err := readHook(r, &sw); err != nil {
			return nil, err
		}
		return sw, s.SetSwitches(sw)
	})
	handle("GET /_sandbox/limits", func(*http.Request) (any, error) { return s.Limits(), nil })
	handle("PATCH /_sandbox/limits", func(r *http.Request) (any, error) {
		l := s.Limits()
		if err := readHook(r, &l); err != nil {
			return nil, err
		}
		return l, s.SetLimits(l)
	})
	handle("POST /_sandbox/clock", func(r *http.Request) (any, error) {
		var in struct {
			Skew Duration `json:"skew"`
		}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		s.SetSkew(time.Duration(in.Skew))
		return doc{"ok": true}, nil
	})
	handle("POST /_sandbox/reset", func(r *http.Request) (any, error) {
		s.Reset(r.URL.Query().Get("all") == "1")
		return doc{"ok": true}, nil
	})
}

func (s *Server) userHooks(handle hookAdder) {
	handle("GET /_sandbox/applications", func(r *http.Request) (any, error) { return s.Applications(portalOf(r)) })
	handle("POST /_sandbox/applications/{token}/approve", func(r *http.Request) (any, error) {
		v, err := s.ApproveApplication(r.Context(), portalOf(r), r.PathValue("token"))
		return doc{"oauth_verifier": v}, err
	})
	handle("POST /_sandbox/orders", func(r *http.Request) (any, error) {
		in := doc{}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		return s.PlaceOrder(portalOf(r), in)
	})
	move := func(do func(portal, ref string) error) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			if err := do(portalOf(r), r.PathValue("ref")); err != nil {
				return nil, err
			}
			return s.orderCopy(portalOf(r), r.PathValue("ref"))
		}
	}
	handle("POST /_sandbox/orders/{ref}/approve", move(s.ApproveOrder))
	handle("POST /_sandbox/orders/{ref}/reject", move(s.RejectOrder))
	handle("POST /_sandbox/orders/{ref}/cancel", move(s.CancelOrder))
	handle("POST /_sandbox/orders/{ref}/submit", func(r *http.Request) (any, error) {
		var in struct {
			Status string `json:"status"`
		}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		return move(func(portal, ref string) error { return s.SubmitOrder(portal, ref, in.Status) })(r)
	})
	handle("POST /_sandbox/orders/{ref}/edit", func(r *http.Request) (any, error) {
		in := doc{}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		return s.EditOrder(portalOf(r), r.PathValue("ref"), in)
	})
	handle("POST /_sandbox/orders/{ref}/split", func(r *http.Request) (any, error) {
		var in struct {
			By string `json:"by"`
		}
		if err := readHook(r, &in); err != nil {
			return nil, err
		}
		return s.SplitOrder(portalOf(r), r.PathValue("ref"), in.By)
	})
}

// orderCopy returns an order by _id or number.
func (s *Server) orderCopy(portal, ref string) (map[string]any, error) {
	var out doc
	err := s.asUser(portal, func(c *call) error {
		o, err := c.p.order(ref)
		if err == nil {
			out = cloneDoc(o.Doc)
		}
		return err
	})
	return out, err
}
