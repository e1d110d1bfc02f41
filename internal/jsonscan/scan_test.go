package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"nubridge/internal/jsonscan"
)

// members reads an object of scalars and of anything else as it is written.
func members(data string) (map[string]string, error) {
	s := jsonscan.New([]byte(data))
	out := map[string]string{}
	more, err := s.Open('{')
	for more && err == nil {
		var name, value []byte
		if name, err = s.Name(); err == nil {
			value, err = s.Raw()
		}
		if err != nil {
			break
		}
		out[string(jsonscan.Unescape(name))] = jsonscan.Text(value)
		more, err = s.Next('{')
	}
	if err == nil {
		err = s.End()
	}
	return out, err
}

func TestMembersAreReadInOnePass(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 40) + `\"` + strings.Repeat("x", 40)
	got, err := members(" {\"a\" : -1.5e+3 ,\n\"b\":[1,{\"c\":[]}, \"]\"], \"\\u0064\":\"q\\\"\\\\\", \"e\":{}, \"f\":true,\"g\":null,\"h\":\"" + long + `\\"} `)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a": "-1.5e+3", "b": `[1,{"c":[]}, "]"]`, "d": `q"\`, "e": "{}", "f": "true", "g": "null",
		"h": strings.Repeat("é", 40) + `"` + strings.Repeat("x", 40) + `\`,
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		``:                                       "expected an object at byte 0 of 0",
		`[1]`:                                    "expected an object at byte 0 of 3",
		`{"a"}`:                                  "expected a colon at byte 4 of 5",
		`{"a":}`:                                 "expected a value at byte 5 of 6",
		`{"a":1`:                                 "expected a comma or the end of the object at byte 6 of 6",
		`{"a":1]`:                                "expected a comma or the end of the object at byte 6 of 7",
		`{"a":[1}`:                               "expected a comma or the end of the array at byte 7 of 8",
		`{"a":"x`:                                "expected the end of a string at byte 7 of 7",
		`{"a":"x\"`:                              "expected the end of a string at byte 9 of 9",
		`{"a":1,}`:                               "expected a string at byte 7 of 8",
		`{"a":01}`:                               "expected a value at byte 5 of 8",
		`{"a":1} x`:                              "expected the end at byte 8 of 9",
		"{\"a\":\x00":                            "expected a value at byte 5 of 6",
		`{"a":` + strings.Repeat("[", 600) + `1`: "nesting too deep at byte 516 of 606",
	} {
		if _, err := members(data); err == nil || err.Error() != want {
			t.Errorf("%.20s: got %v, want %s", data, err, want)
		}
	}
}

// What a strict scanner walks to its end is JSON, and the other way round.
func FuzzStrictIsJSON(f *testing.F) {
	for _, seed := range []string{
		`"\u00e9\/\b"`, `"\u00g9"`, `"\u00e`, `"\x"`, "\"\t\"", `"\`, `{"\q":1}`, `{"a":[1,"\\"]} `, `-`, `[1,]`, `nul`, "\"\x7f\xff\"", `{"a" 1}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := jsonscan.Strict(data)
		err := s.Skip()
		if err == nil {
			err = s.End()
		}
		if err != nil && strings.Contains(err.Error(), "nesting too deep") {
			return
		}
		if json.Valid(data) != (err == nil) {
			t.Fatalf("%q: %v, valid: %v", data, err, json.Valid(data))
		}
	})
}

// What encoding/json takes is taken, and read the same.
func FuzzScannerAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":"x\u00e9\ud83d\ude00","c":[true,null,{"d":-0.1e-9}]}`, `{}`, ` { "a" : [ ] } `, `{"a":1e}`, `{"a":"\\"}`, `{"a":tru}`, `[[[[`, `{"a":"` + strings.Repeat("z", 50) + `\\\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := members(string(data))
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil {
			return
		}
		if err != nil {
			if strings.Contains(err.Error(), "nesting too deep") {
				return
			}
			t.Fatalf("%q: %v", data, err)
		}
		for name, raw := range want {
			text := string(raw)
			var s string
			if json.Unmarshal(raw, &s) == nil && raw[0] == '"' {
				text = s
			}
			if utf8.Valid(data) && got[name] != text { // the standard library mends what is not UTF-8
				t.Fatalf("%q: member %q: got %q, want %q", data, name, got[name], text)
			}
		}
	})
}
