package nuorder

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers API calls under /api/ and hooks under /_sandbox/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "hooks are for loopback addresses only", http.StatusForbidden)
			return
		}
		s.hooks.ServeHTTP(w, r)
		return
	}
	s.serveAPI(w, r)
}

// serveAPI takes one call through journal, faults, limits, signature, handler and answer.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	sw, now := s.Switches(), s.now()
	p := s.guessPortal(r)
	e := s.journal.begin(r, p.cfg.Name, s.cfg.Now(), p.inFlight.Add(1))
	released := false
	release := func() {
		if !released {
			released = true
			p.inFlight.Add(-1)
		}
	}
	defer release()

	body, refused := s.readBody(r)
	fs := s.faults.match(p.cfg.Name, r.Method, r.URL.Path)
	e.setBody(body)
	var a answer
	if f := fs.before(s); f != nil {
		a = f.answer()
		e.Fault = f.Kind
		if f.Kind == "cut" {
			s.journal.end(e, 0, nil, s.cfg.Now())
			panic(http.ErrAbortHandler)
		}
	} else if refused != nil {
		a = *refused
	} else if a = p.limit(s, e); a.status == 0 {
		a = s.carryOut(r, body, &sw, now, e, fs)
	}
	if f := fs.after(s); f != nil {
		e.Fault = f.Kind
		if f.Kind == "cut" {
			s.journal.end(e, 0, nil, s.cfg.Now())
			panic(http.ErrAbortHandler)
		}
		a = f.answer()
	}
	if a.encoded == nil {
		a = a.encode(&sw, "")
	}
	s.headers(w, r, a, now)
	if a.tag != "" && sw.ConditionalGet && r.Header.Get("If-None-Match") == a.tag {
		a.status, a.encoded = http.StatusNotModified, nil
	}
	text := a.encoded
	if f := fs.body(); f != nil {
		e.Fault = f.Kind
		s.journal.end(e, a.status, text, s.cfg.Now())
		s.sendFaulty(w, r, f, a.status, text)
		return
	}
	s.journal.end(e, a.status, text, s.cfg.Now())
	release() // before the answer can be read, so that the caller's next call is never counted beside this one
	if a.status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	}
	w.WriteHeader(a.status)
	w.Write(text) //nolint:errcheck // the caller has gone
}

// carryOut verifies the signature and runs the handler, with the portal to itself.
func (s *Server) carryOut(r *http.Request, body []byte, sw *Switches, now time.Time, e *Entry, fs matched) answer {
	id, ref := s.authenticate(r, body, sw, now)
	e.Family = id.family
	if ref != nil {
		e.Reason = ref.reason
		return fail(401, ref.message)
	}
	rt, vars, wrong := s.find(r.Method, escapedPath(r))
	if wrong {
		return oops()
	}
	if rt == nil {
		return fail(404, "not found")
	}
	e.Route = rt.method + " " + rt.pattern
	if a := badContentType(r, body); a != nil {
		return *a
	}
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return fail(400, "the query is malformed")
	}
	c := &call{s: s, p: id.portal, sw: sw, now: now, id: id, vars: vars, query: values{}, body: body, rowErrors: fs.has("row_errors")}
	for _, q := range query {
		c.query[q.key] = q.value
	}
	if c.rowErrors {
		e.Fault = "row_errors"
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.rowErrors && !strings.Contains(rt.pattern, "pricesheet") && r.Method != http.MethodGet {
		return ok(doc{"success": false, "updates": []any{}, "errors": []any{doc{"index": 0, "message": "row refused by the sandbox"}}})
	}
	a := rt.handle(c)
	a = a.encode(sw, r.Method) // still under the lock, as the body is the stored document itself
	e.Objects = c.objects
	e.Committed = len(c.objects) > 0
	return a
}

// guessPortal finds whose limits a call falls under; a call with no known key falls under the first portal's.
func (s *Server) guessPortal(r *http.Request) *portal {
	if h, err := parseAuth(r.Header.Get("Authorization")); err == nil {
		if p := s.byKey[h.val["oauth_consumer_key"]]; p != nil {
			return p
		}
	}
	return s.ordered[0]
}

func escapedPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath()
	}
	return path
}

// readBody reads a request's body, plain or gzip, up to the limit.
func (s *Server) readBody(r *http.Request) ([]byte, *answer) {
	var in io.Reader = http.MaxBytesReader(nil, r.Body, s.cfg.MaxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			a := fail(400, "the body is not valid gzip")
			return nil, &a
		}
		in = io.LimitReader(z, s.cfg.MaxBody+1)
	default:
		a := fail(400, "the content encoding is not supported")
		return nil, &a
	}
	b, err := io.ReadAll(in)
	if err != nil || int64(len(b)) > s.cfg.MaxBody {
		a := fail(400, "the body cannot be read or is too large")
		return nil, &a
	}
	return b, nil
}

func badContentType(r *http.Request, body []byte) *answer {
	if len(body) == 0 || strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil
	}
	a := fail(400, "the content type must be application/json")
	return &a
}

// encode turns an answer into bytes, and gives a successful read its tag, which does not depend on the order of keys.
func (a answer) encode(sw *Switches, method string) answer {
	if a.body == nil {
		a.encoded = []byte(a.text)
		return a
	}
	var b bytes.Buffer
	encodeJSON(&b, a.body, sw.UnstableKeys)
	a.encoded = b.Bytes()
	if method == http.MethodGet && a.status == http.StatusOK {
		stable := a.encoded
		if sw.UnstableKeys {
			var sorted bytes.Buffer
			encodeJSON(&sorted, a.body, false)
			stable = sorted.Bytes()
		}
		sum := sha256.Sum256(stable)
		a.tag = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
	return a
}

func (s *Server) headers(w http.ResponseWriter, r *http.Request, a answer, now time.Time) {
	h := w.Header()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("X-Powered-By", "Express")
	h.Set("Request-Token", strconv.FormatInt(now.UnixMilli(), 10))
	if a.body != nil {
		h.Set("Content-Type", "application/json")
	} else if len(a.text) > 0 {
		h.Set("Content-Type", "text/plain")
	}
	if r.Method == http.MethodGet && a.status == http.StatusOK && a.tag != "" {
		h.Set("ETag", a.tag)
		h.Set("Cache-Control", "private,max-age=0, must-revalidate")
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
}

// unescape decodes one path segment.
func unescape(s string) (string, bool) {
	v, err := url.PathUnescape(s)
	return v, err == nil
}
