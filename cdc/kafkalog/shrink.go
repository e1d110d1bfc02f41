package kafkalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nubridge/cdc"
)

// unavailable is what Debezium writes for a value that it does not have; readers fetch the row by its key.
const unavailable = `"__debezium_unavailable_value"`

// maxRecord is the largest record that is written: a reader unpacks no batch beyond maxInflated. // I6
const maxRecord = maxInflated - 1<<20

// span is where the value of a column lies in an envelope.
type span struct {
	column   string
	from, to int
}

// shrink leaves out the largest column values of a record until it is at most half as large, and names the columns in the
// oversize header.
func shrink(w wireRecord) (wireRecord, error) {
	cut, err := largest(w.value, len(w.value)/2)
	if err != nil {
		return w, err
	}
	return w.without(cut), nil
}

// largest gives the column values without which an envelope comes down to a goal, or as near to it as can be.
func largest(envelope []byte, goal int) ([]span, error) {
	spans, err := columns(envelope)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(spans, func(a, b span) int { return (b.to - b.from) - (a.to - a.from) })
	size := len(envelope)
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
		return nil, errors.New("no column is large enough to leave out")
	}
	return cut, nil
}

// lighten gives an event as it may be published: one beyond a limit comes without its largest columns.
func lighten(e *cdc.Event, limit int) (*cdc.Event, error) {
	if len(e.Key)+len(e.Value) <= limit {
		return e, nil
	}
	cut, err := largest(e.Value, limit/2)
	if err != nil {
		return nil, err
	}
	lighter := *e
	var names []string
	if e.Oversize != "" {
		names = strings.Split(e.Oversize, ",")
	}
	lighter.Value, names = without(e.Value, cut, names)
	lighter.Oversize = strings.Join(names, ",")
	if len(lighter.Key)+len(lighter.Value) > limit {
		return nil, fmt.Errorf("it has %d bytes even without its largest columns", len(lighter.Key)+len(lighter.Value))
	}
	return &lighter, nil
}

// without replaces values of an envelope and adds their columns to names.
func without(envelope []byte, cut []span, names []string) ([]byte, []string) {
	slices.SortFunc(cut, func(a, b span) int { return a.from - b.from })
	size := len(envelope)
	for _, s := range cut {
		size -= s.to - s.from - len(unavailable)
	}
	out := make([]byte, 0, size)
	from := 0
	for _, s := range cut {
		out = append(out, envelope[from:s.from]...)
		out = append(out, unavailable...)
		from = s.to
		if !slices.Contains(names, s.column) {
			names = append(names, s.column)
		}
	}
	return append(out, envelope[from:]...), names
}

// without replaces values and adds their columns to the oversize header.
func (w wireRecord) without(cut []span) wireRecord {
	var names []string
	var headers []byte
	count := 0
	w.eachHeader(func(key, old []byte) bool {
		if string(key) == cdc.HeaderOversize {
			names = strings.Split(string(old), ",")
			return true
		}
		headers = appendHeader(headers, string(key), old)
		count++
		return true
	})
	w.value, names = without(w.value, cut, names)
	w.headers = appendHeader(headers, cdc.HeaderOversize, []byte(strings.Join(names, ",")))
	w.count = count + 1
	return w
}

// columns finds the values of the columns in the before and after of an envelope, or the content of a logical message.
func columns(envelope []byte) ([]span, error) {
	var spans []span
	err := members(envelope, 0, func(name string, from, to int) error {
		if (name != "before" && name != "after" && name != "message") || envelope[from] != '{' {
			return nil
		}
		return members(envelope[from:to], from, func(column string, from, to int) error {
			if name != "message" || column == "content" {
				spans = append(spans, span{column, from, to})
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("the value is no envelope: %w", err)
	}
	return spans, nil
}

// members gives the members of a JSON object with the place of their values; at is where the object itself lies. Nothing is copied,
// since the object is large. What it gives is one value only where the object is sound JSON, as an envelope is.
func members(object []byte, at int, see func(name string, from, to int) error) error {
	i := blank(object, 0)
	if i == len(object) || object[i] != '{' {
		return errors.New("expected a JSON object")
	}
	if i = blank(object, i+1); i < len(object) && object[i] == '}' {
		return nil
	}
	for {
		end := value(object, i)
		var name string
		if end < 0 || object[i] != '"' || json.Unmarshal(object[i:end], &name) != nil {
			return errors.New("expected a member name")
		}
		if i = blank(object, end); i == len(object) || object[i] != ':' {
			return errors.New("expected a colon")
		}
		i = blank(object, i+1)
		if end = value(object, i); end < 0 {
			return errors.New("expected a member value")
		}
		if err := see(name, at+i, at+end); err != nil {
			return err
		}
		switch i = blank(object, end); {
		case i < len(object) && object[i] == '}':
			return nil
		case i == len(object) || object[i] != ',':
			return errors.New("expected a comma")
		}
		i = blank(object, i+1)
	}
}

// blank gives where the white space at i ends.
func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// value gives where the JSON value that begins at i ends, -1 if it does not.
func value(b []byte, i int) int {
	depth := 0
	for start := i; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if i >= len(b) {
				return -1
			}
			if depth == 0 && b[start] == '"' {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return ending(start, i)
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return ending(start, i)
			}
		}
	}
	return -1
}

// ending is where a number, true, false or null ends.
func ending(start, end int) int {
	if end == start {
		return -1
	}
	return end
}
