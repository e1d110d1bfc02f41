package mapper

import (
	"fmt"
	"sync/atomic"

	"github.com/expr-lang/expr/ast"
)

// defaultWarehouse is where an order line without a warehouse takes its stock from.
const defaultWarehouse = "default"

// takenIndex sums open orders by what they took. It belongs to one list, which all documents of a batch share.
type takenIndex struct {
	first *OpenOrder
	count int
	byUPC map[string]int
	byAll map[[2]string]int
}

// takenCache keeps the index of the last list, so that a list is summed once and not once per document.
type takenCache struct{ last atomic.Pointer[takenIndex] }

func (t *takenCache) index(list []OpenOrder) *takenIndex {
	if len(list) == 0 {
		return &takenIndex{}
	}
	if x := t.last.Load(); x != nil && x.first == &list[0] && x.count == len(list) {
		return x
	}
	x := &takenIndex{first: &list[0], count: len(list), byUPC: map[string]int{}, byAll: map[[2]string]int{}}
	for _, o := range list {
		warehouse := o.Warehouse
		if warehouse == "" {
			warehouse = defaultWarehouse
		}
		x.byUPC[o.UPC] += o.Quantity
		x.byAll[[2]string{o.UPC, warehouse}] += o.Quantity
	}
	t.last.Store(x)
	return x
}

func callTaken(c callContext, args []any) (any, error) {
	upc, ok := args[0].(string)
	if !ok || upc == "" {
		return 0, nil
	}
	x := c.taken.index(c.document.openOrders)
	if len(args) == 1 {
		return x.byUPC[upc], nil
	}
	warehouse, ok := args[1].(string)
	if !ok {
		return nil, fmt.Errorf("taken: expected the code of a warehouse, got %s", kindName(args[1]))
	}
	return x.byAll[[2]string{upc, warehouse}], nil
}

func checkTaken(c *compiler, _ []ast.Node) string {
	if !c.openOrders {
		return "taken() is there in inventory.yaml only"
	}
	return ""
}
