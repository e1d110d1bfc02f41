package nuorder

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"nubridge/internal/fault"
)

func loopback() Network {
	return Network{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, PlainHTTP: true}
}

// serve starts a portal that answers with h and a client for it.
func serve(t *testing.T, h http.HandlerFunc, change func(*Config, *Deps)) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := Config{Environment: "test", BaseURL: s.URL, Network: loopback(), Limits: Limits{Rate: 10_000, Burst: 1000}, Attempts: 1}
	d := Deps{Credentials: func() Credentials { return testCredentials }}
	if change != nil {
		change(&c, &d)
	}
	client, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestPathArgumentsStayOneSegment(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 10)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.EscapedPath()
		_, _ = w.Write([]byte(`{"_id":"0123456789abcdef01234567"}`))
	}, nil)
	for arg, want := range map[string]string{
		"A/B C?d#é": "/api/company/code/A%2FB%20C%3Fd%23%C3%A9",
		"..":        "/api/company/code/%2E%2E",
	} {
		if _, err := c.CompanyByCode(t.Context(), arg); err != nil {
			t.Fatal(err)
		}
		if got := <-paths; got != want {
			t.Errorf("%q: path %s, want %s", arg, got, want)
		}
	}
}

func TestUnknownFieldsAndLongNumbersSurvive(t *testing.T) {
	t.Parallel()
	const doc = `{"_id":"0123456789abcdef01234567","brand_id":12345678901234567890,"custom":{"x":0.10000000000000000001},"sizes":[{"size":"M","_id":"a"}]}`
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(doc)) }, nil)
	p, err := c.Product(t.Context(), "0123456789abcdef01234567")
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Raw) != doc || p.BrandID != "12345678901234567890" || p.SizeID("M") != "a" {
		t.Fatalf("got %+v", p)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 10)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls <- r.URL.Path
		http.Redirect(w, r, "/api/elsewhere", http.StatusPermanentRedirect)
	}, nil)
	_, err := c.UpsertProduct(t.Context(), []byte(`{}`))
	if fault.KindOf(err) != fault.Halt || fault.CodeOf(err) != CodeRedirected || len(calls) != 1 {
		t.Fatalf("got %v after %d calls", err, len(calls))
	}
}

func TestPrivateAddressIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the guarded address was called") }, func(c *Config, _ *Deps) {
		c.Network.Allow = nil
	})
	err := c.Ping(t.Context())
	if fault.KindOf(err) != fault.Halt || fault.CodeOf(err) != CodeAddressRefused {
		t.Fatalf("got %v", err)
	}
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusBadGateway)
	}, func(c *Config, _ *Deps) { c.Attempts = 3 })
	if err := c.Ping(t.Context()); fault.CodeOf(err) != CodeServerError {
		t.Fatalf("got %v", err)
	}
	close(seen)
	headers := map[string]bool{}
	for h := range seen {
		headers[h] = true
	}
	if len(headers) != 3 {
		t.Fatalf("%d different signatures in 3 attempts", len(headers))
	}
}

func TestClockSkewIsNamedInAnErrorOfSignature(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(10*time.Minute+30*time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"code":401,"message":"Signature is not correct"}`))
	}, nil)
	err := c.Ping(t.Context())
	e, _ := errors.AsType[*fault.Error](err)
	if e == nil || e.Kind != fault.Throttle || e.Code != CodeUnauthorized || e.After != 30*time.Second {
		t.Fatalf("got %v", err)
	}
	if want := "this machine's clock is 10m"; len(e.Hint) < len(want) || e.Hint[:len(want)] != want {
		t.Fatalf("hint %q", e.Hint)
	}
	// The pause holds for everybody, and nothing is sent meanwhile.
	if err := c.Ping(context.Background()); fault.CodeOf(err) != CodeUnauthorized || c.Stats().Calls != 1 {
		t.Fatalf("second call: %v, calls %d", err, c.Stats().Calls)
	}
}
