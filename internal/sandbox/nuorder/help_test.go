package nuorder_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"

	"nubridge/internal/sandbox/nuorder"
)

// world is a sandbox with a client that signs by a library.
type world struct {
	t    *testing.T
	ctx  context.Context
	srv  *nuorder.Server
	url  string
	http *http.Client
}

type result struct {
	status int
	header http.Header
	text   string
	body   any
}

func (r result) doc(t *testing.T) map[string]any {
	t.Helper()
	d, isDoc := r.body.(map[string]any)
	if !isDoc {
		t.Fatalf("answer %d %q is no object", r.status, r.text)
	}
	return d
}

func (r result) message() string {
	d, _ := r.body.(map[string]any)
	s, _ := d["message"].(string)
	return s
}

func setup(t *testing.T, change func(*nuorder.Config)) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context()}
	cfg := nuorder.Config{
		Portals: []nuorder.Portal{
			{
				Name: "main", ConsumerKey: "ck", ConsumerSecret: "c+s/", Token: "tk", TokenSecret: "t&s",
				Warehouses: []nuorder.Warehouse{{Code: "default"}, {Code: "NY", DisplayName: "New York"}},
			},
			{Name: "other", ConsumerKey: "ck2", ConsumerSecret: "cs2", Token: "tk2", TokenSecret: "ts2"},
		},
		Seed: 7,
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := nuorder.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.srv = srv
	hs := httptest.NewServer(srv)
	t.Cleanup(func() { srv.Close(); hs.Close() })
	w.url = hs.URL
	w.http = oauth1.NewConfig("ck", "c+s/").Client(context.WithValue(t.Context(), oauth1.HTTPClient, hs.Client()), oauth1.NewToken("tk", "t&s"))
	return w
}

// try makes one signed call.
func (w *world) try(method, path string, body any) (result, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return result{}, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(w.ctx, method, w.url+path, in)
	if err != nil {
		return result{}, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return send(w.http, req)
}

// until waits for something that the server does on its own.
func (w *world) until(done func() bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatal("waited in vain")
		}
	}
}

func send(c *http.Client, req *http.Request) (result, error) {
	res, err := c.Do(req)
	if err != nil {
		return result{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	r := result{status: res.StatusCode, header: res.Header, text: string(text)}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&r.body) != nil {
		r.body = nil
	}
	return r, err
}

func (w *world) do(method, path string, body any) result {
	w.t.Helper()
	r, err := w.try(method, path, body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want makes a call that must answer a status.
func (w *world) want(status int, method, path string, body any) result {
	w.t.Helper()
	r := w.do(method, path, body)
	if r.status != status {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, r.status, r.text, status)
	}
	return r
}

func (w *world) switches(change func(*nuorder.Switches)) {
	w.t.Helper()
	sw := w.srv.Switches()
	change(&sw)
	if err := w.srv.SetSwitches(sw); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fault(f nuorder.Fault) {
	w.t.Helper()
	if _, err := w.srv.AddFault(f); err != nil {
		w.t.Fatal(err)
	}
}

type (
	m = map[string]any
	l = []any
)

func productBody(style string) m {
	return m{
		"style_number": style, "season": "SS26", "color": "RED", "name": "Shirt " + style, "brand_id": style + "-RED",
		"sizes":   l{m{"size": "S", "upc": style + "1"}, m{"size": "M", "upc": style + "2"}},
		"pricing": m{"USD": m{"wholesale": json.Number("35.10"), "retail": 70}},
	}
}

func companyBody(code string) m {
	return m{"name": "Shop " + code, "code": code, "currency_code": "USD", "addresses": l{
		m{"display_name": "Billing", "line_1": "1 Main St", "country": "US", "type": "billing", "billing_code": "B1"},
		m{"display_name": "Store 1", "line_1": "2 Side St", "country": "US", "type": "shipping", "shipping_code": "S1"},
	}}
}

func orderLine(brand string, qty map[string]int) m {
	sizes := l{}
	for _, size := range []string{"S", "M"} {
		if q, there := qty[size]; there {
			sizes = append(sizes, m{"size": size, "quantity": q, "price": json.Number("35.10")})
		}
	}
	return m{"product": m{"brand_id": brand}, "ship_start": "2026-03-01", "ship_end": "2026-03-31", "sizes": sizes}
}

func orderBody(number string, lines ...any) m {
	return m{
		"order_number": number, "external_id": "oms:" + number, "currency_code": "USD", "status": "approved",
		"ship_start": "2026-03-01", "ship_end": "2026-03-31", "retailer": m{"retailer_code": "C1"}, "line_items": lines,
	}
}

// stocked is a world with a company, two products and stock of ten each.
func stocked(t *testing.T, change func(*nuorder.Config)) *world {
	t.Helper()
	w := setup(t, change)
	w.want(201, "PUT", "/api/company/new/force", companyBody("C1"))
	for _, style := range []string{"A1", "A2"} {
		w.want(201, "PUT", "/api/product/new/force", productBody(style))
		w.want(200, "POST", "/api/inventory/external_id/"+style+"-RED", stockBody(10))
	}
	return w
}

func stockBody(n int) m {
	return m{"inventory": l{m{"warehouse": "default", "prebook": false, "wip": l{
		m{"name": "immediate", "sizes": l{m{"size": "S", "quantity": n}, m{"size": "M", "quantity": n}}},
		m{"name": "06/15/2026", "sizes": l{m{"size": "M", "quantity": 5}}},
	}}}}
}

// legacy makes a call signed in the older form, written here from its description alone.
func (w *world) legacy(method, path string, p map[string]string, secrets string, unquoted bool) result {
	w.t.Helper()
	plain, _, _ := strings.Cut(path, "?")
	text := method + w.url + plain + "?oauth_consumer_key=" + p["oauth_consumer_key"] + "&oauth_token=" + p["oauth_token"] +
		"&oauth_timestamp=" + p["oauth_timestamp"] + "&oauth_nonce=" + p["oauth_nonce"] + "&oauth_version=1.0&oauth_signature_method=HMAC-SHA1"
	for _, k := range []string{"oauth_callback", "oauth_verifier"} {
		if v, there := p[k]; there {
			text += "&" + k + "=" + v
		}
	}
	mac := hmac.New(sha1.New, []byte(secrets))
	mac.Write([]byte(text))
	parts := []string{`oauth_version="1.0"`, `oauth_signature_method="HMAC-SHA1"`, `oauth_signature="` + hex.EncodeToString(mac.Sum(nil)) + `"`}
	for k, v := range p {
		parts = append(parts, fmt.Sprintf("%s=%q", k, v))
	}
	header := "OAuth " + strings.Join(parts, ",")
	if unquoted {
		header = strings.ReplaceAll(header, `"`, "")
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", header)
	r, err := send(http.DefaultClient, req)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func legacyParams(nonce string) map[string]string {
	return map[string]string{
		"oauth_consumer_key": "ck", "oauth_token": "tk", "oauth_timestamp": strconv.FormatInt(time.Now().Unix(), 10),
		"oauth_nonce": nonce,
	}
}
