package oms

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// Schema gives the SQL that makes the reference OMS's tables, in the schema oms.
func Schema() string { return schema }

// Apply makes the tables in an empty database, in one transaction. Where they are already there it does nothing and tells so.
func Apply(ctx context.Context, pool *pgxpool.Pool) (made bool, err error) {
	var there bool
	if err := pool.QueryRow(ctx, "select to_regnamespace('oms') is not null").Scan(&there); err != nil {
		return false, fmt.Errorf("look for the schema oms: %w", err)
	}
	if there {
		return false, nil
	}
	if _, err := pool.Exec(ctx, "begin; "+schema+"; commit"); err != nil {
		return false, fmt.Errorf("make the schema oms: %w", err)
	}
	return true, nil
}
