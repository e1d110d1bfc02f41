package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	"nubridge/orders"
	"nubridge/orders/oms"
	"nubridge/sink/nuorder"
)

// environment is one portal: its compiled mapping, its client, its flows and its poller.
type environment struct {
	name   string
	cfg    *config.Environment
	bridge *bridge
	log    *slog.Logger
	// folder and demands are what the mapping was made of; after the start they belong to who holds the bridge's taking.
	folder  *mapper.Folder
	demands *mapper.Portal
	mapping atomic.Pointer[mapper.Mapping]
	// remapped tells that another mapping is in force; one that is not yet seen to is enough, hence the capacity.
	remapped chan struct{}
	reader   *documents.Reader
	client   *nuorder.Client
	shares   portalShares
	oms      *oms.Client
	intents  *ledger.Intents
	orders   *nuorder.Orders
	poller   *orders.Poller
	// told hears how the poller stands while it runs.
	told  atomic.Pointer[func(lifecycle.PartState, error)]
	flows []*flow
}

// newEnvironment compiles the mapping and makes the clients; it calls the OMS's database, not NuORDER.
func (b *bridge) newEnvironment(ctx context.Context, name string, cfg *config.Environment) (*environment, error) {
	e := &environment{name: name, cfg: cfg, bridge: b, log: b.log.With("environment", name), remapped: make(chan struct{}, 1)}
	folder, err := loadMapping(b.cfg, cfg)
	if err != nil {
		return nil, err
	}
	e.firstDemands(ctx)
	mapping, err := e.compile(ctx, folder, e.demands)
	if err != nil {
		return nil, err
	}
	e.take(folder, mapping)
	if e.reader, err = documents.NewReader(b.oms, e.mapping.Load, documents.Config{Now: b.epoch.now}); err != nil {
		return nil, err
	}
	if e.shares, err = newShares(b.store, name, b.owner, cfg, e.log); err != nil {
		return nil, err
	}
	if e.client, err = nuorder.New(nuorderConfig(name, cfg), nuorder.Deps{
		Credentials: newLiveCredentials(b.cfg, cfg, time.Now).get, Shares: e.shares, Tracer: b.tel.Tracer("nuorder"),
		Measures: b.measures.nuorder, Log: b.log,
	}); err != nil {
		return nil, err
	}
	if err := e.newOrders(); err != nil {
		return nil, err
	}
	if err := e.newFlows(); err != nil {
		return nil, err
	}
	if mode := cfg.Flows[string(mapper.OrdersIn)]; mode == "on" || mode == "test" {
		if err := e.newPoller(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// compile checks a mapping folder against the database and the portal's demands; every finding is in the error.
func (e *environment) compile(ctx context.Context, folder *mapper.Folder, demands *mapper.Portal) (*mapper.Mapping, error) {
	schema, err := documents.Describe(ctx, e.bridge.oms, folder, "")
	if err != nil {
		return nil, err
	}
	schema.Portal = demands
	mapping, findings := folder.Compile(schema, time.Now)
	if findings.HasErrors() {
		return nil, usageError{fmt.Errorf("mapping %s:\n%w", e.cfg.Mapping, findings.Err())}
	}
	return mapping, nil
}

// take puts a mapping in force.
func (e *environment) take(folder *mapper.Folder, mapping *mapper.Mapping) {
	e.folder = folder
	e.mapping.Store(mapping)
	select {
	case e.remapped <- struct{}{}:
	default:
	}
}

// mappingFolder opens the folder, which the demo has in the program.
func mappingFolder(c *config.Config, e *config.Environment) fs.FS {
	if e.MappingFS != nil {
		return e.MappingFS
	}
	return os.DirFS(c.Resolve(e.Mapping))
}

func (e *environment) newPoller() error {
	b := e.bridge
	tree := e.folder.Tree("orders_in.yaml")
	if tree == nil {
		return usageError{errors.New("orders_in needs orders_in.yaml in the mapping folder; hint: write it, or set the flow orders_in to off")}
	}
	spec, findings := oms.CompileTree(tree)
	if findings.HasErrors() {
		return usageError{fmt.Errorf("mapping %s:\n%w", e.cfg.Mapping, findings.Err())}
	}
	var err error
	if e.oms, err = oms.New(spec, database{b.oms}, e.log, omsConfig(b.cfg, e.cfg)); err != nil {
		return err
	}
	o := e.cfg.OMSAPI
	e.poller, err = orders.New(orders.Deps{
		Portal: nuorder.NewOrderPortal(e.client, e.warehouseCodes), OMS: e.oms, Intents: e.intents, Numbers: e.orders, Lock: ledger.NewPollerLock(b.store.Pool(), b.owner).Waiting(func() { e.tell(lifecycle.StandingBy, nil) }),
		Stock: stockDoubter{b.store}, Spans: b.tel.Tracer("orders"), Log: b.log.With("part", "orders"),
		Polled: func(err error) { e.tell(lifecycle.Working, err) },
	}, orders.Config{
		Environment: e.name, Statuses: e.cfg.Orders.Statuses, Every: e.cfg.Orders.Every, Workers: e.cfg.Orders.Workers,
		Timeout: o.Timeout, Settle: o.Settle, Attempts: o.Attempts,
	})
	return err
}

// tell passes on how the poller stands.
func (e *environment) tell(state lifecycle.PartState, err error) {
	if told := e.told.Load(); told != nil {
		(*told)(state, err)
	}
}

// pollerLife polls NuORDER's orders until the context ends.
func (e *environment) pollerLife(ctx context.Context, tell func(lifecycle.PartState, error)) error {
	e.told.Store(&tell)
	return e.poller.Run(ctx)
}

func (e *environment) close() {
	if e.oms != nil {
		e.oms.Close()
	}
	if e.client != nil {
		e.client.Close()
	}
}

func nuorderConfig(name string, e *config.Environment) nuorder.Config {
	n := e.NuORDER
	d := nuorder.Dialect{
		StatusVerb: n.Unsure.StatusVerb, UpdateVerb: n.Unsure.NumberVerb, BareNumberPath: n.Unsure.NumberPath == "plain",
		Replenishments: n.Inventory == "replenishments", StatusInBody: n.Unsure.StatusForm == "body", OwnShipments: n.Unsure.Shipments == "own",
	}
	if w := n.Unsure.StatusWord; w != "processed" {
		d.StatusWords = map[nuorder.Status]string{"processed": w}
	}
	return nuorder.Config{
		Environment: name, BaseURL: n.URL, Signature: nuorder.Signature(n.Signature), Dialect: d,
		Limits:    nuorder.Limits{Rate: n.Rate, Start: min(4, n.Concurrency), Max: n.Concurrency},
		Deadlines: nuorder.Deadlines{Total: n.Timeout},
		Network:   nuorder.Network{AllowPrivate: n.AllowPrivate, PlainHTTP: n.AllowPrivate},
	}
}

func nuorderCredentials(e *config.Environment) nuorder.Credentials {
	n := e.NuORDER
	return nuorder.Credentials{
		ConsumerKey: n.ConsumerKey.Reveal(), ConsumerSecret: n.ConsumerSecret.Reveal(), Token: n.Token.Reveal(), TokenSecret: n.TokenSecret.Reveal(),
	}
}

func omsConfig(c *config.Config, e *config.Environment) oms.Config {
	o := e.OMSAPI
	return oms.Config{
		URL: o.URL, Timeout: o.Timeout,
		TLS: oms.TLS{CAFile: c.Resolve(o.TLS.CAFile), CertFile: c.Resolve(o.TLS.CertFile), KeyFile: c.Resolve(o.TLS.KeyFile)},
		Auth: oms.Auth{
			Kind: o.Auth, Username: o.Username, Password: o.Password.Reveal(), Token: o.Token.Reveal(), Header: o.APIKeyHeader, Key: o.APIKey.Reveal(),
			TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), Scopes: o.Scopes,
		},
	}
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
