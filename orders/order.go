package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Order is what the poller itself must know of a NuORDER order; everything else is the mapping's business.
type Order struct {
	ID, Number, Status, ExternalID string
	// JSON is the order as NuORDER sent it.
	JSON []byte
	// Lines are what the order takes from stock.
	Lines []Line
}

// Line is one size of one line of an order.
type Line struct {
	ProductID, BrandID, UPC, Size, Warehouse string
	Quantity                                 json.Number
	Prebook                                  bool
}

// OpenLines gives what approved orders take that the OMS does not count yet: what is sellable is less by so much.
func OpenLines(ctx context.Context, l *ledger.Intents, environment string) ([]Line, error) {
	bodies, err := l.OpenOrders(ctx, environment)
	if err != nil {
		return nil, err
	}
	var out []Line
	for _, body := range bodies {
		o, err := ParseOrder([]byte(body))
		if err != nil {
			return nil, err
		}
		out = append(out, o.Lines...)
	}
	return out, nil
}

// text reads JSON strings, numbers and null alike: NuORDER is known to send either.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
		return nil
	}
	*t = text(b)
	return nil
}

type orderWire struct {
	ID         text `json:"_id"`
	Number     text `json:"order_number"`
	Status     text `json:"status"`
	ExternalID text `json:"external_id"`
	Lines      []struct {
		Product struct {
			ID      text `json:"_id"`
			BrandID text `json:"brand_id"`
		} `json:"product"`
		Warehouse text `json:"warehouse"`
		Prebook   text `json:"prebook"`
		Sizes     []struct {
			Size     text `json:"size"`
			UPC      text `json:"upc"`
			Quantity text `json:"quantity"`
		} `json:"sizes"`
	} `json:"line_items"`
}

// codeUnreadable is the code of an answer that is no order.
const codeUnreadable = "order_unreadable"

// ParseOrder reads an order as NuORDER sends it. It fails with a retry when the bytes are no order, since a later answer may be.
func ParseOrder(raw []byte) (*Order, error) {
	var w orderWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, fault.New(fault.Retry, codeUnreadable, "read an order of NuORDER: expected a JSON object with an order's fields")
	}
	if w.ID == "" || w.Status == "" {
		return nil, fault.New(fault.Retry, codeUnreadable, "read an order of NuORDER: expected _id and status")
	}
	o := &Order{
		ID: string(w.ID), Number: string(w.Number), Status: strings.ToLower(string(w.Status)),
		ExternalID: string(w.ExternalID), JSON: raw,
	}
	for _, line := range w.Lines {
		for _, size := range line.Sizes {
			o.Lines = append(o.Lines, Line{
				ProductID: string(line.Product.ID), BrandID: string(line.Product.BrandID), UPC: string(size.UPC),
				Size: string(size.Size), Warehouse: string(line.Warehouse), Quantity: json.Number(size.Quantity), Prebook: line.Prebook == "true",
			})
		}
	}
	return o, nil
}
