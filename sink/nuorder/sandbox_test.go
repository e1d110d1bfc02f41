package nuorder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// world is a sandbox, a client for it, and what a ledger would know.
type world struct {
	t         *testing.T
	server    *portal.Server
	client    *nuorder.Client
	base      nuorder.Config
	objects   *memory
	yield     bool
	conflict  atomic.Pointer[conflict]
	missing   atomic.Pointer[missing]
	lie       atomic.Pointer[lie]
	products  *nuorder.Products
	customers *nuorder.Customers
	stock     *nuorder.Stock
}

// memory is a ledger in memory.
type memory struct {
	mu      sync.Mutex
	objects map[ledger.ObjectID]ledger.Object
	doubted []string
}

func (m *memory) ByKey(_ context.Context, environment string, kind mapper.Kind, keys []mapper.Key) (map[mapper.Key]ledger.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[mapper.Key]ledger.Object)
	for _, k := range keys {
		if o, ok := m.objects[ledger.ObjectID{Environment: environment, Kind: kind, Key: k}]; ok {
			o.Identity = maps.Clone(o.Identity)
			found[k] = o
		}
	}
	return found, nil
}

func (m *memory) ByRemoteID(_ context.Context, environment string, kind mapper.Kind, ids []string) (map[string]ledger.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]ledger.Object)
	for id, o := range m.objects {
		if id.Environment == environment && id.Kind == kind && slices.Contains(ids, o.RemoteID) {
			found[o.RemoteID] = o
		}
	}
	return found, nil
}

func (m *memory) Doubt(_ context.Context, environment string, flow mapper.Flow, keys []mapper.Key, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		m.doubted = append(m.doubted, fmt.Sprintf("%s %s %s", flow, k, reason))
		id := ledger.ObjectID{Environment: environment, Kind: flow.Kind(), Key: k}
		if o, ok := m.objects[id]; ok {
			o.InDoubt = true
			m.objects[id] = o
		}
	}
	return nil
}

func newWorld(t *testing.T, switches func(*portal.Switches), change func(*nuorder.Config)) *world {
	t.Helper()
	sw := portal.DefaultSwitches()
	if switches != nil {
		switches(&sw)
	}
	server, err := portal.New(portal.Config{
		Portals: []portal.Portal{{
			Name: "brand", ConsumerKey: "ck", ConsumerSecret: "c&s", Token: "tk", TokenSecret: "t/s",
			Warehouses: []portal.Warehouse{{ID: "aaaaaaaaaaaaaaaaaaaaaaa1", Code: "default"}, {ID: "aaaaaaaaaaaaaaaaaaaaaaa2", Code: "2"}},
		}},
		Switches: &sw, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: server}
	h := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if c := w.conflict.Load(); c != nil && in.Method == c.method && strings.HasPrefix(in.URL.Path, c.path) && w.conflict.CompareAndSwap(c, nil) {
			out.Header().Set("Content-Type", "application/json")
			out.WriteHeader(http.StatusConflict)
			fmt.Fprint(out, c.body)
			return
		}
		if l := w.lie.Load(); l != nil && in.Method == l.method && strings.HasPrefix(in.URL.Path, l.path) && w.lie.CompareAndSwap(l, nil) {
			l.tell(server, out, in)
			return
		}
		if m := w.missing.Load(); m != nil && m.tell(server, out, in) {
			return
		}
		server.ServeHTTP(out, in)
	}))
	t.Cleanup(func() { server.Close(); h.Close() })
	base := nuorder.Config{
		Environment: "test", BaseURL: h.URL, Limits: nuorder.Limits{Rate: 100_000, Burst: 1000},
		Network: nuorder.Network{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, PlainHTTP: true},
	}
	c := base
	if change != nil {
		change(&c)
	}
	client, err := nuorder.New(c, nuorder.Deps{Credentials: func() nuorder.Credentials {
		return nuorder.Credentials{ConsumerKey: "ck", ConsumerSecret: "c&s", Token: "tk", TokenSecret: "t/s"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	m := &memory{objects: make(map[ledger.ObjectID]ledger.Object)}
	w.client, w.base, w.objects = client, base, m
	w.products, w.customers, w.stock = nuorder.NewProducts(client, m), nuorder.NewCustomers(client), nuorder.NewStock(client, m)
	return w
}

// conflict is an answer of 409 to the next call of a method to a path.
type conflict struct{ method, path, body string }

// lie is a success that shows something else than it must, once. Undone, the call is not carried out either.
type lie struct {
	method, path string
	replace      [2]string
	undone       string // what is read instead
}

func (l *lie) tell(server http.Handler, out http.ResponseWriter, in *http.Request) {
	if l.undone != "" {
		_, _ = io.WriteString(out, l.undone)
		return
	}
	kept := httptest.NewRecorder()
	server.ServeHTTP(kept, in)
	maps.Copy(out.Header(), kept.Header())
	out.Header().Del("Content-Length")
	out.WriteHeader(kept.Code)
	_, _ = io.WriteString(out, strings.ReplaceAll(kept.Body.String(), l.replace[0], l.replace[1]))
}

// missing is an answer of 404 to every write whose path begins so, whether it is carried out or not.
type missing struct {
	path  string
	done  bool
	reads bool // are answered so, too
	told  atomic.Int32
}

func (m *missing) tell(server http.Handler, out http.ResponseWriter, in *http.Request) bool {
	if in.Method == http.MethodGet && !m.reads || !strings.HasPrefix(in.URL.Path, m.path) {
		return false
	}
	if m.done {
		server.ServeHTTP(httptest.NewRecorder(), in)
	}
	m.told.Add(1)
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(http.StatusNotFound)
	fmt.Fprint(out, `{"code":404,"message":"product not found"}`)
	return true
}

// clientWith makes another client, with other credentials.
func (w *world) clientWith(family nuorder.Signature, change func(*nuorder.Credentials)) *nuorder.Client {
	w.t.Helper()
	credentials := nuorder.Credentials{ConsumerKey: "ck", ConsumerSecret: "c&s", Token: "tk", TokenSecret: "t/s"}
	change(&credentials)
	config := w.base
	config.Signature = family
	client, err := nuorder.New(config, nuorder.Deps{Credentials: func() nuorder.Credentials { return credentials }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

func (w *world) object(flow mapper.Flow, key mapper.Key) ledger.Object {
	w.objects.mu.Lock()
	defer w.objects.mu.Unlock()
	id := ledger.ObjectID{Environment: "test", Kind: flow.Kind(), Key: key}
	if o, ok := w.objects.objects[id]; ok {
		return o
	}
	return ledger.Object{ObjectID: id}
}

// deliver does what the loop does: hand over the object, keep what comes back.
func (w *world) deliver(flow mapper.Flow, key, remoteKey, body string) (sink.Delivery, error) {
	w.t.Helper()
	var r sink.Remote
	switch flow {
	case mapper.Products:
		r = w.products
	case mapper.Customers:
		r = w.customers
	default:
		r = w.stock
	}
	b := mapper.Body{Flow: flow, Key: mapper.Key(key), RemoteKey: remoteKey, JSON: []byte(body), Filtered: body == ""}
	d, err := r.Deliver(w.t.Context(), sink.Work{Environment: "test", Body: b, Object: w.object(flow, mapper.Key(key)), Deadline: time.Now().Add(20 * time.Second), Yield: w.yield})
	if err == nil {
		kept := d.Object
		if d.Disposition == ledger.Waiting { // nothing of it is stored, and calls leave a doubt
			kept = w.object(flow, mapper.Key(key))
			kept.InDoubt = kept.InDoubt || d.Calls > 0
		}
		w.objects.mu.Lock()
		w.objects.objects[d.Object.ObjectID] = kept
		w.objects.mu.Unlock()
	}
	return d, err
}

func (w *world) must(flow mapper.Flow, key, remoteKey, body string, want ledger.Disposition) sink.Delivery {
	w.t.Helper()
	d, err := w.deliver(flow, key, remoteKey, body)
	if err != nil {
		w.t.Fatalf("deliver %s %s: %v", flow, key, err)
	}
	if d.Disposition != want {
		w.t.Fatalf("deliver %s %s: %s, want %s", flow, key, d.Disposition, want)
	}
	return d
}

func product(name string, more string) string {
	return `{"brand_id":"B-1","style_number":"s1","season":"FW26","color":"Red","name":"` + name + `","sizes":[{"size":"S","upc":"1"},{"size":"M","upc":"2"}],"pricing":{"USD":{"wholesale":10.00,"retail":20.00}}` + more + `}`
}

func stock(quantity int) string {
	return fmt.Sprintf(`{"inventory":[{"warehouse":"default","prebook":false,"wip":[{"name":"immediate","sizes":[{"size":"S","quantity":%d},{"size":"M","quantity":1}]},{"name":"12/31/2099","sizes":[{"size":"S","quantity":7}]}]}]}`, quantity)
}

// both runs a test in each signature family, and with a portal that folds case and replaces whole documents.
func both(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("standard", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, func(s *portal.Switches) { s.Signatures = "S" }, nil))
	})
	t.Run("legacy", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, func(s *portal.Switches) { s.Signatures = "L" }, func(c *nuorder.Config) { c.Signature = nuorder.Legacy; c.Gzip = 10 }))
	})
	t.Run("folding", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, func(s *portal.Switches) {
			s.Case, s.ProductUpdate, s.CompanyUpdate, s.ClassicAnswer = "fold", "replace", "replace", "array"
		}, func(c *nuorder.Config) { c.Dialect.StockByExternalID, c.Dialect.CompanyByCode = true, true }))
	})
}

func TestProductIsMadeChangedArchivedAndRestored(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		d := w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
		id := d.Object.RemoteID
		if len(id) != 24 || d.Calls != 1 || !strings.EqualFold(d.Object.StoredKey, "B-1") || d.Object.Identity["size:M"] == "" || !d.Object.Known {
			t.Fatalf("after create: %+v", d)
		}
		w.must(mapper.Products, "1", "B-1", product("two", ""), ledger.Delivered)
		d = w.must(mapper.Products, "1", "B-1", "", ledger.Delivered)
		if got := w.stored(id); got["archived"] != true || len(got["sizes"].([]any)) != 2 {
			t.Fatalf("after the filter: %v", got)
		}
		d = w.must(mapper.Products, "1", "B-1", product("three", ""), ledger.Delivered)
		if got := w.stored(id); got["archived"] == true || got["active"] == false || got["name"] != "three" || d.Object.RemoteID != id {
			t.Fatalf("after the return: %v", got)
		}
	})
}

func TestNameOfAnArchivedProductIsGivenUpToTheOneThatWantsIt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		old := w.must(mapper.Products, "1|RED", "B-RED", strings.Replace(product("one", ""), "B-1", "B-RED", 1), ledger.Delivered).Object
		renamed := strings.Replace(product("one", ""), "B-1", "B-RD0", 1)
		// The new key comes first, while the old one still lives at NuORDER.
		d := w.must(mapper.Products, "1|RD0", "B-RD0", renamed, ledger.Waiting)
		if len(d.WaitFor) != 1 || d.WaitFor[0].Key != "1|RED" || !slices.Equal(w.objects.doubted, []string{"products 1|RED name wanted"}) {
			t.Fatalf("waits for %v, asked %v", d.WaitFor, w.objects.doubted)
		}
		w.yield = true // as the loop does for such a request
		w.must(mapper.Products, "1|RED", "", "", ledger.Delivered)
		w.yield = false
		w.must(mapper.Products, "1|RD0", "B-RD0", renamed, ledger.Delivered)
		if got := w.stored(old.RemoteID); got["archived"] != true || got["color"] == "Red" {
			t.Errorf("the old product: archived %v, color %v", got["archived"], got["color"])
		}
		if got := w.stored(w.object(mapper.Products, "1|RD0").RemoteID); got["archived"] == true || got["color"] != "Red" {
			t.Errorf("the new product: archived %v, color %v", got["archived"], got["color"])
		}
		// Two living documents with one name are for a person.
		other := strings.Replace(product("one", ""), "B-1", "B-TWO", 1)
		w.must(mapper.Products, "2|X", "B-TWO", other, ledger.Waiting)
		w.must(mapper.Products, "1|RD0", "B-RD0", renamed, ledger.Delivered)
		if _, err := w.deliver(mapper.Products, "2|X", "B-TWO", other); fault.CodeOf(err) != nuorder.CodeConflict {
			t.Errorf("got %v, want a conflict", err)
		}
	})
}

func TestStockThatIsGoneIsZeroAndNotWithoutALimit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		d := w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
		w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered)
		w.must(mapper.Inventory, "1", "B-1", `{"inventory":[]}`, ledger.Delivered)
		raw, err := w.client.ReadInventory(t.Context(), d.Object.RemoteID)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(raw); strings.Count(text, `"quantity":0`) != 2 || strings.Contains(text, `"quantity":1`) || strings.Contains(text, `"quantity":7`) {
			t.Errorf("got %s, want zero of both sizes", text)
		}
	})
}

func (w *world) stored(id string) map[string]any {
	w.t.Helper()
	p, err := w.client.Product(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(p.Raw, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

func TestProductGoneAtThePortalIsMadeAgainAndItsStockDoubted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	o := w.object(mapper.Products, "1")
	o.RemoteID, o.Known = "0123456789abcdef01234567", true
	w.objects.objects[o.ObjectID] = o
	d := w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	if d.Object.RemoteID == o.RemoteID || d.Calls != 2 || len(w.objects.doubted) != 1 || w.objects.doubted[0] != "inventory 1 product_recreated" {
		t.Fatalf("got %+v, doubted %v", d.Object, w.objects.doubted)
	}
}

func TestStockWaitsForItsProductAndIsReplacedWhole(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		d := w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Waiting)
		if len(d.WaitFor) != 1 || d.WaitFor[0] != (mapper.Ref{Flow: mapper.Products, Key: "1"}) || d.Calls != 0 {
			t.Fatalf("got %+v", d)
		}
		w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
		if d = w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered); d.Calls != 1 {
			t.Fatalf("%d calls", d.Calls)
		}
		w.must(mapper.Inventory, "1", "B-1", stock(6), ledger.Delivered)
		if got := w.quantities(); got != "S immediate 6, M immediate 1, S later 7" {
			t.Fatal(got)
		}
		w.must(mapper.Inventory, "1", "B-1", "", ledger.Delivered)
		if got := w.quantities(); got != "S immediate 0, M immediate 0, S later 0" {
			t.Fatal(got)
		}
	})
}

// quantities tells the stock of product 1 as the portal has it.
func (w *world) quantities() string {
	w.t.Helper()
	raw, err := w.client.ReadInventory(w.t.Context(), w.object(mapper.Products, "1").RemoteID)
	if err != nil {
		w.t.Fatal(err)
	}
	var got nuorder.Inventory
	if err := json.Unmarshal(raw, &got); err != nil {
		w.t.Fatal(err)
	}
	var parts []string
	for _, name := range []string{"immediate", "later"} {
		for _, size := range []string{"S", "M"} {
			for _, h := range got.Inventory {
				for _, d := range h.WIP {
					for _, s := range d.Sizes {
						if string(s.Size) == size && (d.Name == nuorder.Immediate) == (name == "immediate") {
							parts = append(parts, fmt.Sprint(size, " ", name, " ", s.Quantity))
						}
					}
				}
			}
		}
	}
	return strings.Join(parts, ", ")
}

func TestStockOfAProductThatIsGoneAsksForItOnceAndWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	o := w.object(mapper.Products, "1")
	o.RemoteID, o.Known = "0123456789abcdef01234567", true
	w.objects.objects[o.ObjectID] = o
	w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Waiting)
	if len(w.objects.doubted) != 1 || w.objects.doubted[0] != "products 1 product_missing" {
		t.Fatalf("doubted %v", w.objects.doubted)
	}
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	w.must(mapper.Inventory, "1", "B-1", stock(5), ledger.Delivered)
}

// A portal that does not take the configured kind of inventory answers 404 too; the product must not be made again for that.
func TestInventoryThatThePortalDoesNotServeIsARejectAndNoLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *portal.Switches) { s.Inventory = "v3" }, nil)
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	_, err := w.deliver(mapper.Inventory, "1", "B-1", stock(5))
	if fault.KindOf(err) != fault.Reject || len(w.objects.doubted) != 0 || !strings.Contains(err.Error(), "kind of inventory") {
		t.Fatalf("got %v, doubted %v", err, w.objects.doubted)
	}
}

func TestStockAsReplenishmentsGoesByDifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *portal.Switches) { s.Inventory = "both" }, func(c *nuorder.Config) {
		c.Dialect.Replenishments = true
		c.Dialect.Warehouses = map[string]string{"default": "aaaaaaaaaaaaaaaaaaaaaaa1"}
	})
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	for i, step := range []struct {
		body, want string
		calls      int
	}{
		{stock(5), "S immediate 5, M immediate 1, S later 7", 2},
		{stock(5), "S immediate 5, M immediate 1, S later 7", 0},
		{stock(9), "S immediate 9, M immediate 1, S later 7", 2},
		{`{"inventory":[{"warehouse":"default","wip":[{"name":"immediate","sizes":[{"size":"S","quantity":9},{"size":"M","quantity":1}]}]}]}`, "S immediate 9, M immediate 1", 2},
	} {
		d := w.must(mapper.Inventory, "1", "B-1", step.body, ledger.Delivered)
		got := strings.TrimSuffix(w.quantities(), ", S later 0")
		if got != step.want || d.Calls != step.calls {
			t.Fatalf("step %d: %s after %d calls, want %s after %d", i, got, d.Calls, step.want, step.calls)
		}
	}
}

func TestCompanyIsMadeChangedAndSetInactive(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		body := `{"name":"Shop","code":"C1","currency_code":"USD","addresses":[{"display_name":"Billing Address","type":"both","line_1":"1 Road","city":"X","zip":"1","country":"US"}]}`
		d := w.must(mapper.Customers, "C1", "C1", body, ledger.Delivered)
		if d.Object.RemoteID == "" || d.Object.StoredKey != "C1" {
			t.Fatalf("got %+v", d.Object)
		}
		w.must(mapper.Customers, "C1", "C1", strings.Replace(body, "Shop", "Shop 2", 1), ledger.Delivered)
		w.must(mapper.Customers, "C1", "C1", "", ledger.Delivered)
		p, err := w.client.CompanyByCode(t.Context(), "C1")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(p.Raw), `"active":false`) || p.Name != "Shop 2" {
			t.Fatalf("got %s", p.Raw)
		}
		w.must(mapper.Customers, "nobody", "C9", "", ledger.Filtered)
	})
}

func TestRefusedBodyIsARejectThatNamesThePortalsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	_, err := w.deliver(mapper.Products, "1", "B-1", `{"brand_id":"B-1"}`)
	if fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != nuorder.CodeBadRequest || !strings.Contains(err.Error(), "PUT /api/product/new/force: status 400") {
		t.Fatalf("got %v", err)
	}
}
