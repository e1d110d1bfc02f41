package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/mapping"
	portal "nubridge/internal/sandbox/nuorder"
	sandbox "nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/migrations"
	"nubridge/orders/oms"
	"nubridge/sink/nuorder"
)

const (
	environment = "torture"
	brand       = "brand"
	schema      = "nubridge"
)

// world is everything outside of the bridge.
type world struct {
	options
	dice   *rand.Rand
	server *postgres.Server
	url    string
	pool   *pgxpool.Pool
	// ledgerPool sees the bridge's tables.
	ledgerPool *pgxpool.Pool
	api        *sandbox.API
	oms        *httptest.Server
	portal     *portal.Server
	nuorder    *httptest.Server
	client     *nuorder.Client
	customers  []string
	skus       []sku
	placed     int
}

// sku is something that can be ordered.
type sku struct{ brandID, size, upc, price string }

// newWorld builds it on a PostgreSQL server, which it does not stop.
func newWorld(ctx context.Context, o options, server *postgres.Server) (*world, error) {
	w := &world{options: o, dice: rand.New(rand.NewPCG(o.seed, 1)), server: server}
	if err := w.openDatabase(ctx); err != nil {
		w.close()
		return nil, err
	}
	if err := w.openRemotes(o); err != nil {
		w.close()
		return nil, err
	}
	if err := w.fillPortal(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, w.spoil()
}

func (w *world) close() {
	if w.nuorder != nil {
		w.nuorder.Close()
		w.portal.Close()
	}
	if w.oms != nil {
		w.oms.Close()
		w.api.Close()
	}
	if w.pool != nil {
		w.pool.Close()
	}
	if w.ledgerPool != nil {
		w.ledgerPool.Close()
	}
}

func (w *world) openDatabase(ctx context.Context) error {
	if err := w.server.CreateDatabase(ctx, "torture"); err != nil {
		return err
	}
	w.url = w.server.URL("torture")
	if _, err := migrations.ApplyURL(ctx, w.url, schema); err != nil {
		return err
	}
	var err error
	if w.pool, err = pgxpool.New(ctx, w.url); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["search_path"] = schema
	if w.ledgerPool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	if _, err = sandbox.Apply(ctx, w.pool); err != nil {
		return err
	}
	_, err = sandbox.Generate(ctx, w.pool, sandbox.Sizes{
		Seed: w.seed, Styles: 10, Colors: 2, Customers: 5, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1,
	})
	return err
}

func (w *world) openRemotes(o options) error {
	var err error
	if w.api, err = sandbox.NewAPI(w.pool, sandbox.APIConfig{SearchLag: o.settle * 4 / 10}); err != nil {
		return err
	}
	w.oms = httptest.NewServer(w.api)
	switches := portal.DefaultSwitches()
	switches.UnstableKeys = false
	w.portal, err = portal.New(portal.Config{
		Portals:  []portal.Portal{{Name: brand, ConsumerKey: "ck", ConsumerSecret: "cs", Token: "t", TokenSecret: "ts"}},
		Switches: &switches, Limits: &portal.Limits{}, Seed: o.seed, JournalSize: 100, JournalBody: -1,
	})
	if err != nil {
		return err
	}
	w.nuorder = httptest.NewServer(w.portal)
	w.client, err = newClient(w.nuorder.URL)
	return err
}

// newClient makes the bridge's own client of the portal.
func newClient(url string) (*nuorder.Client, error) {
	return nuorder.New(nuorder.Config{
		Environment: environment, BaseURL: url, Limits: nuorder.Limits{Rate: 100_000, Burst: 10_000, Start: 16, Max: 16},
		Network: nuorder.Network{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PlainHTTP: true},
		Breaker: nuorder.BreakerConfig{Open: 100 * time.Millisecond},
	}, nuorder.Deps{Credentials: func() nuorder.Credentials {
		return nuorder.Credentials{ConsumerKey: "ck", ConsumerSecret: "cs", Token: "t", TokenSecret: "ts"}
	}})
}

// newOMS makes the bridge's own client of the OMS, by the reference mapping.
func newOMS(url string, pool *pgxpool.Pool, log *slog.Logger) (*oms.Client, error) {
	text, err := fs.ReadFile(mapping.Folder(), "orders_in.yaml")
	if err != nil {
		return nil, err
	}
	spec, findings := oms.Compile("orders_in.yaml", text)
	if findings.HasErrors() {
		return nil, findings.Err()
	}
	return oms.New(spec, ledger.NewQuestions(pool), log, oms.Config{URL: url, Timeout: 5 * time.Second, BreakAfter: 50, BreakFor: 100 * time.Millisecond})
}

// fillPortal gives NuORDER the OMS's customers and products.
func (w *world) fillPortal(ctx context.Context) error {
	rows, err := w.pool.Query(ctx, `select customer_id from oms.customers where status = 'Active' order by 1`)
	if err != nil {
		return err
	}
	if w.customers, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	for _, c := range w.customers {
		_, err := w.client.UpsertCompany(ctx, json.RawMessage(fmt.Sprintf(`{"name":%q,"code":%q,"currency_code":"USD","addresses":[{"display_name":"Main",
			"line_1":"1 Main Street","city":"Reno","country":"US","type":"both","default_billing":true,"default_shipping":true,"billing_code":"B","shipping_code":"S"}]}`, c, c)))
		if err != nil {
			return fmt.Errorf("make company %s: %w", c, err)
		}
	}
	rows, err = w.pool.Query(ctx, `select json_build_object('brand_id', c.style_color_id::text, 'style_number', s.item_number, 'season', s.season_code,
			'color', c.color_description, 'name', s.item_number, 'pricing', json_build_object('USD', json_build_object('wholesale', 10.5, 'retail', 21)),
			'sizes', json_agg(json_build_object('size', k.size, 'upc', k.upc) order by k.position))::text
		from oms.style_colors c join oms.styles s using (style_id) join oms.skus k using (style_color_id) group by c.style_color_id, s.style_id`)
	if err != nil {
		return err
	}
	products, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, body := range products {
		if _, err := w.client.UpsertProduct(ctx, json.RawMessage(body)); err != nil {
			return fmt.Errorf("make a product: %w", err)
		}
	}
	rows, err = w.pool.Query(ctx, `select style_color_id::text, size, upc, '10.5' from oms.skus order by sku_id`)
	if err != nil {
		return err
	}
	w.skus, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sku, err error) {
		return s, row.Scan(&s.brandID, &s.size, &s.upc, &s.price)
	})
	return err
}

// place approves orders at NuORDER.
func (w *world) place(n int) error {
	for range n {
		var lines []any
		for k := range 1 + w.dice.IntN(4) {
			s := w.skus[(w.dice.IntN(len(w.skus)/8)*8+k)%len(w.skus)]
			lines = append(lines, map[string]any{
				"product": map[string]any{"brand_id": s.brandID},
				"sizes":   []any{map[string]any{"size": s.size, "upc": s.upc, "quantity": 1 + w.dice.IntN(9), "price": 10.5}},
			})
		}
		_, err := w.portal.PlaceOrder(brand, map[string]any{
			"status": "approved", "retailer": map[string]any{"retailer_code": w.customers[w.dice.IntN(len(w.customers))]}, "currency_code": "USD",
			"line_items": lines,
		})
		if err != nil {
			return fmt.Errorf("place an order: %w", err)
		}
		w.placed++
	}
	return nil
}

// spoil makes both far ends lose answers. The OMS is late by less than the settle window, or by more in an unbounded run.
func (w *world) spoil() error {
	late := w.settle * 4 / 10
	if w.unbounded {
		late = w.settle * 6
	}
	for n, f := range []sandbox.Fault{
		{Kind: sandbox.LostAfterCommit, Probability: 0.05},
		{Kind: sandbox.LostBeforeCommit, Probability: 0.05},
		{Kind: sandbox.AppliedLate, Probability: 0.04, Delay: late},
		{Kind: sandbox.ServerError, Probability: 0.02, Status: 502},
	} {
		f.Route, f.Seed = "POST /sales-orders", w.seed+uint64(n)
		if err := w.api.AddFault(f); err != nil {
			return err
		}
	}
	for n, f := range []portal.Fault{
		{Kind: "cut", AfterCommit: true, Method: "POST", Path: "/api/order/**", Probability: 0.03},
		{Kind: "cut", Method: "POST", Path: "/api/order/**", Probability: 0.02},
		{Kind: "status", Status: 500, Text: "Oops, there was a problem!", Method: "POST", Path: "/api/order/**", Probability: 0.01},
	} {
		f.Seed = w.seed + 10 + uint64(n)
		if _, err := w.portal.AddFault(f); err != nil {
			return err
		}
	}
	return nil
}
