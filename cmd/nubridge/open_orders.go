package main

import (
	"context"

	"nubridge/mapper"
	"nubridge/orders"
)

// openOrders gives what approved orders have taken from stock and the OMS does not count yet. Prebooked lines take from what is to
// come, not from what is there.
func (e *environment) openOrders(ctx context.Context) ([]mapper.OpenOrder, error) {
	lines, err := orders.OpenLines(ctx, e.intents, e.name)
	if err != nil {
		return nil, err
	}
	var open []mapper.OpenOrder
	for _, l := range lines {
		quantity, err := l.Quantity.Int64()
		if err != nil || l.Prebook {
			continue
		}
		open = append(open, mapper.OpenOrder{UPC: l.UPC, Size: l.Size, Warehouse: l.Warehouse, Quantity: int(quantity)})
	}
	return open, nil
}
