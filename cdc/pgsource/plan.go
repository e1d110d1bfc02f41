package pgsource

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/internal/fault"
)

// tablePlan is how a table is read.
type tablePlan struct {
	oid           uint32
	schema, table string
	// from is what is read: the table without those that inherit from it, which have topics of their own; a partitioned one whole.
	from     string
	columns  []string
	filter   string // row filter of the publication
	key      []string
	keyTypes []string
	byBlock  bool   // there is no ordered key: blocks are read
	leaves   []leaf // the tables that hold blocks
	rel      *relation
	widths   []string // SQL of how long a column's text may become, empty where it is always short
	keyAt    []int
	shape    string // tells whether the table's columns and key are still those of the plan
	measure  uint32 // tells in what the progress is counted: blocks, or this key
}

// leaf is a table that holds rows: the table itself or one of its partitions.
type leaf struct {
	oid  uint32
	name string // quoted
}

// shapeOf is the query for a table's columns and key in short.
const shapeOf = `coalesce((select string_agg(attnum || ' ' || atttypid || ' ' || atttypmod || ' ' || attname, ',' order by attnum)
	from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped), '') ||
	coalesce((select ' key ' || indkey::text from pg_index where indrelid = $1 and indisprimary), '')`

// planTable finds out how to read a table; nil when it is gone.
func (a *admin) planTable(ctx context.Context, version int, schema, table string) (*tablePlan, error) {
	p := &tablePlan{schema: schema, table: table}
	var partitioned bool
	err := a.conn.QueryRow(ctx, `
		select c.oid, c.relkind = 'p' from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = $2`, schema, table).Scan(&p.oid, &partitioned)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("look up table", err)
	}
	p.from = pgx.Identifier{schema, table}.Sanitize()
	if !partitioned {
		p.from = "only " + p.from
	}
	// What is generated is read only where the publication may carry it.
	if err := a.conn.QueryRow(ctx, `
		select array_agg(attname::text order by attnum) filter (where attgenerated = '' or attgenerated = 's' and $2), `+shapeOf+`
		from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped`, p.oid, version >= 180000).Scan(&p.columns, &p.shape); err != nil {
		return nil, classify("look up columns", err)
	}
	if version >= 150000 {
		var names []string
		err := a.conn.QueryRow(ctx, `
			select attnames::text[], coalesce(rowfilter, '') from pg_publication_tables where pubname = $1 and schemaname = $2 and tablename = $3`,
			a.cfg.Publication, schema, table).Scan(&names, &p.filter)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, classify("look up published columns", err)
		}
		if len(names) > 0 {
			p.columns = slices.DeleteFunc(p.columns, func(c string) bool { return !slices.Contains(names, c) })
		}
	}
	cat := &catalog{adm: a, types: map[uint32]typeFacts{}}
	if p.key, err = cat.keyOf(ctx, p.oid); err != nil {
		return nil, err
	}
	ordered, err := a.keyIsOrdered(ctx, p)
	if err != nil {
		return nil, err
	}
	p.measure = crc32.ChecksumIEEE([]byte(strings.Join(slices.Concat(p.key, p.keyTypes), ",")))
	if !ordered {
		p.byBlock, p.measure = true, 1
		if err := a.leaves(ctx, p); err != nil {
			return nil, err
		}
	}
	return p, a.compilePlan(ctx, cat, p)
}

// keyIsOrdered tells whether the table can be read in the order of its key: a primary key, all of it captured.
func (a *admin) keyIsOrdered(ctx context.Context, p *tablePlan) (bool, error) {
	var primary bool
	err := a.conn.QueryRow(ctx, "select exists (select from pg_index where indrelid = $1 and indisprimary)", p.oid).Scan(&primary)
	if err != nil || !primary {
		return false, classify("look up key", err)
	}
	for _, k := range p.key {
		at := slices.Index(p.columns, k)
		if at < 0 {
			return false, nil
		}
		p.keyAt = append(p.keyAt, at)
		var typ string
		if err := a.conn.QueryRow(ctx, "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = $1 and attname = $2", p.oid, k).Scan(&typ); err != nil {
			return false, classify("look up key", err)
		}
		p.keyTypes = append(p.keyTypes, typ)
	}
	return len(p.key) > 0, nil
}

// leaves lists the tables that hold the rows, in a steady order.
func (a *admin) leaves(ctx context.Context, p *tablePlan) error {
	rows, err := a.conn.Query(ctx, `
		select c.oid, n.nspname, c.relname from pg_partition_tree($1::oid::regclass) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
		where t.isleaf order by c.oid`, p.oid)
	if err != nil {
		return classify("list partitions", err)
	}
	p.leaves, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (leaf, error) {
		var oid uint32
		var s, t string
		err := row.Scan(&oid, &s, &t)
		return leaf{oid, "only " + pgx.Identifier{s, t}.Sanitize()}, err
	})
	if err == nil && len(p.leaves) == 0 && strings.HasPrefix(p.from, "only ") {
		p.leaves = []leaf{{p.oid, p.from}}
	}
	return classify("list partitions", err)
}

// compilePlan prepares the encoding of the rows, from what the server says of the query's columns.
func (a *admin) compilePlan(ctx context.Context, cat *catalog, p *tablePlan) error {
	sd, err := a.conn.PgConn().Prepare(ctx, "", "select "+p.list()+" from "+p.from, nil)
	if err != nil {
		return classify(fmt.Sprintf("prepare the snapshot of %s.%s", p.schema, p.table), err)
	}
	w := wireRelation{id: p.oid, schema: p.schema, table: p.table, identity: 'f'}
	p.widths = nil
	for i, f := range sd.Fields {
		w.columns = append(w.columns, wireColumn{name: p.columns[i], typeID: f.DataTypeOID, mod: f.TypeModifier})
		p.widths = append(p.widths, widthSQL(pgx.Identifier{p.columns[i]}.Sanitize(), f))
	}
	p.rel, err = cat.compile(ctx, w, "", 0)
	return err
}

func (p *tablePlan) list() string {
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = pgx.Identifier{c}.Sanitize()
	}
	return strings.Join(names, ", ")
}

// blocksPerChunk is how many blocks a chunk without key reads, 8 KiB each.
const blocksPerChunk = 128

// place is where a chunk begins in a table that is read by blocks.
type place struct {
	leaf
	block   int
	relfile uint32 // the leaf's file: a rewrite of the leaf moves its rows, so that it begins anew
	rest    bool   // there are leaves behind it
}

// place finds where a snapshot by blocks goes on; false when no leaf is left. Partitions may have come and gone meanwhile.
func (p *tablePlan) place(resume []string) (at place, ok bool) {
	var oid, relfile uint64
	if len(resume) == 3 {
		oid, _ = strconv.ParseUint(resume[0], 10, 32)
		at.block, _ = strconv.Atoi(resume[1])
		relfile, _ = strconv.ParseUint(resume[2], 10, 32)
	}
	for i, l := range p.leaves {
		if uint64(l.oid) < oid {
			continue
		}
		if uint64(l.oid) > oid {
			at.block, relfile = 0, 0
		}
		at.leaf, at.relfile, at.rest = l, uint32(relfile), i+1 < len(p.leaves)
		return at, true
	}
	return at, false
}

// query gives the SQL of the next chunk and its arguments.
func (p *tablePlan) query(where string, at place, resume []string, limit int, lean bool) (string, [][]byte) {
	var conditions []string
	for _, c := range []string{where, p.filter} {
		if c != "" {
			conditions = append(conditions, "("+c+")")
		}
	}
	from, order := p.from, ""
	var args [][]byte
	if p.byBlock {
		from = at.name
		conditions = append(conditions, fmt.Sprintf("ctid >= '(%d,0)'::tid and ctid < '(%d,0)'::tid", at.block, at.block+blocksPerChunk))
	} else {
		var keys, params []string
		for i, k := range p.key {
			keys = append(keys, pgx.Identifier{k}.Sanitize())
			params = append(params, fmt.Sprintf("$%d::%s", i+1, p.keyTypes[i]))
		}
		if resume != nil {
			for _, r := range resume {
				args = append(args, []byte(r))
			}
			conditions = append(conditions, "("+strings.Join(keys, ", ")+") > ("+strings.Join(params, ", ")+")")
		}
		order = " order by " + strings.Join(keys, ", ") + " limit " + strconv.Itoa(limit)
	}
	list := p.list()
	if lean {
		list, from = p.lean(from)
	}
	sql := "select " + list + " from " + from
	if len(conditions) > 0 {
		sql += " where " + strings.Join(conditions, " and ")
	}
	return sql + order, args
}

// read reads one chunk in one transaction that says what it sees. The table is locked against changes of its shape before the
// transaction's snapshot is taken: a snapshot that is older than a rewrite would find the table empty.
func (p *tablePlan) read(ctx context.Context, a *admin, c *chunk, cfg Config, where string, resume []string, limit int) error {
	lock := p.from
	at, more := p.place(resume)
	if p.byBlock {
		if !more {
			c.rel, c.resume, c.last = p.rel, resume, true
			return nil
		}
		lock = at.name
	}
	err := p.locked(ctx, a, c, cfg, where, lock, at, resume, limit, false)
	if fault.CodeOf(err) == CodeRowTooLarge {
		c.arena, c.rows, c.oversize = c.arena[:0], c.rows[:0], nil
		err = p.locked(ctx, a, c, cfg, where, lock, at, resume, limit, true)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == CodeRowTooLarge {
		e.Hint = "make the row smaller at the source, or let the publication leave its large columns out"
	}
	return err
}

// locked reads one chunk under a lock; lean leaves out large values of rows that the server could not send.
func (p *tablePlan) locked(ctx context.Context, a *admin, c *chunk, cfg Config, where, lock string, at place, resume []string, limit int, lean bool) error {
	if _, err := a.conn.PgConn().Exec(ctx, "begin isolation level repeatable read, read only; lock table "+lock+" in access share mode").ReadAll(); err != nil {
		return errors.Join(classify(fmt.Sprintf("lock %s.%s", p.schema, p.table), err), a.rollback(ctx))
	}
	return errors.Join(p.within(ctx, a, c, cfg, where, at, resume, limit, lean), a.rollback(ctx))
}

// rollback ends the transaction of a chunk, which has changed nothing.
func (a *admin) rollback(ctx context.Context) error {
	if a.conn.PgConn().TxStatus() == 'I' || a.conn.IsClosed() {
		return nil
	}
	_, err := a.conn.PgConn().Exec(context.WithoutCancel(ctx), "rollback").ReadAll()
	return classify("end chunk", err)
}

// within does the reading, in the transaction of the chunk.
func (p *tablePlan) within(ctx context.Context, a *admin, c *chunk, cfg Config, where string, at place, resume []string, limit int, lean bool) error {
	var xmin, xmax int64
	var running []int64
	var shape string
	var relfile uint32
	if err := a.conn.QueryRow(ctx, `
		select pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint, array(select x::text::bigint from pg_snapshot_xip(s) x), `+shapeOf+`,
		       coalesce(pg_relation_filenode($2::oid::regclass), 0)
		from pg_current_snapshot() s`, p.oid, at.oid).Scan(&xmin, &xmax, &running, &shape, &relfile); err != nil {
		return classify("read the snapshot's transactions", err)
	}
	if shape != p.shape {
		return fault.New(fault.Retry, CodeTableChanged, "%s.%s changed its columns while it was loaded: the load goes on with the new ones", p.schema, p.table)
	}
	if at.relfile != relfile {
		at.block = 0
	}
	c.visible = pgSnapshot{xmin: uint64(xmin), xmax: uint64(xmax)}
	for _, x := range running {
		c.visible.running = append(c.visible.running, uint64(x))
	}
	c.rel = p.rel
	sql, args := p.query(where, at, resume, limit, lean)
	n, cut, err := p.rows(a.conn.PgConn().ExecParams(ctx, sql, args, nil, nil, nil), c, cfg)
	if err != nil {
		return classify(fmt.Sprintf("read %s.%s", p.schema, p.table), err)
	}
	if !p.byBlock {
		c.last = n < limit && !cut
		return nil
	}
	var blocks int
	if err := a.conn.QueryRow(ctx, "select (pg_relation_size($1::oid::regclass) / current_setting('block_size')::int)::int", at.oid).Scan(&blocks); err != nil {
		return classify("measure table", err)
	}
	oid := at.oid
	if at.block += blocksPerChunk; at.block >= blocks {
		oid, at.block, relfile, c.last = oid+1, 0, 0, !at.rest
	}
	c.resume = []string{strconv.FormatUint(uint64(oid), 10), strconv.Itoa(at.block), strconv.FormatUint(uint64(relfile), 10)}
	return nil
}

// rows encodes the rows of a result. By key it stops when the chunk is large enough and tells so.
func (p *tablePlan) rows(rr *pgconn.ResultReader, c *chunk, cfg Config) (n int, cut bool, err error) {
	cells := make([]cell, len(p.columns))
	lastKey := make([][]byte, len(p.keyAt))
	for rr.NextRow() {
		if cut {
			continue // the rest of the result is thrown away, the next chunk reads it
		}
		values := rr.Values()
		for i := range cells {
			cells[i] = cell{kind: 't', text: values[i]}
			if values[i] == nil {
				cells[i].kind = 'n'
			}
		}
		s := span{key: len(c.arena)}
		if names := p.leftOut(cells, values[len(cells):], cfg.RowBytes); names != "" {
			c.leftOut(s.key, names)
		}
		if size := textBytes(cells); size > maxArena {
			c.arena = slices.Grow(c.arena, size*9/8)
		}
		c.arena = p.rel.appendKey(c.arena, cells)
		s.value = len(c.arena)
		c.arena = p.rel.appendRow(c.arena, cells, false)
		s.end = len(c.arena)
		c.rows = append(c.rows, s)
		n++
		if !p.byBlock {
			for k, at := range p.keyAt {
				lastKey[k] = append(lastKey[k][:0], cells[at].text...)
			}
			cut = len(c.arena) >= cfg.ChunkBytes
		}
	}
	_, err = rr.Close()
	if n > 0 {
		c.resume = make([]string, 0, len(lastKey))
		for _, k := range lastKey {
			c.resume = append(c.resume, string(k))
		}
	} else {
		c.resume = c.from
	}
	return n, cut, err
}
