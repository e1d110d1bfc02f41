package nuorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// doc is a JSON object. Numbers in it are json.Number, so that no figure passes through a float.
type doc = map[string]any

// decodeDoc reads one JSON object.
func decodeDoc(b []byte) (doc, error) {
	v, err := decodeJSON(b)
	if err != nil {
		return nil, err
	}
	d, ok := v.(doc)
	if !ok {
		return nil, errors.New("the body must be a JSON object")
	}
	return d, nil
}

// decodeJSON reads one JSON value and nothing after it.
func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("the body is not valid JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body has something after its JSON value")
	}
	return v, nil
}

// normalise turns a value made in Go into the same forms that decodeJSON gives.
func normalise(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeJSON(b)
}

// clone copies a value deeply.
func clone(v any) any {
	switch t := v.(type) {
	case doc:
		return cloneDoc(t)
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = clone(t[i])
		}
		return out
	}
	return v
}

func cloneDoc(d doc) doc {
	out := make(doc, len(d))
	for k, v := range d {
		out[k] = clone(v)
	}
	return out
}

func str(d doc, key string) string {
	s, _ := d[key].(string)
	return s
}

func sub(d doc, key string) doc {
	s, _ := d[key].(doc)
	return s
}

func list(d doc, key string) []any {
	l, _ := d[key].([]any)
	return l
}

func docs(d doc, key string) []doc {
	var out []doc
	for _, v := range list(d, key) {
		if e, ok := v.(doc); ok {
			out = append(out, e)
		}
	}
	return out
}

func flag(d doc, key string) bool {
	b, _ := d[key].(bool)
	return b
}

// number reads a figure; text only where the switch allows it.
func number(v any, asText bool) (decimal.Decimal, bool) {
	var text string
	switch t := v.(type) {
	case json.Number:
		text = t.String()
	case string:
		if !asText {
			return decimal.Zero, false
		}
		text = t
	case int:
		return decimal.NewFromInt(int64(t)), true
	case int64:
		return decimal.NewFromInt(t), true
	default:
		return decimal.Zero, false
	}
	if len(text) > 40 {
		return decimal.Zero, false
	}
	d, err := decimal.NewFromString(text)
	if err != nil || d.Exponent() > 40 || d.Exponent() < -40 {
		return decimal.Zero, false
	}
	return d, true
}

// integer reads a whole figure that is not negative.
func integer(v any, asText bool) (int64, bool) {
	d, ok := number(v, asText)
	if !ok || !d.IsInteger() || d.IsNegative() || d.GreaterThan(decimal.NewFromInt(1<<53)) {
		return 0, false
	}
	return d.IntPart(), true
}

func num(d decimal.Decimal) json.Number { return json.Number(d.String()) }

func count(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

// stamp is how a moment is stored: ISO 8601, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// parseDate reads a date in one of the named forms.
func parseDate(s string, forms []string) (time.Time, bool) {
	for _, f := range forms {
		layout := map[string]string{"dash": "2006-01-02", "slash": "2006/01/02", "us": "01/02/2006", "iso": time.RFC3339}[f]
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// setDate turns a date field of a body into the stored form; absent stays absent, null and "" become "".
func setDate(d doc, key string, forms []string) string {
	v, there := d[key]
	if !there {
		return ""
	}
	text, isText := v.(string)
	if v == nil || isText && text == "" {
		d[key] = ""
		return ""
	}
	t, ok := parseDate(text, forms)
	if !isText || !ok {
		return key + " is not a valid date"
	}
	d[key] = stamp(t)
	return ""
}

// encodeJSON writes a value; with unstable its objects have their keys in no order, as the original's have.
func encodeJSON(b *bytes.Buffer, v any, unstable bool) {
	switch t := v.(type) {
	case doc:
		b.WriteByte('{')
		first := true
		write := func(k string) {
			if !first {
				b.WriteByte(',')
			}
			first = false
			encodeLeaf(b, k)
			b.WriteByte(':')
			encodeJSON(b, t[k], unstable)
		}
		if unstable {
			for k := range t {
				write(k)
			}
		} else {
			for _, k := range slices.Sorted(maps.Keys(t)) {
				write(k)
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range t {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeJSON(b, e, unstable)
		}
		b.WriteByte(']')
	default:
		encodeLeaf(b, v)
	}
}

func encodeLeaf(b *bytes.Buffer, v any) {
	switch t := v.(type) {
	case nil:
		b.WriteString("null")
	case json.Number:
		b.WriteString(t.String())
	case bool:
		b.WriteString(strconv.FormatBool(t))
	case int:
		b.WriteString(strconv.Itoa(t))
	default:
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte("null")
		}
		b.Write(text)
	}
}
