package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

const (
	// demandsTimeout bounds the questions to a portal at a start or a check.
	demandsTimeout = 20 * time.Second
	// demandsEvery is how often a running bridge asks again, demandsSoon how soon after it got no answer.
	demandsEvery = 15 * time.Minute
	demandsSoon  = 15 * time.Second
)

// demandsOf reads what a portal demands of documents: its schemas, and the warehouses that a product shows. The product may be empty.
func demandsOf(ctx context.Context, c *nuorder.Client, productID string) (*mapper.Portal, error) {
	out := &mapper.Portal{Fields: map[mapper.Kind][]mapper.PortalField{}}
	for _, kind := range []mapper.Kind{mapper.Product, mapper.Company, mapper.Order} {
		schema, err := c.Schema(ctx, string(kind))
		if nuorder.IsNotFound(err) || fault.CodeOf(err) == nuorder.CodeNotFound {
			continue // a portal without a schema of the kind demands nothing
		}
		if err != nil {
			return nil, err
		}
		for _, f := range schema.Fields {
			if f.Key == "" || strings.HasPrefix(string(f.Key), "_") {
				continue // the portal's own
			}
			p := mapper.PortalField{Key: string(f.Key), Required: f.Required}
			for _, v := range f.Details.AllowedValues {
				p.Allowed = append(p.Allowed, string(v.Value))
			}
			out.Fields[kind] = append(out.Fields[kind], p)
		}
	}
	if productID == "" {
		return out, nil
	}
	product, err := c.Product(ctx, productID)
	if err != nil && !nuorder.IsNotFound(err) {
		return nil, err
	}
	for _, w := range product.Warehouses {
		for _, name := range []nuorder.Text{w.Code, w.DisplayName, w.BrandID} {
			if name != "" {
				out.Warehouses = append(out.Warehouses, string(name))
			}
		}
	}
	slices.Sort(out.Warehouses) // products show them in any order
	out.Warehouses = slices.Compact(out.Warehouses)
	return out, nil
}

// askDemands asks through a client of its own: at a start the shares of the portal's limits are not yet divided.
func askDemands(ctx context.Context, name string, cfg *config.Environment, productID string, tracer trace.Tracer) (*mapper.Portal, error) {
	c, err := nuorder.New(nuorderConfig(name, cfg), nuorder.Deps{Credentials: func() nuorder.Credentials { return nuorderCredentials(cfg) }, Tracer: tracer})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, demandsTimeout)
	defer cancel()
	return demandsOf(ctx, c, productID)
}

// firstDemands asks at the start. A portal that does not answer stops nothing: it is told, and asked again.
func (e *environment) firstDemands(ctx context.Context) {
	if e.cfg.NuORDER.URL == "" {
		return
	}
	id, err := e.bridge.store.AnyRemoteID(ctx, e.name, mapper.Product)
	if err == nil {
		tracer := e.bridge.tel.Tracer("nuorder")
		asking, span := tracer.Start(ctx, "ask the portal's schemas")
		e.demands, err = askDemands(asking, e.name, e.cfg, id, tracer)
		span.End()
	}
	if err != nil {
		e.log.Warn("the portal does not tell its schemas: required fields and allowed values of its own are not checked until it does", "error", err)
	}
}

// watchDemands asks the portal again from time to time and takes a change over; a mapping that no longer fits stays in force and is
// told. The folder on disk plays no part: only a reload takes that over.
func (e *environment) watchDemands(ctx context.Context) error {
	failed, told := e.demands == nil, ""
	for {
		wait := demandsEvery
		if failed {
			wait = demandsSoon
		}
		if !pauseFor(ctx, wait) {
			return nil
		}
		err := e.renewDemands(ctx)
		failed = err != nil
		switch {
		case err == nil || ctx.Err() != nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			e.log.Warn("the portal's schemas are not renewed", "error", err)
		}
	}
}

// renewDemands asks once.
func (e *environment) renewDemands(ctx context.Context) error {
	id, err := e.bridge.store.AnyRemoteID(ctx, e.name, mapper.Product)
	if err != nil {
		return err
	}
	asking, span := e.bridge.tel.Tracer("nuorder").Start(ctx, "ask the portal's schemas")
	defer span.End()
	asking, cancel := context.WithTimeout(asking, demandsTimeout)
	defer cancel()
	demands, err := demandsOf(asking, e.client, id)
	if err != nil {
		return err
	}
	e.bridge.taking.Lock()
	defer e.bridge.taking.Unlock()
	if reflect.DeepEqual(demands, e.demands) {
		return nil
	}
	mapping, err := e.compile(ctx, e.folder, demands)
	if err != nil {
		return fmt.Errorf("the portal's schema has changed, and the mapping does not fit it; the one in force stays: %w", err)
	}
	e.demands = demands
	e.take(e.folder, mapping)
	e.log.Info("the portal's schema has changed; the mapping follows it")
	return nil
}
