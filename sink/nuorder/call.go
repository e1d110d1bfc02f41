package nuorder

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/fault"
)

// request is one call, signed anew for each attempt.
type request struct {
	class  Class
	method string
	// route is the path with {} for each of args, below /api; it goes to spans and errors, the arguments do not. // I11
	route string
	args  []string
	query url.Values
	body  []byte
	want  expect
	// once tells that a repeat could do the thing twice, so the call is never tried again after an unclear end.
	once bool
	// shown tells that NuORDER has shown all that the call names, and that it makes nothing that must be unique, so that a 404 or a
	// 409 is tried again in place, too.
	shown bool
	list  bool // the answer may be long
	sign  handshakeParams
	with  *Credentials // instead of the client's own
}

func (r *request) write() bool { return r.method != http.MethodGet }

// name is verb and route, for spans and errors.
func (r *request) name() string { return r.method + " /api/" + r.route }

// path fills the route with its arguments, each escaped as one segment.
func (r *request) path() string {
	args := r.args
	var b strings.Builder
	for part := range strings.SplitSeq(r.route, "/") {
		if strings.HasPrefix(part, "{") && len(args) > 0 {
			part = segment(args[0])
			args = args[1:]
		}
		b.WriteString("/" + part)
	}
	return "/api" + b.String()
}

// sum tells requests apart, whatever their signatures.
func (r *request) sum() uint64 {
	h := fnv.New64a()
	for _, part := range []string{r.method, r.path(), r.query.Encode()} {
		_, _ = io.WriteString(h, part+"\n")
	}
	_, _ = h.Write(r.body)
	return h.Sum64()
}

// segment escapes one path segment; a segment of dots would otherwise be another path.
func segment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// do makes the call, with the few retries in place that its kind and the budget allow. The answer is nil if err is not.
func (c *Client) do(ctx context.Context, r *request) (*answer, error) {
	for i, part := range r.args {
		if part == "" {
			return nil, fault.New(fault.Reject, CodeBadRequest, "%s: part %d of the path is empty", r.name(), i+1)
		}
	}
	c.budget.earn()
	for try := 1; ; try++ {
		a, err := c.attempt(ctx, r, try)
		if err == nil {
			return a, nil
		}
		wait, again := c.again(r, err, try)
		if !again || !c.pause(ctx, wait) {
			return nil, err
		}
	}
}

// again decides whether the call is tried once more, and after which wait. The gate waits out throttles by itself.
func (c *Client) again(r *request, err error, try int) (time.Duration, bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || try >= c.config.Attempts {
		return 0, false
	}
	switch {
	case e.Code == CodeUnauthorized:
		return 0, false
	case e.Code == CodeTooManyRequests && e.After <= c.config.MaxWait:
		return 0, c.budget.spend()
	case r.shown && (e.Code == CodeNotFound || e.Code == CodeConflict):
	case e.Kind != fault.Retry || e.Code == CodeCancelled || e.Code == CodeDeadlineClose || e.Code == CodeAnswerTooLarge:
		return 0, false
	case e.Ambiguous && r.once, e.Ambiguous && e.After > 0:
		return 0, false
	}
	return jitter(try), c.budget.spend()
}

func (c *Client) pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// attempt passes the gate and makes one attempt.
func (c *Client) attempt(ctx context.Context, r *request, try int) (*answer, error) {
	asked := c.now()
	t, err := c.gate.enter(ctx, r.class, rankOf(ctx, r.class))
	c.turned(ctx, r.class, c.now().Sub(asked), err)
	if err != nil {
		return nil, err
	}
	t.request = r
	var failure error
	defer func() { t.done(failure) }()
	if end, ok := ctx.Deadline(); ok && end.Sub(c.now()) < c.config.Deadlines.Least {
		failure = fault.New(fault.Retry, CodeDeadlineClose, "%s: not sent, the deadline is too close", r.name())
		c.turned(ctx, r.class, 0, failure)
		return nil, failure
	}
	countAttempt(ctx)
	ctx, span := c.tracer.Start(ctx, r.name(), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.method),
		attribute.String("url.template", "/api/"+r.route),
		attribute.String("server.address", c.base.Hostname()),
		attribute.String("nubridge.environment", c.config.Environment),
		attribute.Int("nubridge.attempt", try),
	))
	defer span.End()
	sent := c.now()
	a, err := c.exchange(ctx, r)
	if err == nil && a.readErr == nil && a.status < http.StatusMultipleChoices {
		t.answered()
	}
	if err == nil {
		err = classify(r.name(), r.write(), r.want, a, c.config)
	}
	if a != nil {
		c.measureSkew(a)
		span.SetAttributes(attribute.Int("http.response.status_code", a.status), attribute.String("nuorder.request_token", a.requestToken))
	}
	c.called(ctx, r.class, c.now().Sub(sent), a, err)
	if mayComeLate(err) || err != nil && accepted(a) {
		unanswered(ctx)
	}
	if r.write() && (err == nil || ambiguous(err)) {
		written(ctx)
	}
	if err != nil {
		failure = c.explain(err)
		span.SetAttributes(attribute.String("error.type", fault.CodeOf(err)))
		span.SetStatus(codes.Error, fault.CodeOf(err))
		return nil, failure
	}
	return a, nil
}

// exchange sends one signed request and reads its answer. It fails only if there is no answer, or its caller went away.
func (c *Client) exchange(ctx context.Context, r *request) (*answer, error) {
	total, bodyTime, most := c.config.Deadlines.Total, c.config.Deadlines.Body, c.config.MaxAnswer
	if r.list {
		total, bodyTime, most = 2*total, 3*bodyTime, c.config.MaxListAnswer
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		e := transportFault(ctx, r.name(), err, sent.Load(), r.write())
		if e.Ambiguous && timedOut(err) {
			// Nobody has closed the connection: the portal is at work on it still, and would carry it out after a newer one. // I3
			e.After = min(c.config.Deadlines.Headers, c.config.Deadlines.Total)
		}
		return nil, e
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header, requestToken: token(resp.Header.Get("Request-Token")), at: c.now()}
	late := time.AfterFunc(bodyTime, cancel)
	defer late.Stop()
	a.body, a.tooLong, a.readErr = c.long.readAll(ctx, resp.Body, most)
	if a.readErr != nil && errors.Is(outer.Err(), context.Canceled) {
		return a, transportFault(outer, r.name(), a.readErr, true, r.write())
	}
	if a.status >= http.StatusBadRequest {
		a.body = c.unquoted(a.body)
	}
	return a, nil
}

// unquoted takes our own credentials out of an answer that quotes them. // I11
func (c *Client) unquoted(body []byte) []byte {
	own := c.credentials()
	for _, secret := range []string{own.ConsumerKey, own.ConsumerSecret, own.Token, own.TokenSecret} {
		if len(secret) >= 8 {
			body = bytes.ReplaceAll(body, []byte(secret), []byte("<secret>"))
		}
	}
	return body
}

// newRequest builds and signs the request of one attempt.
func (c *Client) newRequest(ctx context.Context, r *request) (*http.Request, error) {
	signing := func(err error) error {
		return &fault.Error{Kind: fault.Halt, Code: CodeSigning, Err: fmt.Errorf("%s: %w", r.name(), err)}
	}
	target := c.base.Scheme + "://" + c.base.Host + r.path()
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	body, encoding, err := c.encode(r)
	if err != nil {
		return nil, signing(err)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, signing(errors.New("the URL cannot be built"))
	}
	if r.method == http.MethodGet {
		// net/http repeats a GET by itself on a broken idle connection, with a nonce that may be used up by then; it does not if
		// the body is not known to be empty. Writes are repeated only if nothing of them had left.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	c.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	credentials := c.credentials()
	if r.with != nil {
		credentials = *r.with
	}
	if credentials.ConsumerKey == "" || credentials.ConsumerSecret == "" {
		return nil, signing(errors.New("consumer key or secret is empty"))
	}
	if err := c.signer.sign(req, credentials, r.sign, c.now()); err != nil {
		return nil, signing(err)
	}
	return req, nil
}

// encode compresses the body where that is wanted.
func (c *Client) encode(r *request) (body []byte, encoding string, err error) {
	if c.config.Gzip <= 0 || len(r.body) < c.config.Gzip {
		return r.body, "", nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(r.body); err != nil {
		return nil, "", fmt.Errorf("compress the body: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, "", fmt.Errorf("compress the body: %w", err)
	}
	return b.Bytes(), "gzip", nil
}

// dated is a Date header that was read before.
type dated struct {
	text string
	at   time.Time
}

// measureSkew compares the portal's clock with ours; the Date header has whole seconds only.
func (c *Client) measureSkew(a *answer) {
	text := a.header.Get("Date")
	date := c.date.Load()
	if date == nil || date.text != text {
		at, err := http.ParseTime(text)
		if err != nil {
			return
		}
		date = &dated{text, at}
		c.date.Store(date)
	}
	skew := date.at.Sub(a.at)
	c.skew.Store(int64(skew))
	far := skew.Abs() > c.config.SkewWarning
	if was := c.skewed.Swap(far); far && !was {
		c.log.Warn("clock differs from the portal's", "environment", c.config.Environment, "skew", skew.Round(time.Second))
	}
}

// explain names the clock in an error of signature when the clocks differ.
func (c *Client) explain(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != CodeUnauthorized {
		return err
	}
	if skew := time.Duration(c.skew.Load()); skew.Abs() > c.config.SkewWarning {
		word := "ahead of"
		if skew > 0 {
			word = "behind"
		}
		e.Hint = fmt.Sprintf("this machine's clock is %s %s the portal's, which spoils signatures: set the clock", skew.Abs().Round(time.Second), word)
	}
	return err
}
