package nuorder

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Signature is the family of OAuth 1.0a signatures that a portal accepts.
type Signature string

// The signature families.
const (
	// RFC5849 is the standard form: sorted and encoded parameters, query included, base64 digest.
	RFC5849 Signature = "rfc5849"
	// Legacy is NuORDER's own older form: fixed order, nothing encoded, hex digest. Query parameters do not work with it.
	Legacy Signature = "hex"
)

// Config sets up a Client. A zero field takes the default named in its comment; BaseURL has none.
type Config struct {
	// Environment names the portal in spans; it is part of every durable name elsewhere.
	Environment string
	// BaseURL is scheme and host of the portal, such as https://sandbox1.nuorder.com.
	BaseURL string
	// Signature is the family to sign with; default rfc5849.
	Signature Signature
	// Limits are the portal's, for all instances together; Shares divides them.
	Limits Limits
	// Deadlines bound one attempt.
	Deadlines Deadlines
	// Breaker is the circuit breaker of each endpoint class.
	Breaker BreakerConfig
	// Dialect answers what the public facts leave open about a portal.
	Dialect Dialect
	// Network says which addresses may be called.
	Network Network
	// Gzip compresses request bodies of at least this many bytes; zero never does.
	Gzip int
	// MaxAnswer caps the body of an answer in bytes; default 8 MiB.
	MaxAnswer int64
	// MaxListAnswer caps the body of a list; default 32 MiB, a million ids. At its end it is held twice. // I6
	MaxListAnswer int64
	// Attempts is how often a repeatable call is tried in place; default 3. The loop retries for longer, more slowly.
	Attempts int
	// RetryShare is the share of calls that may be retries, beside RetryReserve credits; default 0.2.
	RetryShare float64
	// RetryReserve is how many retries may be made before calls have earned any, and the cap on earned ones; default 10.
	RetryReserve int
	// MaxWait is the longest pause that a call waits out by itself; for longer ones it returns a throttle. Default 2 s.
	MaxWait time.Duration
	// AuthPause is how long the client stays away after an answer of 401 or 403; default 30 s.
	AuthPause time.Duration
	// MaxRetryAfter caps what the portal may ask for; default 15 min.
	MaxRetryAfter time.Duration
	// SkewWarning is the difference of the clocks from which it is named in errors of signature; default 60 s.
	SkewWarning time.Duration
}

// Limits are the portal's limits.
type Limits struct {
	// Rate is calls per second; default 10.
	Rate float64
	// Burst is how many calls may be made at once after a pause; default a twentieth of Rate, at least 2.
	Burst int
	// Start is the number of calls in flight to begin with; default 4, at most Max.
	Start int
	// Max is the largest number of calls in flight; default 5.
	Max int
	// Queue caps the calls that wait for their turn; default 4096.
	Queue int
}

// Deadlines bound one attempt.
type Deadlines struct {
	Connect time.Duration // default 5 s
	TLS     time.Duration // default 5 s
	Headers time.Duration // from the request's end to the answer's headers; default 15 s
	Body    time.Duration // from the answer's headers to its end; default 15 s, lists three times as long
	Total   time.Duration // default 30 s; lists twice as long
	// Least is what must be left of the caller's deadline for a call to begin; default 50 ms.
	Least time.Duration
}

// BreakerConfig sets up the circuit breaker of each endpoint class.
type BreakerConfig struct {
	Consecutive uint32        // failures in a row that open it; default 5
	Least       uint32        // calls in the window from which Ratio counts; default 20
	Ratio       float64       // share of failures in the window that opens it; default 0.5
	Window      time.Duration // default 30 s, in ten buckets
	Open        time.Duration // how long it stays open before a probe; default 15 s
}

// Network says which addresses may be called.
type Network struct {
	// Allow lists private, loopback or otherwise special addresses that may be called all the same; default none.
	Allow []netip.Prefix
	// AllowPrivate permits private and loopback addresses without listing them; link-local ones, where clouds keep their secrets,
	// must be listed even then.
	AllowPrivate bool
	// PlainHTTP permits http instead of https; for a sandbox on the same machine only.
	PlainHTTP bool
	// Proxy is the URL of an HTTP proxy; default none. Its address is subject to Allow too.
	Proxy string
}

// Dialect answers what the public facts leave open about a portal. Each default is the assumption of the facts.
type Dialect struct {
	// StatusVerb is the verb of a status change: POST (default) or PUT.
	StatusVerb string
	// StatusWords replaces the word of a status in the path of a change, such as processed: process; default the status itself.
	StatusWords map[Status]string
	// StatusInBody sends {"status": "PROCESSED"} to .../status instead of a word in the path.
	StatusInBody bool
	// UpdateVerb is the verb of order updates by id and by number: POST (default) or PUT.
	UpdateVerb string
	// CompanyByCode updates companies by code instead of by _id.
	CompanyByCode bool
	// StockByExternalID addresses inventory by brand_id as stored instead of by _id.
	StockByExternalID bool
	// Replenishments sends stock as v3.0 replenishments instead of the classic inventory.
	Replenishments bool
	// Warehouses maps a warehouse of a stock body (name or code) to its id at the portal, for replenishments. Warehouses that a
	// product document lists need no entry.
	Warehouses map[string]string
	// DateLayouts are how dates may be written as names of deliveries in a stock body, in Go's form; default 01/02/2006 and 2006-01-02.
	DateLayouts []string
	// BulkRows caps the rows of one bulk call; default 100.
	BulkRows int
	// PageSize asks for lists in pages of this size by __limit and __last_id; default 500 with rfc5849. Below zero, and always with
	// the older form, which cannot sign a query, a list is asked for whole.
	PageSize int
	// BareNumberPath updates an order by number at /order/{number} instead of /order/number/{number}.
	BareNumberPath bool
	// OwnShipments writes shipments by /order/{id}/shipments instead of inside the order.
	OwnShipments bool
	// PlainApplicationName leaves application_name out of the standard signature of the handshake.
	PlainApplicationName bool
	// BareHeader leaves the values of the legacy Authorization header unquoted, as clients before 2026 did.
	BareHeader bool
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.Signature == "" {
		c.Signature = RFC5849
	}
	c.Limits = c.Limits.withDefaults()
	or(&c.Deadlines.Connect, 5*time.Second)
	or(&c.Deadlines.TLS, 5*time.Second)
	or(&c.Deadlines.Headers, 15*time.Second)
	or(&c.Deadlines.Body, 15*time.Second)
	or(&c.Deadlines.Total, 30*time.Second)
	or(&c.Deadlines.Least, 50*time.Millisecond)
	or(&c.Breaker.Window, 30*time.Second)
	or(&c.Breaker.Open, 15*time.Second)
	or(&c.MaxWait, 2*time.Second)
	or(&c.AuthPause, 30*time.Second)
	or(&c.MaxRetryAfter, 15*time.Minute)
	or(&c.SkewWarning, time.Minute)
	set(&c.Breaker.Consecutive, 5)
	set(&c.Breaker.Least, 20)
	set(&c.Breaker.Ratio, 0.5)
	set(&c.MaxAnswer, 8<<20)
	set(&c.MaxListAnswer, 32<<20)
	set(&c.Attempts, 3)
	set(&c.RetryShare, 0.2)
	set(&c.RetryReserve, 10)
	set(&c.Dialect.StatusVerb, http.MethodPost)
	set(&c.Dialect.UpdateVerb, http.MethodPost)
	set(&c.Dialect.BulkRows, 100)
	if c.Signature == RFC5849 {
		set(&c.Dialect.PageSize, 500)
	}
	if len(c.Dialect.DateLayouts) == 0 {
		c.Dialect.DateLayouts = []string{"01/02/2006", time.DateOnly}
	}
	return c
}

func (l Limits) withDefaults() Limits {
	set(&l.Rate, 10)
	set(&l.Burst, max(2, int(l.Rate/20)))
	set(&l.Max, 5)
	set(&l.Start, 4)
	set(&l.Queue, 4096)
	l.Start = min(l.Start, l.Max)
	return l
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (c Config) validate() error {
	var errs []error
	rule := func(ok bool, text string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(text, args...))
		}
	}
	u, err := url.Parse(c.BaseURL)
	rule(err == nil && u.Host != "", "base URL must be scheme and host, such as https://sandbox1.nuorder.com")
	if err == nil && u.Host != "" {
		rule(u.Scheme == "https" || u.Scheme == "http" && c.Network.PlainHTTP, "base URL must begin with https:// (plain http is for a sandbox on the same machine and must be allowed)")
		rule(u.User == nil && u.RawQuery == "" && u.Fragment == "" && strings.Trim(u.Path, "/") == "", "base URL must hold neither a user, nor a path, nor a query")
	}
	rule(c.Signature == RFC5849 || c.Signature == Legacy, "signature must be %s or %s, not %q", RFC5849, Legacy, c.Signature)
	rule(c.Limits.Rate > 0, "rate must be above zero calls per second")
	rule(c.Limits.Max >= 1 && c.Limits.Start >= 1, "calls in flight must be at least 1")
	rule(c.Limits.Burst >= 1, "burst must be at least 1")
	rule(c.Breaker.Ratio > 0 && c.Breaker.Ratio <= 1, "the breaker's ratio must be above 0 and at most 1")
	rule(c.Attempts >= 1, "attempts must be at least 1")
	rule(c.RetryShare >= 0 && c.RetryShare <= 1, "the share of retries must be between 0 and 1")
	for _, v := range []string{c.Dialect.StatusVerb, c.Dialect.UpdateVerb} {
		rule(v == http.MethodPost || v == http.MethodPut, "verb must be POST or PUT, not %q", v)
	}
	rule(c.Dialect.PageSize <= 0 || c.Signature == RFC5849, "page size needs the signature %s, since the older form cannot sign a query", RFC5849)
	rule(c.Dialect.PageSize <= 500, "page size must be at most 500")
	if c.Network.Proxy != "" {
		p, err := url.Parse(c.Network.Proxy)
		rule(err == nil && p.Host != "", "proxy must be a URL, such as http://proxy.example:3128")
	}
	return errors.Join(errs...)
}
