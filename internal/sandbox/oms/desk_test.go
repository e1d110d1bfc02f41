package oms_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/oms"
)

func TestDeskKeepsStockAndOrdersInStep(t *testing.T) {
	t.Parallel()
	pool := newOMS(t, small())
	desk, ctx := oms.NewDesk(pool, nil), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, pool, allocationsThatDiffer); n != 0 {
			t.Fatalf("%d stock rows promise what no order asks for", n)
		}
	}
	must(desk.ChangePrice(ctx, "ST1001", "F26", 1, "USD", "99.95"))
	must(desk.DiscontinueStyle(ctx, "ST1001", "F26"))
	must(desk.CreateCustomer(ctx, oms.NewCustomer{ID: "C9", Name: "New Shop", TermsCode: "N30", DiscountRate: "5", Billing: oms.Address{Code: "BILL", Line1: "1 New Street", City: "Austin", Country: "US"}}))
	must(desk.AddShipTo(ctx, "C9", oms.Address{Code: "SHIP2", Line1: "2 New Street", Country: "US"}))
	must(desk.AddStore(ctx, "C9", "0001", oms.Address{Code: "S0001", Line1: "3 New Street", Country: "US"}))
	var upc, second string
	if err := pool.QueryRow(ctx, "select min(upc), max(upc) from oms.skus").Scan(&upc, &second); err != nil {
		t.Fatal(err)
	}
	must(desk.ReceiveStock(ctx, upc, 2, 100))
	must(desk.MovePurchaseOrder(ctx, "PO-70001", time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)))
	must(desk.ReceivePurchaseOrder(ctx, "PO-70002"))

	price := decimal.RequireFromString("10.00")
	no, err := desk.CreateOrder(ctx, oms.NewOrder{CustomerID: "C9", Lines: []oms.NewLine{{UPC: upc, Quantity: 10, Price: price}, {UPC: second, Quantity: 4, Price: price}}})
	must(err)
	note := "hurry"
	must(desk.EditOrder(ctx, no, oms.OrderEdit{Notes: &note, Quantities: map[int]int{1: 6}, Prices: map[int]string{2: "11.00"}}))
	partial, err := desk.Invoice(ctx, no, oms.Shipment{Carrier: "UPS", Tracking: []string{"1Z1", "1Z2"}, Quantities: map[int]int{1: 2}})
	must(err)
	if got := count(t, pool, "select count(*) from oms.sales_orders where order_no = $1 and status = 'Open'", no); got != 1 {
		t.Error("a partial shipment closed the order")
	}
	full, err := desk.Invoice(ctx, no, oms.Shipment{Tracking: []string{"1Z3"}})
	must(err)
	if got := count(t, pool, "select count(*) from oms.sales_orders where order_no = $1 and status = 'Closed'", no); got != 1 {
		t.Error("the full shipment left the order open")
	}
	must(desk.CorrectTracking(ctx, partial, "1Z9"))
	must(desk.VoidInvoice(ctx, full))
	must(desk.EditOrder(ctx, no, oms.OrderEdit{Quantities: map[int]int{2: 0}}))
	must(desk.CancelOrder(ctx, no))
	if err := desk.CancelOrder(ctx, no); !errors.Is(err, oms.ErrNothingChanged) {
		t.Errorf("a second cancel gave %v", err)
	}
	if err := desk.ChangePrice(ctx, "NONE", "F26", 1, "USD", "1"); !errors.Is(err, oms.ErrNothingChanged) {
		t.Errorf("an unknown style gave %v", err)
	}
	if _, err := desk.Invoice(ctx, no, oms.Shipment{}); err == nil {
		t.Error("a cancelled order was invoiced")
	}
}
