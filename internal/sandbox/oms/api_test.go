package oms_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/oms"
)

type client struct {
	t     *testing.T
	url   string
	api   *oms.API
	dress func(*http.Request)
}

func newAPI(t *testing.T, pool *pgxpool.Pool, c oms.APIConfig) *client {
	t.Helper()
	c.Hooks = true
	api, err := oms.NewAPI(pool, c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(func() { server.Close(); api.Close() })
	return &client{t: t, url: server.URL, api: api, dress: func(*http.Request) {}}
}

// do sends one request on a connection of its own; status 0 is a cut connection.
func (c *client) do(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if raw, ok := body.(string); ok {
		text = []byte(raw)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Close = true
	c.dress(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	var answer map[string]any
	out, _ := io.ReadAll(resp.Body)
	_ = json.Unmarshal(out, &answer) // 204 has none
	return resp.StatusCode, answer
}

func someOrder(t *testing.T, pool *pgxpool.Pool, ref string) map[string]any {
	t.Helper()
	var customer, upc, item, season, color, size string
	err := pool.QueryRow(t.Context(), `select (select min(customer_id) from oms.customers where status = 'Active' and currency = 'USD'), k.upc, s.item_number, s.season_code, c.color_code, k.size
		from oms.styles s join oms.style_colors c using (style_id) join oms.skus k using (style_color_id) order by k.sku_id limit 1`).
		Scan(&customer, &upc, &item, &season, &color, &size)
	if err != nil {
		t.Fatal(err)
	}
	var other string
	if err := pool.QueryRow(t.Context(), "select upc from oms.skus order by sku_id offset 5 limit 1").Scan(&other); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"external_ref": ref, "customer_id": customer, "po_number": "PO 1", "currency": "USD", "discount_rate": "2.50", "notes": "café",
		"custom": map[string]any{"channel": "nuorder"},
		"lines": []map[string]any{
			{"item_number": item, "season_code": season, "color_code": color, "size": size, "quantity": 3, "price": "35.00"},
			{"upc": other, "quantity": 2, "price": 12.5, "warehouse_no": 1},
		},
	}
}

func TestOrderIsCreatedFoundAndRead(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	c := newAPI(t, pool, oms.APIConfig{})
	before := count(t, pool, "select sum(allocated) from oms.stock")
	status, created := c.do("POST", "/sales-orders", someOrder(t, pool, "sandbox:1"))
	if status != http.StatusCreated {
		t.Fatalf("got %d %v", status, created)
	}
	no := created["order_no"].(string)
	if got := count(t, pool, "select sum(allocated) from oms.stock") - before; got != 5 {
		t.Errorf("%d pieces were allocated, want 5", got)
	}
	status, found := c.do("GET", "/sales-orders?external_ref=sandbox:1", nil)
	orders := found["orders"].([]any)
	if status != http.StatusOK || len(orders) != 1 || orders[0].(map[string]any)["order_no"] != no {
		t.Fatalf("search gave %d %v", status, found)
	}
	status, read := c.do("GET", "/sales-orders/"+no, nil)
	lines := read["lines"].([]any)
	if status != http.StatusOK || len(lines) != 2 || lines[1].(map[string]any)["price"] != "12.50" || read["custom"].(map[string]any)["channel"] != "nuorder" ||
		read["discount_rate"] != "2.50" || read["bill_to"].(map[string]any)["line_1"] == "" {
		t.Fatalf("read gave %d %v", status, read)
	}
	if status, _ := c.do("GET", "/sales-orders/1", nil); status != http.StatusNotFound {
		t.Errorf("an unknown order gave %d", status)
	}
	if status, _ := c.do("GET", "/sales-orders?external_ref=no", nil); status != http.StatusOK {
		t.Errorf("a search without result gave %d", status)
	}
}

func TestRefusalNamesEveryReasonAndStoresNothing(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	c := newAPI(t, pool, oms.APIConfig{})
	before := count(t, pool, "select count(*) from oms.sales_orders")
	for code, spoil := range map[string]func(o, line map[string]any){
		"customer_unknown":      func(o, _ map[string]any) { o["customer_id"] = "C0" },
		"currency_unknown":      func(o, _ map[string]any) { o["currency"] = "XXX" },
		"terms_unknown":         func(o, _ map[string]any) { o["terms_code"] = "X" },
		"rep_unknown":           func(o, _ map[string]any) { o["rep_code"] = "X" },
		"discount_range":        func(o, _ map[string]any) { o["discount_rate"] = "101" },
		"date_invalid":          func(o, _ map[string]any) { o["order_date"] = "11/24/2026" },
		"date_order":            func(o, _ map[string]any) { o["ship_start"], o["ship_end"] = "2026-12-02", "2026-12-01" },
		"custom_not_object":     func(o, _ map[string]any) { o["custom"] = []int{1} },
		"lines_empty":           func(o, _ map[string]any) { o["lines"] = []any{} },
		"sku_unknown":           func(_, l map[string]any) { l["size"] = "nope" },
		"quantity_not_positive": func(_, l map[string]any) { l["quantity"] = 0 },
		"price_invalid":         func(_, l map[string]any) { l["price"] = "1.001" },
		"warehouse_unknown":     func(_, l map[string]any) { l["warehouse_no"] = 9 },
	} {
		o := someOrder(t, pool, "")
		spoil(o, o["lines"].([]map[string]any)[0])
		status, answer := c.do("POST", "/sales-orders", o)
		if status != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(answer["reasons"]), "code:"+code) {
			t.Errorf("%s: got %d %v", code, status, answer)
		}
	}
	if status, _ := c.do("POST", "/sales-orders", `{"customer_id":"C1","lines":[],"colour":"red"}`); status != http.StatusBadRequest {
		t.Errorf("an unknown field gave %d", status)
	}
	if got := count(t, pool, "select count(*) from oms.sales_orders"); got != before {
		t.Errorf("%d orders were stored", got-before)
	}
}

func TestUniqueReferenceIsKeptUnderConcurrentCreates(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	c := newAPI(t, pool, oms.APIConfig{UniqueReference: true})
	var mu sync.Mutex
	seen, numbers := map[int]int{}, map[any]bool{}
	var wait sync.WaitGroup
	order := someOrder(t, pool, "sandbox:dup")
	for range 8 {
		wait.Go(func() {
			status, answer := c.do("POST", "/sales-orders", order)
			mu.Lock()
			defer mu.Unlock()
			seen[status]++
			numbers[answer["order_no"]] = true
		})
	}
	wait.Wait()
	if seen[http.StatusCreated] != 1 || seen[http.StatusConflict] != 7 || len(numbers) != 1 {
		t.Fatalf("statuses %v, numbers %v", seen, numbers)
	}
	c.do("POST", "/_sandbox/switches", map[string]any{"unique_reference": false})
	if status, _ := c.do("POST", "/sales-orders", order); status != http.StatusCreated {
		t.Errorf("with the switch off a second order gave %d", status)
	}
	_, found := c.do("GET", "/sales-orders?external_ref=sandbox:dup", nil)
	if n := len(found["orders"].([]any)); n != 2 {
		t.Errorf("search finds %d orders, want both", n)
	}
}

func TestFaultsLoseAnswersAsNamed(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	c := newAPI(t, pool, oms.APIConfig{})
	stored := func(ref string) int {
		return count(t, pool, "select count(*) from oms.sales_orders where external_ref = $1", ref)
	}
	play := func(f map[string]any) {
		t.Helper()
		f["count"] = 1
		if status, answer := c.do("POST", "/_sandbox/faults", f); status != http.StatusOK {
			t.Fatalf("hook gave %d %v", status, answer)
		}
	}
	const post = "POST /sales-orders"
	for _, step := range []struct {
		fault          map[string]any
		status, stored int
	}{
		{map[string]any{"kind": "lost_after_commit", "route": post}, 0, 1},
		{map[string]any{"kind": "lost_before_commit", "route": post}, 0, 0},
		{map[string]any{"kind": "server_error", "route": post, "status": 503}, 503, 0},
		{map[string]any{"kind": "refuse", "route": post}, 422, 0},
		{map[string]any{"kind": "unauthorized", "route": post}, 401, 0},
		{map[string]any{"kind": "slow", "delay_ms": 5}, 201, 1},
	} {
		ref := "sandbox:" + fmt.Sprint(step.fault["kind"])
		play(step.fault)
		if status, _ := c.do("POST", "/sales-orders", someOrder(t, pool, ref)); status != step.status || stored(ref) != step.stored {
			t.Errorf("%s: status %d, stored %d", ref, status, stored(ref))
		}
	}
	play(map[string]any{"kind": "applied_late", "route": post, "delay_ms": 30})
	if status, _ := c.do("POST", "/sales-orders", someOrder(t, pool, "sandbox:late")); status != 0 {
		t.Errorf("applied late gave %d", status)
	}
	awaitTrue(t, func() bool { return stored("sandbox:late") == 1 })
	play(map[string]any{"kind": "server_error", "route": "GET /sales-orders"})
	if status, _ := c.do("GET", "/sales-orders?external_ref=x", nil); status != http.StatusInternalServerError {
		t.Errorf("a failing search gave %d", status)
	}
	counters := c.api.Counters()
	if counters["fault lost_after_commit"] != 1 || counters["POST /sales-orders 0"] != 3 {
		t.Errorf("counters %v", counters)
	}
	if status, _ := c.do("POST", "/_sandbox/faults", map[string]any{"kind": "meteor"}); status != http.StatusBadRequest {
		t.Errorf("an unknown fault gave %d", status)
	}
}

func TestSearchLagHidesFreshOrders(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c := newAPI(t, pool, oms.APIConfig{SearchLag: time.Minute, Now: clock})
	c.do("POST", "/sales-orders", someOrder(t, pool, "sandbox:lag"))
	found := func() int {
		_, answer := c.do("GET", "/sales-orders?external_ref=sandbox:lag", nil)
		return len(answer["orders"].([]any))
	}
	if n := found(); n != 0 {
		t.Errorf("found %d before the lag was over", n)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if n := found(); n != 1 {
		t.Errorf("found %d after the lag", n)
	}
}

func TestEachAuthenticationTakesTheRightSecretAlone(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	for mode, dress := range map[oms.AuthMode]func(secret string, r *http.Request){
		oms.AuthBasic:  func(s string, r *http.Request) { r.SetBasicAuth("bridge", s) },
		oms.AuthBearer: func(s string, r *http.Request) { r.Header.Set("Authorization", "Bearer "+s) },
		oms.AuthAPIKey: func(s string, r *http.Request) { r.Header.Set("X-Api-Key", s) },
	} {
		c := newAPI(t, pool, oms.APIConfig{Auth: oms.Auth{Mode: mode, User: "bridge", Secret: "right"}})
		for secret, want := range map[string]int{"right": 404, "wrong": 401, "": 401} {
			c.dress = func(r *http.Request) { dress(secret, r) }
			if status, _ := c.do("GET", "/sales-orders/1", nil); status != want {
				t.Errorf("%s with secret %q gave %d, want %d", mode, secret, status, want)
			}
		}
	}
	if _, err := oms.NewAPI(pool, oms.APIConfig{Auth: oms.Auth{Mode: "magic"}}); err == nil {
		t.Error("an unknown mode was taken")
	}
	if _, err := oms.NewAPI(pool, oms.APIConfig{Auth: oms.Auth{Mode: oms.AuthOAuth2, User: "bridge"}}); err == nil {
		t.Error("a missing secret was taken")
	}
}

func TestOAuth2TokensExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, err := oms.NewAPI(nil, oms.APIConfig{Auth: oms.Auth{Mode: oms.AuthOAuth2, User: "id", Secret: "s", TokenLife: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		defer api.Close()
		ask := func(r *http.Request) (int, string) {
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			var body struct {
				Token string `json:"access_token"`
			}
			_ = json.Unmarshal(w.Body.Bytes(), &body)
			return w.Code, body.Token
		}
		form := func(secret string) *http.Request {
			r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "client_id": {"id"}, "client_secret": {secret}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		}
		if status, _ := ask(form("wrong")); status != http.StatusUnauthorized {
			t.Errorf("a wrong secret gave %d", status)
		}
		status, token := ask(form("s"))
		if status != http.StatusOK || token == "" {
			t.Fatalf("got %d", status)
		}
		use := func() int {
			r := httptest.NewRequest("GET", "/sales-orders/none", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			status, _ := ask(r)
			return status
		}
		if got := use(); got != http.StatusNotFound {
			t.Errorf("a good token gave %d", got)
		}
		<-time.After(time.Minute) // by the clock of the bubble
		if got := use(); got != http.StatusUnauthorized {
			t.Errorf("an expired token gave %d", got)
		}
	})
}

func TestOpenAPINamesEveryRoute(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(oms.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"get /health", "post /oauth/token", "post /sales-orders", "get /sales-orders", "get /sales-orders/{no}"} {
		method, path, _ := strings.Cut(route, " ")
		if doc.Paths[path][method] == nil {
			t.Errorf("%s is not described", route)
		}
	}
}

func awaitTrue(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatal("waited too long")
		case <-tick.C:
		}
	}
}
