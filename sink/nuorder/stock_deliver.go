package nuorder

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/sink"
)

// Deliver makes the stock of a product equal to its body, which holds all of it. Without the product it waits. Stock that is not
// selected any more is set to nothing from the last body, never cleared: no inventory means no limit.
func (r *Stock) Deliver(ctx context.Context, w sink.Work) (sink.Delivery, error) {
	ctx, t, cancel := begin(ctx, r.client, w)
	defer cancel()
	body := w.Body.JSON
	if w.Body.Filtered {
		if !t.object.Known || len(t.last()) == 0 {
			return t.end(ledger.Filtered, nil)
		}
		zero, err := zeroStock(t.last())
		if err != nil {
			return t.end("", err)
		}
		body = zero
	}
	if !w.Body.Filtered && noStock(body) {
		var err error
		if body, err = r.nothingToSell(ctx, &w); err != nil {
			return t.end("", err)
		}
	}
	err := r.write(ctx, t, body)
	switch {
	case err == nil:
	case fault.CodeOf(err) == codeNoProduct && w.Body.Filtered:
		t.gone()
		return t.end(ledger.Filtered, nil)
	case fault.CodeOf(err) == codeNoProduct:
		return t.wait(mapper.Ref{Flow: mapper.Products, Key: w.Body.Key})
	default:
		return t.end("", err)
	}
	t.object.RemoteKey = w.Body.RemoteKey
	t.sent(body)
	return t.end(ledger.Delivered, nil)
}

// noStock tells that a body has no stock element at all, which NuORDER takes for no limit on orders.
func noStock(body []byte) bool {
	none := true
	whole := members(body, func(name, value []byte) {
		if string(name) == "inventory" {
			none = string(value) == "null" || elements(value, func([]byte) bool { return false })
		}
	})
	return whole && none
}

// nothingToSell gives a body with zero of each size of the product: a product whose last stock row is gone from the OMS must not
// be without a limit. Who wants no limit says prebook.
func (r *Stock) nothingToSell(ctx context.Context, w *sink.Work) ([]byte, error) {
	product, known, err := productOf(ctx, r.objects, w)
	if err != nil || !known {
		return w.Body.JSON, err
	}
	type size struct {
		Size     string `json:"size"`
		Quantity int    `json:"quantity"`
	}
	sizes, warehouse := []size{}, ""
	for _, name := range slices.Sorted(maps.Keys(product.Identity)) {
		if s, ok := strings.CutPrefix(name, identitySize); ok {
			sizes = append(sizes, size{Size: s})
		}
		if code, ok := strings.CutPrefix(name, identityWarehouse); ok && (warehouse == "" || code == defaultWarehouse) {
			warehouse = code
		}
	}
	if warehouse == "" {
		warehouse = defaultWarehouse
	}
	return encodeJSON(map[string]any{"inventory": []any{map[string]any{
		"warehouse": warehouse, "prebook": false, "wip": []any{map[string]any{"name": "immediate", "sizes": sizes}},
	}}})
}

// defaultWarehouse is the one that every portal has.
const defaultWarehouse = "default"

// codeNoProduct is for use inside this file: the product is not at NuORDER.
const codeNoProduct = "product_missing"

// write sends the stock. If NuORDER says that the product is gone, its own flow is asked to make it again.
func (r *Stock) write(ctx context.Context, t *turn, body []byte) error {
	missing := fault.New(fault.Retry, codeNoProduct, "the product of this stock is not at NuORDER")
	d := r.client.config.Dialect
	tried := ""
	if t.object.RemoteID != "" && !d.Replenishments && !d.StockByExternalID {
		// Stock keeps the _id of its product, so that the ledger is asked once.
		tried = t.object.RemoteID
		err := r.client.ReplaceInventory(ctx, tried, body)
		if !IsNotFound(err) {
			return err
		}
	}
	product, known, err := productOf(ctx, r.objects, &t.work)
	if err != nil {
		return err
	}
	if !known {
		return missing
	}
	if product.RemoteID == tried {
		return r.askForProduct(ctx, t, product.RemoteID, missing)
	}
	if d.Replenishments {
		return r.replenishProduct(ctx, t, &product, body, missing)
	}
	err = r.replace(ctx, &product, body)
	if IsNotFound(err) {
		return r.askForProduct(ctx, t, product.RemoteID, missing)
	}
	if err == nil {
		t.object.RemoteID, t.object.StoredKey = product.RemoteID, product.StoredKey
	}
	return err
}

func (r *Stock) replace(ctx context.Context, product *ledger.Object, body []byte) error {
	if r.client.config.Dialect.StockByExternalID {
		// NuORDER may have folded the case of the brand_id, and compares it exactly.
		return r.client.ReplaceInventoryByExternalID(ctx, cmp.Or(product.StoredKey, product.RemoteKey), body)
	}
	return r.client.ReplaceInventory(ctx, product.RemoteID, body)
}

const hintInventory = "NuORDER has the product but not what its stock names: check warehouses and sizes, and whether this portal takes the kind of inventory that is configured"

// askForProduct finds out what a 404 was about. Only if the product itself is gone may its flow be asked to make it again: else
// the two would wake each other without end.
func (r *Stock) askForProduct(ctx context.Context, t *turn, id string, missing error) error {
	_, err := r.client.Product(ctx, id)
	if err == nil {
		// Where the portal shows the inventory it takes it, too.
		if _, err := r.client.ReadInventory(ctx, id); !IsNotFound(err) {
			return cmp.Or(err, denied("write of inventory", hintInventory, &AnswerError{Call: "write of inventory", Status: http.StatusNotFound}))
		}
	}
	switch {
	case err == nil:
		return &fault.Error{
			Kind: fault.Reject, Code: CodeNotFound, Field: "inventory", Rule: "known_to_portal",
			Hint: hintInventory,
			Err:  &AnswerError{Call: "write of inventory", Status: http.StatusNotFound},
		}
	case !IsNotFound(err):
		return err
	}
	return r.remake(ctx, t, missing)
}

// remake has the flow of the product look at it: the stock waits, unless it is not wanted any more anyway.
func (r *Stock) remake(ctx context.Context, t *turn, missing error) error {
	if t.work.Body.Filtered {
		return missing
	}
	if err := r.objects.Doubt(ctx, t.work.Environment, mapper.Products, []mapper.Key{t.work.Body.Key}, reasonProductMissing); err != nil {
		return err
	}
	return missing
}
