package main

import (
	"fmt"
	"strconv"

	"nubridge/cdc"
	"nubridge/mapper"
)

// row is a changed row as the codec gives it: names and values in order.
type row struct {
	names  []string
	values []cdc.Value
}

// Column finds a value by name.
func (r *row) Column(name string) cdc.Value {
	for i, n := range r.names {
		if n == name {
			return r.values[i]
		}
	}
	return cdc.Value{}
}

func rowOf(pairs ...string) *row {
	r := &row{}
	for i := 0; i < len(pairs); i += 2 {
		r.names = append(r.names, pairs[i])
		r.values = append(r.values, cdc.Value{State: cdc.Present, Text: pairs[i+1]})
	}
	return r
}

// routing measures how fast changed rows name their documents: direct keys, hops, and tables that the flow does not watch.
func (b *bench) routing() (float64, error) {
	changes := make([]cdc.Change, 0, 4000)
	for i := range 1000 {
		id := strconv.Itoa(i + 1)
		changes = append(changes,
			cdc.Change{Schema: "oms", Table: "skus", Op: cdc.OpUpdate, After: rowOf("sku_id", id, "style_color_id", id, "size", "M"), Before: rowOf("sku_id", id, "style_color_id", id, "size", "L")},
			cdc.Change{Schema: "oms", Table: "style_colors", Op: cdc.OpUpdate, After: rowOf("style_color_id", id, "style_id", id, "status", "Active")},
			cdc.Change{Schema: "oms", Table: "style_prices", Op: cdc.OpUpdate, After: rowOf("style_id", id, "price_type", "1", "currency", "USD")},
			cdc.Change{Schema: "oms", Table: "sales_orders", Op: cdc.OpCreate, After: rowOf("order_no", id)})
	}
	touched := 0
	rate, err := b.best(func(int) (int, error) {
		for i := range changes {
			t, err := b.mapping.Route(mapper.Products, &changes[i])
			if err != nil {
				return 0, err
			}
			touched += len(t.Keys) + len(t.Hops)
		}
		return len(changes), nil
	})
	fmt.Printf("route              %9.0f rows/s\n", rate)
	return rate, err
}
