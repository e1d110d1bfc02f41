package nuorder

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// One pass over an answer finds what encoding/json finds in it.
func FuzzOnePassReadsWhatEncodingJSONReads(f *testing.F) {
	for _, seed := range []string{
		`{"_id":"5f0000000000000000000001","brand_id":17,"style_number":null,"Season":"F\u00e4ll","color":true,"sizes":[{"_id":"a","size":"M","upc":[1]},{"size":"L"}],
"__size_ids":[],"__warehouses":[{"id":"w","code":"1"}],"x":{"_id":"no"}}`,
		`{"code":409,"message":{"error":"m"},"success":false,"errors":[{"field":"f"}],"status":"fail","error":"e","field":"q","_id":null}`,
		`{"CODE":"c","Errors":{"a":1},"_ID":"x","sizes":null}`, `{"sizes":{}}`, `{"sizes":[1]}`, `{"__warehouses":"w"}`, `[]`, `null`, `{}`, `{"sizes":[null]}`, `{"ſizes":[{"size":"S"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) || !utf8.Valid(body) {
			return
		}
		body = bytes.TrimSpace(body)
		got, ok := remarkOf(body)
		var want remark
		if err := json.Unmarshal(body, &want); (err == nil && body[0] == '{') != ok && string(body) != "null" {
			t.Fatalf("%s: read: %v, encoding/json: %v", body, ok, err)
		} else if ok {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: remark (-encoding/json +one pass): %s", body, diff)
			}
		}
		var product Product
		err := product.UnmarshalJSON(body)
		type view Product
		var plain view
		if wantErr := json.Unmarshal(body, &plain); (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: got %v, encoding/json %v", body, err, wantErr)
		} else if err == nil {
			product.Raw = nil
			if diff := cmp.Diff(Product(plain), product); diff != "" {
				t.Errorf("%s: product (-encoding/json +one pass): %s", body, diff)
			}
		}
	})
}

func TestNoStockTellsAnEmptyList(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"inventory":[]}`: true, `{"inventory":null}`: true, `{}`: true, `{"inventory":[ ] ,"a":1}`: true,
		`{"inventory":[{}]}`: false, `{"inventory":[null]}`: false, `{"inventory":{}}`: false, `[]`: false,
	} {
		if noStock([]byte(body)) != want {
			t.Errorf("%s: got %v", body, !want)
		}
	}
}
