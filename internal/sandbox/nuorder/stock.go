package nuorder

import "slices"

// take takes the stock of an order's lines: first what is at hand, then the earliest deliveries. Prebook lines take none, and
// what is not there is not taken.
func (c *call) take(o *order) {
	for _, line := range docs(o.Doc, "line_items") {
		p := c.p.products[str(sub(line, "product"), "_id")]
		if p == nil || flag(line, "prebook") {
			continue
		}
		rows := slices.Clone(p.Stock)
		slices.SortStableFunc(rows, func(a, b *stockRow) int {
			if a.Start < b.Start {
				return -1
			}
			if a.Start > b.Start {
				return 1
			}
			return 0
		})
		for _, s := range docs(line, "sizes") {
			known := p.size(str(s, "size"), "")
			want, _ := integer(s["quantity"], true)
			for _, r := range rows {
				if known == nil || want == 0 {
					break
				}
				if r.Size != str(known, "_id") || r.Quantity == nil || r.Prebook || str(line, "warehouse") != "" && str(line, "warehouse") != r.Warehouse {
					continue
				}
				n := min(want, *r.Quantity)
				if n == 0 {
					continue
				}
				r.Quantity = new(*r.Quantity - n)
				want -= n
				o.Taken = append(o.Taken, taken{Product: p.id(), Row: r.key(), Quantity: n})
			}
		}
	}
}

// giveBack returns what an order took, to rows that still exist. If the brand has meanwhile sent new figures, they rise all
// the same: the original knows nothing of what the brand counted.
func (c *call) giveBack(o *order) {
	for _, t := range o.Taken {
		p := c.p.products[t.Product]
		if p == nil {
			continue
		}
		for _, r := range p.Stock {
			if r.key() == t.Row && r.Quantity != nil {
				r.Quantity = new(*r.Quantity + t.Quantity)
			}
		}
	}
	o.Taken = nil
}
