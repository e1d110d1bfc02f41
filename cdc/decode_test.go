package cdc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nubridge/cdc"
)

func FuzzDecodeChangeNeverPanics(f *testing.F) {
	f.Add([]byte(`{"before":null,"after":{"id":1,"v":"x\u00e9\ud83d\ude00","a":[1,{"b":null}]},"source":{"schema":"s","table":"t"},"op":"c"}`))
	f.Add([]byte(`{"source":{}}`))
	f.Add([]byte(`{"after":{"a":"__debezium_unavailable_value"},"source":{"schema":1}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := cdc.DecodeChange(&cdc.Record{Value: value})
		if err != nil {
			return
		}
		for _, row := range []cdc.Row{c.Before, c.After} {
			if row != nil {
				row.Column("v")
			}
		}
		if len(value) > 0 && json.Valid(value) {
			var want struct{ Source struct{ Schema any } }
			if json.Unmarshal(value, &want) == nil {
				if s, ok := want.Source.Schema.(string); ok && c.Schema != "" && s != c.Schema && !duplicated(value) {
					t.Fatalf("schema %q, want %q", c.Schema, s)
				}
			}
		}
	})
}

// duplicated tells whether the schema is named more than once, of which readers differ in the choice.
func duplicated(value []byte) bool {
	n := 0
	for i := range value {
		if len(value)-i >= 6 && (value[i]|0x20) == 's' {
			n++
		}
	}
	return n > 2
}

func TestDecodeChangeTellsTheStatesOfAValueApart(t *testing.T) {
	t.Parallel()
	c, err := cdc.DecodeChange(&cdc.Record{Op: cdc.OpUpdate, Value: []byte(`{"before":null,"after":{"n":null,"i":-12,"t":"a\"b\\\n","b":true,"u":"__debezium_unavailable_value",
		"by":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==","l":["__debezium_unavailable_value"],"h":"{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}",
		"a":[1,2],"e":""},"source":{"schema":"oms","table":"styles"},"op":"u"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Schema != "oms" || c.Table != "styles" || c.Op != cdc.OpUpdate || c.Before != nil {
		t.Errorf("got %s.%s %c %v", c.Schema, c.Table, c.Op, c.Before)
	}
	for name, want := range map[string]cdc.Value{
		"n": {State: cdc.Null}, "i": {State: cdc.Present, Text: "-12"}, "t": {State: cdc.Present, Text: "a\"b\\\n"}, "b": {State: cdc.Present, Text: "true"},
		"u": {State: cdc.Unavailable}, "by": {State: cdc.Unavailable}, "l": {State: cdc.Unavailable}, "h": {State: cdc.Unavailable},
		"a": {State: cdc.Present, Text: "[1,2]"}, "e": {State: cdc.Present}, "missing": {},
	} {
		if got := c.After.Column(name); got != want {
			t.Errorf("column %s: got %+v, want %+v", name, got, want)
		}
	}
	if c, err := cdc.DecodeChange(&cdc.Record{}); err != nil || c.Op != cdc.OpTombstone || c.After != nil {
		t.Errorf("a tombstone gives %+v, %v", c, err)
	}
}

func FuzzDecodeChangeTakesTheWordsOfJSON(f *testing.F) {
	for _, word := range []string{
		"0", "-0", "10", "01", "-", "1.5", "1.", ".5", "1e9", "1E+09", "1e", "1e-", "-1.25e-3", "true", "false", "null", "nul", "TRUE", "NaN", "+1", "1x", "00", "--1",
	} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsAny(word, ",]}:{[\" \t\r\n") {
			t.Skip("more than a word")
		}
		_, err := cdc.DecodeChange(&cdc.Record{Value: []byte(`{"after":{"v":` + word + `},"source":{"schema":"s","table":"t"},"op":"c"}`)})
		if want := json.Valid([]byte(word)); want != (err == nil) {
			t.Fatalf("%q: got %v, valid JSON: %v", word, err, want)
		}
	})
}

func TestDecodeChangeFindsColumnsByTheirUnescapedName(t *testing.T) {
	t.Parallel()
	var row strings.Builder
	row.WriteString(`{"a\"b":"quoted","\u00e9":"accent","a\\u0062":"backslash"`)
	for i := range 40 {
		fmt.Fprintf(&row, `,"c%d":%d`, i, i)
	}
	row.WriteString("}")
	c, err := cdc.DecodeChange(&cdc.Record{Value: []byte(`{"before":` + row.String() + `,"after":null,"source":{"schema":"s","table":"t"},"op":"d"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{`a"b`: "quoted", "é": "accent", `a\u0062`: "backslash", "c0": "0", "c39": "39"} {
		if got := c.Before.Column(name); got.Text != want {
			t.Errorf("column %q: got %+v, want %s", name, got, want)
		}
	}
	if got := c.Before.Column("ab"); got.State != cdc.Absent {
		t.Errorf("column ab: got %+v", got)
	}
}
