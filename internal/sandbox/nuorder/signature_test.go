package nuorder

import (
	"strings"
	"testing"
)

// The base string of RFC 5849 section 3.4.1.1 and the signature of its section 1.2.
func TestRFC5849VectorsHold(t *testing.T) {
	t.Parallel()
	query, err := parseForm("b5=%3D%253D&a3=a&c%40=&a2=r%20b")
	if err != nil {
		t.Fatal(err)
	}
	form, err := parseForm("c2&a3=2+q")
	if err != nil {
		t.Fatal(err)
	}
	params := append(append(query, form...), param{"oauth_consumer_key", "9djdj82h48djs9d2"}, param{"oauth_token", "kkk9d7dh3k39sjv7"},
		param{"oauth_signature_method", "HMAC-SHA1"}, param{"oauth_timestamp", "137131201"}, param{"oauth_nonce", "7d8f3e4a"})
	base, _ := normalURL("http://EXAMPLE.COM:80/request")
	want := "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26" +
		"oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := baseString("post", base, params); got != want {
		t.Errorf("base string\ngot  %s\nwant %s", got, want)
	}

	photos := []param{
		{"file", "vacation.jpg"},
		{"size", "original"},
		{"oauth_consumer_key", "dpf43f3p2l4k3l03"},
		{"oauth_token", "nnch734d00sl2jdk"},
		{"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131202"},
		{"oauth_nonce", "chapoH"},
	}
	got := signS(baseString("GET", "http://photos.example.net/photos", photos), "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
	if got != "MdpQcU8iPSUjWoN/UDMsK2sui9I=" {
		t.Errorf("signature %s differs from the RFC's", got)
	}
}

// Both digests were made by python's hmac module, the second also by: printf '%s' TEXT | openssl dgst -sha1 -hmac 'cs+1/&ts=2%'.
func TestLegacyVectorsHold(t *testing.T) {
	t.Parallel()
	p := map[string]string{
		"oauth_consumer_key": "ck1", "oauth_token": "", "oauth_timestamp": "1400000000", "oauth_nonce": "abcdefghijklmnop",
		"oauth_version": "1.0", "oauth_signature_method": "HMAC-SHA1", "oauth_callback": "oob", "application_name": "not signed",
	}
	text := legacyString("get", "http://sandbox.example:8080/api/initiate", p)
	if got := signL(text, "cs+1/", ""); got != "efef65a30fd0627ec4e5991c1f8796e82e24e3f9" {
		t.Errorf("initiate: got %s for %s", got, text)
	}
	p = map[string]string{
		"oauth_consumer_key": "ck1", "oauth_token": "tk1", "oauth_timestamp": "1400000000", "oauth_nonce": "0123456789abcdef",
		"oauth_version": "1.0", "oauth_signature_method": "HMAC-SHA1",
	}
	text = legacyString("POST", "https://sandbox.example/api/order/5f0000000000000000000001/processed", p)
	if got := signL(text, "cs+1/", "ts=2%"); got != "ab99859db4d09f9b6761442c5d20c5439ff74fa8" {
		t.Errorf("processed: got %s for %s", got, text)
	}
}

func TestAuthorizationHeaderIsReadInAllItsSpellings(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		`OAuth a="1",b="x%20y"`:                 "x y",
		`oAuth b=x%20y, a=1`:                    "x y",
		`oauth a="1", b="x, y"`:                 "x, y",
		`OAuth realm="r",b="http://h/?q=1",a=1`: "http://h/?q=1",
	} {
		h, err := parseAuth(header)
		if err != nil || h.val["b"] != want || h.val["a"] != "1" {
			t.Errorf("%s: got %v, %v", header, h.val, err)
		}
	}
	for _, header := range []string{"", "OAuth", "Basic a=b", `OAuth a`, `OAuth a=1,a=2`, `OAuth a="1`, `OAuth a=%zz`, `OAuth =x`, `OAuth %61=x`} {
		if _, err := parseAuth(header); err == nil {
			t.Errorf("%q was accepted", header)
		}
	}
}

func FuzzAuthorizationHeader(f *testing.F) {
	f.Add(`OAuth oauth_consumer_key="a",oauth_signature="x%3D"`)
	f.Add(`oAuth a=1, b="2,3"`)
	f.Fuzz(func(t *testing.T, header string) {
		h, err := parseAuth(header)
		if err != nil {
			return
		}
		for k, v := range h.raw {
			if k == "" || strings.Contains(v, `"`) || len(h.val) != len(h.raw) {
				t.Fatalf("%q gave %q=%q", header, k, v)
			}
		}
	})
}

func FuzzBodiesNeverPanic(f *testing.F) {
	f.Add([]byte(`{"style_number":"1","season":"S","color":"c","name":"n","sizes":[{"size":"M"}],"pricing":{"USD":{"wholesale":1}}}`))
	f.Add([]byte(`{"order_number":"1","external_id":"x","currency_code":"USD","retailer":{"retailer_code":"C"},"line_items":[{"sizes":[]}]}`))
	f.Add([]byte(`{"inventory":[{"warehouse":"default","wip":[{"name":"immediate","sizes":[{"size":"M","quantity":1e9}]}]}],"addresses":[{}]}`))
	f.Add([]byte(`{"shipments":[{"line_items":[{"product":{"_id":1}}]}],"replenishments":[{"sku_id":1}],"pricing":[{}],"currency_code":"USD"}`))
	s, err := New(Config{Portals: []Portal{{Name: "p", ConsumerKey: "k", ConsumerSecret: "s", Token: "t", TokenSecret: "ts"}}})
	if err != nil {
		f.Fatal(err)
	}
	p := s.ordered[0]
	wh := p.warehouses[0].ID
	seed := func(body string, h func(*call) answer) {
		sw := s.Switches()
		c := &call{s: s, p: p, sw: &sw, now: s.now(), vars: map[string]string{}, query: values{}, body: []byte(body)}
		if a := h(c); a.status >= 300 {
			f.Fatalf("seed: %v", a.body)
		}
	}
	seed(`{"style_number":"1","season":"S","color":"c","name":"n","brand_id":"b","sizes":[{"size":"M"}]}`, func(c *call) answer { return c.putProduct(true) })
	seed(`{"name":"n","code":"C","currency_code":"USD"}`, func(c *call) answer { return c.putCompany(true) })
	seed(`{"order_number":"1","external_id":"x","currency_code":"USD","ship_start":"2026-01-01","ship_end":"2026-01-02","retailer":{"retailer_code":"C"},
		"line_items":[{"brand_id":"b","ship_start":"2026-01-01","ship_end":"2026-01-02","sizes":[{"size":"M","quantity":1,"price":2}]}]}`, (*call).createOrder)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, mode := range []string{"replace", "merge"} {
			for _, h := range []func(*call) answer{
				func(c *call) answer { return c.putProduct(true) }, func(c *call) answer { return c.putCompany(true) }, (*call).createOrder,
				func(c *call) answer { return c.updateOrder(sorted(p.orders)[0]) }, func(c *call) answer { return c.putInventory(sorted(p.products)[0]) },
				(*call).putReplenishments, (*call).putSheet, (*call).putProductSheets, func(c *call) answer { return c.addBuyer(sorted(p.companies)[0]) },
			} {
				sw := s.Switches()
				sw.Arrays = mode
				c := &call{
					s: s, p: p, sw: &sw, now: s.now(), query: values{}, body: body,
					vars: map[string]string{"warehouse": wh, "template": "t", "ext": "b", "__method": "POST"},
				}
				p.mu.Lock()
				a := h(c)
				a.encode(&sw, "GET")
				p.mu.Unlock()
			}
		}
	})
}
