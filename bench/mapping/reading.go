package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/mapper"
)

// reading measures the document reader beside bare batched reads of the same rows, and read and translate together beside the
// naive way: a query per key and part, a map per row, encoding/json. The rounds alternate.
func (b *bench) reading(ctx context.Context) (bare, read, naive, whole float64, err error) {
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	defer conn.Release()
	plan, _ := b.mapping.Plan(mapper.Products)
	queries := append([]mapper.QueryPlan{plan.Root}, plan.Parts...)
	for i, q := range queries {
		if _, err := conn.Conn().Prepare(ctx, "bare"+strconv.Itoa(i), q.SQL); err != nil {
			return 0, 0, 0, 0, err
		}
	}
	var before, after runtime.MemStats
	rows := 0
	for range max(b.rounds, 3) {
		one := bench{rounds: 1, round: b.round}
		x, err := one.best(func(step int) (int, error) {
			var err error
			keys := b.batch(step)
			rows, err = bareBatch(ctx, conn.Conn().PgConn(), len(queries), keys)
			return len(keys), err
		})
		if err != nil {
			return 0, 0, 0, 0, err
		}
		bare = max(bare, x)
		y, err := one.best(func(step int) (int, error) {
			reads, err := b.reader.Read(ctx, mapper.Products, b.batch(step))
			return len(reads), err
		})
		if err != nil {
			return 0, 0, 0, 0, err
		}
		read = max(read, y)
		z, err := one.best(func(step int) (int, error) { return b.readAndTranslate(ctx, step) })
		if err != nil {
			return 0, 0, 0, 0, err
		}
		whole = max(whole, z)
		w, err := one.best(func(step int) (int, error) {
			return 1, naiveProduct(ctx, conn.Conn(), string(b.wants[step%len(b.wants)].Key))
		})
		if err != nil {
			return 0, 0, 0, 0, err
		}
		naive = max(naive, w)
	}
	fmt.Printf("bare batched read  %9.0f documents/s, %d rows for the last batch\ndocument reader    %9.0f documents/s\n", bare, rows, read)
	fmt.Printf("read and translate %9.0f documents/s\nnaive              %9.0f documents/s\n", whole, naive)
	small, large := 0.0, 0.0
	for _, x := range []struct {
		keys int
		peak *float64
	}{{1000, &small}, {len(b.wants), &large}} {
		runtime.GC()
		runtime.ReadMemStats(&before)
		for step := 0; step*500 < x.keys; step++ {
			if _, err := b.readAndTranslate(ctx, step); err != nil {
				return 0, 0, 0, 0, err
			}
			runtime.ReadMemStats(&after)
			*x.peak = max(*x.peak, float64(after.HeapInuse)-float64(before.HeapInuse))
		}
	}
	fmt.Printf("heap above the start: %.1f MB for 1000 keys, %.1f MB for %d keys\n", small/1e6, large/1e6, len(b.wants))
	return bare, read, naive, whole, nil
}

func (b *bench) readAndTranslate(ctx context.Context, step int) (int, error) {
	reads, err := b.reader.Read(ctx, mapper.Products, b.batch(step))
	if err != nil {
		return 0, err
	}
	for _, r := range reads {
		if _, err := b.mapping.Body(mapper.Products, r.Key, r.Document); err != nil {
			return 0, err
		}
	}
	return len(reads), nil
}

// bareBatch runs the queries of a batch in one pipeline and looks at each value, no more.
func bareBatch(ctx context.Context, conn *pgconn.PgConn, queries int, keys []mapper.Want) (int, error) {
	array := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, k.Key...)
	}
	array = append(array, '}')
	rows := 0
	p := conn.StartPipeline(ctx)
	for i := range queries {
		p.SendQueryPrepared("bare"+strconv.Itoa(i), [][]byte{array}, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return 0, errors.Join(err, p.Close())
	}
	for range queries {
		res, err := p.GetResults()
		if err != nil {
			return 0, errors.Join(err, p.Close())
		}
		rr, ok := res.(*pgconn.ResultReader)
		if !ok {
			return 0, errors.Join(errors.New("unexpected answer of the server"), p.Close())
		}
		for rr.NextRow() {
			_ = rr.Values()
			rows++
		}
		if _, err := rr.Close(); err != nil {
			return 0, errors.Join(err, p.Close())
		}
	}
	return rows, p.Close()
}

// naiveProduct reads one product as most bridges do: a query for each part, a map for each row, the body as maps.
func naiveProduct(ctx context.Context, conn *pgx.Conn, key string) error {
	id, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return err
	}
	query := func(sql string) ([]map[string]any, error) {
		rows, err := conn.Query(ctx, sql, id)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToMap)
	}
	root, err := query(`select sc.style_color_id, s.item_number, s.season_code, s.department_code, s.style_group, s.description_1, s.description_2, s.status,
		sc.color_code, sc.color_description, sc.status as color_status from oms.style_colors sc join oms.styles s using (style_id) where sc.style_color_id = $1`)
	if err != nil || len(root) == 0 {
		return err
	}
	sizes, err := query(`select size, upc from oms.skus where style_color_id = $1 order by position`)
	if err != nil {
		return err
	}
	prices, err := query(`select p.currency, p.price_type, p.price::text from oms.style_prices p join oms.style_colors sc using (style_id) where sc.style_color_id = $1`)
	if err != nil {
		return err
	}
	pricing := map[string]map[string]any{}
	for _, p := range prices {
		currency, _ := p["currency"].(string)
		if pricing[currency] == nil {
			pricing[currency] = map[string]any{"disabled": false}
		}
		switch p["price_type"] {
		case int32(1):
			pricing[currency]["wholesale"] = json.Number(fmt.Sprint(p["price"]))
		case int32(2):
			pricing[currency]["retail"] = json.Number(fmt.Sprint(p["price"]))
		}
	}
	r := root[0]
	active := r["status"] == "Active" && r["color_status"] == "Active"
	_, err = json.Marshal(map[string]any{
		"brand_id": fmt.Sprint(r["style_color_id"]), "style_number": r["item_number"], "season": r["season_code"],
		"color": r["color_description"], "color_code": r["color_code"], "name": r["item_number"], "description": fmt.Sprint(r["description_1"], " ", r["description_2"]),
		"category": r["style_group"], "department": r["department_code"], "active": active, "archived": !active, "sizes": sizes, "pricing": pricing,
	})
	return err
}
