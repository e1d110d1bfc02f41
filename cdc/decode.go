package cdc

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// UnavailableValue is what the feed carries in place of an unchanged TOASTed value that the log did not hold.
const UnavailableValue = "__debezium_unavailable_value"

// unavailableBase64 is the same for a column of bytes.
const unavailableBase64 = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="

// DecodeChange reads the envelope of a record. The rows refer to rec.Value and are parsed when a column is asked for, so
// the record must outlive the change. A tombstone gives a change without rows whose schema and table are empty. It is safe
// on foreign bytes: what is not an envelope gives an error, never a panic.
func DecodeChange(rec *Record) (*Change, error) {
	c := &Change{Op: rec.Op, Position: rec.Position, XID: rec.XID}
	if len(rec.Value) == 0 {
		c.Op = OpTombstone
		return c, nil
	}
	s := scanner{data: rec.Value}
	var source []byte
	var op []byte
	err := s.object(func(key, value []byte) error {
		switch string(key) {
		case "before":
			c.Before = rowOf(value)
		case "after":
			c.After = rowOf(value)
		case "source":
			source = value
		case "op":
			op = value
		}
		return nil
	})
	if err == nil && s.skip() != len(s.data) {
		err = s.fault("expected the end")
	}
	if err != nil {
		return nil, fmt.Errorf("decode change: %w", err)
	}
	if source == nil {
		return nil, fmt.Errorf("decode change: expected an envelope with a source")
	}
	ss := scanner{data: source}
	err = ss.object(func(key, value []byte) error {
		switch string(key) {
		case "schema":
			c.Schema = textOf(value)
		case "table":
			c.Table = textOf(value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("decode change: source: %w", err)
	}
	if c.Op == 0 && len(op) == 3 {
		c.Op = Op(op[1])
	}
	return c, nil
}

// rowOf gives a lazy row, nil for null.
func rowOf(value []byte) Row {
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	return &jsonRow{raw: value}
}

// jsonRow is one side of an envelope; it is indexed on first use. It is not safe for use by several goroutines.
type jsonRow struct {
	raw    []byte
	fields []jsonField
	parsed bool
	first  [fieldsFirst]jsonField // of most tables all
}

// jsonField says where in the row's JSON name and value lie. A record cannot be so large that 32 bits do not suffice.
type jsonField struct {
	name, nameEnd, value, valueEnd uint32
	escaped                        bool
}

const fieldsFirst = 12

// Column returns the value of a column, State Absent if there is none.
func (r *jsonRow) Column(name string) Value {
	if !r.parsed {
		r.parsed = true
		r.fields = r.first[:0]
		s := scanner{data: r.raw}
		// The envelope was scanned as a whole before, so that the row is known to be well-formed.
		_ = s.fieldsAt(0, func(f jsonField) error {
			f.escaped = bytes.IndexByte(r.raw[f.name:f.nameEnd], '\\') >= 0
			r.fields = append(r.fields, f)
			return nil
		})
	}
	for i := range r.fields {
		if f := &r.fields[i]; f.names(r.raw, name) {
			return valueOf(r.raw[f.value:f.valueEnd])
		}
	}
	return Value{}
}

// names tells whether it is the field of a column.
func (f *jsonField) names(row []byte, column string) bool {
	raw := row[f.name:f.nameEnd]
	if f.escaped {
		return string(unescape(nil, raw)) == column
	}
	return string(raw) == column
}

// valueOf turns the JSON of one column into a value.
func valueOf(raw []byte) Value {
	switch {
	case string(raw) == "null":
		return Value{State: Null}
	case raw[0] == '"':
		text := textOf(raw)
		if text == UnavailableValue || text == unavailableBase64 {
			return Value{State: Unavailable}
		}
		if len(text) > 2*len(UnavailableValue)+8 || text == "" || text[0] != '{' {
			return Value{State: Present, Text: text}
		}
		return unavailableOr(text) // an hstore travels as JSON within a string
	case raw[0] == '[' || raw[0] == '{':
		return unavailableOr(string(raw))
	default:
		return Value{State: Present, Text: string(raw)}
	}
}

// unavailableOr recognises the placeholder inside an array or a map.
func unavailableOr(text string) Value {
	if len(text) <= 2*len(UnavailableValue)+8 {
		switch text {
		case `["` + UnavailableValue + `"]`, `["` + unavailableBase64 + `"]`,
			`{"` + UnavailableValue + `":"` + UnavailableValue + `"}`:
			return Value{State: Unavailable}
		}
	}
	return Value{State: Present, Text: text}
}

// textOf gives the text of a JSON string, of anything else its JSON.
func textOf(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return string(raw)
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	return string(unescape(make([]byte, 0, len(raw)), raw))
}

// unescape appends the unescaped inside of a well-formed JSON string.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' || i+1 >= len(raw) {
			dst = append(dst, c)
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n := hexRune(raw[i+1:])
			i += n
			if utf16.IsSurrogate(r) {
				r2 := rune(0)
				if i+2 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
					r2, _ = hexRune(raw[i+3:])
				}
				if full := utf16.DecodeRune(r, r2); full != utf8.RuneError {
					r, i = full, i+6
				} else {
					r = utf8.RuneError
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// hexRune reads four hexadecimal digits and says how many bytes it took.
func hexRune(raw []byte) (rune, int) {
	if len(raw) < 4 {
		return utf8.RuneError, len(raw)
	}
	n, err := strconv.ParseUint(string(raw[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError, 4
	}
	return rune(n), 4
}

// maxDepth bounds the nesting of foreign JSON.
const maxDepth = 512

// scanner walks JSON without building anything.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) fault(what string) error {
	return fmt.Errorf("%s at byte %d of %d", what, s.pos, len(s.data))
}

// skip moves over white space and gives the position.
func (s *scanner) skip() int {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return s.pos
		}
	}
	return s.pos
}

// object calls visit with each unescaped key and raw value of the object at the position.
func (s *scanner) object(visit func(key, value []byte) error) error {
	return s.fieldsAt(0, func(f jsonField) error {
		key := s.data[f.name:f.nameEnd]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = unescape(nil, key)
		}
		return visit(key, s.data[f.value:f.valueEnd])
	})
}

// fieldsAt moves over the object at the position and calls visit, which may be nil, with the place of each field.
func (s *scanner) fieldsAt(depth int, visit func(jsonField) error) error {
	if s.skip() >= len(s.data) || s.data[s.pos] != '{' {
		return s.fault("expected an object")
	}
	s.pos++
	if s.skip() < len(s.data) && s.data[s.pos] == '}' {
		s.pos++
		return nil
	}
	for {
		start := s.skip()
		if err := s.text(); err != nil {
			return err
		}
		f := jsonField{name: uint32(start + 1), nameEnd: uint32(s.pos - 1)}
		if s.skip() >= len(s.data) || s.data[s.pos] != ':' {
			return s.fault("expected a colon")
		}
		s.pos++
		f.value = uint32(s.skip())
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if visit != nil {
			f.valueEnd = uint32(s.pos)
			if err := visit(f); err != nil {
				return err
			}
		}
		if s.skip() >= len(s.data) {
			return s.fault("expected a comma or the end of the object")
		}
		s.pos++
		switch s.data[s.pos-1] {
		case ',':
		case '}':
			return nil
		default:
			s.pos--
			return s.fault("expected a comma or the end of the object")
		}
	}
}

// text moves over a string.
func (s *scanner) text() error {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return s.fault("expected a string")
	}
	s.pos++
	for s.pos < len(s.data) {
		i := bytes.IndexByte(s.data[s.pos:], '"')
		if i < 0 {
			break
		}
		end := s.pos + i
		slashes := 0
		for j := end - 1; j >= s.pos && s.data[j] == '\\'; j-- {
			slashes++
		}
		s.pos = end + 1
		if slashes%2 == 0 {
			return nil
		}
	}
	s.pos = len(s.data)
	return s.fault("expected the end of a string")
}

// value moves over any value.
func (s *scanner) value(depth int) error {
	if depth > maxDepth {
		return s.fault("nesting too deep")
	}
	if s.skip() >= len(s.data) {
		return s.fault("expected a value")
	}
	switch c := s.data[s.pos]; c {
	case '{':
		return s.fieldsAt(depth, nil)
	case '[':
		return s.array(depth)
	case '"':
		return s.text()
	default:
		start := s.pos
		for s.pos < len(s.data) && !delimits(s.data[s.pos]) {
			s.pos++
		}
		if !validWord(s.data[start:s.pos]) {
			s.pos = start
			return s.fault("expected a value")
		}
		return nil
	}
}

// validWord tells whether a word is a number, true, false or null.
func validWord(word []byte) bool {
	switch string(word) {
	case "null", "true", "false":
		return true
	}
	word = bytes.TrimPrefix(word, []byte("-"))
	whole, ok := digits(word)
	if !ok || whole > 1 && word[0] == '0' {
		return false
	}
	word = word[whole:]
	if len(word) > 0 && word[0] == '.' {
		n, ok := digits(word[1:])
		if !ok {
			return false
		}
		word = word[1+n:]
	}
	if len(word) > 0 && word[0]|0x20 == 'e' {
		word = word[1:]
		if len(word) > 0 && (word[0] == '+' || word[0] == '-') {
			word = word[1:]
		}
		n, ok := digits(word)
		if !ok {
			return false
		}
		word = word[n:]
	}
	return len(word) == 0
}

// digits counts those that word begins with; there must be one.
func digits(word []byte) (n int, ok bool) {
	for n < len(word) && word[n] >= '0' && word[n] <= '9' {
		n++
	}
	return n, n > 0
}

// delimits tells whether a byte ends a number or a word.
func delimits(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\t', '\n', '\r', ':', '{', '[', '"':
		return true
	}
	return false
}

// array moves over an array.
func (s *scanner) array(depth int) error {
	s.pos++
	if s.skip() < len(s.data) && s.data[s.pos] == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if s.skip() >= len(s.data) {
			return s.fault("expected a comma or the end of the array")
		}
		s.pos++
		switch s.data[s.pos-1] {
		case ',':
		case ']':
			return nil
		default:
			s.pos--
			return s.fault("expected a comma or the end of the array")
		}
	}
}
