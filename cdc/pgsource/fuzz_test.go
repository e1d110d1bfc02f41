package pgsource

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"github.com/jackc/pglogrepl"
	"pgregory.net/rapid"

	"nubridge/cdc"
)

// FuzzMessagesAreReadAsPglogreplReadsThem compares the parsers over the same bytes: whatever pglogrepl takes whole we take
// in the same way, and nothing makes ours panic.
func FuzzMessagesAreReadAsPglogreplReadsThem(f *testing.F) {
	f.Add([]byte("I\x00\x00\x00\x01N\x00\x02t\x00\x00\x00\x01an"))
	f.Add([]byte("U\x00\x00\x00\x01K\x00\x01t\x00\x00\x00\x01aN\x00\x02t\x00\x00\x00\x01au"))
	f.Add([]byte("D\x00\x00\x00\x01O\x00\x01t\x00\x00\x00\x01a"))
	f.Add([]byte("R\x00\x00\x00\x01public\x00item\x00d\x00\x01\x01id\x00\x00\x00\x00\x14\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		// pglogrepl has no bounds checks: it makes room for whatever a length says. What we refuse, and what it refuses or cuts, is
		// no oracle.
		switch data[0] {
		case 'I', 'U', 'D':
			var m rowMessage
			if parseRow(data[0], data[1:], &m) != nil {
				return
			}
			theirs, err := parseSafely(data)
			if err != nil {
				return
			}
			switch x := theirs.(type) {
			case *pglogrepl.InsertMessage:
				sameTuple(t, x.Tuple, m.new)
			case *pglogrepl.UpdateMessage:
				sameTuple(t, x.NewTuple, m.new)
				sameTuple(t, x.OldTuple, m.old)
			case *pglogrepl.DeleteMessage:
				sameTuple(t, x.OldTuple, m.old)
			}
		case 'R':
			w, ourErr := parseRelation(data[1:])
			if ourErr != nil {
				return
			}
			theirs, err := parseSafely(data)
			if x, ok := theirs.(*pglogrepl.RelationMessage); ok && err == nil {
				if w.id != x.RelationID || w.table != x.RelationName || len(w.columns) != len(x.Columns) {
					t.Fatalf("relation %+v, pglogrepl %+v", w, x)
				}
			}
		}
	})
}

func parseSafely(data []byte) (m pglogrepl.Message, err error) {
	defer func() {
		if recover() != nil {
			err = errShort
		}
	}()
	return pglogrepl.Parse(data)
}

func sameTuple(t *testing.T, theirs *pglogrepl.TupleData, ours []cell) {
	t.Helper()
	if theirs == nil {
		if len(ours) != 0 {
			t.Fatalf("we read %d columns, pglogrepl none", len(ours))
		}
		return
	}
	if len(theirs.Columns) != len(ours) {
		t.Fatalf("we read %d columns, pglogrepl %d", len(ours), len(theirs.Columns))
	}
	for i, c := range theirs.Columns {
		if c.DataType != ours[i].kind || !bytes.Equal(c.Data, ours[i].text) {
			t.Fatalf("column %d is %q %q, pglogrepl has %q %q", i, ours[i].kind, ours[i].text, c.DataType, c.Data)
		}
	}
}

// FuzzEveryTextBecomesJSON feeds each encoding with arbitrary text.
func FuzzEveryTextBecomesJSON(f *testing.F) {
	for _, s := range []string{"", "infinity", "-infinity", "2024-01-01 00:00:00+00", "0044-03-15 BC", "{a,\"b\"}", "{{1,2},{3}}", "P1Y-2M", `"a"=>"b"`, "(1,2)", "\\x00f", "101", "$1,2.50", "NaN", "[1:2]={", "{\"", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for enc := encString; enc <= encArray; enc++ {
			switch enc {
			case encNumber, encFloat, encArray: // the server prints nothing but numbers, and balanced arrays
				continue
			}
			if out := (kind{enc: enc, mod: -1}).append(nil, text); !json.Valid(out) {
				t.Fatalf("encoding %d makes %q of %q", enc, out, text)
			}
		}
		_ = (kind{enc: encArray, elem: encString}).append(nil, text)
	})
}

func TestStringsSurviveTheEnvelope(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		out := appendString(nil, []byte(want))
		var got string
		if err := json.Unmarshal(out, &got); err != nil || got != want {
			t.Fatalf("%q became %q, %v", want, got, err)
		}
		row := cdc.Record{Value: []byte(`{"before":null,"after":{"v":` + string(out) + `},"source":{"schema":"s","table":"t"},"op":"c"}`)}
		c, err := cdc.DecodeChange(&row)
		if err != nil {
			t.Fatal(err)
		}
		if v := c.After.Column("v"); want != cdc.UnavailableValue && v.Text != want {
			t.Fatalf("%q was decoded as %q", want, v.Text)
		}
	})
}

// Equal keys are equal bytes to Debezium's: partitions and compaction go by them.
func TestKeysAreEscapedAsDebeziumsAre(t *testing.T) {
	t.Parallel()
	rel := &relation{key: []int{0, 1}, keyLabels: [][]byte{[]byte(`"😀":`), []byte(`,"n":`)}, wireRelation: wireRelation{}}
	rel.columns = append(rel.columns, column{kind: kind{enc: encString}}, column{kind: kind{enc: encNumber}})
	for text, want := range map[string]string{
		"plain":                    `plain`,
		"\b\f\n\r\t\v\x1f\x7f":     `\b\f\n\r\t\u000B\u001F` + "\x7f",
		`"\/`:                      `\"\\/`,
		"é\u2028\ufffd\uffff":      "é\u2028\ufffd\uffff",
		"a😀b\U00010348\U0010ffffé": `a\uD83D\uDE00b\uD800\uDF48\uDBFF\uDFFFé`,
		"\xff":                     "\ufffd",
	} {
		got := string(rel.appendKey([]byte("before 😀"), []cell{{kind: 't', text: []byte(text)}, {kind: 't', text: []byte("1")}}))
		if want := `before 😀{"\uD83D\uDE00":"` + want + `","n":1}`; got != want {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
}

func TestArraysOfAnyTextKeepTheirElements(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.StringMatching(`[ -~]{0,8}`)).Draw(t, "elements")
		text := []byte{'{'}
		for i, e := range want {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, '"')
			for _, c := range []byte(e) {
				if c == '"' || c == '\\' {
					text = append(text, '\\')
				}
				text = append(text, c)
			}
			text = append(text, '"')
		}
		out := (kind{enc: encArray, elem: encString}).append(nil, append(text, '}'))
		var got []string
		if err := json.Unmarshal(out, &got); err != nil || len(got) != len(want) {
			t.Fatalf("%q became %s, %v", want, out, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("element %d: %q became %q", i, want[i], got[i])
			}
		}
	})
}

func TestValuesAreEncodedAsDebeziumDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		enc        encoding
		mod        int32
		text, want string
	}{
		{encDate, -1, "2024-02-29", `"2024-02-29Z"`},
		{encDate, -1, "0044-03-15 BC", `"-0043-03-15Z"`},
		{encDate, -1, "0001-01-01 BC", `"0000-01-01Z"`},
		{encDate, -1, "10000-01-01", `"+10000-01-01Z"`},
		{encTimestamp, -1, "2024-06-01 12:00:00.12", `"2024-06-01T12:00:00.12Z"`},
		{encTimestampTZ, -1, "2024-06-01 12:00:00+00", `"2024-06-01T12:00:00.000000Z"`},
		{encTimestampTZ, 3, "2024-06-01 12:00:00.4+00", `"2024-06-01T12:00:00.400Z"`},
		{encTimestampTZ, 0, "2024-06-01 12:00:00+00", `"2024-06-01T12:00:00Z"`},
		{encTimestampTZ, -1, "infinity", `"infinity"`},
		{encTimeTZ, -1, "23:59:59.999999-12", `"11:59:59.999999Z"`},
		{encTimeTZ, -1, "01:00:00+05:45", `"19:15:00Z"`},
		{encInterval, -1, "P-1Y-2M3DT-4H-5M-6.789S", `"P-1Y-2M3DT-4H-5M-6.789S"`},
		{encInterval, -1, "PT0S", `"P0Y0M0DT0H0M0S"`},
		{encNumeric, -1, "NaN", `"NAN"`},
		{encVector, -1, "1 2 3", `[1,2,3]`},
		{encVector, -1, "", `[]`},
		{encBit, 1, "", "null"},
		{encBit, 1, "1", "true"},
		{encMoney, 2, "-$1,234.50", `"-1234.50"`},
		{encMoney, 0, "-$1,234.50", `"-123450"`},
		{encMoney, 0, "$0.00", `"0"`},
		{encMoney, 3, "$1,234.50", `"123.450"`},
		{encMoney, 3, "-$0.01", `"-0.001"`},
		{encBytea, -1, `\x00ff10`, `"AP8Q"`},
		{encBits, 20, "10110111000011110101", `"9XAL"`},
		{encBits, 5, "00000", `""`},
		{encHstore, -1, `"a"=>"1", "b"=>NULL, "c d"=>"x\"y"`, `"{\"a\":\"1\",\"b\":null,\"c d\":\"x\\\"y\"}"`},
		{encPoint, -1, "(1.5,-2)", `{"x":1.5,"y":-2,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}`},
	} {
		if got := string(kind{enc: c.enc, mod: c.mod}.append(nil, []byte(c.text))); got != c.want {
			t.Errorf("%q became %s, want %s", c.text, got, c.want)
		}
	}
}

func TestWidenedTransactionIDsStayNearTheNewest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.Uint64Range(3, math.MaxUint64>>8).Draw(t, "ref")
		back := rapid.Uint64Range(0, min(ref, 1<<31-1)).Draw(t, "back")
		w := widener{ref: ref}
		if got := w.widen(uint32(ref - back)); got != ref-back {
			t.Fatalf("%d near %d became %d", uint32(ref-back), ref, got)
		}
	})
}

func TestNothingIsAllocatedPerRow(t *testing.T) {
	a := newAssembler("p", "db", "v", 1)
	a.cur = &batch{arena: make([]byte, 0, 1<<20)}
	a.full = func() error { return nil }
	a.snapshots = &snapshotStream{}
	a.spill = newSpill(t.TempDir(), 1)
	a.xidEpoch = func(x uint32) uint64 { return uint64(x) }
	w := wireRelation{id: 1, schema: "s", table: "t", identity: 'd', columns: []wireColumn{{"id", true, oidInt8, -1}, {"v", false, oidText, -1}, {"n", false, oidNumeric, -1}}}
	a.relations[1] = compileRelation(w, "p", []string{"id"}, []kind{{enc: encNumber}, {enc: encString}, {enc: encNumeric}})
	msg := []byte("I\x00\x00\x00\x01N\x00\x03t\x00\x00\x00\x02" + strconv.Itoa(42) + "t\x00\x00\x00\x03abct\x00\x00\x00\x031.5")
	a.begin(100, 0, 7)
	got := testing.AllocsPerRun(1000, func() {
		if err := a.handle(100, msg); err != nil {
			t.Fatal(err)
		}
		if len(a.cur.Events) > 500 {
			a.cur.reset()
		}
	})
	if got > 0.05 {
		t.Errorf("%v allocations per row, want none", got)
	}
}
