package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/orders"
)

// current is the mapping that is in force at each call, so that a changed folder takes over without a restart.
type current struct {
	mapping *atomic.Pointer[mapper.Mapping]
}

func (c current) Tables(flow mapper.Flow) []string { return c.mapping.Load().Tables(flow) }

func (c current) Route(flow mapper.Flow, change *cdc.Change) (mapper.Touches, error) {
	return c.mapping.Load().Route(flow, change)
}

func (c current) Body(flow mapper.Flow, key mapper.Key, d *mapper.Document) (mapper.Body, error) {
	return c.mapping.Load().Body(flow, key, d)
}

// stockDoubter tells the ledger which stock NuORDER moved by itself.
type stockDoubter struct{ store *ledger.Store }

func (d stockDoubter) DoubtStock(ctx context.Context, environment string, lines []orders.Line) error {
	ids, brands := productsOf(lines)
	_, err := d.store.DoubtStock(ctx, environment, ids, brands, "order_moved_stock")
	return err
}

func (d stockDoubter) WakeStock(ctx context.Context, environment string, lines []orders.Line) error {
	ids, brands := productsOf(lines)
	return d.store.WakeStock(ctx, environment, ids, brands, "order_in_oms")
}

// productsOf names the products whose stock lines take.
func productsOf(lines []orders.Line) (ids, brands []string) {
	for _, l := range lines {
		if l.Prebook {
			continue
		}
		if l.ProductID != "" {
			ids = append(ids, l.ProductID)
		}
		if l.BrandID != "" {
			brands = append(brands, l.BrandID)
		}
	}
	return ids, brands
}

// database answers the questions of an OMS mapping's checks.
type database struct{ pool *pgxpool.Pool }

func (d database) Rows(ctx context.Context, sql string, args ...any) ([]map[string]any, error) {
	rows, err := d.pool.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("ask the OMS database: %w", err)
	}
	defer rows.Close()
	var out []map[string]any
	for rows.Next() {
		row := map[string]any{}
		for i, v := range rows.RawValues() {
			row[rows.FieldDescriptions()[i].Name] = nil
			if v != nil {
				row[rows.FieldDescriptions()[i].Name] = string(v)
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
