package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/orders"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// childVariable holds a child's plan; its presence makes the program a child.
const childVariable = "ORDERS_TORTURE_CHILD"

// plan is what a child does and when it dies.
type plan struct {
	Database, OMS, NuORDER string
	Settle                 time.Duration
	// Point and Hits: the child kills itself when it passes the point for the so-manieth time; no point, no kill.
	Point string
	Hits  int64
}

// child runs the bridge's order part until it is killed or told to stop.
func child(text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var passed atomic.Int64
	at := func(point string) {
		if point == p.Point && passed.Add(1) == p.Hits {
			// The kill of a machine that loses power: nothing is flushed, closed or told.
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	config, err := pgxpool.ParseConfig(p.Database)
	if err != nil {
		return err
	}
	config.MaxConns = 16
	config.ConnConfig.RuntimeParams["search_path"] = schema
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := newClient(p.NuORDER)
	if err != nil {
		return err
	}
	omsClient, err := newOMS(p.OMS, pool, log)
	if err != nil {
		return err
	}
	intents := ledger.NewIntents(pool)
	shared, err := nuorder.NewOrders(client, intents, log, nuorder.OrdersConfig{Environment: environment, At: at})
	if err != nil {
		return err
	}
	poller, err := orders.New(orders.Deps{
		Portal: nuorder.NewOrderPortal(client, nil), OMS: omsClient, Intents: intents, Numbers: shared,
		Lock: ledger.NewPollerLock(pool, fmt.Sprint("child ", os.Getpid())), Log: log,
	}, pollerConfig(p.Settle, func(point orders.Point) { at(string(point)) }))
	if err != nil {
		return err
	}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { stream(ctx, pool, nuorder.NewOrderEdits(shared), log) })
	if err := poller.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func pollerConfig(settle time.Duration, at func(orders.Point)) orders.Config {
	return orders.Config{
		Environment: environment, Every: 300 * time.Millisecond, Workers: 8, Timeout: 2 * time.Second, Settle: settle,
		Sweep: 700 * time.Millisecond, Retry: 50 * time.Millisecond, RetryMax: 500 * time.Millisecond, HeldEvery: time.Second,
		Tick: 20 * time.Millisecond, At: at,
	}
}

// stream stands for the change stream: OMS orders come back as documents, often before the answer of their create. Every second
// order is left to the sweep.
func stream(ctx context.Context, pool *pgxpool.Pool, edits sink.Remote, log *slog.Logger) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		rows, err := pool.Query(ctx, `select o.order_no::text, o.external_ref from oms.sales_orders o
			where o.order_no % 2 = 0 and o.external_ref like $1 || ':%' and not exists (
				select from order_intents i where i.environment = $1 and i.oms_number = o.order_no::text and i.state = 'NUMBERED')
				and not exists (select from order_doubles d where d.environment = $1 and d.oms_number = o.order_no::text)
			limit 200`, environment)
		if err != nil {
			continue
		}
		var number, reference string
		var found [][2]string
		for rows.Next() {
			if rows.Scan(&number, &reference) == nil {
				found = append(found, [2]string{number, reference})
			}
		}
		rows.Close()
		for _, f := range found {
			if ctx.Err() != nil {
				return
			}
			_, err := edits.Deliver(ctx, sink.Work{
				Environment: environment, Deadline: time.Now().Add(5 * time.Second),
				Body: mapper.Body{
					Flow: mapper.OrderEdits, Key: mapper.Key(f[0]), RemoteKey: f[0], JSON: []byte(`{"order_number":"` + f[0] + `"}`),
					Facts: map[string]string{"number": f[0], "reference": f[1], "date": "2026-01-01"},
				},
				Object: ledger.Object{ObjectID: ledger.ObjectID{Environment: environment, Kind: mapper.Order, Key: mapper.Key(f[0])}},
			})
			if err != nil && ctx.Err() == nil {
				log.Debug("an event is tried again", slog.Any("error", err))
			}
		}
	}
}
