package nuorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nubridge/internal/fault"
)

// The stable codes of failures of calls to NuORDER.
const (
	CodeBadRequest       = "bad_request"       // 400 and other refusals of this input
	CodeUnauthorized     = "unauthorized"      // 401: pauses the whole client
	CodeForbidden        = "forbidden"         // 402, 403, 451: pauses the endpoint class
	CodeNotFound         = "not_found"         // 404, 410
	CodeMethodRefused    = "method_refused"    // 405
	CodeTimeout          = "request_timeout"   // 408
	CodeConflict         = "conflict"          // 409, with the stored document's id if it was told
	CodeTooLarge         = "too_large"         // 413, 414, 431
	CodeEncodingRefused  = "encoding_refused"  // 406, 415
	CodeUnprocessable    = "unprocessable"     // 422
	CodeBusyObject       = "busy_object"       // 421, 423, 425
	CodeTooManyRequests  = "too_many_requests" // 429
	CodeServerError      = "server_error"      // 5xx
	CodeUnavailable      = "unavailable"       // 503 with Retry-After
	CodeRedirected       = "redirected"        // 3xx
	CodeUnexpectedStatus = "unexpected_status" // a status that makes no sense here
	CodeRowsRefused      = "rows_refused"      // an error inside a 200
	CodeUnreadable       = "answer_unreadable" // a success whose body is missing, cut or no JSON
	CodeAnswerTooLarge   = "answer_too_large"
	CodeContradicts      = "answer_contradicts"  // a success that shows another document or status than was asked for
	CodeNoAnswer         = "no_answer"           // the connection broke or a deadline passed after the request left
	CodeUnreachable      = "nuorder_unreachable" // the request never left
	CodeTLS              = "tls_untrusted"       // the certificate is not to be trusted
	CodeAddressRefused   = "address_refused"     // our own guard refused the address
	CodeCancelled        = "cancelled"
	CodeDeadlineClose    = "deadline_too_close"
	CodeBreakerOpen      = "breaker_open"
	CodeQueueFull        = "queue_full"
	CodeSigning          = "signing"
)

// AnswerError is what NuORDER said when it refused; it is the cause inside a fault.Error.
type AnswerError struct {
	// Call is verb and route, ids left out, such as POST /api/product/{id}.
	Call   string
	Status int
	// Message is NuORDER's own text, cleaned of control characters and addresses and cut to 300 bytes. It is hostile input all the same.
	Message string
	// ConflictID is the _id of the stored document that a 409 named, empty if none.
	ConflictID string
	// RequestToken is NuORDER's own id of the request.
	RequestToken string
}

// Error gives call, status and message.
func (e *AnswerError) Error() string {
	text := e.Call + ": status " + strconv.Itoa(e.Status)
	if e.Message != "" {
		text += ": " + strconv.Quote(e.Message)
	}
	if e.RequestToken != "" {
		text += " (request token " + e.RequestToken + ")"
	}
	return text
}

// IsNotFound tells whether NuORDER does not know the object.
func IsNotFound(err error) bool { return err != nil && fault.CodeOf(err) == CodeNotFound }

// ConflictID gives the _id of the stored document that a 409 named, empty if there is none.
func ConflictID(err error) string {
	if a, ok := errors.AsType[*AnswerError](err); ok {
		return a.ConflictID
	}
	return ""
}

// answer is one answer, read to its end or to where it broke.
type answer struct {
	status       int
	header       http.Header
	body         []byte
	requestToken string
	at           time.Time // our clock when the headers came
	// readErr is why the body could not be read to its end, nil if it was.
	readErr error
	tooLong bool
}

// expect is what a call expects of a success.
type expect struct {
	// body tells that the success is worth nothing without a JSON body.
	body bool
	// notModified accepts 304 as done: a status that is already so.
	notModified bool
}

// remark is the part of any answer that tells of an error.
type remark struct {
	Code    json.RawMessage `json:"code"`
	Message any             `json:"message"`
	Success any             `json:"success"`
	Errors  json.RawMessage `json:"errors"`
	Status  any             `json:"status"`
	Error   any             `json:"error"`
	ID      any             `json:"_id"`
	Field   any             `json:"field"`
}

// remarkOf reads the remark in an object, whose other members, such as those of a stored document, are many. What is no object, or no JSON,
// has none.
func remarkOf(raw []byte) (remark, bool) {
	var r remark
	whole := strictMembers(raw, func(name, value []byte) {
		switch string(name) {
		case "code":
			r.Code = value
		case "message":
			r.Message = plain(value)
		case "success":
			r.Success = plain(value)
		case "errors":
			r.Errors = value
		case "status":
			r.Status = plain(value)
		case "error":
			r.Error = plain(value)
		case "_id":
			r.ID = plain(value)
		case "field":
			r.Field = plain(value)
		}
	})
	if !whole && len(raw) > 0 && raw[0] == '{' { // nested deeper than any document
		r = remark{}
		whole = decode(raw, &r) == nil
	}
	return r, whole
}

// plain gives any JSON as Go's plain types.
func plain(raw []byte) any {
	var v any
	_ = decode(raw, &v) // it is known to be whole
	return v
}

// stored tells that the remark is a stored document, which has an _id and may have fields of these names of its own.
func (r remark) stored() bool { return objectID(r.ID) != "" }

// refused tells whether the remark says success: false, or by its status that it failed.
func (r remark) refused() bool {
	failed := r.Status == "error" || r.Status == "fail" || r.Status == "failed"
	return r.Success == false || r.Success == "false" || failed && !r.stored()
}

// status gives the status of {code, message} inside a success, zero if there is none. The code of a company is a text.
func (r remark) status() int {
	code, err := strconv.Atoi(string(r.Code))
	if err != nil || code < 400 || code > 599 {
		return 0
	}
	return code
}

// listed gives the first error that the remark lists, and how many there are; errors may be an array, an object or a text.
func (r remark) listed() (first remark, count int) {
	var list []json.RawMessage
	var named map[string]json.RawMessage
	var text string
	switch {
	case len(r.Errors) == 0:
		return r, 0
	case decode(r.Errors, &list) == nil:
	case decode(r.Errors, &named) == nil:
		for field, raw := range named {
			list = append(list, raw)
			first.Field = field
		}
	case decode(r.Errors, &text) == nil && text != "":
		return remark{Message: text}, 1
	}
	if len(list) == 0 {
		return r, 0
	}
	field := first.Field
	if decode(list[0], &first) != nil {
		first.Message = strings.Trim(string(list[0]), `"`)
	}
	if first.Field == nil && len(list) == 1 {
		first.Field = field
	}
	return first, len(list)
}

// classify decides what an answer means: nil is a success. It is the only place that looks at a status code.
func classify(call string, write bool, want expect, a *answer, c Config) error {
	e := classifyStatus(a.status, want, a, c)
	switch {
	case e != nil:
	case a.status == http.StatusNotModified:
		return nil
	default:
		e = classifySuccess(write, want, a, c)
	}
	if e == nil {
		return nil
	}
	if cause, ok := errors.AsType[*AnswerError](e.Err); ok {
		cause.Call, cause.RequestToken = call, a.requestToken
	} else {
		e.Err = fmt.Errorf("%s: status %d: %w", call, a.status, e.Err)
	}
	e.Ambiguous = e.Ambiguous && write
	return e
}

// verdict is the meaning of a status that is a failure.
type verdict struct {
	kind      fault.Kind
	code      string
	ambiguous bool
	hint      string
}

func statusVerdict(status int) verdict {
	switch status {
	case http.StatusUnauthorized:
		return verdict{fault.Throttle, CodeUnauthorized, false, "check the token of this environment under Admin > API Management, and this machine's clock"}
	case http.StatusPaymentRequired, http.StatusForbidden, http.StatusUnavailableForLegalReasons, http.StatusProxyAuthRequired, http.StatusNetworkAuthenticationRequired:
		return verdict{fault.Throttle, CodeForbidden, false, "the portal refuses this kind of call; ask the portal's administrator which rights the API user has"}
	case http.StatusNotFound, http.StatusGone:
		return verdict{fault.Reject, CodeNotFound, false, ""}
	case http.StatusMethodNotAllowed:
		return verdict{fault.Reject, CodeMethodRefused, false, "the portal wants another verb here; see the dialect settings of this environment"}
	case http.StatusRequestTimeout:
		return verdict{fault.Retry, CodeTimeout, true, ""}
	case http.StatusConflict:
		return verdict{fault.Reject, CodeConflict, false, ""}
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return verdict{fault.Reject, CodeTooLarge, false, "the body is larger than the portal takes"}
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		return verdict{fault.Reject, CodeEncodingRefused, false, "if gzip is on for this environment, switch it off"}
	case http.StatusUnprocessableEntity:
		return verdict{fault.Reject, CodeUnprocessable, false, ""}
	case http.StatusMisdirectedRequest, http.StatusLocked, http.StatusTooEarly:
		return verdict{fault.Retry, CodeBusyObject, true, ""}
	case http.StatusTooManyRequests:
		return verdict{fault.Throttle, CodeTooManyRequests, false, ""}
	case http.StatusMovedPermanently, http.StatusPermanentRedirect:
		return verdict{fault.Halt, CodeRedirected, false, "set the base URL of this environment to the host that the portal names; a signed request is never sent on"}
	}
	switch {
	case status >= 500:
		return verdict{fault.Retry, CodeServerError, true, ""}
	case status >= 400:
		return verdict{fault.Reject, CodeBadRequest, false, ""}
	case status >= 300:
		return verdict{fault.Throttle, CodeRedirected, false, "the portal answers with a redirect, which a signed request never follows; it may be under maintenance, or the base URL is not its own"}
	default:
		return verdict{fault.Retry, CodeUnexpectedStatus, true, ""}
	}
}

// classifyStatus reads the status line; nil means that the status is a success.
func classifyStatus(status int, want expect, a *answer, c Config) *fault.Error {
	if status >= 200 && status < 300 || status == http.StatusNotModified && want.notModified {
		return nil
	}
	if status == http.StatusNotModified {
		return &fault.Error{Kind: fault.Retry, Code: CodeUnexpectedStatus, Err: &AnswerError{Status: status}}
	}
	v := statusVerdict(status)
	e := &fault.Error{Kind: v.kind, Code: v.code, Ambiguous: v.ambiguous, Hint: v.hint, After: retryAfter(a, c.MaxRetryAfter)}
	cause := &AnswerError{Status: status}
	var r remark
	// What follows the error, such as a proxy's page, takes nothing from it.
	if json.NewDecoder(bytes.NewReader(a.body)).Decode(&r) == nil {
		cause.Message = clean(firstText(r.Message, r.Error))
		e.Field = clean(firstText(r.Field))
		if status == http.StatusConflict {
			cause.ConflictID = objectID(r.ID)
		}
	} else {
		cause.Message = clean(string(a.body))
	}
	e.Err = cause
	switch {
	case status == http.StatusServiceUnavailable && e.After > 0:
		e.Kind, e.Code = fault.Throttle, CodeUnavailable
	case v.code == CodeUnauthorized || v.code == CodeForbidden || v.code == CodeRedirected:
		e.After = max(e.After, c.AuthPause)
	}
	if e.Kind == fault.Reject {
		e.Rule = v.code
	}
	return e
}

// mayComeLate tells whether the portal may yet carry out what failed so: nobody but a gateway has answered, or nobody at all.
func mayComeLate(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || !e.Ambiguous {
		return false
	}
	a, answered := errors.AsType[*AnswerError](err)
	switch e.Code {
	case CodeNoAnswer, CodeCancelled, CodeTimeout:
		return true
	case CodeServerError:
		return answered && (a.Status == http.StatusBadGateway || a.Status == http.StatusGatewayTimeout)
	}
	return false
}

// accepted tells that the portal has taken a call and not yet carried it out.
func accepted(a *answer) bool { return a != nil && a.status == http.StatusAccepted }

// classifySuccess looks for failures inside a success.
func classifySuccess(write bool, want expect, a *answer, c Config) *fault.Error {
	unreadable := func(code, text string, cause error) *fault.Error {
		if cause != nil {
			return &fault.Error{Kind: fault.Retry, Code: code, Ambiguous: true, Err: fmt.Errorf("%s: %w", text, cause)}
		}
		return &fault.Error{Kind: fault.Retry, Code: code, Ambiguous: true, Err: errors.New(text)}
	}
	if a.tooLong {
		return unreadable(CodeAnswerTooLarge, "the answer is longer than the cap", nil)
	}
	if a.readErr != nil {
		return unreadable(CodeUnreadable, "the answer broke off", a.readErr)
	}
	body := bytes.TrimSpace(a.body)
	if len(body) == 0 || string(body) == "null" {
		if want.body {
			return unreadable(CodeUnreadable, "the answer is empty", nil)
		}
		return nil
	}
	if r, ok := remarkOf(body); ok {
		return errorInside(r, a, c)
	}
	if !json.Valid(body) {
		return unreadable(CodeUnreadable, "the answer is no JSON", nil)
	}
	if write && body[0] == '[' {
		return rowInside(body, a, c)
	}
	return nil
}

// rowInside finds a row that a write refused.
func rowInside(body []byte, a *answer, c Config) *fault.Error {
	var rows []json.RawMessage
	if decode(body, &rows) != nil {
		return nil
	}
	for i, raw := range rows {
		r, ok := remarkOf(raw)
		if !ok {
			continue
		}
		if r.refused() {
			return rowsRefused(fmt.Sprintf("[%d]", i), r, a.status)
		}
		if e := errorInside(r, a, c); e != nil {
			return e
		}
	}
	return nil
}

// errorInside finds errors that hide in a success: {code, message}, success false, error or errors not empty.
func errorInside(r remark, a *answer, c Config) *fault.Error {
	if r.refused() {
		return rowsRefused("", r, a.status)
	}
	// A conflict names another document's _id.
	if code := r.status(); code != 0 && (!r.stored() || code == http.StatusConflict) {
		return classifyStatus(code, expect{}, a, c)
	}
	if r.stored() {
		return nil
	}
	if first, n := r.listed(); n > 0 {
		return rowsRefused(fmt.Sprintf("errors (%d)", n), first, a.status)
	}
	if firstText(r.Error) != "" {
		return rowsRefused("", r, a.status)
	}
	return nil
}

func rowsRefused(field string, r remark, status int) *fault.Error {
	if f := firstText(r.Field); f != "" {
		field = clean(f)
	}
	return &fault.Error{
		Kind: fault.Reject, Code: CodeRowsRefused, Ambiguous: true, Field: field, Rule: CodeRowsRefused,
		Hint: "NuORDER took the call and refused part of it; correct the named row in the OMS",
		Err:  &AnswerError{Status: status, Message: clean(firstText(r.Message, r.Error))},
	}
}

// decode reads JSON that is whole. It is for types that take numbers as text: a float would not hold them all.
func decode(raw []byte, v any) error { return json.Unmarshal(raw, v) }

func firstText(values ...any) string {
	for _, v := range values {
		switch t := v.(type) {
		case string:
			if t != "" {
				return t
			}
		case map[string]any:
			if s := firstText(t["message"], t["error"]); s != "" {
				return s
			}
		case []any:
			if s := firstText(t...); s != "" {
				return s
			}
		}
	}
	return ""
}

// objectID gives v if it looks like an _id: 24 hexadecimal digits.
func objectID(v any) string {
	s, _ := v.(string)
	if len(s) != 24 || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return ""
	}
	return s
}

// retryAfter reads how long the portal asks to wait: seconds, or a date that is compared with the portal's own clock.
func retryAfter(a *answer, most time.Duration) time.Duration {
	text := strings.TrimSpace(a.header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds >= 0) { // also not a number
			return 0
		}
		if seconds > most.Seconds() {
			return most
		}
		return time.Duration(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	from := a.at
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		from = date
	}
	return min(max(0, at.Sub(from)), most)
}
