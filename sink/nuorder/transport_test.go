package nuorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"nubridge/internal/fault"
)

// The database that other tests of this package share lives until the process ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("nubridge/internal/sandbox/postgres.(*process).wait"))
}

func TestAddressGuard(t *testing.T) {
	t.Parallel()
	open := addressGuard{}
	private := addressGuard{private: true}
	listed := addressGuard{allow: []netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}}
	for address, want := range map[string][3]bool{ // open, private, listed
		"93.184.216.34:443":               {true, true, true},
		"[2606:2800:220:1::1]:443":        {true, true, true},
		"127.0.0.1:443":                   {false, true, false},
		"[::1]:443":                       {false, true, false},
		"10.1.2.3:443":                    {false, true, false},
		"192.168.0.1:443":                 {false, true, false},
		"172.16.0.1:443":                  {false, true, false},
		"[fd00::1]:443":                   {false, true, false},
		"169.254.169.254:80":              {false, false, true},
		"[::ffff:169.254.169.254]:80":     {false, false, true},
		"[fe80::1%eth0]:80":               {false, false, false},
		"[::ffff:127.0.0.1]:80":           {false, true, false},
		"[64:ff9b::a9fe:a9fe]:80":         {false, false, false},
		"0.0.0.0:80":                      {false, false, false},
		"[::]:80":                         {false, false, false},
		"100.64.0.1:80":                   {false, false, false},
		"198.18.0.1:80":                   {false, false, false},
		"224.0.0.1:80":                    {false, false, false},
		"255.255.255.255:80":              {false, false, false},
		"host.example:80":                 {false, false, false},
		"[2002:7f00:1::]:80":              {false, false, false},
		"[2001:0:7f00:1::]:80":            {false, false, false},
		"0.1.2.3:80":                      {false, false, false},
		"[ff02::1]:80":                    {false, false, false},
		"[::ffff:0:127.0.0.1]:80 nonense": {false, false, false},
	} {
		for i, g := range []addressGuard{open, private, listed} {
			if got := g.control("tcp", address, nil) == nil; got != want[i] {
				t.Errorf("%s, guard %d: allowed %v, want %v", address, i, got, want[i])
			}
		}
	}
}

func TestUntrustedCertificatePausesAndSaysSo(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.StartTLS()
	t.Cleanup(s.Close)
	c, err := New(Config{BaseURL: s.URL, Network: Network{AllowPrivate: true}, Attempts: 1}, Deps{Credentials: func() Credentials { return testCredentials }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Ping(t.Context()); outcome(err) != "throttle tls_untrusted" || !strings.Contains(err.Error(), "hint: the certificate") {
		t.Fatalf("got %v", err)
	}
}

func TestUnreachablePortalIsNotAmbiguousAndNamesNoAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	c, err := New(Config{BaseURL: "http://" + address, Network: loopback(), Attempts: 1}, Deps{Credentials: func() Credentials { return testCredentials }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UpsertCompany(t.Context(), []byte(`{}`))
	if outcome(err) != "retry nuorder_unreachable" || strings.Contains(err.Error(), address) {
		t.Fatalf("got %v", err)
	}
	if e, _ := errors.AsType[*fault.Error](err); e.ExitCode() != 3 {
		t.Fatalf("exit code %d", e.ExitCode())
	}
}

func TestCancelledCallIsNoFailureOfThePortal(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 1)
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-r.Context().Done()
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-inside
		cancel()
	}()
	if err := c.Ping(ctx); outcome(err) != "retry cancelled" {
		t.Fatalf("got %v", err)
	}
}

// net/http would send a GET a second time, with the same nonce, when a kept connection breaks.
func TestBrokenIdleConnectionNeverRepeatsANonce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	nonces := map[string]int{}
	var calls atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		nonces[r.Header.Get("Authorization")]++
		mu.Unlock()
		if calls.Add(1)%3 == 0 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if n := r.ContentLength; n != 0 || len(r.TransferEncoding) > 0 {
			t.Errorf("a GET has a body of %d bytes, %v", n, r.TransferEncoding)
		}
		_, _ = w.Write([]byte(`{"_id":"0123456789abcdef01234567"}`))
	}, func(c *Config, _ *Deps) { c.Attempts, c.RetryShare = 3, 1 })
	for range 20 {
		if _, err := c.Product(t.Context(), "0123456789abcdef01234567"); err != nil {
			t.Fatal(err)
		}
	}
	for h, n := range nonces {
		if n > 1 {
			t.Fatalf("sent %d times: %s", n, h)
		}
	}
}

// One span per attempt; neither spans nor errors nor printed values hold a secret or a customer. // I11
func TestNoSecretAndNoCustomerLeaks(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	canaries := Credentials{ConsumerKey: "canary-key", ConsumerSecret: "canary-secret", Token: "canary-token", TokenSecret: "canary-secret2"}
	parents := make(chan string, 10)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		parents <- r.Header.Get("traceparent")
		w.Header().Set("Request-Token", "1447853482123")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(`upstream said: customer canary@example.com called from +49 1761234567890` + "\x1b[31m\r\n"))
	}, func(c *Config, d *Deps) {
		c.Attempts = 2
		d.Tracer = provider.Tracer("test")
		d.Credentials = func() Credentials { return canaries }
	})
	_, err := c.CompanyByCode(t.Context(), "canary customer")
	spans := recorder.Ended()
	if err == nil || len(spans) != 2 {
		t.Fatalf("%d spans, %v", len(spans), err)
	}
	text := err.Error() + fmt.Sprintf("%v %+v %#v %s", canaries, canaries, canaries, canaries)
	for _, s := range spans {
		text += s.Name() + s.Status().Description
		for _, a := range s.Attributes() {
			text += a.Value.String() + " "
		}
		if parent := <-parents; !strings.Contains(parent, s.SpanContext().SpanID().String()) {
			t.Errorf("traceparent %s is not that of the span", parent)
		}
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "1761234567890") || strings.ContainsAny(text, "\x1b\r\n") {
		t.Fatalf("leaked: %s", text)
	}
	for _, want := range []string{"GET /api/company/code/{code}", "1447853482123", "server_error", "502"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
}

func TestDeadlineTooCloseIsNotSent(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.UpsertProduct(ctx, []byte(`{}`)); outcome(err) != "retry deadline_too_close" {
		t.Fatalf("got %v", err)
	}
}

func TestConfigurationIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"base URL must be scheme and host": func(c *Config) { c.BaseURL = "nuorder" },
		"must begin with https":            func(c *Config) { c.BaseURL = "http://h" },
		"neither a user, nor a path":       func(c *Config) { c.BaseURL = "https://h/api" },
		"signature must be":                func(c *Config) { c.Signature = "md5" },
		"verb must be":                     func(c *Config) { c.Dialect.StatusVerb = "PATCH" },
		"page size needs":                  func(c *Config) { c.Signature, c.Dialect.PageSize = Legacy, 10 },
		"rate must be above zero":          func(c *Config) { c.Limits.Rate = -1 },
		"proxy must be":                    func(c *Config) { c.Network.Proxy = "x" },
		"the breaker's ratio must be":      func(c *Config) { c.Breaker.Ratio = 2 },
	} {
		c := Config{BaseURL: "https://sandbox1.nuorder.com"}
		change(&c)
		if _, err := New(c, Deps{Credentials: func() Credentials { return testCredentials }}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := New(Config{BaseURL: "https://sandbox1.nuorder.com"}, Deps{}); err == nil {
		t.Error("a client without credentials")
	}
}
