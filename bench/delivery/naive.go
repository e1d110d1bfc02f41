package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	remote "nubridge/sink/nuorder"
)

// naive measures what the bridge is compared with: a program that takes the row changes in their order and makes one call for
// each before it looks at the next. It is given our own reader, mapping and client, neither a broker nor a ledger, and the
// changes by their documents' keys, so that nothing but the way of working differs.
func (w *world) naive(ctx context.Context, _ *figures) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.stopAll(); err != nil {
		return err
	}
	n, err := w.newNaive(ctx)
	if err != nil {
		return err
	}
	defer n.close()
	// The same changes as in the part burst, of a twentieth of the products.
	_, rows, err := w.burstRows(ctx)
	if err != nil {
		return err
	}
	rows = rows[:max(1, len(rows)/20)]
	if err := w.unlimited(); err != nil {
		return err
	}
	before, begin, changes := w.NuORDER.Counts().Calls, time.Now(), 0
	for round := range burstRounds {
		if err := w.change(ctx, 1000+round, rows); err != nil {
			return err
		}
		for _, r := range rows {
			key := mapper.KeyOf(fmt.Sprint(r.Product))
			for _, flow := range []mapper.Flow{mapper.Products, mapper.Inventory} {
				if err := n.call(ctx, flow, key); err != nil {
					return err
				}
				changes++
			}
		}
	}
	calls := w.NuORDER.Counts().Calls - before
	took := time.Since(begin)
	all, err := w.rowsOfAll(ctx)
	if err != nil {
		return err
	}
	w.say("  burst: %d row changes made %d calls, %.1f ms each; a bulk load of these products has %d rows, so %.0f s at the portal's limit against %.0f s",
		changes, calls, float64(took.Milliseconds())/float64(calls), all, float64(all)/w.s.rate, float64(2*w.products)/w.s.rate)
	for _, delay := range []time.Duration{20 * time.Millisecond, 300 * time.Millisecond} {
		if err := n.busy(ctx, w, delay, rows); err != nil {
			return err
		}
	}
	return nil
}

// rowsOfAll counts the rows that name a product or its stock, each of which the naive way makes a call for.
func (w *world) rowsOfAll(ctx context.Context) (n int64, err error) {
	err = w.Pool.QueryRow(ctx, `select (select count(*) from oms.style_colors) * 2 + (select count(*) from oms.skus) * 2 + (select count(*) from oms.stock)
        + (select count(*) from oms.styles) + (select count(*) from oms.style_prices) + (select count(*) from oms.purchase_order_lines)`).Scan(&n)
	return n, err
}

type naive struct {
	pool    *pgxpool.Pool
	reader  *documents.Reader
	mapping *mapper.Mapping
	client  *remote.Client
	store   *ledger.Store
	ids     map[mapper.Key]string
}

func (w *world) newNaive(ctx context.Context) (_ *naive, err error) {
	n := &naive{store: w.store, ids: map[mapper.Key]string{}}
	if n.pool, err = pgxpool.New(ctx, w.DatabaseURL); err != nil {
		return nil, err
	}
	folder, findings := mapper.Load(os.DirFS(filepath.Join(w.dir, "mapping")), environment)
	if findings.HasErrors() {
		return nil, findings.Err()
	}
	schema, err := documents.Describe(ctx, n.pool, folder, "")
	if err != nil {
		return nil, err
	}
	if n.mapping, findings = folder.Compile(schema, time.Now); findings.HasErrors() {
		return nil, findings.Err()
	}
	var pointer atomic.Pointer[mapper.Mapping]
	pointer.Store(n.mapping)
	if n.reader, err = documents.NewReader(n.pool, pointer.Load, documents.Config{}); err != nil {
		return nil, err
	}
	p := w.Portal
	n.client, err = remote.New(remote.Config{
		Environment: environment, BaseURL: w.NuORDERURL, Limits: remote.Limits{Rate: 10_000},
		Network: remote.Network{AllowPrivate: true, PlainHTTP: true},
	}, remote.Deps{Credentials: func() remote.Credentials {
		return remote.Credentials{ConsumerKey: p.ConsumerKey, ConsumerSecret: p.ConsumerSecret, Token: p.Token, TokenSecret: p.TokenSecret}
	}})
	return n, err
}

func (n *naive) close() {
	n.client.Close()
	n.pool.Close()
}

// call reads one document, maps it and sends it.
func (n *naive) call(ctx context.Context, flow mapper.Flow, key mapper.Key) error {
	docs, err := n.reader.Read(ctx, flow, []mapper.Want{{Key: key}})
	if err != nil {
		return err
	}
	body, err := n.mapping.Body(flow, key, docs[0].Document)
	if err != nil {
		return err
	}
	id := n.ids[key]
	if id == "" {
		found, err := n.store.ByKey(ctx, environment, mapper.Product, []mapper.Key{key})
		if err != nil {
			return err
		}
		id = found[key].RemoteID
		n.ids[key] = id
	}
	if flow == mapper.Inventory {
		return n.client.ReplaceInventory(ctx, id, body.JSON)
	}
	_, err = n.client.UpdateProduct(ctx, id, body.JSON)
	return err
}

// busy measures how busy the naive way keeps a portal that answers late.
func (n *naive) busy(ctx context.Context, w *world, delay time.Duration, rows []burstRow) error {
	limits := w.limits()
	limits.Concurrency = 4
	if err := w.NuORDER.SetLimits(limits); err != nil {
		return err
	}
	if _, err := w.NuORDER.AddFault(nuorder.Fault{ID: "late", Kind: "slow", Delay: nuorder.Duration(delay)}); err != nil {
		return err
	}
	defer w.NuORDER.ClearFaults()
	begin, calls := time.Now(), 0
	for time.Since(begin) < time.Duration(w.s.seconds)*time.Second/3 {
		if err := n.call(ctx, mapper.Inventory, mapper.KeyOf(fmt.Sprint(rows[calls%len(rows)].Product))); err != nil {
			return err
		}
		calls++
	}
	seconds := time.Since(begin).Seconds()
	share := max(float64(calls)/seconds/w.s.rate, float64(calls)*delay.Seconds()/seconds/4)
	w.say("  a portal that answers after %v: %.1f calls/s, %.3f busy", delay, float64(calls)/seconds, share)
	return nil
}
