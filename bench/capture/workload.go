package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The workload is arithmetic, so that what must arrive is known without keeping it. Changes come in groups of ten that touch
// five rows: five inserts, four updates, one delete. Groups alternate between a table with the default replica identity and
// one with the full.
const (
	groupChanges = 10
	groupRows    = 5
)

var tables = [2]string{"lines_default", "lines_full"} //nolint:gochecknoglobals // the two tables of every workload

// kind of a change, in the letters of the feed.
type kind byte

// changesOf gives the expected history of a row: its kinds in order.
func changesOf(id int) []kind {
	if (id-1)%groupRows == 0 {
		return []kind{'c', 'd'}
	}
	return []kind{'c', 'u'}
}

// tableOf tells which of the two tables a row is in.
func tableOf(id int) int { return (id - 1) / groupRows % 2 }

// content of a row at a revision: 0 after its insert, 1 after its update. The SQL in loadSQL computes the same.
type content struct {
	sku, note string
	qty       int
	cents     int
	at        time.Time
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func contentOf(id, rev int) content {
	sku := strconv.Itoa(id % 90000)
	return content{
		sku:   "SKU-" + "000000"[min(6, len(sku)):] + sku,
		note:  "line " + strconv.Itoa(id) + " of the order, revision " + strconv.Itoa(rev) + ", to be shipped with the rest",
		qty:   (id*7+rev*13)%1000 + 1,
		cents: (id*31 + rev*17) % 100000,
		at:    epoch.Add(time.Duration(id)*1001*time.Microsecond + time.Duration(rev)*time.Second),
	}
}

const columnsSQL = `id bigint primary key, rev int, sku text, qty int, price numeric(12,2), note text, updated_at timestamptz`

// valuesSQL gives the columns of row g at revision {rev}, but for the id.
const valuesSQL = `{rev}, 'SKU-' || lpad((g % 90000)::text, 6, '0'), ((g * 7 + {rev} * 13) % 1000 + 1)::int,
	((g * 31 + {rev} * 17) % 100000) / 100.0::numeric, 'line ' || g || ' of the order, revision {rev}, to be shipped with the rest',
	timestamptz '2026-01-01 00:00:00Z' + (g * 1001 + {rev} * 1000000) * interval '1 microsecond'`

// groupSQL writes the groups of the rows lo to hi into one table, in as few statements as there are kinds of change.
const (
	insertSQL = `insert into {schema}.{table} select g, ` + valuesSQL + ` from generate_series(lo, hi) g where (g - 1) / 5 % 2 = {side};`
	updateSQL = `update {schema}.{table} set (rev, sku, qty, price, note, updated_at) = (select ` + valuesSQL + ` from (select id as g) one)
		where id between lo and hi and (id - 1) % 5 > 0;`
	deleteSQL = `delete from {schema}.{table} where id between lo and hi and (id - 1) % 5 = 0;`
	singleSQL = `if id0 / 5 % 2 = {side} then
		for g in id0 + 1 .. id0 + 5 loop insert into {schema}.{table} values (g, {values0}); commit; end loop;
		for g in id0 + 2 .. id0 + 5 loop update {schema}.{table} set (rev, sku, qty, price, note, updated_at) = row({values1}) where id = g; commit; end loop;
		delete from {schema}.{table} where id = id0 + 1; commit;
	end if;`
	tableSQL     = `create table {schema}.{table} (` + columnsSQL + `);`
	procedureSQL = `
		alter table {schema}.lines_full replica identity full;
		create procedure {schema}.one(lo bigint, hi bigint) language plpgsql as $$ begin {group} end $$;
		create procedure {schema}.load(first bigint, last bigint, step bigint) language plpgsql as $$ declare lo bigint; begin
			lo := first; while lo <= last loop call {schema}.one(lo, least(lo + step - 1, last)); commit; lo := lo + step; end loop; end $$;
		create procedure {schema}.singles(first bigint, last bigint) language plpgsql as $$ declare id0 bigint; begin
			id0 := first - 1; while id0 < last loop {singles} id0 := id0 + 5; end loop; end $$;`
	publicationSQL = `drop publication if exists {by}_{schema};
		create publication {by}_{schema} for table {schema}.lines_default, {schema}.lines_full with (publish_via_partition_root = true);`
)

// schemaSQL makes the tables of a workload, the procedures that load it, and the publications.
func schemaSQL(schema string) string {
	perTable := func(sql string) string {
		out := ""
		for i, t := range tables {
			out += strings.NewReplacer("{table}", t, "{side}", strconv.Itoa(i)).Replace(sql) + "\n"
		}
		return out
	}
	at := func(rev, sql string) string { return strings.ReplaceAll(sql, "{rev}", rev) }
	group := perTable(at("0", insertSQL)) + perTable(at("1", updateSQL)) + perTable(deleteSQL)
	singles := perTable(strings.NewReplacer("{values0}", at("0", valuesSQL), "{values1}", at("1", valuesSQL)).Replace(singleSQL))
	sql := "drop schema if exists {schema} cascade; create schema {schema};" + perTable(tableSQL) +
		strings.NewReplacer("{group}", group, "{singles}", singles).Replace(procedureSQL) +
		strings.ReplaceAll(publicationSQL, "{by}", "nub") + strings.ReplaceAll(publicationSQL, "{by}", "dbz")
	return strings.ReplaceAll(sql, "{schema}", schema)
}

// makeSchema makes the tables anew.
func makeSchema(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	if _, err := pool.Exec(ctx, schemaSQL(schema)); err != nil {
		return fmt.Errorf("make schema %s: %w", schema, err)
	}
	return nil
}

// load writes n changes, txRows in each transaction.
func load(ctx context.Context, pool *pgxpool.Pool, schema string, n, txRows int) error {
	return loadMore(ctx, pool, schema, 0, n, txRows)
}

// loadMore is load behind changes that are written already.
func loadMore(ctx context.Context, pool *pgxpool.Pool, schema string, written, n, txRows int) error {
	first, last := written/groupChanges*groupRows+1, (written+n)/groupChanges*groupRows
	sql := fmt.Sprintf("call %s.load(%d, %d, %d)", schema, first, last, max(1, txRows/groupChanges)*groupRows)
	if txRows == 1 {
		sql = fmt.Sprintf("call %s.singles(%d, %d)", schema, first, last)
	}
	if _, err := pool.Exec(ctx, sql); err != nil {
		return fmt.Errorf("load %d changes: %w", n, err)
	}
	return nil
}

// fill writes n rows at revision 0 into the first table.
func fill(ctx context.Context, pool *pgxpool.Pool, schema string, n int) error {
	sql := fmt.Sprintf("insert into %s.%s select g, %s from generate_series(1, %d) g", schema, tables[0], strings.ReplaceAll(valuesSQL, "{rev}", "0"), n)
	for _, q := range []string{sql, fmt.Sprintf("vacuum analyze %s.%s", schema, tables[0]), "checkpoint"} {
		if _, err := pool.Exec(ctx, q); err != nil {
			return fmt.Errorf("fill table: %w", err)
		}
	}
	return nil
}
