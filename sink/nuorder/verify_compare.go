package nuorder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// readBack compares a body of ours with the document as NuORDER stores it, and names the first field that differs, none if the two
// are in step. What our body does not name is NuORDER's own. Ways of writing are no difference: a figure as text, a price that was
// rounded to cents, a date as a timestamp, nothing in place of an empty text.
func readBack(ours, stored []byte) (field string, err error) {
	var a, b map[string]any
	if err := exactly(ours, &a); err != nil || a == nil {
		return "", fmt.Errorf("the body is no JSON object")
	}
	if err := exactly(stored, &b); err != nil || b == nil {
		return "", fmt.Errorf("the stored document is no JSON object")
	}
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if at := different(a[k], b[k], k); at != "" {
			return at, nil
		}
	}
	return "", nil
}

// exactly reads JSON with its figures as they are written.
func exactly(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// different compares two values, and gives the path of the first difference.
func different(ours, stored any, path string) string {
	if unset(ours) && unset(stored) {
		return ""
	}
	same := false
	switch o := ours.(type) {
	case map[string]any:
		s, ok := stored.(map[string]any)
		if !ok {
			return path
		}
		for _, k := range slices.Sorted(maps.Keys(o)) {
			if at := different(o[k], s[k], path+"."+k); at != "" {
				return at
			}
		}
		// What we once sent and send no more must not stay, such as the price in a currency.
		for _, k := range slices.Sorted(maps.Keys(s)) {
			if _, named := o[k]; !named && !portalsOwn(k) && !unset(s[k]) && s[k] != false {
				return path + "." + k
			}
		}
		return ""
	case []any:
		s, ok := stored.([]any)
		if !ok || len(s) != len(o) {
			return path
		}
		for i := range o {
			if at := different(o[i], s[i], fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at
			}
		}
		return ""
	case json.Number:
		same = sameFigure(o, stored)
	case string:
		same = sameText(o, stored)
	default:
		same = ours == stored
	}
	if same {
		return ""
	}
	return path
}

// unset tells that a value says nothing.
func unset(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case string:
		return t == ""
	case []any:
		return len(t) == 0
	case map[string]any:
		return len(t) == 0
	}
	return false
}

// portalsOwn tells that NuORDER adds a field to the elements of a document by itself.
func portalsOwn(field string) bool {
	return strings.HasPrefix(field, "_") || slices.Contains([]string{"id", "ref", "size_order", "units_per_pack", "default_billing", "default_shipping"}, field)
}

// sameFigure compares a figure with a stored one, which may be written as text, or be rounded to cents.
func sameFigure(ours json.Number, stored any) bool {
	a, err := decimal.NewFromString(string(ours))
	if err != nil {
		return false
	}
	var text string
	switch s := stored.(type) {
	case json.Number:
		text = string(s)
	case string:
		text = s
	default:
		return false
	}
	b, err := decimal.NewFromString(text)
	return err == nil && (a.Equal(b) || b.Equal(b.Round(2)) && a.Round(2).Equal(b))
}

// sameText compares a text with a stored one: letter for letter, or as the same day.
func sameText(ours string, stored any) bool {
	switch s := stored.(type) {
	case json.Number:
		if ours == string(s) {
			return true
		}
	case string:
		if ours == s {
			return true
		}
	}
	a, ok := moment(ours)
	if !ok {
		return false
	}
	b, ok := moment(stored)
	return ok && a.Equal(b)
}

// moment reads a date as it is sent, or as NuORDER shows it: a timestamp, or milliseconds since 1970.
func moment(v any) (time.Time, bool) {
	switch t := v.(type) {
	case json.Number:
		ms, err := t.Int64()
		return time.UnixMilli(ms), err == nil
	case string:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly, "2006/01/02", "01/02/2006"} {
			if at, err := time.Parse(layout, t); err == nil {
				return at, true
			}
		}
	}
	return time.Time{}, false
}
