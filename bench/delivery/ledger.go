package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/migrations"
)

const (
	ledgerDatabase = "ledger"
	ledgerBatch    = 128 // as the loop owns at most
	ledgerInstance = "bench/products"
)

// ledger fills a ledger of its own with so many objects, half of them products and half stock, as wide as those of the world,
// and measures the two statements of a batch on random keys of it.
func (w *world) ledger(ctx context.Context, _ *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.stopAll(); err != nil {
		return err
	}
	if err := w.Postgres.CreateDatabase(ctx, ledgerDatabase); err != nil {
		return err
	}
	url := w.Postgres.URL(ledgerDatabase)
	if _, err := migrations.ApplyURL(ctx, url, "nubridge"); err != nil {
		return err
	}
	store, err := ledger.Open(ctx, url, "nubridge")
	if err != nil {
		return err
	}
	defer store.Close()
	begin := time.Now()
	if err := w.fill(ctx, store); err != nil {
		return err
	}
	w.say("  %d objects written in %.0f s", w.s.rows, time.Since(begin).Seconds())
	if err := w.sizes(ctx, store); err != nil {
		return err
	}
	if err := store.Join(ctx, environment, mapper.Products, ledgerInstance); err != nil {
		return err
	}
	l := &ledgerLoad{store: store, rows: w.s.rows / 2, body: make([]byte, 3000)}
	if _, err := rand.Read(l.body[:600]); err != nil { // the rest is zeroes, so that it packs to what a body packs to
		return err
	}
	for _, rate := range []time.Duration{0, time.Second / 4} {
		if err := w.drive(ctx, l, rate); err != nil {
			return err
		}
	}
	return w.sizes(ctx, store)
}

// fill copies the widths of the world's own objects.
func (w *world) fill(ctx context.Context, store *ledger.Store) error {
	for _, kind := range []mapper.Kind{mapper.Product, mapper.Stock} {
		var identity, part string
		var packed []byte
		err := w.store.Pool().QueryRow(ctx, `select o.identity::text, b.part, b.body from objects o join bodies b using (environment, kind, key)
            where o.kind = $1 and o.known order by o.key limit 1`, kind).Scan(&identity, &part, &packed)
		if err != nil {
			return fmt.Errorf("find an object of kind %s: %w", kind, err)
		}
		w.say("  an object of kind %s has %d bytes of identity and a body of %d bytes, packed", kind, len(identity), len(packed))
		const step = 250_000
		for from := 0; from < w.s.rows/2; from += step {
			to := min(from+step, w.s.rows/2)
			batch := &pgx.Batch{}
			batch.Queue(`insert into objects (environment, kind, key, known, remote_id, remote_key, stored_key, identity, parts, hashes, part_at, epoch, commit_lsn, settled_at, calls, trace)
                select $1, $2, n::text, true, substr(md5(n::text), 1, 24), case $2 when 'product' then n::text else '' end, case $2 when 'product' then n::text else '' end, $3::jsonb,
                array[$4::text], array[sha256(n::text::bytea)], array[now()], 1, n, now(), 1, '' from generate_series($5::int, $6::int) n`,
				environment, kind, identity, part, from, to-1)
			batch.Queue(`insert into bodies (environment, kind, key, part, body) select $1, $2, n::text, $3, $4::bytea from generate_series($5::int, $6::int) n`,
				environment, kind, part, packed, from, to-1)
			if err := store.Pool().SendBatch(ctx, batch).Close(); err != nil {
				return fmt.Errorf("fill the ledger: %w", err)
			}
			if to%1_000_000 == 0 {
				w.say("  %d of kind %s", to, kind)
			}
		}
	}
	_, err := store.Pool().Exec(ctx, "vacuum analyze objects, bodies")
	return err
}

// sizes tells what the tables take.
func (w *world) sizes(ctx context.Context, store *ledger.Store) error {
	rows, err := store.Pool().Query(ctx, `select c.relname, pg_table_size(c.oid) >> 20, pg_indexes_size(c.oid) >> 20, s.n_live_tup, s.n_dead_tup, s.n_tup_upd,
            case when s.n_tup_upd > 0 then s.n_tup_hot_upd::float8 / s.n_tup_upd else 1 end, s.autovacuum_count, coalesce(array_to_string(c.reloptions, ', '), '')
        from pg_class c join pg_stat_user_tables s on s.relid = c.oid where c.relname in ('objects', 'bodies') order by c.relname`)
	if err != nil {
		return err
	}
	var name, options string
	var table, indexes, live, dead, updates, vacuums int64
	var hot float64
	_, err = pgx.ForEachRow(rows, []any{&name, &table, &indexes, &live, &dead, &updates, &hot, &vacuums, &options}, func() error {
		w.say("  %s: table %d MiB, indexes %d MiB, %d rows, %d dead, %d updates of which %.3f within the page, %d autovacuums (%s)",
			name, table, indexes, live, dead, updates, hot, vacuums, options)
		return nil
	})
	return err
}

// ledgerLoad owns and settles random products.
type ledgerLoad struct {
	store *ledger.Store
	rows  int
	body  []byte
	seq   int64
}

// drive runs batches for the measured time, one after the other as fast as they go or evenly, and tells what each statement took.
func (w *world) drive(ctx context.Context, l *ledgerLoad, every time.Duration) error {
	var owns, settles []time.Duration
	begin := time.Now()
	for time.Since(begin) < time.Duration(w.s.seconds)*time.Second {
		at := time.Now()
		owned, settled, err := l.round(ctx)
		if err != nil {
			return err
		}
		owns, settles = append(owns, owned), append(settles, settled)
		if rest := every - time.Since(at); rest > 0 {
			timer := time.NewTimer(rest)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
		}
	}
	seconds := time.Since(begin).Seconds()
	w.say("  batches of %d random keys, %.1f a second (%.0f documents a second): own p50 %.1f ms, p99 %.1f ms; settle p50 %.1f ms, p99 %.1f ms", ledgerBatch,
		float64(len(owns))/seconds, float64(len(owns)*ledgerBatch)/seconds, percentile(owns, 0.5), percentile(owns, 0.99), percentile(settles, 0.5), percentile(settles, 0.99))
	return nil
}

// round is one batch: a lease on each, and what was delivered.
func (l *ledgerLoad) round(ctx context.Context) (owned, settled time.Duration, err error) {
	seen, keys := map[int]bool{}, []mapper.Key{}
	for len(keys) < min(ledgerBatch, l.rows) {
		if n := mrand.N(l.rows); !seen[n] {
			seen[n] = true
			keys = append(keys, mapper.Key(strconv.Itoa(n)))
		}
	}
	begin := time.Now()
	got, err := l.store.Own(ctx, ledger.Owning{
		Environment: environment, Kind: mapper.Product, Flow: mapper.Products, Part: "body", Keys: keys, Lease: time.Minute, Owner: ledgerInstance,
	})
	if err != nil || len(got.Objects) != len(keys) {
		return 0, 0, fmt.Errorf("own %d keys, got %d: %w", len(keys), len(got.Objects), err)
	}
	owned = time.Since(begin)
	l.seq++
	batch := &ledger.Settling{Environment: environment, Flow: mapper.Products, Instance: ledgerInstance, Seq: l.seq}
	for _, o := range got.Objects {
		o.Parts["body"] = ledger.Part{Hash: sha256.Sum256(big.NewInt(l.seq).Bytes()), Body: l.body, At: time.Now()}
		batch.Settlements = append(batch.Settlements, ledger.Settlement{
			Object: o, Disposition: ledger.Delivered, Doubt: ledger.ClearDoubt, Store: true, Bodies: []string{"body"}, Action: "update", Calls: 1,
		})
	}
	begin = time.Now()
	out, err := l.store.Settle(ctx, batch)
	if err == nil && len(out.Stale)+len(out.Lost) > 0 {
		err = fmt.Errorf("a settlement was refused: %+v", out)
	}
	return owned, time.Since(begin), err
}
