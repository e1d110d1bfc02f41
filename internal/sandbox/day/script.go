package day

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"nubridge/internal/sandbox/oms"
)

// props are the records that the day is about.
type props struct {
	item, season, brand string // a style and one of its colours
	styleID             int64
	gone                string // brand id of a colour of the style that is discontinued
	goneItem, goneSsn   string
	customer            string
	upc                 [2]string
	size                [2]string
	order               int64 // the OMS number of the buyer's order
	born                int64 // of the order born in the OMS
}

// Play plays the whole day. The bridge must be running; the load comes first.
func (p *Player) Play(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	var d props
	if err := p.choose(ctx, &d); err != nil {
		return err
	}
	for _, part := range []func(context.Context, *props) error{p.catalogue, p.stock, p.buyer, p.desk, p.shipping} {
		if err := part(ctx, &d); err != nil {
			return err
		}
	}
	return nil
}

// load waits for everything that the OMS held before the bridge started.
func (p *Player) load(ctx context.Context) error {
	start := time.Now()
	total := int(2*p.World.Summary["style_colors"] + p.World.Summary["customers"])
	seen := func(context.Context) (bool, error) {
		done := 0
		for object := range p.World.NuORDER.Counts().Writes {
			if kind, _, _ := strings.Cut(object, ":"); kind == "product" || kind == "company" || kind == "inventory" {
				done++
			}
		}
		if p.Bar != nil {
			p.Bar(done, total)
		}
		return done >= total, nil
	}
	patience := p.Patience
	p.Patience = 4 * patience
	err := p.await(ctx, seen)
	if err == nil && p.Loaded != nil {
		err = p.await(ctx, p.Loaded)
	}
	p.Patience = patience
	if err != nil {
		return fmt.Errorf("initial load: %w", err)
	}
	s := p.World.Summary
	return p.line(fmt.Sprintf("initial load: %d products, %d stock lists, %d companies", s["style_colors"], s["style_colors"], s["customers"]), time.Since(start))
}

func (p *Player) choose(ctx context.Context, d *props) error {
	const styles = `select s.style_id, s.item_number, s.season_code, c.style_color_id::text
		from oms.styles s join oms.style_colors c using (style_id)
		where s.status = 'Active' and c.status = 'Active' and exists (select from oms.style_prices p
			where p.style_id = s.style_id and p.price_type = 1 and p.currency = 'USD')
		order by s.style_id, c.color_code`
	rows, err := p.World.Pool.Query(ctx, styles)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var item, season, brand string
		if err := rows.Scan(&id, &item, &season, &brand); err != nil {
			return err
		}
		if d.item == "" {
			d.styleID, d.item, d.season, d.brand = id, item, season, brand
		} else if id != d.styleID && d.gone == "" {
			d.goneItem, d.goneSsn, d.gone = item, season, brand
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	const skus = `select k.upc, k.size from oms.skus k join oms.style_colors c using (style_color_id) join oms.styles s using (style_id)
		where c.style_color_id::text = $1 order by k.position limit 2`
	rows, err = p.World.Pool.Query(ctx, skus, d.brand)
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&d.upc[i], &d.size[i]); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return p.World.Pool.QueryRow(ctx, `select customer_id from oms.customers c where status = 'Active' and currency = 'USD'
		and exists (select from oms.customer_addresses a where a.customer_id = c.customer_id and a.kind = 'shipping' and a.line_1 <> '')
		order by customer_id limit 1`).Scan(&d.customer)
}

func (p *Player) catalogue(ctx context.Context, d *props) error {
	desk := p.World.Desk
	for _, s := range []step{
		{
			fmt.Sprintf("OMS: wholesale price of style %s becomes 41.50 USD", d.item),
			func(ctx context.Context) error { return desk.ChangePrice(ctx, d.item, d.season, 1, "USD", "41.50") },
			p.shows("products", d.brand, func(v map[string]any) bool { return sameNumber(dig(v, "pricing", "USD", "wholesale"), "41.50") }),
		},
		{
			fmt.Sprintf("OMS: style %s is discontinued; NuORDER archives its colours", d.goneItem),
			func(ctx context.Context) error { return desk.DiscontinueStyle(ctx, d.goneItem, d.goneSsn) },
			p.shows("products", d.gone, func(v map[string]any) bool { return v["archived"] == true }),
		},
		{
			fmt.Sprintf("OMS: customer %s gets a new ship-to address", d.customer),
			func(ctx context.Context) error {
				return desk.AddShipTo(ctx, d.customer, oms.Address{Code: "DOCK9", Line1: "9 Harbour Road", City: "Oakland", State: "CA", Zip: "94607", Country: "US"})
			},
			p.shows("companies", d.customer, func(v map[string]any) bool {
				for _, a := range list(v["addresses"]) {
					if text(dig(a, "line_1")) == "9 Harbour Road" {
						return true
					}
				}
				return false
			}),
		},
	} {
		if err := p.play(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// stock receives goods and moves a purchase order of the style.
func (p *Player) stock(ctx context.Context, d *props) error {
	before, err := p.quantity(ctx, d.brand, d.size[0], "")
	if err != nil {
		return err
	}
	err = p.play(ctx, step{
		fmt.Sprintf("OMS: 500 pieces of %s %s are received", d.brand, d.size[0]),
		func(ctx context.Context) error { return p.World.Desk.ReceiveStock(ctx, d.upc[0], 1, 500) },
		func(ctx context.Context) (bool, error) {
			now, err := p.quantity(ctx, d.brand, d.size[0], "")
			return now >= before+400, err // what was promised beyond the stock is taken from it first
		},
	})
	if err != nil {
		return err
	}
	var po, brand, size string
	err = p.World.Pool.QueryRow(ctx, `select o.po_number, c.style_color_id::text, k.size
		from oms.purchase_orders o join oms.purchase_order_lines l using (po_number) join oms.skus k using (sku_id)
		join oms.style_colors c using (style_color_id) join oms.styles s using (style_id)
		where o.status = 'Open' and l.qty_ordered > l.qty_received and s.status = 'Active' and c.status = 'Active'
		order by o.po_number, k.sku_id limit 1`).Scan(&po, &brand, &size)
	if err != nil {
		return fmt.Errorf("find a purchase order: %w", err)
	}
	due := time.Now().UTC().AddDate(0, 0, 77)
	return p.play(ctx, step{
		fmt.Sprintf("OMS: purchase order %s is moved to %s; %s", po, due.Format(time.DateOnly), brand),
		func(ctx context.Context) error { return p.World.Desk.MovePurchaseOrder(ctx, po, due) },
		func(ctx context.Context) (bool, error) {
			n, err := p.quantity(ctx, brand, size, due.Format("01/02/2006"))
			return n > 0, err
		},
	})
}

// quantity adds up the stock that NuORDER shows of one size over the warehouses: what is there now, or what comes on a date
// written MM/DD/YYYY.
func (p *Player) quantity(ctx context.Context, brand, size, date string) (int, error) {
	v, err := p.document(ctx, "inventory", brand)
	if err != nil || v == nil {
		return 0, err
	}
	name, sum := "immediate", 0
	if date != "" {
		name = date
	}
	for _, w := range list(v["inventory"]) {
		for _, wip := range list(dig(w, "wip")) {
			if text(dig(wip, "name")) != name {
				continue
			}
			for _, s := range list(dig(wip, "sizes")) {
				if text(dig(s, "size")) == size {
					n, _ := strconv.Atoi(text(dig(s, "quantity")))
					sum += n
				}
			}
		}
	}
	return sum, nil
}

func sameNumber(v any, want string) bool {
	got, err := decimal.NewFromString(text(v))
	return err == nil && got.Equal(decimal.RequireFromString(want))
}
