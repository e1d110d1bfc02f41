package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/compare"
	"nubridge/internal/sandbox/kafka"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
)

const environment = "sandbox"

// settings are what a scenario wants of its world.
type settings struct {
	// ledgerApart keeps the bridge's tables in a PostgreSQL server of their own.
	ledgerApart bool
	// kafkaDir keeps the broker's topics over a restart.
	kafkaDir bool
	limits   *nuorder.Limits
	// timeout of a call, lease and settle window of the bridge.
	timeout, lease, settle time.Duration
	// mapping is changed before the bridge sees it.
	mapping func(dir string) error
	sizes   oms.Sizes
}

// world is both far ends, the broker, and the folder that the bridge is configured in.
type world struct {
	*sandbox.World
	run      *run
	dir      string
	ledger   *postgres.Server
	ledgerDB *pgxpool.Pool
	broker   *kafka.Broker
	brokerAt kafka.Config
	settings settings
	since    time.Time

	watch   *watch
	tail    *tail
	dice    *rand.Rand
	desk    *desk
	running []*bridge
	started int
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
}

func (r *run) newWorld(ctx context.Context, s settings) (_ *world, err error) {
	if s.timeout == 0 {
		s.timeout = 3 * time.Second
	}
	if s.lease == 0 {
		s.lease = 8 * time.Second
	}
	if s.settle == 0 {
		s.settle = 2 * time.Second
	}
	if s.limits == nil {
		s.limits = &nuorder.Limits{Concurrency: 5, RetryAfter: 1}
	}
	if s.sizes == (oms.Sizes{}) {
		s.sizes = oms.Sizes{Styles: 12, Colors: 2, SizesPerRun: 4, Customers: 15, PurchaseOrders: 6, OldOrders: -1, RecentOrders: 5}
	}
	s.sizes.Seed = r.seed
	w := &world{run: r, settings: s, since: time.Now().UTC().AddDate(0, -1, 0).Truncate(24 * time.Hour), dice: rand.New(rand.NewPCG(r.seed, 2))}
	defer func() {
		if err != nil {
			w.close(ctx)
		}
	}()
	if w.dir, err = os.MkdirTemp(r.dir, "world"); err != nil {
		return nil, err
	}
	w.brokerAt = kafka.Config{}
	if s.kafkaDir {
		w.brokerAt.DataDir = filepath.Join(w.dir, "kafka")
	}
	if w.broker, err = kafka.Start(w.brokerAt); err != nil {
		return nil, err
	}
	if _, err := fmt.Sscanf(w.broker.Addr(), "127.0.0.1:%d", &w.brokerAt.Port); err != nil {
		return nil, fmt.Errorf("read the broker's port of %s: %w", w.broker.Addr(), err)
	}
	w.World, err = sandbox.Start(ctx, sandbox.Config{Brokers: w.broker.Addrs(), Sizes: s.sizes, Limits: s.limits})
	if err != nil {
		return nil, err
	}
	ledgerURL := w.DatabaseURL
	if s.ledgerApart {
		if w.ledger, err = postgres.Start(ctx, postgres.Config{}); err != nil {
			return nil, err
		}
		ledgerURL = w.ledger.URL("postgres")
	}
	pool, err := pgxpool.ParseConfig(ledgerURL)
	if err != nil {
		return nil, err
	}
	pool.ConnConfig.RuntimeParams["search_path"] = "nubridge"
	if w.ledgerDB, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, err
	}
	if err := w.configure(ledgerURL); err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	w.watch, w.tail = newWatch(w), newTail()
	w.tasks.Go(func() {
		if err := w.tail.run(life, w.Brokers); err != nil {
			w.run.say("the log cannot be read: %v", err)
		}
	})
	w.tasks.Go(func() { w.watch.run(life) })
	w.desk, err = newDesk(ctx, w)
	return w, err
}

func (w *world) close(ctx context.Context) {
	for _, b := range w.running {
		b.kill()
	}
	if w.cancel != nil {
		w.cancel()
		w.tasks.Wait()
	}
	if w.ledgerDB != nil {
		w.ledgerDB.Close()
	}
	var errs []error
	if w.World != nil {
		errs = append(errs, w.Stop(context.WithoutCancel(ctx)))
	}
	if w.ledger != nil {
		errs = append(errs, w.ledger.Stop(context.WithoutCancel(ctx)))
	}
	if w.broker != nil {
		w.broker.Close()
	}
	if err := errors.Join(errs...); err != nil {
		w.run.say("end of the world: %v", err)
	}
}

// configure writes the mapping, the secrets and the configuration.
func (w *world) configure(ledgerURL string) error {
	err := fs.WalkDir(mapping.Folder(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(w.dir, "mapping", path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := fs.ReadFile(mapping.Folder(), path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		return err
	}
	if w.settings.mapping != nil {
		if err := w.settings.mapping(filepath.Join(w.dir, "mapping")); err != nil {
			return err
		}
	}
	brokers, err := json.Marshal(w.Brokers)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`oms:
  url: %q
ledger:
  url: %q
capture: {status_interval: 1s, heartbeat_interval: 2s}
kafka:
  brokers: %s
  partitions: 3
  session_timeout: 3s
environments:
  sandbox:
    mapping: mapping
    nuorder:
      url: %s
      allow_private: true
      rate: 300
      concurrency: 5
      timeout: %s
      consumer_key_file: secrets/consumer_key
      consumer_secret_file: secrets/consumer_secret
      token_file: secrets/token
      token_secret_file: secrets/token_secret
    oms_api: {url: %q, timeout: 2s, settle: %s, attempts: 20}
    flows: {products: on, customers: on, inventory: on, order_edits: on, order_creation: on, shipments: on, orders_in: on}
    lease: %s
    orders: {since: %s, every: 1s}
http: {listen: "off"}
`, w.DatabaseURL, ledgerURL, brokers, w.NuORDERURL, w.settings.timeout, w.OMSURL, w.settings.settle, w.settings.lease, w.since.Format(time.DateOnly))
	for name, content := range map[string]string{
		"nubridge.yaml": text, "secrets/consumer_key": w.Portal.ConsumerKey, "secrets/consumer_secret": w.Portal.ConsumerSecret,
		"secrets/token": w.Portal.Token, "secrets/token_secret": w.Portal.TokenSecret,
	} {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// differences compares both ends as they stand.
func (w *world) differences(ctx context.Context) ([]compare.Difference, error) {
	state, err := w.NuORDER.State("")
	if err != nil {
		return nil, err
	}
	result, err := compare.Run(ctx, w.Pool, state, compare.Config{Environment: environment, Since: w.since})
	return result.Differences, err
}

// restartBroker ends the broker for a while.
func (w *world) restartBroker(ctx context.Context, away time.Duration) error {
	w.broker.Close()
	pause(ctx, away)
	var err error
	w.broker, err = kafka.Start(w.brokerAt)
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
