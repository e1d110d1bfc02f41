package compare

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Each file gives rows of key, field and value.
var (
	//go:embed sql/products.sql
	productsSQL string
	//go:embed sql/companies.sql
	companiesSQL string
	//go:embed sql/inventory.sql
	inventorySQL string
	//go:embed sql/orders.sql
	ordersSQL string
)

// expected reads from the OMS what should be at NuORDER.
func expected(ctx context.Context, tx pgx.Tx, c Config) (map[string]objects, error) {
	numbers := slices.Sorted(maps.Keys(c.Warehouses))
	codes := make([]string, len(numbers))
	for i, n := range numbers {
		codes[i] = c.Warehouses[n]
	}
	since := "infinity"
	if !c.Since.IsZero() {
		since = c.Since.Format(time.DateOnly)
	}
	want := map[string]objects{}
	for _, q := range []struct {
		kind, sql string
		args      []any
	}{
		{"product", productsSQL, nil},
		{"company", companiesSQL, nil},
		{"inventory", inventorySQL, []any{numbers, codes, c.Today.Format(time.DateOnly)}},
		{"order", ordersSQL, []any{numbers, codes, since, c.Environment + ":", c.CreatedStatus}},
	} {
		all, err := read(ctx, tx, q.sql, q.args)
		if err != nil {
			return nil, fmt.Errorf("read what is expected of each %s: %w", q.kind, err)
		}
		want[q.kind] = all
	}
	return want, nil
}

func read(ctx context.Context, tx pgx.Tx, sql string, args []any) (objects, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	all := objects{}
	var key, field, value string
	_, err = pgx.ForEachRow(rows, []any{&key, &field, &value}, func() error {
		all.set(key, field, value)
		return nil
	})
	return all, err
}
