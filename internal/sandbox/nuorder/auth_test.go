package nuorder_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"

	"nubridge/internal/sandbox/nuorder"
)

func TestBothSignatureFamiliesAreVerified(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.want(200, "GET", "/api/orders/approved/list", nil)
	w.want(200, "GET", "/api/orders/list?start_date=2026-01-01&end_date=2026-12-31", nil)
	w.want(404, "GET", "/api/product/external_id/a%2Fb%20c%C3%A9", nil)
	if r := w.legacy("GET", "/api/orders/approved/list", legacyParams("n1"), "c+s/&t&s", false); r.status != 200 {
		t.Errorf("legacy: %d %s", r.status, r.text)
	}
	if r := w.legacy("GET", "/api/orders/approved/list", legacyParams("n2"), "c+s/&t&x", false); r.status != 401 || r.text != `{"code":401,"message":"Signature is not correct"}` &&
		r.text != `{"message":"Signature is not correct","code":401}` {
		t.Errorf("legacy with one wrong byte: %d %s", r.status, r.text)
	}
	if r := w.legacy("GET", "/api/orders/approved/list?__limit=3", legacyParams("n3"), "c+s/&t&s", false); r.status != 401 {
		t.Errorf("legacy with a query: %d %s", r.status, r.text)
	}
	w.switches(func(s *nuorder.Switches) { s.LegacyQuery = "outside" })
	if r := w.legacy("GET", "/api/orders/approved/list?__limit=3", legacyParams("n4"), "c+s/&t&s", false); r.status != 200 {
		t.Errorf("legacy with an unsigned query switched on: %d %s", r.status, r.text)
	}
	if r := w.legacy("GET", "/api/orders/approved/list", legacyParams("n5"), "c+s/&t&s", true); r.status != 401 {
		t.Errorf("unquoted: %d", r.status)
	}
	w.switches(func(s *nuorder.Switches) { s.RequireQuotes = false; s.Signatures = "L" })
	if r := w.legacy("GET", "/api/orders/approved/list", legacyParams("n6"), "c+s/&t&s", true); r.status != 200 {
		t.Errorf("unquoted switched on: %d", r.status)
	}
	w.want(401, "GET", "/api/orders/approved/list", nil)
	w.switches(func(s *nuorder.Switches) { s.Signatures = "S" })
	w.want(200, "GET", "/api/orders/approved/list", nil)
	if r := w.legacy("GET", "/api/orders/approved/list", legacyParams("n7"), "c+s/&t&s", true); r.status != 401 {
		t.Errorf("legacy switched off: %d", r.status)
	}
}

// flip changes one byte of a header's signature on its way out.
type flip struct{ change func(string) string }

func (f flip) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", f.change(r.Header.Get("Authorization")))
	return http.DefaultTransport.RoundTrip(r)
}

func TestOneWrongByteOfASignatureIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	seen := ""
	w.http = oauth1.NewConfig("ck", "c+s/").Client(context.WithValue(t.Context(), oauth1.HTTPClient, &http.Client{Transport: flip{func(h string) string {
		at := strings.Index(h, `oauth_signature="`) + len(`oauth_signature="`)
		other := "A"
		if h[at] == 'A' {
			other = "B"
		}
		seen = h[:at] + other + h[at+1:]
		return seen
	}}}), oauth1.NewToken("tk", "t&s"))
	r := w.want(401, "GET", "/api/orders/approved/list", nil)
	if r.message() != "Signature is not correct" {
		t.Errorf("message %q", r.message())
	}
	if c := w.srv.Counts(); c.Refused["RFC 5849 signature differs"] != 1 {
		t.Errorf("refusals %v", c.Refused)
	}
	for _, e := range w.srv.Journal(nuorder.JournalQuery{}) {
		if strings.Contains(e.Request+e.Answer+e.Query, "oauth_signature") {
			t.Error("the journal holds a signature")
		}
	}
}

func TestANonceIsTakenOncePerTokenAndTimestamp(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	p := legacyParams("same-nonce-16chr")
	if r := w.legacy("GET", "/api/orders/approved/list", p, "c+s/&t&s", false); r.status != 200 {
		t.Fatalf("first: %d", r.status)
	}
	if r := w.legacy("GET", "/api/orders/approved/list", p, "c+s/&t&s", false); r.status != 401 {
		t.Errorf("second: %d", r.status)
	}
}

func TestAClockOutsideTheWindowIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	for skew, status := range map[time.Duration]int{0: 200, 4 * time.Minute: 200, -4 * time.Minute: 200, 6 * time.Minute: 401, -6 * time.Minute: 401} {
		w.srv.SetSkew(skew)
		r := w.do("GET", "/api/orders/approved/list", nil)
		if r.status != status {
			t.Errorf("skew %v: got %d, want %d", skew, r.status, status)
		}
		date, err := http.ParseTime(r.header.Get("Date"))
		if err != nil || time.Until(date)-skew > 5*time.Second || time.Until(date)-skew < -5*time.Second {
			t.Errorf("skew %v: Date is %v", skew, date)
		}
	}
}

func TestCredentialsOfAnotherPortalDoNotFit(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.want(201, "PUT", "/api/company/new", companyBody("C1"))
	p := legacyParams("x")
	p["oauth_consumer_key"] = "ck2"
	if r := w.legacy("GET", "/api/companies/codes/list", p, "cs2&t&s", false); r.status != 401 {
		t.Errorf("token of another portal: %d", r.status)
	}
	p["oauth_token"] = "tk2"
	if r := w.legacy("GET", "/api/companies/codes/list", p, "cs2&ts2", false); r.status != 200 || r.text != "[]" {
		t.Errorf("other portal: %d %s", r.status, r.text)
	}
}

func TestHandshakeNeedsApprovalAndVerifier(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	p := legacyParams("h1")
	p["oauth_token"], p["oauth_callback"], p["application_name"] = "", "oob", "nubridge"
	r := w.legacy("GET", "/api/initiate", p, "c+s/&", false)
	if r.status != 200 || len(r.doc(t)["oauth_token"].(string)) != 16 || len(r.doc(t)["oauth_token_secret"].(string)) != 24 {
		t.Fatalf("initiate: %d %s", r.status, r.text)
	}
	token, secret := r.doc(t)["oauth_token"].(string), r.doc(t)["oauth_token_secret"].(string)
	exchange := func(nonce, verifier string) result {
		p := legacyParams(nonce)
		p["oauth_token"], p["oauth_verifier"] = token, verifier
		return w.legacy("GET", "/api/token", p, "c+s/&"+secret, false)
	}
	if r := exchange("h2", "guess"); r.status != 401 || r.message() != "Application is not approved" {
		t.Errorf("before approval: %d %s", r.status, r.text)
	}
	apps, err := w.srv.Applications("")
	if err != nil || len(apps) != 1 || apps[0].Name != "nubridge" {
		t.Fatalf("applications %v, %v", apps, err)
	}
	verifier, err := w.srv.ApproveApplication(t.Context(), "", token)
	if err != nil || len(verifier) != 16 {
		t.Fatalf("verifier %q, %v", verifier, err)
	}
	if r := exchange("h3", "wrong"); r.status != 401 {
		t.Errorf("wrong verifier: %d", r.status)
	}
	r = exchange("h4", verifier)
	if r.status != 200 || len(r.doc(t)["oauth_token"].(string)) != 24 || len(r.doc(t)["oauth_token_secret"].(string)) != 64 {
		t.Fatalf("token: %d %s", r.status, r.text)
	}
	if again := exchange("h5", verifier); again.status != 401 {
		t.Errorf("second exchange: %d", again.status)
	}
	signed := oauth1.NewConfig("ck", "c+s/").Client(t.Context(), oauth1.NewToken(r.doc(t)["oauth_token"].(string), r.doc(t)["oauth_token_secret"].(string)))
	res, err := signed.Get(w.url + "/api/orders/approved/list?" + url.Values{"x": {"a b&c"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("with the new token: %d", res.StatusCode)
	}
}
