// Package documents reads the documents of a mapping from PostgreSQL, all parts of a batch in one transaction that proves it is
// not older than asked, and describes a database to the mapping's compiler.
package documents

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/mapper"
)

// Describe prepares every query of the folder and looks up the tables that its routes watch. It changes nothing. An empty
// publication is not checked. What is wrong with a query is part of the schema; an error is a database that cannot be asked.
func Describe(ctx context.Context, db *pgxpool.Pool, folder *mapper.Folder, publication string) (*mapper.Schema, error) {
	conn, err := db.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe database: %w", err)
	}
	defer conn.Release()
	d := &describer{conn: conn.Conn(), types: map[uint32]typeInfo{}}
	out := &mapper.Schema{Queries: map[mapper.QueryID]mapper.QueryInfo{}, Tables: map[string]mapper.TableInfo{}, Publication: publication}
	for _, q := range folder.Queries() {
		info, err := d.query(ctx, q.SQL)
		if err != nil {
			return nil, fmt.Errorf("describe query %s of %s: %w", q.ID.Name, q.ID.File, err)
		}
		out.Queries[q.ID] = info
	}
	if err := d.tables(ctx, out, folder.Tables()); err != nil {
		return nil, fmt.Errorf("describe tables: %w", err)
	}
	return out, nil
}

type typeInfo struct {
	name, category string
	kind           byte
	// element is the type of an array's elements, base that of a domain.
	element, base uint32
}

type describer struct {
	conn  *pgx.Conn
	types map[uint32]typeInfo
}

func (d *describer) query(ctx context.Context, sql string) (mapper.QueryInfo, error) {
	var out mapper.QueryInfo
	desc, err := d.conn.PgConn().Prepare(ctx, "", sql, nil)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		out.Error, out.Hint, out.Position = pg.Message, pg.Hint, int(pg.Position)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if len(desc.Fields) == 0 {
		out.Error, out.Hint = "the statement gives no rows", "write a select"
		return out, nil
	}
	oids := slices.Clone(desc.ParamOIDs)
	for _, f := range desc.Fields {
		oids = append(oids, f.DataTypeOID)
	}
	if err := d.load(ctx, oids); err != nil {
		return out, err
	}
	for _, oid := range desc.ParamOIDs {
		out.Params = append(out.Params, d.display(oid))
	}
	for _, f := range desc.Fields {
		out.Columns = append(out.Columns, mapper.Column{Name: f.Name, Type: d.kind(f.DataTypeOID), Database: d.types[f.DataTypeOID].name, OID: f.DataTypeOID})
	}
	plan, err := d.explain(ctx, sql, desc.ParamOIDs)
	if err == nil {
		if writes.MatchString(plan) {
			out.Error, out.Hint = "the statement changes or locks rows", "a query of a mapping only reads: write a select without for update and without insert, update or delete in it"
			return out, nil
		}
		out.Clock = clock.MatchString(plan)
		out.Tables, err = d.roots(ctx, relations(plan))
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		out.Error, out.Hint = pg.Message, pg.Hint
		if pg.Code == "42501" {
			out.Hint = "grant select on the table, and usage on its schema, to the bridge's role"
		}
		return out, nil
	}
	return out, err
}

// load looks types up until domains and arrays are resolved.
func (d *describer) load(ctx context.Context, oids []uint32) error {
	for len(oids) > 0 {
		var missing []uint32
		for _, o := range oids {
			if _, ok := d.types[o]; !ok && o != 0 && !slices.Contains(missing, o) {
				missing = append(missing, o)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		rows, err := d.conn.Query(ctx, `select oid, format_type(oid, null), typcategory::text, typtype::text, typelem, typbasetype from pg_catalog.pg_type where oid = any($1)`, missing)
		if err != nil {
			return err
		}
		oids = oids[:0:0]
		for rows.Next() {
			var oid uint32
			var t typeInfo
			var kind string
			if err := rows.Scan(&oid, &t.name, &t.category, &kind, &t.element, &t.base); err != nil {
				return err
			}
			t.kind = kind[0]
			d.types[oid] = t
			oids = append(oids, t.base)
			if t.category == "A" {
				oids = append(oids, t.element)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (d *describer) display(oid uint32) string { return d.types[oid].name }

// base gives the type behind a domain, which is what a query's result tells of it.
func (d *describer) base(oid uint32) uint32 {
	for d.types[oid].kind == 'd' {
		oid = d.types[oid].base
	}
	return oid
}

// kind tells what a column of the type is in an expression.
func (d *describer) kind(oid uint32) mapper.Type {
	t := d.types[oid]
	if t.kind == 'd' {
		return d.kind(t.base)
	}
	switch t.name {
	case "smallint", "integer", "bigint", "oid":
		return mapper.Int
	case "numeric", "real", "double precision":
		return mapper.Decimal
	case "boolean":
		return mapper.Bool
	case "date":
		return mapper.Date
	case "timestamp without time zone", "timestamp with time zone":
		return mapper.Timestamp
	case "json", "jsonb":
		return mapper.Any
	}
	if t.category == "A" {
		return mapper.TextList
	}
	return mapper.Text
}

// clock finds in a plan what makes rows depend on the present time.
var clock = regexp.MustCompile(`\b(CURRENT_DATE|CURRENT_TIMESTAMP|LOCALTIMESTAMP|CURRENT_TIME|LOCALTIME)\b|\b(now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)`)

// writes finds in a plan what a transaction that only reads refuses.
var writes = regexp.MustCompile(`"Node Type": "(ModifyTable|LockRows)"`)

// explain gives the planner's view of a query, which names the tables that it reads, also through views and functions that the
// planner inlines.
func (d *describer) explain(ctx context.Context, sql string, params []uint32) (string, error) {
	args := make([]string, len(params))
	for i, oid := range params {
		args[i] = "null::" + d.display(oid)
	}
	// The statement is planned generically, so that no branch of it is cut off because a parameter is NULL.
	tx, err := d.conn.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	types := make([]string, len(params))
	for i, oid := range params {
		types[i] = d.display(oid)
	}
	declare := ""
	if len(types) > 0 {
		declare = "(" + strings.Join(types, ", ") + ")"
	}
	execute := ""
	if len(args) > 0 {
		execute = "(" + strings.Join(args, ", ") + ")"
	}
	var plan string
	for _, s := range []string{"set local plan_cache_mode = force_generic_plan", "set local constraint_exclusion = off", "set local enable_partition_pruning = off", "prepare nubridge_check" + declare + " as " + sql} {
		if _, err := tx.Exec(ctx, s, pgx.QueryExecModeSimpleProtocol); err != nil {
			return "", fmt.Errorf("plan query: %w", err)
		}
	}
	err = tx.QueryRow(ctx, "explain (verbose, costs off, format json) execute nubridge_check"+execute, pgx.QueryExecModeSimpleProtocol).Scan(&plan)
	if _, derr := tx.Exec(ctx, "deallocate nubridge_check", pgx.QueryExecModeSimpleProtocol); err == nil {
		err = derr
	}
	if err != nil {
		return "", fmt.Errorf("plan query: %w", err)
	}
	return plan, nil
}
