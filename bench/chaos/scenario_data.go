package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func dataScenarios() []scenario {
	return []scenario{
		{name: "keys", smoke: true, play: keys},
		{name: "poison", smoke: true, play: poison},
		{name: "rejected", play: rejected, settings: settings{mapping: func(dir string) error {
			path := filepath.Join(dir, "products.yaml")
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, []byte(strings.Replace(string(text), "  name: item_number", `  name: '""'`, 1)), 0o644)
		}}},
	}
}

// keys are deleted, renamed and moved, while the bridge runs and while it is down.
func keys(ctx context.Context, w *world) error {
	b, err := w.load(ctx)
	if err != nil {
		return err
	}
	acts := func(n int) []string {
		return []string{
			// A colour moves to another style.
			fmt.Sprintf("update oms.style_colors set style_id = (select max(style_id) from oms.styles), color_code = color_code || 'M%[1]d', color_description = 'Moved %[1]d' where style_color_id = (select min(style_color_id) from oms.style_colors where style_id = %[1]d)", n),
			// A style is renamed, and a season's change comes back.
			fmt.Sprintf("update oms.styles set item_number = item_number || '-R' where style_id = %d", n+1),
			fmt.Sprintf("update oms.styles set status = 'Inactive' where style_id = %d", n+2),
			fmt.Sprintf("update oms.styles set status = 'Active' where style_id = %d", n+2),
			fmt.Sprintf("update oms.style_colors set status = 'Inactive' where style_id = %d", n+3),
			// A new style comes and another goes.
			fmt.Sprintf(`insert into oms.styles (style_id, item_number, season_code, department_code, size_run_code, description_1)
				select %d, 'CHAOS-%d', season_code, department_code, size_run_code, 'new' from oms.styles limit 1`, 9000+n, n),
			fmt.Sprintf("insert into oms.style_prices select %d, price_type, currency, price from oms.style_prices where style_id = (select min(style_id) from oms.styles)", 9000+n),
			fmt.Sprintf("insert into oms.style_colors (style_color_id, style_id, color_code, color_description) values (%[1]d, %[1]d, 'C', 'Chaos'), (%[2]d, %[1]d, 'D', 'Doom')", 9000+n, 9500+n),
			fmt.Sprintf(`insert into oms.skus (sku_id, style_color_id, position, size, upc) values (%[1]d, %[1]d, 1, 'S', 'U%[1]d'),
				(%[2]d, %[2]d, 1, 'S', 'U%[2]d'), (%[3]d, %[2]d, 2, 'M', 'U%[3]d')`, 9000+n, 9500+n, 9700+n),
			// An address moves to another customer, one is renamed.
			`update oms.customer_addresses set customer_id = (select max(customer_id) from oms.customers), code = code || 'Z' where address_id = (
				select max(address_id) from oms.customer_addresses where kind = 'store')`,
			"update oms.customer_addresses set code = code || '9' where address_id = (select min(address_id) from oms.customer_addresses where kind = 'shipping')",
			// A size moves to another colour.
			fmt.Sprintf("update oms.skus set style_color_id = %d, size = 'T' where sku_id = %d", 9000+n, 9500+n),
		}
	}
	do := func(n int) error {
		for _, sql := range acts(n) {
			if _, err := w.Pool.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	}
	gone := func(n int) error {
		_, err := w.Pool.Exec(ctx, "delete from oms.styles where style_id = $1", 9000+n)
		return err
	}
	if err := do(1); err != nil {
		return err
	}
	w.equal(ctx, "keys deleted, renamed and moved", patience)
	if err := gone(1); err != nil {
		return err
	}
	w.equal(ctx, "a style deleted", patience)
	if _, err := b.stop(30 * time.Second); err != nil {
		w.run.expect(false, "stop: %v", err)
	}
	if err := do(5); err != nil {
		return err
	}
	if _, err := w.start(); err != nil {
		return err
	}
	w.equal(ctx, "the same while the bridge was down", patience)
	for _, r := range w.running {
		r.kill()
	}
	if err := gone(5); err != nil {
		return err
	}
	if err := do(9); err != nil {
		return err
	}
	if err := gone(9); err != nil {
		return err
	}
	if _, err := w.start(); err != nil {
		return err
	}
	w.equal(ctx, "made and deleted after a kill", patience)
	return nil
}

// poison breaks single documents: only their keys park, each with a sentence, and mending releases them.
func poison(ctx context.Context, w *world) error {
	if _, err := w.load(ctx); err != nil {
		return err
	}
	var address int64
	if err := w.Pool.QueryRow(ctx, `select address_id from oms.customer_addresses where kind = 'billing' and customer_id = $1`, w.desk.people[0]).Scan(&address); err != nil {
		return err
	}
	var item, line string
	if err := w.Pool.QueryRow(ctx, "select item_number from oms.styles where style_id = $1", w.desk.styles[0]).Scan(&item); err != nil {
		return err
	}
	if err := w.Pool.QueryRow(ctx, "select line_1 from oms.customer_addresses where address_id = $1", address).Scan(&line); err != nil {
		return err
	}
	for _, p := range []struct {
		name, spoil, mend string
		arg, back         any
	}{
		{"a style without a name", "update oms.styles set item_number = '' where style_id = $1", "update oms.styles set item_number = $2 where style_id = $1", w.desk.styles[0], item},
		{"a billing address without line 1", "update oms.customer_addresses set line_1 = '' where address_id = $1", "update oms.customer_addresses set line_1 = $2 where address_id = $1", address, line},
	} {
		if _, err := w.Pool.Exec(ctx, p.spoil, p.arg); err != nil {
			return err
		}
		w.desk.during(ctx, 4*time.Second, 15)
		list, err := w.parked(ctx)
		w.run.expect(err == nil && len(list) > 0 && len(list) <= 2, "%s: parks %v", p.name, list)
		if _, err := w.Pool.Exec(ctx, p.mend, p.arg, p.back); err != nil {
			return err
		}
		w.equal(ctx, p.name+", mended", patience)
	}
	return nil
}

// rejected has a mapping whose products NuORDER cannot take: the flow pauses instead of filling the lot.
func rejected(ctx context.Context, w *world) error {
	if _, err := w.start(); err != nil {
		return err
	}
	var paused bool
	var parked int
	end := time.Now().Add(patience)
	for !paused && time.Now().Before(end) {
		pause(ctx, 300*time.Millisecond)
		err := w.ledgerDB.QueryRow(ctx, "select coalesce(bool_or(paused), false), (select count(*) from parked) from flows where flow = 'products'").Scan(&paused, &parked)
		if err != nil {
			paused = false
		}
	}
	pause(ctx, 3*time.Second)
	if err := w.ledgerDB.QueryRow(ctx, "select count(*) from parked where flow = 'products'").Scan(&parked); err != nil {
		return err
	}
	list, _ := w.parked(ctx)
	w.run.expect(paused, "a mapping that rejects most: the flow pauses with %d keys parked %v", parked, list[:min(len(list), 2)])
	return nil
}
