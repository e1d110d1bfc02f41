package nuorder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"nubridge/internal/fault"
)

// Text is a text that the portal may also write as a number, a boolean or null.
type Text string

// UnmarshalJSON takes any scalar; objects and arrays become their JSON.
func (t *Text) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	switch {
	case bytes.Equal(raw, []byte("null")):
		*t = ""
	case len(raw) > 1 && raw[0] == '"' && raw[len(raw)-1] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw):
		*t = Text(raw[1 : len(raw)-1]) // most are plain
	case len(raw) > 0 && raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("read text: %w", err)
		}
		*t = Text(s)
	default:
		*t = Text(raw)
	}
	return nil
}

// Same compares two names as the portal does, which may fold their case.
func Same(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// encodeJSON writes JSON without HTML escaping.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// fetch makes a call and reads its answer into out.
func (c *Client) fetch(ctx context.Context, r *request, out any) error {
	r.want.body = true
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	// The answer is known to be JSON by now: a type that reads itself does so at once.
	read := func(body []byte) error { return decode(body, out) }
	if u, ok := out.(json.Unmarshaler); ok {
		read = func(body []byte) error { return u.UnmarshalJSON(bytes.TrimSpace(body)) }
	}
	if err := read(a.body); err != nil {
		e := fault.New(fault.Retry, CodeUnreadable, "%s: the answer has another shape than expected: %w", r.name(), shape(err))
		e.Ambiguous = r.write()
		return e
	}
	return nil
}

// about holds a success against what was asked for: got is the name by which it shows its document. A success that shows another
// document tells nothing of the one that was meant, least of all its _id.
func (r *request) about(err error, got Text, wanted string) error {
	if err != nil || got == "" || Same(string(got), wanted) {
		return notItself(r.name(), err, wanted)
	}
	return contradicted(r.name(), r.write(), "another document than the one that was asked for")
}

// contradicted is a success that shows something else than it must.
func contradicted(call string, write bool, shown string) error {
	e := fault.New(fault.Retry, CodeContradicts, "%s: the answer is a success and shows %s", call, shown)
	e.Ambiguous = write
	return e
}

// shape keeps the place of a decoding error and drops the value. // I11
func shape(err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // encoding/json returns it bare.
		return fmt.Errorf("field %q at byte %d", t.Field, t.Offset)
	}
	return fmt.Errorf("%s", clean(err.Error()))
}
