package nuorder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nubridge/internal/fault"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// ready puts a company and a product with stock at the portal.
func (w *world) ready() {
	w.t.Helper()
	w.must(mapper.Customers, "C1", "C1", `{"name":"Shop","code":"C1","currency_code":"USD","addresses":[{"display_name":"Billing Address","type":"both","line_1":"1 Road","city":"X","zip":"1","country":"US"}]}`, "delivered")
	w.must(mapper.Products, "1", "B-1", product("one", ""), "delivered")
	w.must(mapper.Inventory, "1", "B-1", stock(50), "delivered")
}

func order(number string, quantity int) json.RawMessage {
	return fmt.Appendf(nil, `{"order_number":%q,"external_id":%q,"currency_code":"USD","status":"approved","start_ship":"2026-01-01","end_ship":"2026-02-01",
		"ship_start":"2026-01-01","ship_end":"2026-02-01","retailer":{"retailer_code":"C1","buyer_email":"b@example.com"},
		"line_items":[{"product":{"brand_id":"B-1"},"ship_start":"2026-01-01","ship_end":"2026-02-01","sizes":[{"size":"S","quantity":%d,"price":10}]}]}`, number, number, quantity)
}

// The positions in which portals may stand, with the dialect that fits.
func dialects() map[string]struct {
	switches func(*portal.Switches)
	config   func(*nuorder.Config)
} {
	return map[string]struct {
		switches func(*portal.Switches)
		config   func(*nuorder.Config)
	}{
		"defaults": {nil, nil},
		"verbs": {func(s *portal.Switches) {
			s.UpdateVerbs, s.StatusVerbs, s.StatusWords = []string{"PUT"}, []string{"PUT"}, "action"
		}, func(c *nuorder.Config) {
			c.Dialect.UpdateVerb, c.Dialect.StatusVerb = "PUT", "PUT"
			c.Dialect.StatusWords = map[nuorder.Status]string{nuorder.Processed: "process", nuorder.Cancelled: "cancel"}
		}},
		"forms": {func(s *portal.Switches) {
			s.StatusForms, s.NumberPath, s.Shipments, s.SameStatus = "body", "bare", "own", 200
		}, func(c *nuorder.Config) {
			c.Dialect.StatusInBody, c.Dialect.BareNumberPath, c.Dialect.OwnShipments = true, true, true
		}},
		"pages": {func(s *portal.Switches) { s.Pagination, s.PageSize = "forced", 2 }, nil},
		"legacy": {func(s *portal.Switches) { s.Signatures, s.RequireQuotes = "L", false }, func(c *nuorder.Config) {
			c.Signature, c.Dialect.BareHeader = nuorder.Legacy, true
		}},
	}
}

func TestOrdersTravelInEveryDialect(t *testing.T) {
	t.Parallel()
	for name, d := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d.switches, d.config)
			w.ready()
			c, ctx := w.client, t.Context()
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			var id string
			for i := range 5 {
				o, err := c.CreateOrder(ctx, order(fmt.Sprint("N", i), 1+i))
				check(err)
				id = string(o.ID)
			}
			ids, err := c.OrderIDs(ctx, nuorder.Approved)
			check(err)
			details, err := c.OrdersDetail(ctx, nuorder.Approved)
			check(err)
			if len(ids) != 5 || len(details) != 5 {
				t.Fatalf("%d ids and %d orders of 5", len(ids), len(details))
			}
			changed, err := c.SetOrderStatus(ctx, id, nuorder.Processed)
			check(err)
			if !changed {
				t.Fatal("the status did not change")
			}
			again, err := c.SetOrderStatusByNumber(ctx, "N4", nuorder.Processed)
			check(err)
			if again && name != "forms" {
				t.Fatal("a repeated status change is a change")
			}
			_, err = c.UpdateOrderByNumber(ctx, "N4", json.RawMessage(`{"order_number":"500001"}`))
			check(err)
			if _, err := c.OrderByNumber(ctx, "N4"); !nuorder.IsNotFound(err) {
				t.Fatalf("the old number still answers: %v", err)
			}
			o, err := c.OrderByNumber(ctx, "500001")
			check(err)
			if string(o.ID) != id || o.Status != "processed" || o.Lines[0].Sizes[0].Quantity != "5" {
				t.Fatalf("got %s", o.Raw)
			}
			check(c.SetShipments(ctx, id, json.RawMessage(`[{"type":"shipped","status":"shipped","tracking_numbers":["1Z"],"shipment_date":"2026-01-15","line_items":[{"brand_id":"B-1","season":"FW26","style_number":"s1","color":"Red","sizes":[{"size":"S","quantity":5}]}]}]`)))
			o, err = c.Order(ctx, id)
			check(err)
			if len(o.Shipments) != 1 || o.Shipments[0].TrackingNumbers[0] != "1Z" || o.Status != "shipped" {
				t.Fatalf("got %s", o.Raw)
			}
		})
	}
}

func TestThePollersViewGivesTheOrderAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.ready()
	o, err := w.client.CreateOrder(t.Context(), order("N1", 1))
	if err != nil {
		t.Fatal(err)
	}
	p := nuorder.NewOrderPortal(w.client, nil)
	raw, err := p.SetOrderStatus(t.Context(), string(o.ID), "processed")
	if err != nil || !strings.Contains(string(raw), `"processed"`) {
		t.Fatalf("got %s, %v", raw, err)
	}
	if raw, err = p.SetOrderStatus(t.Context(), string(o.ID), "processed"); err != nil || raw != nil {
		t.Fatalf("a repeat gave %s, %v", raw, err)
	}
	if _, err := p.OrderIDs(t.Context(), "edited"); fault.KindOf(err) != fault.Reject {
		t.Fatalf("an unknown status is listed: %v", err)
	}
	if _, err := p.Order(t.Context(), "0123456789abcdef01234567"); fault.CodeOf(err) != nuorder.CodeNotFound {
		t.Fatalf("got %v", err)
	}
}

// A create whose answer was lost is never repeated by the client; an upsert is.
func TestLostAnswerRepeatsOnlyWhatIsSafe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.ready()
	for _, kind := range []string{"cut", "cut_body"} {
		if _, err := w.server.AddFault(portal.Fault{ID: kind, Path: "/api/order/new", Kind: kind, AfterCommit: true, Count: 1}); err != nil {
			t.Fatal(err)
		}
		_, err := w.client.CreateOrder(t.Context(), order("lost-"+kind, 1))
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Retry || !e.Ambiguous {
			t.Fatalf("%s: got %v", kind, err)
		}
		if _, err := w.client.OrderByNumber(t.Context(), "lost-"+kind); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	if n := w.server.Counts().ByRoute["PUT /api/order/new"]; n != 2 {
		t.Fatalf("%d creates, want 2: %v", n, w.server.Counts().ByRoute)
	}
	if _, err := w.server.AddFault(portal.Fault{Path: "/api/product/**", Method: "POST", Kind: "cut", AfterCommit: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if d := w.must(mapper.Products, "1", "B-1", product("two", ""), "delivered"); d.Calls != 2 {
		t.Fatalf("%d calls", d.Calls)
	}
}

func TestRowErrorsInsideASuccessReject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.ready()
	if _, err := w.server.AddFault(portal.Fault{Path: "/api/inventory/**", Kind: "row_errors", Count: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := w.deliver(mapper.Inventory, "1", "B-1", stock(6))
	if fault.KindOf(err) != fault.Reject || fault.CodeOf(err) != nuorder.CodeRowsRefused {
		t.Fatalf("got %v", err)
	}
}

func TestServerErrorsInARowOpenTheBreakerOfTheirClassAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(c *nuorder.Config) { c.Attempts = 1; c.Breaker.Open = 50_000_000 })
	w.ready()
	if _, err := w.server.AddFault(portal.Fault{Path: "/api/product/**", Kind: "status", Status: 500, Text: "Oops, there was a problem!", Count: 5}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i := range 2000 {
		_, err := w.deliver(mapper.Products, "1", "B-1", product(fmt.Sprint("two ", i), ""))
		seen[fault.CodeOf(err)]++
		if err == nil {
			break
		}
		if k := fault.KindOf(err); k != fault.Retry && k != fault.Throttle {
			t.Fatalf("got %v", err)
		}
		if _, err := w.client.Company(t.Context(), w.object(mapper.Customers, "C1").RemoteID); err != nil {
			t.Fatalf("another class suffers: %v", err)
		}
	}
	if seen[nuorder.CodeServerError] != 5 || seen[nuorder.CodeBreakerOpen] == 0 || seen["unknown"] != 1 {
		t.Fatalf("got %v", seen)
	}
}
