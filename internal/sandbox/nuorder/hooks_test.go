package nuorder_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nubridge/internal/sandbox/nuorder"
)

// hook makes an unsigned call of a hook.
func (w *world) hook(status int, method, path string, body any) result {
	w.t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/_sandbox/"+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := send(http.DefaultClient, req)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.status != status {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, r.status, r.text, status)
	}
	return r
}

func TestHooksPlayAUserAndShowTheState(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.hook(200, "GET", "health", nil)
	placed := w.hook(200, "POST", "orders", m{"retailer": m{"retailer_code": "C1"}, "status": "draft", "line_items": l{orderLine("A1-RED", map[string]int{"S": 2})}}).body.([]any)
	id, number := placed[0].(m)["_id"].(string), placed[0].(m)["order_number"].(string)
	if o := w.hook(200, "POST", "orders/"+number+"/submit", m{"status": "pending"}).doc(t); o["status"] != "pending" {
		t.Errorf("submitted %v", o["status"])
	}
	w.hook(200, "POST", "orders/"+id+"/approve", nil)
	if got := w.want(200, "GET", "/api/orders/approved/list", nil).body.([]any); len(got) != 1 || got[0] != id {
		t.Errorf("approved %v", got)
	}
	w.hook(200, "POST", "orders/"+id+"/edit", m{"notes": "n"})
	w.hook(200, "POST", "orders/"+id+"/split", m{"by": "season"})
	w.hook(200, "POST", "orders/"+id+"/cancel", nil)
	w.hook(400, "POST", "orders/"+id+"/reject", nil)
	w.hook(400, "POST", "orders/none/approve", nil)
	st := w.hook(200, "GET", "state", nil).doc(t)
	for kind, n := range map[string]int{"products": 2, "companies": 1, "orders": 1, "inventory": 2, "warehouses": 2} {
		if got := len(st[kind].([]any)); got != n {
			t.Errorf("%s: %d, want %d", kind, got, n)
		}
		w.hook(200, "GET", "state/"+kind, nil)
	}
	w.hook(400, "GET", "state?portal=none", nil)
	if got := w.hook(200, "GET", "journal?path=/api/orders/*/list&limit=5", nil).body.([]any); len(got) != 1 {
		t.Errorf("journal %v", got)
	}
	if got := w.hook(200, "GET", "counts", nil).doc(t); got["calls"] != json.Number("6") {
		t.Errorf("counts %v", got["calls"])
	}
}

func TestHooksSetFaultsSwitchesLimitsAndClock(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	got := w.hook(200, "POST", "faults", l{m{"kind": "status", "status": 503, "path": "/api/schemas"}, m{"id": "mine", "kind": "cut", "path": "/api/token"}}).body.([]any)
	w.want(503, "GET", "/api/schemas", nil)
	w.hook(200, "DELETE", "faults/"+got[0].(m)["id"].(string), nil)
	w.want(200, "GET", "/api/schemas", nil)
	if left := w.hook(200, "GET", "faults", nil).body.([]any); len(left) != 1 || left[0].(m)["id"] != "mine" {
		t.Errorf("left %v", left)
	}
	w.hook(200, "PATCH", "switches", m{"arrays": "merge", "list_lag": "2s", "update_verbs": l{"PUT"}})
	w.hook(400, "PATCH", "switches", m{"arrays": "sometimes"})
	w.hook(400, "PATCH", "switches", m{"arays": "merge"})
	if sw := w.srv.Switches(); sw.Arrays != "merge" || sw.ListLag != nuorder.Duration(2e9) || sw.SameStatus != 304 || sw.UpdateVerbs[0] != "PUT" {
		t.Errorf("switches %+v", sw)
	}
	w.hook(200, "PATCH", "limits", m{"rate": 5})
	if l := w.srv.Limits(); l.Rate != 5 || l.Concurrency != 5 {
		t.Errorf("limits %+v", l)
	}
	w.hook(200, "POST", "clock", m{"skew": "10m"})
	w.want(401, "GET", "/api/schemas", nil)
	w.hook(200, "POST", "reset?all=1", nil)
	w.want(200, "GET", "/api/schemas", nil)
	if sw := w.srv.Switches(); sw.Arrays != "replace" || len(w.srv.Faults()) != 0 {
		t.Error("a full reset left something")
	}
}

func TestPlantedDifferencesShowInTheAPI(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
	w.hook(200, "PATCH", "state/products/A1-RED", m{"set": m{"pricing.USD.wholesale": 1.25, "sizes.0.upc": "x"}, "remove": l{"name"}})
	p := w.want(200, "GET", "/api/product/external_id/A1-RED", nil).doc(t)
	if p["pricing"].(m)["USD"].(m)["wholesale"] != json.Number("1.25") || p["name"] != nil || p["sizes"].([]any)[0].(m)["upc"] != "x" {
		t.Errorf("product %v", p)
	}
	w.hook(200, "PATCH", "state/inventory/A1-RED", m{"set": m{"0.quantity": 99}})
	if got := figures(t, w, "A1-RED"); got != 99+10+5 {
		t.Errorf("stock %d", got)
	}
	w.hook(200, "PATCH", "state/orders/7", m{"set": m{"order_number": "8"}})
	w.want(404, "GET", "/api/order/number/7", nil)
	w.want(200, "GET", "/api/order/number/8", nil)
	w.hook(200, "PATCH", "state/companies/C1", m{"set": m{"addresses.1.city": "Rome"}})
	w.hook(400, "PATCH", "state/companies/C1", m{"set": m{"addresses.9.city": "Rome"}})
	w.hook(200, "DELETE", "state/companies/C1", nil)
	w.want(404, "GET", "/api/company/code/C1", nil)
}

func TestHooksAreForLoopbackOnly(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/_sandbox/state", nil)
	req.RemoteAddr = "192.0.2.7:5000"
	w.srv.ServeHTTP(rec, req)
	if rec.Code != http.StatusForbidden {
		t.Errorf("got %d", rec.Code)
	}
}

func TestBodiesMayBeCompressed(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	text, err := json.Marshal(productBody("A1"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for status, in := range map[int]string{201: b.String(), 400: "no gzip"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/api/product/new", strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Content-Encoding", "gzip")
		if r, err := send(w.http, req); err != nil || r.status != status {
			t.Errorf("got %d %s %v, want %d", r.status, r.text, err, status)
		}
	}
}

func TestRunServesAndKeepsItsDataFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nuorder.json")
	var before nuorder.State
	for round := range 2 {
		w := stockedFile(t, file, round == 0)
		ctx, cancel := context.WithCancel(t.Context())
		addr, done := make(chan net.Addr, 1), make(chan error, 1)
		go func() { done <- w.srv.Run(ctx, "127.0.0.1:0", func(a net.Addr) { addr <- a }) }()
		w.url = "http://" + (<-addr).String()
		st, err := w.srv.State("")
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			before = st
		} else if d := cmp.Diff(before, st); d != "" {
			t.Errorf("after a restart:\n%s", d)
		}
		w.want(200, "GET", "/api/product/external_id/A1-RED", nil)
		w.want(200, "GET", "/api/order/number/7", nil)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func stockedFile(t *testing.T, file string, fill bool) *world {
	with := func(c *nuorder.Config) { c.DataFile = file }
	if !fill {
		return setup(t, with)
	}
	w := stocked(t, with)
	w.want(201, "PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
	return w
}

func TestBadConfigsAreRefused(t *testing.T) {
	t.Parallel()
	good := nuorder.Portal{Name: "a", ConsumerKey: "k", ConsumerSecret: "s", Token: "t", TokenSecret: "ts"}
	for name, c := range map[string]nuorder.Config{
		"no portal": {}, "twice": {Portals: []nuorder.Portal{good, good}}, "half a token": {Portals: []nuorder.Portal{{Name: "a", ConsumerKey: "k", ConsumerSecret: "s", Token: "t"}}},
		"limits": {Portals: []nuorder.Portal{good}, Limits: &nuorder.Limits{Rate: -1}}, "switches": {Portals: []nuorder.Portal{good}, Switches: &nuorder.Switches{}},
	} {
		if _, err := nuorder.New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
