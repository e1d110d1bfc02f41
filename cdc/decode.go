package cdc

import (
	"bytes"
	"errors"
	"fmt"

	"nubridge/internal/jsonscan"
)

// UnavailableValue is what the feed carries in place of an unchanged TOASTed value that the log did not hold.
const UnavailableValue = "__debezium_unavailable_value"

// unavailableBase64 is the same for a column of bytes.
const unavailableBase64 = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="

// DecodeChange reads the envelope of a record. The rows refer to rec.Value, so the record must outlive the change. A tombstone gives a
// change without rows whose schema and table are empty. It is safe on foreign bytes: what is not an envelope gives an error, never a
// panic.
func DecodeChange(rec *Record) (*Change, error) { return new(Decoder).Decode(rec) }

// Decoder decodes records one after the other into the same memory. It is not safe for use by several goroutines.
type Decoder struct {
	change        Change
	before, after jsonRow
	schema, table string // of the last record: most that follow have the same
}

// Decode is DecodeChange; what it gives is good until the next call.
func (d *Decoder) Decode(rec *Record) (*Change, error) {
	c := &d.change
	*c = Change{Op: rec.Op, Position: rec.Position, XID: rec.XID}
	if len(rec.Value) == 0 {
		c.Op = OpTombstone
		return c, nil
	}
	s := jsonscan.New(rec.Value)
	var op []byte
	found := false
	more, err := s.Open('{')
	for more && err == nil {
		var name []byte
		if name, err = s.Name(); err != nil {
			break
		}
		switch string(jsonscan.Unescape(name)) {
		case "before":
			c.Before, err = d.before.read(&s)
		case "after":
			c.After, err = d.after.read(&s)
		case "source":
			found = true
			err = d.source(&s)
		case "op":
			op, err = s.Raw()
		default:
			err = s.Skip()
		}
		if err == nil {
			more, err = s.Next('{')
		}
	}
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return nil, fmt.Errorf("decode change: %w", err)
	}
	if !found {
		return nil, errors.New("decode change: expected an envelope with a source")
	}
	c.Schema, c.Table = d.schema, d.table
	if c.Op == 0 && len(op) == 3 {
		c.Op = Op(op[1])
	}
	return c, nil
}

// source reads what the envelope tells of where the change comes from.
func (d *Decoder) source(s *jsonscan.Scanner) error {
	var schema, table []byte
	more, err := s.Open('{')
	for more && err == nil {
		var name, value []byte
		if name, err = s.Name(); err == nil {
			value, err = s.Raw()
		}
		if err != nil {
			break
		}
		switch string(jsonscan.Unescape(name)) {
		case "schema":
			schema = value
		case "table":
			table = value
		}
		more, err = s.Next('{')
	}
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	d.schema, d.table = again(d.schema, schema), again(d.table, table)
	return nil
}

// again gives the text of a JSON value, without a new string if it is the last one.
func again(last string, raw []byte) string {
	if len(raw) == len(last)+2 && string(raw[1:len(raw)-1]) == last && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return last
	}
	return jsonscan.Text(raw)
}

// jsonRow is one side of an envelope.
type jsonRow struct {
	fields []jsonField
	first  [fieldsFirst]jsonField // of most tables all
}

// jsonField is one member of the row's JSON.
type jsonField struct{ name, value []byte }

const fieldsFirst = 12

// read takes in the row at the place. What is no object is no row.
func (r *jsonRow) read(s *jsonscan.Scanner) (Row, error) {
	if s.Peek() != '{' {
		return nil, s.Skip()
	}
	if r.fields == nil {
		r.fields = r.first[:]
	}
	r.fields = r.fields[:0]
	more, err := s.Open('{')
	for more && err == nil {
		var f jsonField
		if f.name, err = s.Name(); err == nil {
			f.value, err = s.Raw()
		}
		if err != nil {
			break
		}
		f.name = jsonscan.Unescape(f.name)
		r.fields = append(r.fields, f)
		more, err = s.Next('{')
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Column returns the value of a column, State Absent if there is none.
func (r *jsonRow) Column(name string) Value {
	for i := range r.fields {
		if f := &r.fields[i]; string(f.name) == name {
			return valueOf(f.value)
		}
	}
	return Value{}
}

// valueOf turns the JSON of one column into a value.
func valueOf(raw []byte) Value {
	switch {
	case string(raw) == "null":
		return Value{State: Null}
	case raw[0] == '"':
		text := jsonscan.Text(raw)
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
