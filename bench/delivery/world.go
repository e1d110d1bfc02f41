package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/mapper"
)

// environment is the name of the portal's environment in the bridge.
const environment = "bench"

// world is the local world in this process, and the bridge in processes of its own, so that its cost can be told.
type world struct {
	*sandbox.World
	s        settings
	dir      string
	store    *ledger.Store
	bridges  []*bridge // running
	ended    []*bridge
	products int64
	tasks    sync.WaitGroup
	began    time.Time
}

func start(ctx context.Context, s settings) (*world, error) {
	w := &world{s: s, began: time.Now()}
	var err error
	if w.dir, err = os.MkdirTemp("", "nubridge-bench-"); err != nil {
		return nil, err
	}
	var brokers []string
	if s.brokers != "" {
		brokers = strings.Split(s.brokers, ",")
	}
	w.World, err = sandbox.Start(ctx, sandbox.Config{
		Brokers: brokers,
		Sizes:   oms.Sizes{Seed: 1, Styles: s.products / 4, Colors: 4, SizesPerRun: 12, Customers: 40, RecentOrders: 20, OldOrders: 1},
		Limits:  new(w.limits()),
		Say:     func(text string) { w.say("%s", text) },
	})
	if err != nil {
		return w, err
	}
	if err := os.CopyFS(filepath.Join(w.dir, "mapping"), mapping.Folder()); err != nil {
		return w, err
	}
	return w, w.Pool.QueryRow(ctx, "select count(*) from oms.style_colors").Scan(&w.products)
}

func (w *world) end(ctx context.Context) error {
	if w.s.profile != "" { // a profile is whole only if its bridge ends in order
		_ = w.stopAll()
	}
	for _, b := range w.bridges {
		b.kill()
	}
	w.tasks.Wait()
	if w.store != nil {
		w.store.Close()
	}
	var err error
	if w.World != nil {
		err = w.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

func (w *world) say(text string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(text, args...))
}

// limits are the portal's by contract: so many calls a second, and a quarter of a second's worth at once after a pause.
func (w *world) limits() nuorder.Limits {
	return nuorder.Limits{Rate: w.s.rate, Burst: max(int(w.s.rate/4), 1), RetryAfter: 1}
}

func (w *world) environ() []string {
	return append(os.Environ(), "BENCH_KEY="+w.Portal.ConsumerKey, "BENCH_SECRET="+w.Portal.ConsumerSecret,
		"BENCH_TOKEN="+w.Portal.Token, "BENCH_TOKEN_SECRET="+w.Portal.TokenSecret)
}

// setup is what a part wants of the configuration.
type setup struct {
	rate        float64
	concurrency int
	orders      bool
	poll        bool // each second, with orders
	// portals by the name of their environment; the world's own as bench if nil.
	portals map[string]string
}

const configFile = "nubridge.yaml"

// configure writes the configuration for the bridges that are started after it.
func (w *world) configure(s setup) error {
	brokers, err := json.Marshal(w.Brokers)
	if err != nil {
		return err
	}
	flows := "products: on, inventory: on"
	if s.orders {
		flows += ", customers: on, order_edits: on, order_creation: on, orders_in: on"
	}
	every := "10m"
	if s.poll {
		every = "1s"
	}
	if s.portals == nil {
		s.portals = map[string]string{environment: w.NuORDERURL}
	}
	text := fmt.Sprintf("oms: {url: %q}\ncapture: {tables: [\"oms.*\"]}\nkafka: {brokers: %s}\nhttp: {listen: \"off\"}\ntelemetry: {sample: 0}\nlog: {level: warn}\nenvironments:\n", w.DatabaseURL, brokers)
	for _, name := range slices.Sorted(maps.Keys(s.portals)) {
		text += fmt.Sprintf(`  %s:
    mapping: mapping
    lanes: 16
    nuorder: {url: %q, allow_private: true, consumer_key: "${BENCH_KEY}", consumer_secret: "${BENCH_SECRET}", token: "${BENCH_TOKEN}", token_secret: "${BENCH_TOKEN_SECRET}", rate: %v, concurrency: %d}
    oms_api: {url: %q}
    flows: {%s}
    orders: {since: %q, every: %s}
`, name, s.portals[name], s.rate, s.concurrency, w.OMSURL, flows, time.Now().AddDate(0, -1, 0).Format(time.DateOnly), every)
	}
	return os.WriteFile(filepath.Join(w.dir, configFile), []byte(text), 0o600)
}

// openStore waits for the ledger that the bridge makes.
func (w *world) openStore(ctx context.Context) error {
	if w.store != nil {
		return nil
	}
	return w.until(ctx, "the ledger", time.Minute, func() (bool, error) {
		var err error
		w.store, err = ledger.Open(ctx, w.DatabaseURL, "nubridge")
		return err == nil, nil
	})
}

// again stops the bridges and starts as many with another setup, and waits until they have their shares.
func (w *world) again(ctx context.Context, s setup, instances int) error {
	if err := w.stopAll(); err != nil {
		return err
	}
	if err := w.configure(s); err != nil {
		return err
	}
	for range instances {
		if _, err := w.launch(configFile); err != nil {
			return err
		}
	}
	if err := w.openStore(ctx); err != nil {
		return err
	}
	environments := max(len(s.portals), 1)
	return w.until(ctx, "the start", time.Minute, func() (bool, error) {
		var n int
		err := w.store.Pool().QueryRow(ctx, "select count(*) from instances where expires_at > now()").Scan(&n)
		return n == instances*environments, err
	})
}

// loaded makes sure that the portal holds everything, loading it as fast as this machine can if the part bulk did not.
func (w *world) loaded(ctx context.Context) error {
	if w.store != nil {
		return nil
	}
	w.say("  loading the portal, unmeasured")
	if err := w.NuORDER.SetLimits(nuorder.Limits{}); err != nil {
		return err
	}
	if err := w.again(ctx, setup{rate: 10_000, concurrency: 16}, 1); err != nil {
		return err
	}
	if err := w.until(ctx, "the load", 10*time.Minute, func() (bool, error) { return w.inStep(ctx, 1) }); err != nil {
		return err
	}
	return w.rests(ctx, time.Minute)
}

// inStep tells whether every product and every stock list was delivered to so many environments.
func (w *world) inStep(ctx context.Context, environments int64) (bool, error) {
	var n int64
	err := w.store.Pool().QueryRow(ctx, "select count(*) from objects where kind in ('product', 'stock') and known and doubt = '{}'").Scan(&n)
	return n >= 2*w.products*environments, err
}

// until looks every few milliseconds until ok, and fails when a bridge ends or time is over.
func (w *world) until(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.NewTimer(limit)
	defer over.Stop()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-over.C:
			return fmt.Errorf("%s: not within %v", what, limit)
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, b := range w.bridges {
			select {
			case <-b.done:
				return fmt.Errorf("%s: a bridge ended: %w", what, errors.Join(b.err, errEnded))
			default:
			}
		}
	}
}

// rests waits until nothing was called for two seconds and no request is open.
func (w *world) rests(ctx context.Context, limit time.Duration) error {
	last, since := uint64(0), time.Now()
	return w.until(ctx, "rest", limit, func() (bool, error) {
		if n := w.NuORDER.Counts().Calls; n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return false, nil
		}
		var open int64
		err := w.store.Pool().QueryRow(ctx, "select count(*) from requests").Scan(&open)
		return open == 0, err
	})
}

// doubtAll makes a backlog of every stock list that is in step.
func (w *world) doubtAll(ctx context.Context) error {
	rows, err := w.store.Pool().Query(ctx, `select key from objects where environment = $1 and kind = 'stock' and known
        and not exists (select from requests r where (r.environment, r.flow, r.key) = (objects.environment, 'inventory', objects.key))`, environment)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[mapper.Key])
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(keys, 500) {
		if err := w.store.Doubt(ctx, environment, mapper.Inventory, chunk, "bench"); err != nil {
			return err
		}
	}
	return nil
}
