package oms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
)

// NewOrder is a sales order to create, as the API takes it.
type NewOrder struct {
	// ExternalRef is the other system's own reference, such as "sandbox:5f0c"; empty for an order born here.
	ExternalRef string `json:"external_ref,omitempty"`
	CustomerID  string `json:"customer_id"`
	PONumber    string `json:"po_number,omitempty"`
	// OrderDate is today when empty; ShipStart is the order date, ShipEnd thirty days after ShipStart. All are YYYY-MM-DD.
	OrderDate string `json:"order_date,omitempty"`
	ShipStart string `json:"ship_start,omitempty"`
	ShipEnd   string `json:"ship_end,omitempty"`
	// Currency is the customer's when empty.
	Currency     string          `json:"currency,omitempty"`
	DiscountRate decimal.Decimal `json:"discount_rate,omitzero"` // percent
	// TermsCode and RepCode are the customer's when empty.
	TermsCode string `json:"terms_code,omitempty"`
	RepCode   string `json:"rep_code,omitempty"`
	Notes     string `json:"notes,omitempty"`
	// BillTo and ShipTo are the customer's default addresses when not given.
	BillTo *Address `json:"bill_to,omitempty"`
	ShipTo *Address `json:"ship_to,omitempty"`
	// Custom fields are kept as they are.
	Custom json.RawMessage `json:"custom,omitempty"`
	Lines  []NewLine       `json:"lines"`
}

// Address is where goods or bills go.
type Address struct {
	Code    string `json:"code,omitempty"`
	Line1   string `json:"line_1,omitempty"`
	Line2   string `json:"line_2,omitempty"`
	City    string `json:"city,omitempty"`
	State   string `json:"state,omitempty"`
	Zip     string `json:"zip,omitempty"`
	Country string `json:"country,omitempty"`
}

// NewLine is one line of an order: the sku by its UPC, or by item, season, color and size.
type NewLine struct {
	UPC        string `json:"upc,omitempty"`
	ItemNumber string `json:"item_number,omitempty"`
	SeasonCode string `json:"season_code,omitempty"`
	ColorCode  string `json:"color_code,omitempty"`
	Size       string `json:"size,omitempty"`
	Quantity   int    `json:"quantity"`
	// Price of one piece, in the order's currency.
	Price decimal.Decimal `json:"price"`
	// WarehouseNo is the lowest active warehouse when zero.
	WarehouseNo int    `json:"warehouse_no,omitempty"`
	ShipStart   string `json:"ship_start,omitempty"`
	ShipEnd     string `json:"ship_end,omitempty"`
	Prebook     bool   `json:"prebook,omitempty"`
	Notes       string `json:"notes,omitempty"`
}

// Reason says why an order is refused, in words for people and a code for programs.
type Reason struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// RefusedError tells that an order breaks rules of the OMS; nothing was stored.
type RefusedError struct{ Reasons []Reason }

// Error gives the reasons' codes with their fields.
func (e *RefusedError) Error() string {
	var text []string
	for _, r := range e.Reasons {
		text = append(text, r.Field+" "+r.Code)
	}
	return "order refused: " + strings.Join(text, ", ")
}

// DuplicateError tells that an order with the same reference exists; nothing was stored.
type DuplicateError struct {
	ExternalRef string
	OrderNo     int64
}

// Error names the order that exists.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("reference %q belongs to order %d already", e.ExternalRef, e.OrderNo)
}

// orderWriter stores one order.
type orderWriter struct {
	tx      pgx.Tx
	unique  bool // refuse a reference that is in use
	today   time.Time
	reasons []Reason
}

// createOrder checks an order, stores it and allocates its stock, in one transaction. The errors are *RefusedError and
// *DuplicateError, or those of the database.
func createOrder(ctx context.Context, pool *pgxpool.Pool, o NewOrder, unique bool, today time.Time) (int64, error) {
	var no int64
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		w := &orderWriter{tx: tx, unique: unique, today: today}
		no, err = w.create(ctx, o)
		return err
	})
	return no, err
}

func (w *orderWriter) create(ctx context.Context, o NewOrder) (int64, error) {
	if w.unique && o.ExternalRef != "" {
		if err := w.claimReference(ctx, o.ExternalRef); err != nil {
			return 0, err
		}
	}
	if err := w.fill(ctx, &o); err != nil {
		return 0, err
	}
	lines, err := w.resolve(ctx, o)
	if err != nil {
		return 0, err
	}
	if len(w.reasons) > 0 {
		return 0, &RefusedError{Reasons: w.reasons}
	}
	no, err := w.insertHead(ctx, o)
	if err != nil {
		return 0, err
	}
	return no, w.insertLines(ctx, no, lines)
}

func (w *orderWriter) refuse(field, code, format string, args ...any) {
	w.reasons = append(w.reasons, Reason{Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
}

// claimReference lets one transaction at a time create an order of a reference.
func (w *orderWriter) claimReference(ctx context.Context, ref string) error {
	if _, err := w.tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended($1, 0))", ref); err != nil {
		return fmt.Errorf("lock the reference: %w", err)
	}
	var no int64
	switch err := w.tx.QueryRow(ctx, "select min(order_no) from oms.sales_orders where external_ref = $1 having count(*) > 0", ref).Scan(&no); {
	case err == nil:
		return &DuplicateError{ExternalRef: ref, OrderNo: no}
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	default:
		return fmt.Errorf("look for the reference: %w", err)
	}
}

// fill puts in what the order leaves to the customer's record, and checks the head.
func (w *orderWriter) fill(ctx context.Context, o *NewOrder) error {
	var status, currency string
	var terms, rep *string
	err := w.tx.QueryRow(ctx, "select status, currency, terms_code, rep_code from oms.customers where customer_id = $1 for share", o.CustomerID).
		Scan(&status, &currency, &terms, &rep)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		w.refuse("customer_id", "customer_unknown", "there is no customer %q: add the customer first", o.CustomerID)
		return nil
	case err != nil:
		return fmt.Errorf("read the customer: %w", err)
	case status != "Active":
		w.refuse("customer_id", "customer_inactive", "customer %q is %s: set it active first", o.CustomerID, status)
	}
	o.Currency = first(o.Currency, currency)
	o.TermsCode = first(o.TermsCode, value(terms))
	o.RepCode = first(o.RepCode, value(rep))
	w.checkDates(o)
	if err := w.checkCodes(ctx, o); err != nil {
		return err
	}
	if o.DiscountRate.IsNegative() || o.DiscountRate.GreaterThan(decimal.NewFromInt(100)) {
		w.refuse("discount_rate", "discount_range", "the discount is a percentage from 0 to 100")
	}
	if len(o.Custom) == 0 {
		o.Custom = json.RawMessage("{}")
	} else if !strings.HasPrefix(strings.TrimSpace(string(o.Custom)), "{") {
		w.refuse("custom", "custom_not_object", "custom fields are a JSON object")
	}
	return w.fillAddresses(ctx, o)
}

func (w *orderWriter) checkDates(o *NewOrder) {
	day := func(field, text string, normal time.Time) time.Time {
		if text == "" {
			return normal
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			w.refuse(field, "date_invalid", "write the date as YYYY-MM-DD")
			return normal
		}
		return t
	}
	date := day("order_date", o.OrderDate, w.today)
	start := day("ship_start", o.ShipStart, date)
	end := day("ship_end", o.ShipEnd, start.AddDate(0, 0, 30))
	if end.Before(start) {
		w.refuse("ship_end", "date_order", "the shipping window ends before it starts")
	}
	o.OrderDate, o.ShipStart, o.ShipEnd = date.Format(time.DateOnly), start.Format(time.DateOnly), end.Format(time.DateOnly)
	for i, l := range o.Lines {
		from := day(fmt.Sprintf("lines[%d].ship_start", i), l.ShipStart, start)
		if day(fmt.Sprintf("lines[%d].ship_end", i), l.ShipEnd, from).Before(from) {
			w.refuse(fmt.Sprintf("lines[%d].ship_end", i), "date_order", "the shipping window ends before it starts")
		}
	}
}

// checkCodes looks up the codes that must be known.
func (w *orderWriter) checkCodes(ctx context.Context, o *NewOrder) error {
	var currency, terms, rep bool
	err := w.tx.QueryRow(ctx, `select exists (select from oms.style_prices where currency = $1),
		$2 = '' or exists (select from oms.terms where terms_code = $2),
		$3 = '' or exists (select from oms.sales_reps where rep_code = $3)`, o.Currency, o.TermsCode, o.RepCode).Scan(&currency, &terms, &rep)
	if err != nil {
		return fmt.Errorf("look up the order's codes: %w", err)
	}
	if !currency {
		w.refuse("currency", "currency_unknown", "nothing is sold in %q", o.Currency)
	}
	if !terms {
		w.refuse("terms_code", "terms_unknown", "there are no terms %q", o.TermsCode)
	}
	if !rep {
		w.refuse("rep_code", "rep_unknown", "there is no sales rep %q", o.RepCode)
	}
	return nil
}

// fillAddresses takes the customer's own addresses where the order has none.
func (w *orderWriter) fillAddresses(ctx context.Context, o *NewOrder) error {
	for _, a := range []struct {
		to   **Address
		kind string
	}{{&o.BillTo, "billing"}, {&o.ShipTo, "shipping"}} {
		if *a.to != nil {
			continue
		}
		var found Address
		err := w.tx.QueryRow(ctx, `select code, line_1, line_2, city, state, zip, country from oms.customer_addresses
			where customer_id = $1 and (kind = $2 or kind = 'billing') and line_1 <> ''
			order by kind = $2 desc, is_default desc, address_id limit 1`, o.CustomerID, a.kind).
			Scan(&found.Code, &found.Line1, &found.Line2, &found.City, &found.State, &found.Zip, &found.Country)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the customer's %s address: %w", a.kind, err)
		}
		*a.to = &found
	}
	return nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
