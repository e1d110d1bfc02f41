package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// valueKind is a type with an expression that gives values of it; @ is a number at random.
type valueKind struct{ typ, value string }

// valueKinds are the columns' types. The first three of them make keys.
var valueKinds = []valueKind{ //nolint:gochecknoglobals // a table
	{"integer", "@ % 300"},
	{"text", "'k' || @ % 300"},
	{"bigint", "@ % 300"},
	{"text", "repeat(md5('@'), @ % 4) || E' \"\\\\ \\x01 ü ' || chr(128512)"},
	{"text", "(select string_agg(md5(@::text || i), '') from generate_series(1, 150) i)"}, // TOASTed
	{"bytea", "(select decode(string_agg(md5(@::text || i), ''), 'hex') from generate_series(1, 300) i)"},
	{"character varying(60)", "md5('@')"},
	{"boolean", "@ % 2 = 0"},
	{"smallint", "@ % 100"},
	{"numeric", "@ / 7.0"},
	{"numeric(12,3)", "@"},
	{"date", "'2020-01-01'::date + @ % 5000"},
	{"uuid", "md5('@')::uuid"},
	{"jsonb", `jsonb_build_object('a"b', @, 'c', null)`},
	{"int4range", "int4range(@, @ + 5)"},
	{"datemultirange", "'{[2020-01-01,2021-01-01),[2022-01-01,)}'::datemultirange"},
	{"work.mood", "(array['sad', 'o''k', 'Très \"gai\"'])[1 + @ % 3]::work.mood"},
	{"work.mood[]", "array['sad', null, 'o''k']::work.mood[]"},
	{"work.amount", "@ % 1000"},
	{"work.list", "array[@ % 1000, null, 3]"},
	{"work.pair", "row(@, 'a \"b\", c')::work.pair"},
	{"text[]", `array['@', 'a,"b"\c', null, '']`},
	{"work.\"Deep\"", "array[]::integer[]"},
	{"inet", "'10.0.0.0'::inet + @ % 65536"},
}

func randomSchema(settings) []string {
	return []string{
		"create type work.mood as enum ('sad', 'o''k', 'Très \"gai\"')", "create domain work.amount as integer check (value >= 0)",
		"create domain work.list as integer[]", `create domain work."Deep" as work.list`, "create type work.pair as (a bigint, b text)",
		"create schema oracle", "create table oracle.keys (id oid primary key, columns integer not null)", "create table work.tables (id bigint primary key, n integer, v text)",
		`do $$ begin
			execute 'create publication nubridge_' || current_database() || ' for table work.tables with (publish_via_partition_root = true)';
			if current_setting('server_version_num')::int >= 150000 and random() < 0.5 then
				execute 'alter publication nubridge_' || current_database() || ' add tables in schema work';
			end if;
			if current_setting('server_version_num')::int >= 180000 and random() < 0.5 then
				execute 'alter publication nubridge_' || current_database() || ' set (publish_generated_columns = stored)';
			end if;
			execute 'alter database ' || current_database() || ' set logical_decoding_work_mem = ''64kB''';
			execute 'alter database ' || current_database() || ' set lock_timeout = ''2s''';
		end $$`,
		"select pg_create_logical_replication_slot(name || current_database(), 'pgoutput') from unnest(array['nubridge_', 'oracle_']) name",
	}
}

// gambler is a session that does things at random. What fails is rolled back: another server's log says what happened.
type gambler struct {
	*rand.Rand
	conn *pgx.Conn
	w    *world
	me   int
	made int
}

func randomLoad(ctx, load context.Context, w *world) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range 4 {
		g.Go(func() error {
			b := &gambler{Rand: rand.New(rand.NewPCG(w.s.seed, uint64(i))), w: w, me: i}
			for load.Err() == nil {
				if b.conn == nil || b.conn.IsClosed() {
					conn, err := pgx.Connect(ctx, w.url)
					if err != nil {
						rest(load, 100*time.Millisecond)
						continue
					}
					b.conn = conn
				}
				b.transaction(ctx)
				if b.IntN(4) == 0 {
					rest(load, 30*time.Millisecond)
				}
			}
			if b.conn != nil {
				b.sql(ctx, "rollback prepared 'p"+w.id+fmt.Sprint(i)+"'")
				_ = b.conn.Close(ctx)
			}
			return nil
		})
	}
	return g.Wait()
}

func (b *gambler) sql(ctx context.Context, sql string) bool {
	_, err := b.conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if b.w.s.verbose && err != nil {
		fmt.Printf("%d: %.200s: %v\n", b.me, sql, err)
	}
	return err == nil
}

func (b *gambler) transaction(ctx context.Context) {
	b.sql(ctx, "begin")
	ok := true
	for range 1 + b.IntN(6) {
		saved := b.IntN(3) == 0
		if saved {
			b.sql(ctx, "savepoint s")
		}
		ok = b.step(ctx)
		if saved && (!ok || b.IntN(2) == 0) {
			b.sql(ctx, "rollback to s")
			ok = true
		}
		if !ok {
			break
		}
	}
	name := fmt.Sprintf("'p%s%d'", b.w.id, b.me)
	switch n := b.IntN(20); {
	case !ok || n < 2:
		b.sql(ctx, "rollback")
	case n < 4:
		b.sql(ctx, "prepare transaction "+name)
		rest(ctx, time.Duration(b.IntN(300))*time.Millisecond)
		if b.sql(ctx, []string{"commit", "rollback"}[b.IntN(3)/2]+" prepared "+name) {
			return
		}
	default:
		b.sql(ctx, "commit")
	}
}

// step changes rows or a table.
func (b *gambler) step(ctx context.Context) bool {
	var table string
	var keys int
	var names, types, generated []string
	err := b.conn.QueryRow(ctx, `
		select quote_ident(nspname) || '.' || quote_ident(relname), k.columns, array_agg(quote_ident(attname) order by attnum), array_agg(format_type(atttypid, atttypmod) order by attnum),
		       array_agg(attgenerated::text order by attnum)
		from pg_class c join pg_namespace n on n.oid = relnamespace join oracle.keys k on k.id = c.oid join pg_attribute on attrelid = c.oid and attnum > 0 and not attisdropped
		group by nspname, relname, k.columns order by md5(relname || $1) limit 1`, pgx.QueryExecModeExec, fmt.Sprint(b.Int())).Scan(&table, &keys, &names, &types, &generated)
	if err != nil || b.IntN(60) == 0 {
		return b.conn.PgConn().TxStatus() != 'E' && b.create(ctx)
	}
	value := func(i int) string {
		if i >= keys && b.IntN(6) == 0 {
			return "null"
		}
		var fit []string
		for _, k := range valueKinds[3*min(1, max(0, i-keys+1)):] {
			if k.typ == types[i] {
				fit = append(fit, k.value)
			}
		}
		if len(fit) == 0 {
			return fmt.Sprint(b.IntN(100))
		}
		return b.fill(fit[b.IntN(len(fit))])
	}
	var columns, values []string
	for i, n := range names {
		if generated[i] == "" {
			columns, values = append(columns, n), append(values, value(i))
		}
	}
	some := fmt.Sprintf("ctid = any(array(select ctid from %s offset %d limit %d))", table, b.IntN(50), 1+b.IntN(5))
	at := b.IntN(len(columns))
	if keys < len(columns) && b.IntN(5) > 0 {
		at = keys + b.IntN(len(columns)-keys)
	}
	switch n := b.IntN(100); {
	case n < 30:
		return b.sql(ctx, fmt.Sprintf("insert into %s (%s) values (%s) on conflict do nothing", table, strings.Join(columns, ", "), strings.Join(values, ", ")))
	case n < 40: // large, with keys of its own
		for i := range min(keys, len(values)) {
			values[i] = fmt.Sprint(1000+b.IntN(1_000_000)) + " + i"
			if types[i] == "text" {
				values[i] = "'l' || " + values[i]
			}
		}
		return b.sql(ctx, fmt.Sprintf("insert into %s (%s) select %s from generate_series(1, %d) i on conflict do nothing", table, strings.Join(columns, ", "), strings.Join(values, ", "), 20+b.IntN(b.w.s.rows)))
	case n < 70:
		return b.sql(ctx, fmt.Sprintf("update %s set %s = %s where %s", table, columns[at], values[at], some))
	case n < 85:
		return b.sql(ctx, "delete from "+table+" where "+some)
	case n < 86:
		return b.sql(ctx, "truncate "+table)
	case n < 88:
		return b.sql(ctx, "delete from "+table)
	}
	return b.alter(ctx, table, names[b.IntN(len(names))], names[keys:])
}

func (b *gambler) fill(value string) string {
	return strings.ReplaceAll(value, "@", fmt.Sprint(b.IntN(1_000_000)))
}

func (b *gambler) name() string {
	b.made++
	return fmt.Sprintf([]string{`n%d_%d`, `"Mixed%d %d"`, `"ü.%d/%d"`, `"q""%d'%d"`}[b.IntN(4)], b.me, b.made)
}

func (b *gambler) column() string {
	k := valueKinds[3+b.IntN(len(valueKinds)-3)]
	switch b.IntN(5) {
	case 0:
		if !strings.HasPrefix(k.value, "(select") {
			return b.name() + " " + k.typ + " default " + b.fill(k.value)
		}
	case 1:
		return b.name() + " double precision default random()"
	case 2:
		return b.name() + " integer generated always as (length('x' || 5)) stored"
	}
	return b.name() + " " + k.typ
}

// create makes a table and publishes it at once: what joins later is in one protocol's feed and not in the other's while transactions write it.
func (b *gambler) create(ctx context.Context) bool {
	keys := b.IntN(3)
	var columns, key []string
	for range keys {
		name := b.name()
		columns, key = append(columns, name+" "+valueKinds[b.IntN(3)].typ+" not null"), append(key, name)
	}
	for range 1 + b.IntN(7) {
		columns = append(columns, b.column())
	}
	table, identity := "work."+b.name(), "full"
	columns = append(columns, b.name()+" integer not null default 7")
	if keys > 0 {
		b.Shuffle(keys, func(i, j int) { key[i], key[j] = key[j], key[i] })
		unique := []string{"primary key", "unique"}[b.IntN(2)]
		columns = append(columns, unique+" ("+strings.Join(key, ", ")+")")
		if unique == "primary key" && b.IntN(3) > 0 {
			identity = "default"
		}
	}
	return b.sql(ctx, fmt.Sprintf(`create table %[1]s (%[2]s); alter table %[1]s replica identity %[3]s; insert into oracle.keys values ('%[4]s'::regclass, %[5]d);
		alter publication nubridge_%[6]s add table %[1]s`, table, strings.Join(columns, ", "), identity, strings.ReplaceAll(table, "'", "''"), keys, b.w.id))
}

// alter changes a table; any is one of its columns, and rest are those outside its key.
func (b *gambler) alter(ctx context.Context, table, any string, rest []string) bool {
	other := any
	if len(rest) > 0 {
		other = rest[b.IntN(len(rest))]
	}
	switch b.IntN(12) {
	case 0, 1, 2:
		return b.sql(ctx, "alter table "+table+" add column "+b.column())
	case 3:
		return len(rest) < 2 || b.sql(ctx, "alter table "+table+" drop column "+other)
	case 4, 5:
		return b.sql(ctx, "alter table "+table+" rename column "+any+" to "+b.name())
	case 6:
		return b.sql(ctx, "alter table "+table+" alter column "+other+" type text using "+other+"::text")
	case 7:
		return b.IntN(2) == 0 || b.sql(ctx, "alter table "+table+" rename to "+b.name())
	case 8:
		return b.sql(ctx, "alter table "+table+" replica identity full")
	case 9:
		return b.sql(ctx, "alter table "+table+" replica identity default")
	case 10:
		return b.IntN(3) > 0 || b.sql(ctx, "drop table "+table)
	}
	return b.sql(ctx, "alter table "+table+" alter column "+other+" set storage external")
}
