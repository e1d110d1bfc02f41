package kafkalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nubridge/cdc"
)

// unavailable is what Debezium writes for a value that it does not have; readers fetch the row by its key.
const unavailable = `"__debezium_unavailable_value"`

// span is where the value of a column lies in an envelope.
type span struct {
	column   string
	from, to int
}

// shrink leaves out the largest column values of a record until it is at most half as large, and names the columns in the
// oversize header.
func shrink(w wireRecord) (wireRecord, error) {
	spans, err := columns(w.value)
	if err != nil {
		return w, err
	}
	slices.SortFunc(spans, func(a, b span) int { return (b.to - b.from) - (a.to - a.from) })
	goal := len(w.value) / 2
	size := len(w.value)
	var cut []span
	for _, s := range spans {
		saved := s.to - s.from - len(unavailable)
		if size <= goal || saved <= 0 {
			break
		}
		size -= saved
		cut = append(cut, s)
	}
	if len(cut) == 0 {
		return w, errors.New("no column is large enough to leave out")
	}
	return w.without(cut), nil
}

// without replaces values and adds their columns to the oversize header.
func (w wireRecord) without(cut []span) wireRecord {
	slices.SortFunc(cut, func(a, b span) int { return a.from - b.from })
	var value bytes.Buffer
	var names []string
	var headers []byte
	count, from := 0, 0
	w.eachHeader(func(key, old []byte) bool {
		if string(key) == cdc.HeaderOversize {
			names = strings.Split(string(old), ",")
			return true
		}
		headers = appendHeader(headers, string(key), old)
		count++
		return true
	})
	for _, s := range cut {
		value.Write(w.value[from:s.from])
		value.WriteString(unavailable)
		from = s.to
		if !slices.Contains(names, s.column) {
			names = append(names, s.column)
		}
	}
	value.Write(w.value[from:])
	w.value = value.Bytes()
	w.headers = appendHeader(headers, cdc.HeaderOversize, []byte(strings.Join(names, ",")))
	w.count = count + 1
	return w
}

// columns finds the values of the columns in the before and after of an envelope.
func columns(envelope []byte) ([]span, error) {
	var spans []span
	err := members(envelope, 0, func(name string, from, to int) error {
		if (name != "before" && name != "after") || envelope[from] != '{' {
			return nil
		}
		return members(envelope[from:to], from, func(column string, from, to int) error {
			spans = append(spans, span{column, from, to})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("the value is no envelope: %w", err)
	}
	return spans, nil
}

// members gives the members of a JSON object with the place of their values; at is where the object itself lies.
func members(object []byte, at int, see func(name string, from, to int) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errors.New("expected a JSON object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return errors.New("expected a member name")
		}
		text, _ := name.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return errors.New("expected a member value")
		}
		to := int(d.InputOffset())
		if err := see(text, at+to-len(raw), at+to); err != nil {
			return err
		}
	}
	return nil
}
