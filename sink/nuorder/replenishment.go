package nuorder

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// Replenishment is one row of the v3.0 stock: one size in one warehouse in one period.
type Replenishment struct {
	WarehouseID string `json:"warehouse_id"`
	// SKUID is the _id of the size.
	SKUID string `json:"sku_id"`
	// DisplayName is immediate, future or Prebook.
	DisplayName string `json:"display_name"`
	Prebook     bool   `json:"prebook"`
	// PeriodStart is MM/DD/YYYY, PeriodEnd too or nil for open.
	PeriodStart string  `json:"period_start"`
	PeriodEnd   *string `json:"period_end"`
	// Quantity is nil for prebook, which is unlimited.
	Quantity *json.Number `json:"quantity"`
	Active   bool         `json:"active"`
}

// rowKey is what makes two rows the same one.
type rowKey struct {
	warehouse, sku, name, start string
	prebook                     bool
}

func (r *Replenishment) key() rowKey {
	start := r.PeriodStart
	if r.DisplayName == Immediate {
		start = "" // what is there at once is one row, on whichever day it was written
	}
	return rowKey{r.WarehouseID, r.SKUID, r.DisplayName, start, r.Prebook}
}

func (r *Replenishment) same(o *Replenishment) bool {
	return r.Active == o.Active && equal(r.PeriodEnd, o.PeriodEnd) && equal(r.Quantity, o.Quantity)
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// DiffReplenishments gives the rows to write so that what is had becomes what is wanted. A row that is wanted no more is written
// inactive with nothing in it: deleting is only possible for all rows of a size, and would leave a moment without stock.
func DiffReplenishments(have, want []Replenishment) []Replenishment {
	old := make(map[rowKey]*Replenishment, len(have))
	for i := range have {
		old[have[i].key()] = &have[i]
	}
	var rows []Replenishment
	for i := range want {
		k := want[i].key()
		if o := old[k]; o == nil || !o.same(&want[i]) {
			rows = append(rows, want[i])
		}
		delete(old, k)
	}
	for _, o := range old {
		gone := *o
		if !gone.Active {
			continue
		}
		gone.Active = false
		if !gone.Prebook {
			zero := json.Number("0")
			gone.Quantity = &zero
		}
		rows = append(rows, gone)
	}
	return sorted(rows)
}

// sorted orders rows by warehouse, so that the bulks of one warehouse are as large as they may be.
func sorted(rows []Replenishment) []Replenishment {
	slices.SortStableFunc(rows, func(a, b Replenishment) int {
		return cmp.Or(cmp.Compare(a.WarehouseID, b.WarehouseID), cmp.Compare(a.SKUID, b.SKUID), cmp.Compare(a.PeriodStart, b.PeriodStart), cmp.Compare(a.DisplayName, b.DisplayName))
	})
	return rows
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

// PutReplenishments creates or updates rows, warehouse by warehouse, in bulks of the dialect's size. It tells the number of calls
// made; a failure in the middle leaves the bulks before it written, which a repeat does again without harm.
func (c *Client) PutReplenishments(ctx context.Context, rows []Replenishment) (calls int, err error) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && n < c.config.Dialect.BulkRows && rows[n].WarehouseID == rows[0].WarehouseID {
			n++
		}
		body, err := encodeJSON(map[string]any{"replenishments": rows[:n]})
		if err != nil {
			return calls, err
		}
		calls++
		r := &request{
			class: ClassInventory, method: http.MethodPut, route: "v3.0/warehouse/{warehouse}/replenishments",
			args: []string{rows[0].WarehouseID}, body: body, want: expect{body: true}, shown: true,
		}
		a, err := c.do(ctx, r)
		if err != nil {
			return calls, noConflict(r.name(), err)
		}
		var stored []json.RawMessage
		if decode(a.body, &stored) == nil && len(stored) == 0 {
			return calls, contradicted(r.name(), true, "no row")
		}
		rows = rows[n:]
	}
	return calls, nil
}

// AddReplenishment adds one row; a repeat may add it twice.
func (c *Client) AddReplenishment(ctx context.Context, row Replenishment) error {
	body, err := encodeJSON(row)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, &request{
		class: ClassInventory, method: http.MethodPost, route: "v3.0/warehouse/{warehouse}/sku/{sku}/replenishments",
		args: []string{row.WarehouseID, row.SKUID}, body: body, once: true,
	})
	return err
}

// DeleteReplenishments deletes all rows of a size in a warehouse, which is without stock from then on.
func (c *Client) DeleteReplenishments(ctx context.Context, warehouseID, sizeID string) error {
	_, err := c.do(ctx, &request{
		class: ClassInventory, method: http.MethodDelete, route: "v3.0/warehouse/{warehouse}/sku/{sku}/replenishments",
		args: []string{warehouseID, sizeID},
	})
	if IsNotFound(err) {
		return nil
	}
	return err
}

// FlagInventory makes the portal compute the availability of products anew, as it must after replenishments were written.
func (c *Client) FlagInventory(ctx context.Context, productIDs ...string) error {
	body, err := encodeJSON(map[string][]string{"product_ids": productIDs})
	if err != nil {
		return err
	}
	_, err = c.do(ctx, &request{class: ClassInventory, method: http.MethodPut, route: "inventory/flags", body: body, shown: true})
	return noConflict("update of inventory flags", err)
}
