package nuorder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"nubridge/internal/fault"
)

// newHTTPClient builds the HTTP client: every phase has a deadline, redirects are answers, addresses are guarded. HTTP/2 stays off, so
// that one hung connection holds up one call.
func newHTTPClient(c Config) (*http.Client, error) {
	guard := addressGuard{allow: c.Network.Allow, private: c.Network.AllowPrivate}
	dialer := &net.Dialer{Timeout: c.Deadlines.Connect, KeepAlive: 30 * time.Second, Control: guard.control}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    c.Deadlines.TLS,
		ResponseHeaderTimeout:  c.Deadlines.Headers,
		MaxIdleConns:           c.Limits.Max,
		MaxIdleConnsPerHost:    c.Limits.Max,
		MaxConnsPerHost:        c.Limits.Max,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	if c.Network.Proxy != "" {
		proxy, err := url.Parse(c.Network.Proxy)
		if err != nil {
			return nil, errors.New("proxy is no URL")
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{
		Transport: t,
		// A redirect changes the signed URL, and credentials would travel to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// addressGuard refuses to connect to addresses inside the house, whatever a name resolves to.
type addressGuard struct {
	allow   []netip.Prefix
	private bool
}

var errAddress = errors.New("the address is private or special and is not allowed") //nolint:gochecknoglobals // A sentinel.

// control runs after the name was resolved and before the connection is made, so a name cannot resolve to another address later.
func (g addressGuard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	a := ap.Addr().Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(a) {
			return nil
		}
	}
	if g.private && (a.IsPrivate() || a.IsLoopback()) {
		return nil
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || reserved(a) {
		return errAddress
	}
	return nil
}

// reserved lists what net/netip counts as global although it is not: carrier-grade NAT, benchmarks, this network, class E, and the
// IPv6 forms that carry an IPv4 address.
func reserved(a netip.Addr) bool {
	for _, text := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		if netip.MustParsePrefix(text).Contains(a) {
			return true
		}
	}
	return false
}

// timedOut tells that we gave up waiting, as opposed to a connection that broke.
func timedOut(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// transportFault sorts an error that came instead of an answer. sent tells whether the request may have left this machine.
func transportFault(ctx context.Context, call string, err error, sent, write bool) *fault.Error {
	// The error of net/http repeats the URL, which may hold a customer's code; its cause does not. // I11
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := &fault.Error{Kind: fault.Retry, Code: CodeNoAnswer, Ambiguous: sent && write}
	switch {
	case errors.Is(err, errAddress):
		e.Kind, e.Code, e.Ambiguous = fault.Halt, CodeAddressRefused, false
		e.Hint = "if this address is meant, list it in the network settings of this environment"
		err = errAddress
	case isCertificate(err):
		e.Kind, e.Code, e.Ambiguous, e.After = fault.Throttle, CodeTLS, false, 30*time.Second
		e.Hint = "the certificate of the portal is not to be trusted from here: check the base URL, the proxy and this machine's clock"
	case errors.Is(context.Cause(ctx), context.Canceled):
		e.Code = CodeCancelled
	case !sent:
		e.Code = CodeUnreachable
	}
	e.Err = fmt.Errorf("%s: %w", call, withoutAddress(err))
	return e
}
