package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Questions asks a database what the checks of a mapping want to know before an order is created. It reads only.
type Questions struct {
	pool *pgxpool.Pool
}

// NewQuestions asks through a pool to the OMS's database.
func NewQuestions(pool *pgxpool.Pool) *Questions { return &Questions{pool: pool} }

// Rows runs a query; give it a pool whose role or settings allow reading only. Values are given as text, nil for NULL; arguments are text, lists of text or nil.
// More than 1,000 rows are cut off: a person reads them.
func (q *Questions) Rows(ctx context.Context, sql string, args ...any) ([]map[string]any, error) {
	// The text form of every value, whatever its type.
	rows, err := q.pool.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)...)
	if err != nil {
		return nil, intentErr("ask the OMS's database", err)
	}
	defer rows.Close()
	var out []map[string]any
	for rows.Next() && len(out) < 1000 {
		row := map[string]any{}
		for n, field := range rows.FieldDescriptions() {
			row[field.Name] = nil
			if raw := rows.RawValues()[n]; raw != nil {
				row[field.Name] = string(raw)
			}
		}
		out = append(out, row)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("a question of the mapping: %w", intentErr("ask the OMS's database", err))
	}
	return out, nil
}
