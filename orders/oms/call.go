package oms

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/propagation"

	"nubridge/internal/fault"
)

// reply is an answer as it came. sent tells that the request may have reached the OMS.
type reply struct {
	status int
	header http.Header
	body   []byte
	// cut tells that the body ended early or was too long.
	cut  bool
	sent bool
}

// transport makes calls. Reads share connections; a create has one of its own, so that no half-dead connection can make its
// fate unclear and nothing in net/http can repeat it.
type transport struct {
	reads, creates *http.Client
	credentials    *credentials
	breaker        *gobreaker.CircuitBreaker[*reply]
	maxAnswer      int64
	timeout        time.Duration
	now            func() time.Time
}

func newTransport(c Config, tlsConfig *tls.Config, now func() time.Time) *transport {
	client := func(fresh bool) *http.Client {
		return &http.Client{
			Transport: &http.Transport{
				Proxy:             http.ProxyFromEnvironment,
				DialContext:       (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSClientConfig:   tlsConfig.Clone(),
				DisableKeepAlives: fresh, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
				TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
			},
			// A redirected create would be sent again by the library.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	t := &transport{reads: client(false), creates: client(true), maxAnswer: c.MaxAnswer, timeout: c.Timeout, now: now}
	t.credentials = &credentials{auth: c.Auth, client: t.reads, now: now}
	t.breaker = gobreaker.NewCircuitBreaker[*reply](gobreaker.Settings{
		Name: "oms", Timeout: c.BreakFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= c.BreakAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
	})
	return t
}

// errServer marks an answer as a failure for the breaker.
var errServer = errors.New("the OMS answered with a server error")

// outgoing is a request as the mapping computed it.
type outgoing struct {
	method, url string
	header      map[string]string
	body        []byte
	create      bool
}

// do sends one request, once. An error means that nothing can have reached the OMS; everything else is a reply, also when there
// was no answer: then its status is zero.
func (t *transport) do(ctx context.Context, o outgoing) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	var out *reply
	_, err := t.breaker.Execute(func() (*reply, error) {
		var err error
		if out, err = t.signed(ctx, o); err != nil {
			return nil, err
		}
		if out.status == 0 || out.status >= 500 || out.status == http.StatusTooManyRequests {
			return nil, errServer
		}
		return out, nil
	})
	if out != nil {
		return out, nil
	}
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, &fault.Error{
			Kind: fault.Throttle, Code: "oms_breaker_open", After: 2 * time.Second,
			Err: errors.New("the OMS's API failed several times in a row and is left alone for a moment"),
		}
	}
	return nil, err
}

// signed sends with credentials, and once more with a fresh token after a 401: the OMS did nothing then.
func (t *transport) signed(ctx context.Context, o outgoing) (*reply, error) {
	out, used, err := t.attempt(ctx, o)
	if err == nil && out.status == http.StatusUnauthorized && t.credentials.renew(used) {
		out, _, err = t.attempt(ctx, o)
	}
	return out, err
}

func (t *transport) attempt(ctx context.Context, o outgoing) (*reply, string, error) {
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	var reader io.Reader
	if o.body != nil {
		reader = bytes.NewReader(o.body)
	}
	r, err := http.NewRequestWithContext(traced, o.method, o.url, reader)
	if err != nil {
		return nil, "", fault.New(fault.Halt, "oms_request_invalid", "build a request to the OMS: the path of the mapping gives no URL")
	}
	r.GetBody = nil // the library must have no way to send it again
	r.Header.Set("Accept", "application/json")
	for name, value := range o.header {
		r.Header.Set(name, value)
	}
	if o.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	if err := t.credentials.sign(ctx, r); err != nil {
		return nil, "", err
	}
	used := r.Header.Get("Authorization")
	client := t.reads
	if o.create {
		client = t.creates
	}
	resp, err := client.Do(r)
	if err != nil {
		if !connected.Load() {
			// Name, connection or handshake failed: not a byte of the request has left.
			return nil, used, &fault.Error{Kind: fault.Retry, Code: "oms_unreachable", Err: fmt.Errorf("reach the OMS's API: %w", bare(err))}
		}
		return &reply{sent: true}, used, nil
	}
	defer func() { _ = resp.Body.Close() }()
	out := &reply{status: resp.StatusCode, header: resp.Header, sent: true}
	out.body, err = io.ReadAll(io.LimitReader(resp.Body, t.maxAnswer+1))
	if err != nil || int64(len(out.body)) > t.maxAnswer {
		out.cut = true
	}
	return out, used, nil
}

// bare strips the URL from an error of net/http: it may hold a reference or a name. // I11
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return errors.New(op.Op + ": " + op.Err.Error())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// after reads Retry-After, at most 15 minutes.
func (r *reply) after(now time.Time) time.Duration {
	value := r.header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), 15*time.Minute)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), 15*time.Minute)
	}
	return 0
}
