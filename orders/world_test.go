package orders_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	sandbox "nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/migrations"
	"nubridge/orders"
	"nubridge/orders/oms"
)

// world is a ledger, the reference OMS behind its HTTP API, and a portal in memory.
type world struct {
	t       *testing.T
	pool    *pgxpool.Pool
	intents *ledger.Intents
	api     *sandbox.API
	portal  *portal
	client  *oms.Client
	skus    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, pgtest.Pool(t))
}

// newWorldOn is newWorld in a database of the test's choice.
func newWorldOn(t *testing.T, pool *pgxpool.Pool) *world {
	t.Helper()
	applyLedger(t, pool)
	if _, err := sandbox.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	_, err := sandbox.Generate(t.Context(), pool, sandbox.Sizes{
		Seed: 7, Styles: 3, Colors: 1, SizesPerRun: 4, Customers: 3, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, pool: pool, intents: ledger.NewIntents(pool), portal: newPortal()}
	if w.api, err = sandbox.NewAPI(pool, sandbox.APIConfig{}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.api)
	t.Cleanup(func() { server.Close(); w.api.Close() })
	text, err := os.ReadFile("../internal/sandbox/mapping/reference/orders_in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, findings := oms.Compile("orders_in.yaml", text)
	if len(findings) > 0 {
		t.Fatal(findings.String())
	}
	w.client, err = oms.New(spec, ledger.NewQuestions(pool), discard(), oms.Config{URL: server.URL, Timeout: 5 * time.Second, BreakAfter: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(t.Context(), "select upc from oms.skus order by 1")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var upc string
		if err := rows.Scan(&upc); err != nil {
			t.Fatal(err)
		}
		w.skus = append(w.skus, upc)
	}
	return w
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// applyLedger runs the migrations' SQL in the test's own schema.
func applyLedger(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	names, err := fs.Glob(migrations.Files(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "---- create above")
		if _, err := pool.Exec(t.Context(), up); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// poller makes a poller over the world with short times.
func (w *world) poller(change func(*orders.Deps, *orders.Config)) *orders.Poller {
	w.t.Helper()
	d := orders.Deps{
		Portal: w.portal, OMS: w.client, Intents: w.intents, Lock: ledger.NewPollerLock(w.pool, "test"), Log: discard(),
	}
	c := orders.Config{
		Environment: "sandbox", Settle: 300 * time.Millisecond, Retry: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond,
		Tick: 10 * time.Millisecond, HeldEvery: 50 * time.Millisecond, Timeout: 3 * time.Second, Sweep: time.Hour,
	}
	if change != nil {
		change(&d, &c)
	}
	p, err := orders.New(d, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// until runs the poller until the order is in one of the states.
func (w *world) until(p *orders.Poller, id string, states ...ledger.IntentState) *ledger.Intent {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 15*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		i := w.intent(id)
		for _, s := range states {
			if i != nil && i.State == s {
				return i
			}
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("order %s is %+v, want one of %v", id, i, states)
		case err := <-done:
			done <- err
			w.t.Fatalf("the poller ended: %v", err)
		case <-tick.C:
		}
	}
}

func (w *world) intent(id string) *ledger.Intent {
	w.t.Helper()
	i, err := w.intents.Get(context.WithoutCancel(w.t.Context()), "sandbox", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// omsOrders lists the numbers of the OMS orders with the order's reference.
func (w *world) omsOrders(id string) []string {
	w.t.Helper()
	var numbers []string
	err := w.pool.QueryRow(w.t.Context(), `select coalesce(array_agg(order_no::text order by order_no), '{}') from oms.sales_orders
		where external_ref = $1`, ledger.Reference("sandbox", id)).Scan(&numbers)
	if err != nil {
		w.t.Fatal(err)
	}
	return numbers
}

// approve places an approved order with two lines and gives its id.
func (w *world) approve() string { return w.portal.place(w.skus[:2], "C0001", w.customer()) }

func (w *world) customer() string {
	var id string
	if err := w.pool.QueryRow(w.t.Context(), "select customer_id from oms.customers where status = 'Active' order by 1 limit 1").Scan(&id); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// portal is NuORDER as far as the poller sees it.
type portal struct {
	mu     sync.Mutex
	orders map[string]map[string]any
	fail   func(call, id string) error
	calls  map[string]int
}

func newPortal() *portal {
	return &portal{orders: map[string]map[string]any{}, calls: map[string]int{}}
}

func (p *portal) place(upcs []string, _, customer string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := fmt.Sprintf("65f0%020x", len(p.orders)+1)
	var sizes []any
	for _, upc := range upcs {
		sizes = append(sizes, map[string]any{"size": "S", "upc": upc, "quantity": 2, "price": "10.50"})
	}
	p.orders[id] = map[string]any{
		"_id": id, "order_number": fmt.Sprint(100000 + len(p.orders)), "status": "approved", "currency_code": "USD",
		"retailer":   map[string]any{"retailer_code": customer},
		"start_ship": "2027-01-01T00:00:00.000Z", "end_ship": "2027-02-01T00:00:00.000Z",
		"line_items": []any{map[string]any{"product": map[string]any{"brand_id": "b"}, "sizes": sizes}},
	}
	return id
}

func (p *portal) set(id, field string, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders[id][field] = value
}

func (p *portal) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.orders, id)
}

func (p *portal) get(id, field string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.orders[id][field])
}

func (p *portal) enter(call, id string) error {
	p.calls[call]++
	if p.fail != nil {
		return p.fail(call, id)
	}
	return nil
}

func (p *portal) OrderIDs(_ context.Context, status string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("list", status); err != nil {
		return nil, err
	}
	var ids []string
	for id, o := range p.orders {
		if o["status"] == status {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (p *portal) Order(_ context.Context, id string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("read", id); err != nil {
		return nil, err
	}
	if p.orders[id] == nil {
		return nil, fault.New(fault.Reject, "not_found", "order not found")
	}
	return json.Marshal(p.orders[id])
}

func (p *portal) SetOrderStatus(_ context.Context, id, status string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enter("mark", id); err != nil {
		return nil, err
	}
	o := p.orders[id]
	if o == nil {
		return nil, fault.New(fault.Reject, "not_found", "order not found")
	}
	if o["status"] == "cancelled" {
		return nil, fault.New(fault.Reject, "bad_request", "the order is locked")
	}
	o["status"] = status
	return json.Marshal(o)
}
