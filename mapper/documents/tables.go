package documents

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// relations collects schema.table of every relation in a JSON plan.
func relations(plan string) []string {
	var v any
	if err := json.Unmarshal([]byte(plan), &v); err != nil {
		return nil
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			name, ok1 := v["Relation Name"].(string)
			schema, ok2 := v["Schema"].(string)
			if ok1 && ok2 {
				out = append(out, schema+"."+name)
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
	slices.Sort(out)
	return slices.Compact(out)
}

// roots replaces partitions by the table they belong to and leaves the system's own tables out.
func (d *describer) roots(ctx context.Context, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		schema, table, _ := strings.Cut(n, ".")
		if schema == "pg_catalog" || schema == "information_schema" {
			continue
		}
		var root string
		err := d.conn.QueryRow(ctx, `select coalesce((select rn.nspname || '.' || r.relname from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
			where c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)), n.nspname || '.' || c.relname)
			from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`, schema, table).Scan(&root)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, root)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// tableRow is what tableSQL gives.
type tableRow struct {
	oid         uint32
	name, ident string
	partitioned bool
	partition   bool
}

const tableSQL = `
select c.oid, n.nspname || '.' || c.relname, c.relreplident::text, c.relkind = 'p', c.relispartition
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_toast%'`

// tables describes the tables that routes watch and, by name alone, all others, for suggestions.
func (d *describer) tables(ctx context.Context, out *mapper.Schema, watched []string) error {
	rows, err := d.conn.Query(ctx, tableSQL)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (tableRow, error) {
		var t tableRow
		err := r.Scan(&t.oid, &t.name, &t.ident, &t.partitioned, &t.partition)
		return t, err
	})
	if err != nil {
		return err
	}
	published := map[string]bool{}
	if out.Publication != "" {
		names, err := d.published(ctx, out.Publication)
		if err != nil {
			return err
		}
		for _, n := range names {
			published[n] = true
		}
	}
	for _, t := range tables {
		info := mapper.TableInfo{Partitioned: t.partitioned, Published: published[t.name]}
		if slices.Contains(watched, t.name) {
			if err := d.table(ctx, t.oid, t.ident, &info); err != nil {
				return err
			}
			out.Tables[t.name] = info
		} else if !t.partition {
			out.Tables[t.name] = info
		}
	}
	return nil
}

// published lists the tables of a publication; partitions count as their root.
func (d *describer) published(ctx context.Context, publication string) ([]string, error) {
	rows, err := d.conn.Query(ctx, `select distinct coalesce(rn.nspname || '.' || r.relname, t.schemaname || '.' || t.tablename)
		from pg_catalog.pg_publication_tables t
		left join pg_catalog.pg_namespace n on n.nspname = t.schemaname
		left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
		left join pg_catalog.pg_class r on c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)
		left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
		where t.pubname = $1`, publication)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (d *describer) table(ctx context.Context, oid uint32, ident string, info *mapper.TableInfo) error {
	rows, err := d.conn.Query(ctx, `select attname, atttypid, attnotnull from pg_catalog.pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped order by attnum`, oid)
	if err != nil {
		return err
	}
	type column struct {
		name    string
		typ     uint32
		notNull bool
	}
	cols, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (column, error) {
		var c column
		err := r.Scan(&c.name, &c.typ, &c.notNull)
		return c, err
	})
	if err != nil {
		return err
	}
	oids := make([]uint32, len(cols))
	notNull := map[string]bool{}
	for i, c := range cols {
		oids[i] = c.typ
		notNull[c.name] = c.notNull
	}
	if err := d.load(ctx, oids); err != nil {
		return err
	}
	for _, c := range cols {
		info.Columns = append(info.Columns, mapper.Column{Name: c.name, Type: d.kind(c.typ), Database: d.display(d.base(c.typ))})
	}
	if !info.Partitioned {
		return d.identity(ctx, oid, ident, info, notNull)
	}
	return d.partitions(ctx, oid, ident, info, notNull)
}

// partitions finds what a delete of a partitioned table carries: what the deletes of all its leaves carry, because each leaf has a
// replica identity of its own.
func (d *describer) partitions(ctx context.Context, oid uint32, ident string, info *mapper.TableInfo, notNull map[string]bool) error {
	if err := d.identity(ctx, oid, ident, info, notNull); err != nil {
		return err
	}
	rows, err := d.conn.Query(ctx, `select c.oid, n.nspname || '.' || c.relname, c.relreplident::text from pg_catalog.pg_partition_tree($1::oid) t
		join pg_catalog.pg_class c on c.oid = t.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace where t.isleaf`, oid)
	if err != nil {
		return err
	}
	type leaf struct {
		oid         uint32
		name, ident string
	}
	leaves, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (leaf, error) {
		var l leaf
		err := r.Scan(&l.oid, &l.name, &l.ident)
		return l, err
	})
	if err != nil {
		return err
	}
	info.Partitions = map[string][]string{}
	for _, l := range leaves {
		part := mapper.TableInfo{Columns: info.Columns}
		if err := d.identity(ctx, l.oid, l.ident, &part, notNull); err != nil {
			return err
		}
		info.Partitions[l.name] = part.Identity
		if len(part.Identity) < len(info.Identity) || ident != "f" {
			info.Identity = slices.DeleteFunc(slices.Clone(info.Identity), func(c string) bool { return !slices.Contains(part.Identity, c) })
		}
	}
	return nil
}

// identity finds what a delete of the table carries, and which unique indexes could carry more.
func (d *describer) identity(ctx context.Context, oid uint32, ident string, info *mapper.TableInfo, notNull map[string]bool) error {
	rows, err := d.conn.Query(ctx, `select ic.relname, i.indisprimary, i.indisreplident,
			array(select a.attname from unnest(i.indkey) with ordinality k(n, o) join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by k.o)::text[]
		from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
		where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null`, oid)
	if err != nil {
		return err
	}
	defer rows.Close()
	info.Indexes = map[string][]string{}
	for rows.Next() {
		var name string
		var primary, replident bool
		var cols []string
		if err := rows.Scan(&name, &primary, &replident, &cols); err != nil {
			return err
		}
		if primary {
			info.Key = cols
		}
		if primary && ident == "d" || replident && ident == "i" {
			info.Identity = cols
		}
		usable := true
		for _, c := range cols {
			usable = usable && notNull[c]
		}
		if usable && !primary {
			info.Indexes[name] = cols
		}
	}
	if ident == "f" {
		for _, c := range info.Columns {
			info.Identity = append(info.Identity, c.Name)
		}
	}
	return rows.Err()
}
