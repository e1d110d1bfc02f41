package main

import (
	"context"
	"fmt"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// newFlows makes a loop for every flow that is not off and that the mapping knows.
func (e *environment) newFlows() error {
	remotes := map[mapper.Flow]sink.Remote{
		mapper.Products:      nuorder.NewProducts(e.client, e.bridge.store),
		mapper.Customers:     nuorder.NewCustomers(e.client),
		mapper.Inventory:     nuorder.NewStock(e.client, e.bridge.store),
		mapper.OrderEdits:    nuorder.NewOrderEdits(e.orders),
		mapper.OrderCreation: nuorder.NewOrderCreation(e.orders),
		mapper.Shipments:     nuorder.NewShipments(e.orders),
	}
	for _, name := range mapper.Flows() {
		mode := e.cfg.Flows[string(name)]
		if mode == "" || mode == "off" || !e.mapping.Load().Maps(name) {
			continue
		}
		f := &flow{env: e, name: name, mode: sink.Mode(mode), remote: remotes[name]}
		if err := f.renew(); err != nil {
			return fmt.Errorf("flow %s: %w", name, err)
		}
		e.flows = append(e.flows, f)
	}
	return nil
}

func sinkConfig(environment, instance string, name mapper.Flow, mode sink.Mode, c *config.Environment) sink.Config {
	s := sink.Config{
		Environment: environment, Flow: name, Instance: instance, Mode: mode, CanaryShare: float64(c.Canary.Percent) / 100,
		Lanes: c.Lanes, Lease: c.Lease, CallTime: c.NuORDER.Timeout, Patience: c.ParentTimeout, ParkedCap: int64(c.ParkLimit),
		Guards: sink.Guards{
			Creates: int64(c.Guards.CreatesPerHour), Updates: int64(c.Guards.UpdatesPerHour), Archivals: int64(c.Guards.ArchivesPerHour),
		},
	}
	for _, key := range c.Canary.Keys {
		s.CanaryKeys = append(s.CanaryKeys, mapper.Key(key))
	}
	return s
}

// start hands the environment's flows and its poller to the group.
func (e *environment) start(g *lifecycle.Group) {
	g.Go(e.name+" shares", e.shares.Run)
	for _, f := range e.flows {
		f.start(g)
	}
	g.Go(e.name+" mapping", (&remapper{environment: e}).run)
	if e.cfg.NuORDER.URL != "" {
		g.Go(e.name+" demands", e.watchDemands)
	}
	if e.poller != nil {
		e.bridge.part(g, e.name+" "+string(mapper.OrdersIn), e.pollerLife, nil)
	}
}

// newOrders makes what the order flows and the poller share.
func (e *environment) newOrders() (err error) {
	o := e.cfg.OMSAPI
	e.intents = ledger.NewIntents(e.bridge.store.Pool())
	e.orders, err = nuorder.NewOrders(e.client, e.intents, e.log, nuorder.OrdersConfig{
		Environment: e.name, Unreferenced: e.cfg.Flows[string(mapper.OrdersIn)] == "on", Since: e.cfg.Orders.Since,
		Merge: e.cfg.NuORDER.Unsure.Arrays == "merge", Polled: e.cfg.Orders.Statuses, CreateSettle: o.Settle, CreateAttempts: o.Attempts,
		DoubtStock: e.bridge.store.DoubtStock, Shipments: e.cfg.Flows[string(mapper.Shipments)] == "on",
		Creation: e.cfg.Flows[string(mapper.OrderCreation)] == "on",
	})
	return err
}

// warehouseCodes gives the codes of the portal's warehouses by _id, as a product that is there shows them.
func (e *environment) warehouseCodes(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	id, err := e.bridge.store.AnyRemoteID(ctx, e.name, mapper.Product)
	if err != nil || id == "" {
		return nil, err
	}
	product, err := e.client.Product(ctx, id)
	if err != nil {
		return nil, err
	}
	codes := map[string]string{}
	for _, w := range product.Warehouses {
		codes[string(w.ID)] = string(w.Code)
	}
	return codes, nil
}
