package documents

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/mapper"
	"nubridge/mapper/draft"
)

// maxSampled bounds how many distinct values of a column go into a catalog.
const maxSampled = 12

// Inspect looks up the named tables for a draft: columns, keys, foreign keys, and a few distinct values of columns that look like a
// state, a kind or a currency. A name without a schema must be clear; an error names those that are not. It changes nothing.
func Inspect(ctx context.Context, db *pgxpool.Pool, names []string) (draft.Catalog, error) {
	var out draft.Catalog
	conn, err := db.Acquire(ctx)
	if err != nil {
		return out, fmt.Errorf("inspect tables: %w", err)
	}
	defer conn.Release()
	d := &describer{conn: conn.Conn(), types: map[uint32]typeInfo{}}
	rows, err := d.conn.Query(ctx, tableSQL)
	if err != nil {
		return out, fmt.Errorf("inspect tables: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (tableRow, error) {
		var t tableRow
		err := r.Scan(&t.oid, &t.name, &t.ident, &t.partitioned, &t.partition)
		return t, err
	})
	if err != nil {
		return out, fmt.Errorf("inspect tables: %w", err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		found, err := resolve(all, name)
		if err != nil {
			return out, err
		}
		if seen[found.name] {
			continue
		}
		seen[found.name] = true
		t, err := d.inspect(ctx, found)
		if err != nil {
			return out, fmt.Errorf("inspect %s: %w", found.name, err)
		}
		out.Tables = append(out.Tables, t)
	}
	return out, nil
}

func resolve(all []tableRow, name string) (tableRow, error) {
	name = strings.ReplaceAll(name, `"`, "") // as in SQL
	var hits []tableRow
	var known []string
	for _, t := range all {
		_, short, _ := strings.Cut(t.name, ".")
		if t.name == name || !t.partition && short == name {
			hits = append(hits, t)
		}
		known = append(known, t.name, short)
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return tableRow{}, fmt.Errorf("there is no table %q; %s", name, mapper.Suggest(name, known))
	}
	return tableRow{}, fmt.Errorf("several schemas have a table %q; name it as schema.table, such as %s", name, hits[0].name)
}

func (d *describer) inspect(ctx context.Context, row tableRow) (draft.Table, error) {
	info := mapper.TableInfo{Partitioned: row.partitioned}
	if err := d.table(ctx, row.oid, row.ident, &info); err != nil {
		return draft.Table{}, err
	}
	schema, name, _ := strings.Cut(row.name, ".")
	t := draft.Table{Schema: schema, Name: name, Key: info.Key, Identity: info.Identity}
	notNull, err := d.notNull(ctx, row.oid)
	if err != nil {
		return t, err
	}
	for _, c := range info.Columns {
		col := draft.Column{Name: c.Name, Type: c.Type, Database: c.Database, NotNull: slices.Contains(notNull, c.Name)}
		if telling(c) {
			if col.Values, err = d.sample(ctx, schema, name, c.Name); err != nil {
				return t, err
			}
		}
		t.Columns = append(t.Columns, col)
	}
	t.ForeignKeys, err = d.foreignKeys(ctx, row.oid)
	return t, err
}

// telling tells whether a column's values say what kind of row it is.
func telling(c mapper.Column) bool {
	if c.Type != mapper.Text && c.Type != mapper.Int {
		return false
	}
	return regexp.MustCompile(`(?i)(status|state|kind|type|currency|cur$)`).MatchString(c.Name)
}

func (d *describer) sample(ctx context.Context, schema, table, column string) ([]string, error) {
	col := pgx.Identifier{column}.Sanitize()
	// A sample of the first rows is enough, and it never scans a large table.
	rows, err := d.conn.Query(ctx, fmt.Sprintf("select distinct v from (select %s::text v from %s limit 20000) s where v is not null order by v limit %d",
		col, pgx.Identifier{schema, table}.Sanitize(), maxSampled))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (d *describer) notNull(ctx context.Context, oid uint32) ([]string, error) {
	rows, err := d.conn.Query(ctx, `select attname::text from pg_catalog.pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped and attnotnull`, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (d *describer) foreignKeys(ctx context.Context, oid uint32) ([]draft.ForeignKey, error) {
	rows, err := d.conn.Query(ctx, `select
			array(select a.attname from unnest(k.conkey) with ordinality c(n, o) join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.n order by c.o)::text[],
			n.nspname || '.' || r.relname,
			array(select a.attname from unnest(k.confkey) with ordinality c(n, o) join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = c.n order by c.o)::text[]
		from pg_catalog.pg_constraint k join pg_catalog.pg_class r on r.oid = k.confrelid join pg_catalog.pg_namespace n on n.oid = r.relnamespace
		where k.conrelid = $1 and k.contype = 'f' and not r.relispartition order by k.conname`, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (draft.ForeignKey, error) {
		var f draft.ForeignKey
		err := r.Scan(&f.Columns, &f.Table, &f.Refs)
		return f, err
	})
}
