package nuorder

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// bodies are the shapes in which an answer may come.
func bodies() map[string]answer {
	return map[string]answer{
		"document":    {body: []byte(`{"_id":"0123456789abcdef01234567","name":"x"}`)},
		"array":       {body: []byte(`[{"_id":"0123456789abcdef01234567"}]`)},
		"refusal":     {body: []byte(`{"code":400,"message":"bad things"}`)},
		"text":        {body: []byte("Oops, there was a problem!")},
		"page":        {body: []byte("<html><body>502 Bad Gateway</body></html>")},
		"empty":       {},
		"blank":       {body: []byte(" \r\n")},
		"null":        {body: []byte("null")},
		"cut":         {body: []byte(`{"_id":"0123456789abcd`), readErr: io.ErrUnexpectedEOF},
		"cut quiet":   {body: []byte(`{"_id":"0123456789abcd`)},
		"endless":     {body: []byte(`{"_id":"0123456789abcdef01234567"}`), tooLong: true},
		"no success":  {body: []byte(`{"success":false,"message":"no"}`)},
		"row errors":  {body: []byte(`{"updates":[],"errors":[{"message":"unknown style","index":3}]}`)},
		"no errors":   {body: []byte(`{"updates":[{}],"errors":[]}`)},
		"bare code":   {body: []byte(`{"code":400}`)},
		"error":       {body: []byte(`{"error":"could not save"}`)},
		"errors":      {body: []byte(`{"errors":{"name":"is required"}}`)},
		"errors text": {body: []byte(`{"errors":"could not save"}`)},
		"failed":      {body: []byte(`{"status":"error","message":"could not save"}`)},
		"busy inside": {body: []byte(`{"code":503,"message":"busy"}`)},
		"rows":        {body: []byte(`[{"success":true,"index":0},{"success":false,"index":1}]`)},
		"binary":      {body: []byte{0xff, 0xfe, 0, 1, 2}},
	}
}

// outcome is kind and code, with ! for ambiguous.
func outcome(err error) string {
	if err == nil {
		return "success"
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return "no fault: " + err.Error()
	}
	mark := ""
	if e.Ambiguous {
		mark = "!"
	}
	return e.Kind.String() + " " + e.Code + mark
}

// wantOutcome is the whole of the rule, written down a second time.
func wantOutcome(status int, body string, want expect, write bool) string {
	mark := func(s string) string {
		if write {
			return s + "!"
		}
		return s
	}
	byStatus := map[int]string{
		301: "halt redirected", 308: "halt redirected", 304: "retry unexpected_status",
		400: "reject bad_request", 401: "throttle unauthorized", 402: "throttle forbidden", 403: "throttle forbidden", 404: "reject not_found",
		405: "reject method_refused", 406: "reject encoding_refused", 407: "throttle forbidden", 408: mark("retry request_timeout"), 409: "reject conflict",
		410: "reject not_found", 413: "reject too_large", 414: "reject too_large", 415: "reject encoding_refused", 421: mark("retry busy_object"),
		422: "reject unprocessable", 423: mark("retry busy_object"), 425: mark("retry busy_object"), 429: "throttle too_many_requests", 431: "reject too_large",
		451: "throttle forbidden", 511: "throttle forbidden",
	}
	if status == 304 && want.notModified {
		return "success"
	}
	if s, ok := byStatus[status]; ok {
		return s
	}
	switch {
	case status >= 500:
		return mark("retry server_error")
	case status >= 400:
		return "reject bad_request"
	case status >= 300:
		return "throttle redirected"
	case status < 200:
		return mark("retry unexpected_status")
	}
	switch body {
	case "document", "array", "no errors":
		return "success"
	case "rows":
		if !write {
			return "success" // a list that was read
		}
		return "reject rows_refused!"
	case "busy inside":
		return mark("retry server_error")
	case "empty", "blank", "null":
		if want.body {
			return mark("retry answer_unreadable")
		}
		return "success"
	case "refusal", "bare code":
		return "reject bad_request"
	case "no success", "row errors", "error", "errors", "errors text", "failed":
		return mark("reject rows_refused")
	case "endless":
		return mark("retry answer_too_large")
	default:
		return mark("retry answer_unreadable")
	}
}

func TestEveryAnswerHasOneMeaning(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	for status := 100; status <= 599; status++ {
		for name, a := range bodies() {
			for _, write := range []bool{false, true} {
				for _, want := range []expect{{}, {body: true}, {notModified: true}, {body: true, notModified: true}} {
					a.status, a.header = status, http.Header{}
					err := classify("POST /api/x", write, want, &a, c)
					if got, wanted := outcome(err), wantOutcome(status, name, want, write); got != wanted {
						t.Errorf("%d %s write=%v %+v: got %s, want %s", status, name, write, want, got, wanted)
					}
				}
			}
		}
	}
}

func TestErrorsInsideASuccessAreFound(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"code":500,"message":"Oops"}`:                                     "retry server_error!",
		`{"code":429,"message":"slow down"}`:                                "throttle too_many_requests",
		`{"code":409,"message":"exists","_id":"0123456789abcdef01234567"}`:  "reject conflict",
		`{"code":401,"message":"Signature is not correct"}`:                 "throttle unauthorized",
		`{"_id":"0123456789abcdef01234567","code":"500","message":"hello"}`: "success", // a company
		`{"_id":"0123456789abcdef01234567","code":500,"message":"hello"}`:   "success", // a document with such fields
		`{"_id":"0123456789abcdef01234567","errors":["x"]}`:                 "success",
		`{"code":"C1","name":"Shop"}`:                                       "success",
		`{"code":200,"message":"fine"}`:                                     "success",
		`{"success":true}`:                                                  "success",
		`{"success":"false","code":"E1"}`:                                   "reject rows_refused!",
		`{"errors":["style unknown"]}`:                                      "reject rows_refused!",
		`{"errors":{}}`:                                                     "success",
		`{"errors":""}`:                                                     "success",
		`{"errors":null,"error":null}`:                                      "success",
		`{"error":{"message":"no"}}`:                                        "reject rows_refused!",
		`{"_id":"0123456789abcdef01234567","error":"a field of this name"}`: "success",
		`{"_id":"0123456789abcdef01234567","status":"error"}`:               "success",
		`{"code":503}`: "retry server_error!",
		`[{"message":"ok","index":0,"success":true},{"success":false,"index":1}]`: "reject rows_refused!",
		`[{"message":"ok","index":0,"success":true},{"success":true,"index":1}]`:  "success",
		`[1,"a",null,[]]`: "success",
		`{"success":false,"errors":[{"message":"unknown style","field":"color"}]}`: "reject rows_refused!",
	} {
		a := answer{status: 200, header: http.Header{}, body: []byte(body)}
		if got := outcome(classify("PUT /api/x", true, expect{}, &a, Config{}.withDefaults())); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestConflictNamesTheStoredDocument(t *testing.T) {
	t.Parallel()
	a := answer{status: 409, header: http.Header{"Request-Token": {"1"}}, body: []byte(`{"code":409,"message":"code exists for a.b@example.com +4917612345678","_id":"0123456789abcdef01234567"}`), requestToken: "1447853482123"}
	err := classify("PUT /api/company/new", true, expect{}, &a, Config{}.withDefaults())
	if ConflictID(err) != "0123456789abcdef01234567" {
		t.Fatalf("got %q", ConflictID(err))
	}
	if want := `PUT /api/company/new: status 409: "code exists for <address> <number>" (request token 1447853482123)`; err.Error() != want {
		t.Fatalf("got %s", err)
	}
}

func TestRetryAfterIsReadInEitherForm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		header, date string
		want         time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"0.5", "", 500 * time.Millisecond},
		{"-3", "", 0},
		{"NaN", "", 0},
		{"soon", "", 0},
		{"99999999999999999999", "", time.Hour},
		{"Inf", "", time.Hour},
		{"Fri, 02 Jan 2026 03:04:35 GMT", "", 30 * time.Second},
		{"Fri, 02 Jan 2026 04:00:35 GMT", "Fri, 02 Jan 2026 04:00:05 GMT", 30 * time.Second}, // by the portal's own clock
		{"Fri, 02 Jan 2026 03:00:00 GMT", "", 0},
		{"Fri, 02 Jan 2036 03:00:00 GMT", "", time.Hour},
	} {
		a := answer{header: http.Header{}, at: now}
		a.header.Set("Retry-After", c.header)
		a.header.Set("Date", c.date)
		if got := retryAfter(&a, time.Hour); got != c.want {
			t.Errorf("%q with date %q: got %s, want %s", c.header, c.date, got, c.want)
		}
	}
}

// Over the wire: bodies that break, trickle or never end.
func TestBrokenBodiesEndInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"_id":"0123`))
		}, "retry answer_unreadable!"},
		"cut in the headers": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "retry no_answer!"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
					return
				}
			}
		}, "retry answer_too_large!"},
		"trickle": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "retry answer_unreadable!"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "retry no_answer!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, c.serve, func(c *Config, _ *Deps) {
				c.MaxAnswer = 1 << 16
				c.Deadlines = Deadlines{Headers: 100 * time.Millisecond, Body: 100 * time.Millisecond, Total: 5 * time.Second}
			})
			_, err := client.UpsertProduct(t.Context(), []byte(`{}`))
			if got := outcome(err); got != c.want {
				t.Fatalf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for name, a := range bodies() {
		for _, status := range []int{200, 201, 304, 400, 401, 409, 429, 500, 503} {
			f.Add(status, a.body, name == "cut", "30", "Fri, 02 Jan 2026 03:04:35 GMT")
		}
	}
	f.Add(503, []byte(`{"code":`), false, "Fri, 02 Jan 2026 03:04:35 GMT", "")
	f.Fuzz(func(t *testing.T, status int, body []byte, cut bool, after, date string) {
		a := answer{status: 100 + (status%500+500)%500, body: body, header: http.Header{}}
		a.header.Set("Retry-After", after)
		a.header.Set("Date", date)
		if cut {
			a.readErr = io.ErrUnexpectedEOF
		}
		c := Config{}.withDefaults()
		for _, want := range []expect{{}, {body: true}, {notModified: true}} {
			err := classify("POST /api/x", true, want, &a, c)
			if err == nil {
				if a.status >= 300 && (a.status != 304 || !want.notModified) || cut && a.status < 300 {
					t.Fatalf("status %d is a success", a.status)
				}
				continue
			}
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind == fault.Unknown || e.Code == "" || e.After < 0 || e.After > c.MaxRetryAfter {
				t.Fatalf("got %#v", err)
			}
			text := err.Error()
			if len(text) > 6*messageCap || !utf8.ValidString(text) || slices.ContainsFunc([]rune(text), unicode.IsControl) {
				t.Fatalf("error text %q", text)
			}
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"_id":1,"brand_id":null,"sizes":[{"size":5,"_id":"x"}],"__warehouses":[{"id":"a","code":2}]}`))
	f.Add([]byte(`{"_id":"a","line_items":[{"product":{"_id":"b"},"sizes":[{"size":"M","quantity":"3"}],"prebook":null}],"shipments":[{"tracking_numbers":["1",2]}]}`))
	f.Add([]byte(`[{"fields":[{"key":"a","details":{"allowed_values":[{"value":1}]}}]}]`))
	f.Add([]byte(`{"inventory":[{"warehouse":"d","wip":[{"name":"immediate","sizes":[{"size":"M","quantity":1e9}]}]}]}`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var p Product
		_ = decode(raw, &p)
		p.SizeID("M")
		var c Company
		_ = decode(raw, &c)
		var o Order
		_ = decode(raw, &o)
		var s []Schema
		_ = decode(raw, &s)
		_, _ = zeroStock(raw)
		_, _ = writable(raw)
		_, _ = with(raw, map[string]any{"a": 1})
		_ = fmt.Sprint(known(string(raw), &ledger.Object{}))
		_ = clean(string(raw))
	})
}
