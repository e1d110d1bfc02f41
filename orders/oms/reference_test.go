package oms_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nubridge/orders/oms"
)

const referenceMapping = "../../internal/sandbox/mapping/reference/orders_in.yaml"

// compile reads a mapping file and fails on any finding.
func compile(t testing.TB, path string) *oms.Spec {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spec, findings := oms.Compile("orders_in.yaml", text)
	if len(findings) > 0 {
		t.Fatalf("findings in %s:\n%s", path, findings)
	}
	return spec
}

const sampleOrder = `{
  "_id": "65f000000000000000000001", "order_number": "100596-1", "status": "approved", "currency_code": "USD", "discount": 2.5,
  "customer_po_number": "PO 7", "start_ship": "2026-03-01T00:00:00.000Z", "end_ship": "2026-03-31", "notes": "", "rep_code": "",
  "order_group_id": "g1", "event": "Fair",
  "retailer": {"retailer_code": "C0001"},
  "shipping_address": {"code": "S1", "line_1": "1 Main", "city": "Reno", "state": "NV", "zip": "89501", "country": "US"},
  "line_items": [
    {"product": {"style_number": "ST1", "season": "F26", "color_code": "001"}, "warehouse": "west", "prebook": true, "notes": "left",
     "sizes": [{"size": "S", "upc": "111", "quantity": 2, "price": 12.1}, {"size": "M", "upc": "", "quantity": "3", "price": "12.10"},
               {"size": "L", "upc": "113", "quantity": 0, "price": 12.1}]}
  ]}`

func TestReferenceMappingWritesTheWholeOrder(t *testing.T) {
	t.Parallel()
	client, err := oms.New(compile(t, referenceMapping), noDatabase{}, nil, oms.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	draft, err := client.Draft(oms.Order{Environment: "sandbox", Reference: "sandbox:65f000000000000000000001", JSON: []byte(sampleOrder)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"external_ref":"sandbox:65f000000000000000000001","customer_id":"C0001","po_number":"PO 7","ship_start":"2026-03-01",
		"ship_end":"2026-03-31","currency":"USD","discount_rate":2.5,
		"ship_to":{"code":"S1","line_1":"1 Main","city":"Reno","state":"NV","zip":"89501","country":"US"},
		"custom":{"nuorder_number":"100596-1","nuorder_group":"g1","event":"Fair"},
		"lines":[{"upc":"111","quantity":2,"price":"12.1","warehouse_no":2,"prebook":true,"notes":"left"},
			{"item_number":"ST1","season_code":"F26","color_code":"001","size":"M","quantity":3,"price":"12.1","warehouse_no":2,
			 "prebook":true,"notes":"left"}]}`
	if diff := cmp.Diff(parsed(t, want), parsed(t, string(draft.Body))); diff != "" {
		t.Errorf("body (-want +got):\n%s\n%s", diff, draft.Body)
	}
	again, err := client.Draft(draft.Order)
	if err != nil || again.Hash != draft.Hash {
		t.Errorf("the same order gives another body: %v", err)
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
