package oms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode"

	"github.com/shopspring/decimal"
)

// decodeJSON decodes JSON with exact numbers: integers as int, all others as decimals. No amount meets a float.
func decodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("expected JSON: the text ends early or is of another form")
	}
	if d.More() {
		return nil, fmt.Errorf("expected one JSON value: there is more behind it")
	}
	return exact(v), nil
}

func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		// An exponent is not for amounts: 1e999999999 would cost memory without end.
		if d, err := decimal.NewFromString(v.String()); err == nil && d.Exponent() > -100 && d.Exponent() < 100 {
			return d
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}

// answerOf adds what an answer holds to the names of expressions.
func answerOf(names map[string]any, r *reply) map[string]any {
	out := maps.Clone(names)
	answer, err := decodeJSON(r.body)
	if err != nil || r.cut {
		answer = nil
	}
	headers := make(map[string]any, len(r.header))
	for name := range r.header {
		headers[strings.ToLower(name)] = r.header.Get(name)
	}
	out["status"], out["answer"], out["headers"], out["text"] = r.status, answer, headers, cut(string(r.body))
	return out
}

// with gives the names and one more.
func with(names map[string]any, name string, value any) map[string]any {
	out := maps.Clone(names)
	out[name] = value
	return out
}

// textOf is a value as text; what is no scalar has none.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case decimal.Decimal:
		return v.String()
	}
	return ""
}

// argument is a value as a database takes it: lists as lists of text.
func argument(v any) any {
	list, ok := v.([]any)
	if !ok {
		if v == nil {
			return nil
		}
		return textOf(v)
	}
	out := make([]string, len(list))
	for n, item := range list {
		out[n] = textOf(item)
	}
	return out
}

const textCap = 500

// cut makes a text of the far end fit for the history: printable, at most 500 bytes. // I11
func cut(s string) string {
	if len(s) > 4*textCap {
		s = s[:4*textCap]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > textCap {
		s = strings.ToValidUTF8(s[:textCap], "") + "…"
	}
	return s
}
