package nuorder

import (
	"context"
	"strings"

	"github.com/shopspring/decimal"
)

// Reasons for which an order of ours puts stock in doubt.
const (
	reasonOrderCreated   = "order_created"
	reasonOrderEdited    = "order_edited"
	reasonOrderCancelled = "order_cancelled"
)

// doubtStock puts the stock of the products in doubt whose ordered quantities differ between two bodies of one order; either may be
// empty. NuORDER moves its figure by itself when orders change, whoever changed them. It comes after the call: stock that is sent
// before would be moved by it. A kill in between leaves the order in doubt, and its next turn comes here again. // decision 5
func (o *Orders) doubtStock(ctx context.Context, reason string, before, after []byte) error {
	if o.cfg.DoubtStock == nil {
		return nil
	}
	ids, brands, err := movedProducts(before, after)
	if err != nil || len(ids)+len(brands) == 0 {
		return err
	}
	_, err = o.cfg.DoubtStock(ctx, o.cfg.Environment, ids, brands, reason)
	return err
}

// doubtWhole puts the stock of all products of both bodies in doubt: what NuORDER held of the order is not known, or all of it was
// taken back.
func (o *Orders) doubtWhole(ctx context.Context, reason string, bodies ...[]byte) error {
	for _, body := range bodies {
		if err := o.doubtStock(ctx, reason, nil, body); err != nil {
			return err
		}
	}
	return nil
}

// place is a size of a product in one warehouse. Prebook lines take no stock and have none.
type place struct {
	item
	warehouse string
}

// movedProducts names the products, by _id or by brand_id, of which the two bodies order different quantities.
func movedProducts(before, after []byte) (ids, brands []string, err error) {
	names := newItemSums() // its aliases alone: two bodies may name a product differently
	sums := map[place]decimal.Decimal{}
	named := map[string]LineProduct{}
	for sign, body := range map[int64][]byte{-1: before, 1: after} {
		if len(body) == 0 {
			continue
		}
		doc, err := readOrderDoc(body)
		if err != nil {
			return nil, nil, err
		}
		lines, err := readLines(doc["line_items"])
		if err != nil {
			return nil, nil, err
		}
		for n := range lines {
			l := &lines[n]
			if l.view.Prebook {
				continue
			}
			product := names.product(l)
			if p := l.view.Product; named[product].ID == "" && (p.ID != "" || p.BrandID != "") {
				named[product] = p
			}
			for _, s := range l.sizes {
				k := place{item{product, strings.ToLower(s.size)}, strings.ToLower(string(l.view.Warehouse))}
				sums[k] = sums[k].Add(s.quantity.Mul(decimal.NewFromInt(sign)))
			}
		}
	}
	told := map[string]bool{}
	for k, q := range sums {
		if q.IsZero() || told[k.product] {
			continue
		}
		told[k.product] = true
		if p := named[k.product]; p.ID != "" {
			ids = append(ids, string(p.ID))
		} else if p.BrandID != "" {
			brands = append(brands, string(p.BrandID))
		}
	}
	return ids, brands, nil
}
