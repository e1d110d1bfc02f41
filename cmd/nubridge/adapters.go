package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/ledger"
	"nubridge/orders"
	"nubridge/sink/nuorder"
)

// portal shows the NuORDER client as the poller wants it.
type portal struct{ client *nuorder.Client }

func (p portal) OrderIDs(ctx context.Context, status string) ([]string, error) {
	return p.client.OrderIDs(ctx, nuorder.Status(status))
}

func (p portal) Order(ctx context.Context, id string) ([]byte, error) {
	o, err := p.client.Order(ctx, id)
	return o.Raw, err
}

func (p portal) SetOrderStatus(ctx context.Context, id, status string) ([]byte, error) {
	_, err := p.client.SetOrderStatus(ctx, id, nuorder.Status(status))
	return nil, err
}

// stockDoubter tells the ledger which stock NuORDER moved by itself.
type stockDoubter struct{ store *ledger.Store }

func (d stockDoubter) DoubtStock(ctx context.Context, environment string, lines []orders.Line) error {
	var ids, brands []string
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
	_, err := d.store.DoubtStock(ctx, environment, ids, brands, "order_moved_stock")
	return err
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
