package nuorder

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// TestRowsOfPriceSheetsAreReadBack compares a product's row with what several portals may show of the sheet.
func TestRowsOfPriceSheetsAreReadBack(t *testing.T) {
	t.Parallel()
	const id, brand = "5f0000000000000000000001", "B-1"
	const body = `{"brand_id":"B-1","price_sheets":[{"template":"Gold","currency_code":"USD","wholesale":9.5,"retail":19,"disabled":false,"sizes":[{"size":"S","wholesale":8}]}]}`
	const other = `{"_id":"5f0000000000000000000002","wholesale":1,"currency_code":"USD"}`
	row := func(name string) string {
		return `{` + name + `,"wholesale":"9.50","retail":19.0,"sizes":[{"_id":"x","size":"M","wholesale":"7.00"},{"_id":"y","size":"S","wholesale":"8.00"}],"currency_code":"USD"}`
	}
	for _, c := range []struct {
		name, sheet string
		status      int
		// differs where the ledger knows nothing, and where it knows the row as written.
		lost, known string
	}{
		{"by _id", `{"template":"Gold","pricing":[` + other + `,` + row(`"_id":"`+id+`"`) + `]}`, 200, "", ""},
		{"by product", `{"pricing":[` + row(`"_id":"5f00000000000000000000aa","product":"`+id+`"`) + `]}`, 200, "", ""},
		{"by product's document", `[` + row(`"product":{"_id":"`+id+`"}`) + `]`, 200, "", ""},
		{"by brand_id", `[` + row(`"brand_id":"`+brand+`"`) + `]`, 200, "", ""},
		{"by style, season and colour", `[` + row(`"style_number":"S1","season":"FW","color":"red"`) + `]`, 200, "", ""},
		{"currency of the sheet", `{"currency_code":"usd","pricing":[{"_id":"` + id + `","wholesale":9.5,"retail":19,"sizes":[{"size":"S","wholesale":8}]}]}`, 200, "", ""},
		{"another price", `[{"_id":"` + id + `","wholesale":9.6,"retail":19,"sizes":[{"size":"S","wholesale":8}],"currency_code":"USD"}]`, 200, fieldSheets, fieldSheets},
		{"another price of a size", `[{"_id":"` + id + `","wholesale":9.5,"retail":19,"sizes":[{"size":"S","wholesale":9}],"currency_code":"USD"}]`, 200, fieldSheets, fieldSheets},
		{"disabled by hand", `[{"_id":"` + id + `","wholesale":9.5,"retail":19,"disabled":true,"sizes":[{"size":"S","wholesale":8}],"currency_code":"USD"}]`, 200, fieldSheets, fieldSheets},
		{"another currency", `[{"_id":"` + id + `","wholesale":9.5,"retail":19,"sizes":[{"size":"S","wholesale":8}],"currency_code":"EUR"}]`, 200, fieldSheets, fieldSheets},
		{"only others", `[` + other + `]`, 200, fieldSheets, fieldSheets},
		{"no such sheet", `{"code":404,"message":"price sheet not found"}`, 404, fieldSheets, fieldSheets},
		// What is not readable says nothing: the ledger's word counts.
		{"rows without currency", `[{"_id":"` + id + `","wholesale":9.5}]`, 200, fieldSheets, ""},
		{"rows without names", `[{"wholesale":9.5,"currency_code":"USD"}]`, 200, fieldSheets, ""},
		{"another shape", `{"rows":[]}`, 200, fieldSheets, ""},
		{"not taken", `Oops`, 405, fieldSheets, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if r.Method != http.MethodGet || r.URL.Path != "/api/pricesheet/Gold" {
					t.Errorf("asked for %s %s", r.Method, r.URL.Path)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.sheet))
			}))
			t.Cleanup(server.Close)
			client, err := New(Config{Environment: "test", BaseURL: server.URL, Limits: Limits{Rate: 1000}, Network: Network{AllowPrivate: true, PlainHTTP: true}},
				Deps{Credentials: func() Credentials { return Credentials{ConsumerKey: "k", ConsumerSecret: "s"} }})
			if err != nil {
				t.Fatal(err)
			}
			r := NewProducts(client, nil)
			var stored Product
			if err := json.Unmarshal([]byte(`{"_id":"`+id+`","brand_id":"`+brand+`","style_number":"s1","season":"FW","color":"Red"}`), &stored); err != nil {
				t.Fatal(err)
			}
			_, rows, err := withoutSheets([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			look := func(object ledger.Object, want string) {
				t.Helper()
				seen, err := r.Compare(t.Context(), mapper.Body{Flow: mapper.Products, RemoteKey: brand, JSON: []byte(body)}, object, &stored)
				if err != nil || seen.Differs != want {
					t.Errorf("differs in %q, %v; want %q", seen.Differs, err, want)
				}
				if want == "" && seen.Object.Identity[rows[0].name()] != rows[0].hash {
					t.Errorf("the row in step is not known to be: %v", seen.Object.Identity)
				}
			}
			look(ledger.Object{}, c.lost)
			look(ledger.Object{Identity: map[string]string{rows[0].name(): rows[0].hash}}, c.known)
			if n := calls.Load(); n != 1 {
				t.Errorf("the sheet was read by %d calls, want one", n)
			}
		})
	}
}
