package oms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"nubridge/internal/fault"
)

// Client is one OMS's API. Safe for concurrent use; it starts no goroutine.
type Client struct {
	spec      *Spec
	base      string
	transport *transport
	database  Database
	log       *slog.Logger
}

// New makes a client of the API that the spec describes. The database may be nil if no check of the spec asks it. It touches no
// network.
func New(s *Spec, db Database, log *slog.Logger, c Config) (*Client, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure the OMS's API: %w", err)
	}
	for _, check := range s.checks {
		if check.sql != "" && db == nil {
			return nil, fmt.Errorf("configure the OMS's API: check %q asks the OMS's database, and there is none", check.name)
		}
	}
	tlsConfig, err := c.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("configure the OMS's API: %w", err)
	}
	return &Client{
		spec: s, base: join(c.URL, s.base), transport: newTransport(c, tlsConfig, time.Now), database: db, log: log,
	}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() {
	c.transport.reads.CloseIdleConnections()
	c.transport.creates.CloseIdleConnections()
}

// CanSearch tells whether the OMS can be searched by reference. Where it cannot, a create whose answer is lost waits for a person.
func (c *Client) CanSearch() bool { return c.spec.search != nil }

// CanRead tells whether single orders can be read by number.
func (c *Client) CanRead() bool { return c.spec.read != nil }

// Draft translates an order. It does no I/O. A failure is a reject: the order cannot be put in the OMS's words.
func (c *Client) Draft(o Order) (Draft, error) {
	names, err := c.spec.names(o)
	if err != nil {
		return Draft{}, err
	}
	body, err := c.spec.create.body(names)
	if err != nil {
		return Draft{}, reject("order_unmapped", "the order cannot be put in the OMS's words", err)
	}
	return Draft{Order: o, Body: body, Hash: sha256.Sum256(body), names: names}, nil
}

// names gives what expressions see of an order: the order itself, its reference and the definitions.
func (s *Spec) names(o Order) (map[string]any, error) {
	order, err := decodeJSON(o.JSON)
	if err != nil {
		return nil, reject("order_unreadable", "the order is no JSON", err)
	}
	names := map[string]any{"order": order, "reference": o.Reference, "environment": o.Environment, "lines": flatten(order)}
	for _, d := range s.define {
		value, err := d.eval(names)
		if err != nil {
			return nil, reject("order_unmapped", "definition "+d.name+" cannot be computed", err)
		}
		names[d.name] = value
	}
	return names, nil
}

// flatten gives one entry for each size of each line, numbered from one, since most OMSs keep a line per size.
func flatten(order any) []any {
	out := []any{}
	o, _ := order.(map[string]any)
	lines, _ := o["line_items"].([]any)
	for _, l := range lines {
		line, _ := l.(map[string]any)
		sizes, _ := line["sizes"].([]any)
		for _, size := range sizes {
			out = append(out, map[string]any{"no": len(out) + 1, "line": l, "size": size})
		}
	}
	return out
}

func reject(code, what string, err error) error {
	return &fault.Error{Kind: fault.Reject, Code: code, Err: fmt.Errorf("%s: %w", what, err)}
}

// Check tells why the OMS would refuse the draft, by the mapping's rules. An error means that the rules could not be asked.
func (c *Client) Check(ctx context.Context, d Draft) ([]Problem, error) {
	var out []Problem
	for _, check := range c.spec.checks {
		rows := []map[string]any{nil}
		if check.require != nil {
			holds, err := check.require(d.names)
			if err != nil {
				return nil, reject("check_failed", "check "+check.name+" cannot be computed", err)
			}
			if holds == true {
				continue
			}
		} else {
			args := make([]any, len(check.args))
			for n, a := range check.args {
				value, err := a(d.names)
				if err != nil {
					return nil, reject("check_failed", "check "+check.name+" cannot be computed", err)
				}
				args[n] = argument(value)
			}
			var err error
			if rows, err = c.database.Rows(ctx, check.sql, args...); err != nil {
				return nil, fmt.Errorf("check %q of an order: %w", check.name, err)
			}
		}
		for _, row := range rows {
			text, err := check.text(with(d.names, "row", any(row)))
			if err != nil {
				return nil, reject("check_failed", "the text of check "+check.name+" cannot be computed", err)
			}
			out = append(out, Problem{Code: check.name, Text: textOf(text)})
			if len(out) == 50 {
				return append(out, Problem{Code: check.name, Text: "and more"}), nil
			}
		}
	}
	return out, nil
}

// Create posts the draft, once. The answer says whether the OMS has the order, and whether that is certain. An error means that
// the mapping's own rules could not read the answer: then nothing is certain.
func (c *Client) Create(ctx context.Context, d Draft) (Answer, error) {
	s := c.spec.create
	out, err := c.outgoing(s.request, d.names)
	if err != nil {
		return Answer{}, err
	}
	out.body, out.create = d.Body, true
	r, err := c.transport.do(ctx, out)
	if err != nil {
		return Answer{
			Outcome: Again, Everyone: true, Reason: err.Error(), After: afterOf(err),
		}, nil
	}
	if r.status == 0 {
		return Answer{Outcome: Lost, Reason: "the connection to the OMS ended before its answer was read"}, nil
	}
	return c.spec.readAnswer(d, r, c.transport.now())
}

func afterOf(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.After
	}
	return 0
}

// readAnswer asks the mapping's rules what an answer means, and falls back to what its status means anywhere.
func (s *Spec) readAnswer(d Draft, r *reply, now time.Time) (Answer, error) {
	names := answerOf(d.names, r)
	a := Answer{Status: r.status, After: r.after(now)}
	if s.create.reason != nil {
		if reason, err := s.create.reason(names); err == nil {
			a.Reason = cut(textOf(reason))
		}
	}
	if a.Reason == "" {
		a.Reason = "the OMS answered with status " + fmt.Sprint(r.status)
	}
	if number, err := s.create.number(names); err == nil {
		a.Number = textOf(number)
	}
	a.Outcome = byStatus(r.status)
	a.Everyone = everyone(r.status)
	for _, rule := range s.create.rules {
		holds, err := rule.when(names)
		if err != nil {
			return a, fmt.Errorf("read the OMS's answer with status %d by rule %q: %w", r.status, rule.outcome, err)
		}
		if holds == true {
			a.Outcome, a.Everyone = rule.outcome, false
			break
		}
	}
	// An answer that was cut, or that has no number, does not tell which order was created: the search will.
	if a.Outcome == Created && (a.Number == "" || r.cut) {
		a.Outcome, a.Reason = Lost, "the OMS's answer has no order number"
	}
	if a.Outcome != Created && a.Outcome != Duplicate {
		a.Number = ""
	}
	return a, nil
}

// byStatus is what a status means where the mapping says nothing. A success that no rule knows is not taken for one.
func byStatus(status int) Outcome {
	switch {
	case status == http.StatusConflict:
		return Duplicate
	case status == http.StatusUnauthorized || status == http.StatusForbidden || (status >= 300 && status < 400):
		return Again
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests:
		return Lost
	case status >= 400 && status < 500:
		return Refused
	default:
		return Lost
	}
}

// everyone tells that an answer is about us or about the OMS, not about this order.
func everyone(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || (status >= 300 && status < 400)
}

// Search finds the orders that carry the draft's reference. An answer that is not clearly a list of them is an error, never an
// empty list: an order that seems not to be there would be created again.
func (c *Client) Search(ctx context.Context, d Draft) ([]Found, error) {
	s := c.spec.search
	if s == nil {
		return nil, fault.New(fault.Reject, "cannot_search", "search the OMS: its mapping has no search")
	}
	names, none, err := c.get(ctx, s, with(d.names, "number", any("")), "search")
	if err != nil || none {
		return nil, err
	}
	value, err := s.found(names)
	list, isList := value.([]any)
	if err != nil || !isList {
		return nil, fault.New(fault.Retry, "oms_answer_unreadable", "search the OMS: expected the mapping's found to give a list of orders")
	}
	out := make([]Found, 0, len(list))
	for _, item := range list {
		own := with(d.names, "found", item)
		number, err := s.number(own)
		if err != nil || textOf(number) == "" {
			return nil, fault.New(fault.Retry, "oms_answer_unreadable", "search the OMS: a found order has no number")
		}
		f := Found{Number: textOf(number), Order: item}
		if s.same != nil {
			same, err := s.same(own)
			if err != nil {
				return nil, reject("oms_same_failed", "compare a found order", err)
			}
			f.Differs = same != true
		}
		out = append(out, f)
	}
	return out, nil
}

// SearchReference finds the orders that carry a reference, whatever they hold: Differs is never set.
func (c *Client) SearchReference(ctx context.Context, o Order) ([]Found, error) {
	names, err := c.spec.names(o)
	if err != nil {
		return nil, err
	}
	found, err := c.Search(ctx, Draft{Order: o, names: names})
	for n := range found {
		found[n].Differs = false
	}
	return found, err
}

// Read reads one order of the OMS by number; nil when the OMS has none.
func (c *Client) Read(ctx context.Context, number string) (any, error) {
	if c.spec.read == nil {
		return nil, fault.New(fault.Reject, "cannot_read", "read an order of the OMS: its mapping has no read")
	}
	names := map[string]any{"order": nil, "lines": []any{}, "reference": "", "environment": "", "number": number}
	for _, d := range c.spec.define {
		names[d.name] = nil
	}
	names, none, err := c.get(ctx, c.spec.read, names, "read")
	if err != nil || none {
		return nil, err
	}
	return c.spec.read.found(names)
}

// get makes a reading call and gives the names for its answer, or that there is none.
func (c *Client) get(ctx context.Context, s *readSpec, names map[string]any, what string) (map[string]any, bool, error) {
	out, err := c.outgoing(s.request, names)
	if err != nil {
		return nil, false, err
	}
	r, err := c.transport.do(ctx, out)
	if err != nil {
		return nil, false, fmt.Errorf("%s the OMS: %w", what, err)
	}
	if r.status == 0 || r.cut {
		return nil, false, fault.New(fault.Retry, "oms_no_answer", "%s the OMS: the connection ended before the answer was read", what)
	}
	names = answerOf(names, r)
	if s.none != nil {
		none, err := s.none(names)
		if err != nil {
			return nil, false, fault.New(fault.Retry, "oms_answer_unreadable", "%s the OMS: the mapping's none cannot read the answer with status %d", what, r.status)
		}
		if none == true {
			return nil, true, nil
		}
	}
	if r.status < 200 || r.status > 299 || names["answer"] == nil {
		e := fault.New(fault.Retry, "oms_unavailable", "%s the OMS: the answer has status %d", what, r.status)
		e.After = r.after(c.transport.now())
		if everyone(r.status) {
			e.Kind, e.Hint = fault.Throttle, "check the credentials and the URL of oms_api"
		}
		return nil, false, e
	}
	return names, false, nil
}

// outgoing computes URL and headers of a call; every value of the URL is escaped.
func (c *Client) outgoing(r request, names map[string]any) (outgoing, error) {
	var path strings.Builder
	for _, s := range r.path {
		if s.eval == nil {
			path.WriteString(s.text)
			continue
		}
		value, err := s.eval(names)
		if err != nil {
			return outgoing{}, reject("oms_request_invalid", "compute the path of a call", err)
		}
		path.WriteString(url.PathEscape(textOf(value)))
	}
	out := outgoing{method: r.method, url: join(c.base, path.String()), header: map[string]string{}}
	query := url.Values{}
	for _, q := range r.query {
		value, err := q.eval(names)
		if err != nil {
			return out, reject("oms_request_invalid", "compute query parameter "+q.name, err)
		}
		query.Set(q.name, textOf(value))
	}
	if len(query) > 0 {
		out.url += "?" + query.Encode()
	}
	for _, h := range r.header {
		value, err := h.eval(names)
		if err != nil {
			return out, reject("oms_request_invalid", "compute header "+h.name, err)
		}
		out.header[h.name] = textOf(value)
	}
	return out, nil
}
