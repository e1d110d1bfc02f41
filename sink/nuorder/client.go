package nuorder

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Client calls one portal. It is safe for concurrent use, keeps no state of objects and starts no goroutine.
type Client struct {
	config      Config
	base        *url.URL
	http        *http.Client
	signer      signer
	credentials func() Credentials
	tracer      trace.Tracer
	measures    *Measures
	propagator  propagation.TextMapPropagator
	log         *slog.Logger
	now         func() time.Time
	gate        *gate
	budget      *budget
	long        *longAnswers
	usual       map[Class]usual
	date        atomic.Pointer[dated]
	skew        atomic.Int64 // nanoseconds that the portal's clock is ahead of ours
	skewed      atomic.Bool  // a warning was logged and still holds
}

// Deps are what a Client needs from outside. Only Credentials has no default.
type Deps struct {
	// Credentials is asked before each attempt, so that rotated secrets are picked up; it must answer from memory.
	Credentials func() Credentials
	// Shares divides the limits between instances; default Alone.
	Shares Shares
	// Tracer makes one client span per attempt; default none.
	Tracer trace.Tracer
	// Measures takes what calls leave behind for metrics; default none.
	Measures *Measures
	// Log gets warnings about the clock and the state of breakers; default none.
	Log *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// New makes a client; it touches no network.
func New(c Config, d Deps) (*Client, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure the NuORDER client of environment %q: %w", c.Environment, err)
	}
	if d.Credentials == nil {
		return nil, errors.New("configure the NuORDER client: credentials are missing")
	}
	if d.Shares == nil {
		d.Shares = Alone{}
	}
	if d.Tracer == nil {
		d.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil, errors.New("configure the NuORDER client: base URL is no URL")
	}
	client, err := newHTTPClient(c)
	if err != nil {
		return nil, fmt.Errorf("configure the NuORDER client: %w", err)
	}
	made := &Client{
		config: c, base: base, http: client, signer: newSigner(c), credentials: d.Credentials,
		tracer: d.Tracer, measures: d.Measures, propagator: propagation.TraceContext{}, log: d.Log, now: d.Now,
		gate: newGate(c, d.Shares, d.Now), budget: newBudget(c.RetryShare, c.RetryReserve), long: newLongAnswers(), usual: map[Class]usual{},
	}
	for class, b := range made.gate.breakers {
		made.usual[class] = made.usualOf(class)
		b.told = func(state string) {
			d.Log.Warn("breaker changed", "environment", c.Environment, "class", string(class), "state", state)
		}
	}
	return made, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Dialect gives what the configuration says about the portal, defaults filled in.
func (c *Client) Dialect() Dialect { return c.config.Dialect }

// Stats is a picture of the client's state, for metrics and the console.
type Stats struct {
	// Calls counts attempts let through since the start.
	Calls uint64
	// InFlight and Waiting are calls at present; Limit is the adaptive limit on InFlight.
	InFlight, Waiting, Limit int
	// Rate is the effective limit in calls per second.
	Rate float64
	// Budget is how many retries are allowed at once.
	Budget float64
	// PausedUntil is the end of a pause of the whole client, zero if there is none; PauseCode is its cause.
	PausedUntil time.Time
	PauseCode   string
	// Skew is how far the portal's clock is ahead of ours.
	Skew time.Duration
	// Breakers holds the state of each endpoint class.
	Breakers map[Class]BreakerStats
}

// BreakerStats is the state of one breaker.
type BreakerStats struct {
	State   string // closed, half-open or open
	Opened  int64  // how often it opened
	Resumes time.Time
}
