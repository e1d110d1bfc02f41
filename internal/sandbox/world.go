// Package sandbox is the local world: a PostgreSQL server with the reference OMS and its HTTP API, a Kafka broker, and a
// NuORDER sandbox, all real servers on loopback ports. The bridge knows them by their addresses alone.
package sandbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/kafka"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
)

// Config says what the world is made of. The zero value is a small company with everything in temporary folders.
type Config struct {
	Postgres postgres.Config
	// Server is used instead of one that Postgres describes; it is not stopped with the world.
	Server *postgres.Server
	// Database of the reference OMS; "oms" by default.
	Database string
	// Brokers of a real Kafka; empty starts one in process.
	Brokers []string
	Kafka   kafka.Config
	// Sizes of the generated data.
	Sizes oms.Sizes
	// Limits and Switches of the NuORDER sandbox; nil for its defaults.
	Limits   *nuorder.Limits
	Switches *nuorder.Switches
	// NuORDERAddr and OMSAddr are listened on; free loopback ports by default.
	NuORDERAddr, OMSAddr string
	// Schemas are the portal's own fields by kind: product, company, order.
	Schemas map[string][]nuorder.Field
	// Warehouses at NuORDER; by default those of the reference mapping.
	Warehouses []nuorder.Warehouse
	// Say is told what is being done, one sentence each; nil for silence.
	Say func(string)
	Log *slog.Logger
}

// World is the running local world.
type World struct {
	Postgres    *postgres.Server
	Pool        *pgxpool.Pool
	DatabaseURL string
	Brokers     []string
	NuORDER     *nuorder.Server
	NuORDERURL  string
	Portal      nuorder.Portal
	OMS         *oms.API
	OMSURL      string
	Desk        *oms.Desk
	Summary     oms.Summary

	stops []func(context.Context) error
}

// Start starts everything and returns when all of it answers. On an error what was started is stopped again.
func Start(ctx context.Context, c Config) (_ *World, err error) {
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	w := &World{Brokers: c.Brokers}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Stop(context.WithoutCancel(ctx)))
		}
	}()
	for _, start := range []func(context.Context, Config) error{w.startPostgres, w.startOMS, w.startKafka, w.startNuORDER} {
		if err := start(ctx, c); err != nil {
			return w, err
		}
	}
	return w, nil
}

// Stop stops everything, the last started first.
func (w *World) Stop(ctx context.Context) error {
	var errs []error
	for i := len(w.stops) - 1; i >= 0; i-- {
		errs = append(errs, w.stops[i](ctx))
	}
	w.stops = nil
	return errors.Join(errs...)
}

func (w *World) onStop(fn func(context.Context) error) { w.stops = append(w.stops, fn) }

func (w *World) startPostgres(ctx context.Context, c Config) error {
	if w.Postgres = c.Server; c.Server != nil {
		return nil
	}
	server, err := postgres.Start(ctx, c.Postgres)
	if err != nil {
		return err
	}
	w.Postgres = server
	w.onStop(server.Stop)
	version, _ := server.Version()
	c.Say(fmt.Sprintf("PostgreSQL %s on %s", version, server.Address()))
	return nil
}

// startOMS makes the OMS's database with its data where there is none, and its API.
func (w *World) startOMS(ctx context.Context, c Config) error {
	database := cmp.Or(c.Database, "oms")
	if err := w.Postgres.CreateDatabase(ctx, database); err != nil && !exists(err) {
		return err
	}
	w.DatabaseURL = w.Postgres.URL(database)
	pool, err := pgxpool.New(ctx, w.DatabaseURL)
	if err != nil {
		return fmt.Errorf("connect to the reference OMS: %w", err)
	}
	w.Pool = pool
	w.onStop(func(context.Context) error { pool.Close(); return nil })
	made, err := oms.Apply(ctx, pool)
	if err != nil {
		return err
	}
	if made {
		if w.Summary, err = oms.Generate(ctx, pool, c.Sizes); err != nil {
			return err
		}
		c.Say(fmt.Sprintf("reference OMS: %d styles, %d colours, %d sizes, %d customers, %d sales orders",
			w.Summary["styles"], w.Summary["style_colors"], w.Summary["skus"], w.Summary["customers"], w.Summary["sales_orders"]))
	}
	w.Desk = oms.NewDesk(pool, nil)
	if w.OMS, err = oms.NewAPI(pool, oms.APIConfig{Hooks: true, Log: c.Log}); err != nil {
		return err
	}
	address := make(chan string, 1) // Run hands over one address
	if err := w.serve(ctx, func(ctx context.Context) error { return w.OMS.Run(ctx, orFree(c.OMSAddr), address) }, address, &w.OMSURL); err != nil {
		return err
	}
	w.onStop(func(context.Context) error { w.OMS.Close(); return nil })
	c.Say("OMS API on " + w.OMSURL)
	return nil
}

func (w *World) startKafka(_ context.Context, c Config) error {
	if len(c.Brokers) > 0 {
		c.Say(fmt.Sprintf("Kafka at %v", c.Brokers))
		return nil
	}
	broker, err := kafka.Start(c.Kafka)
	if err != nil {
		return err
	}
	w.Brokers = broker.Addrs()
	w.onStop(func(context.Context) error { broker.Close(); return nil })
	c.Say("Kafka, in process, on " + broker.Addr())
	return nil
}

func (w *World) startNuORDER(ctx context.Context, c Config) error {
	if c.Warehouses == nil { // as the reference mapping names them
		c.Warehouses = []nuorder.Warehouse{
			{Code: "default", DisplayName: "Main"}, {Code: "west", DisplayName: "West Coast"}, {Code: "3pl", DisplayName: "Third party"},
		}
	}
	w.Portal = nuorder.Portal{
		Name: "sandbox", ConsumerKey: rand.Text(), ConsumerSecret: rand.Text(), Token: rand.Text(), TokenSecret: rand.Text(),
		Warehouses: c.Warehouses, Schemas: c.Schemas,
	}
	server, err := nuorder.New(nuorder.Config{Portals: []nuorder.Portal{w.Portal}, Limits: c.Limits, Switches: c.Switches, Seed: c.Sizes.Seed, Log: c.Log})
	if err != nil {
		return err
	}
	w.NuORDER = server
	address := make(chan string, 1) // Run hands over one address
	run := func(ctx context.Context) error {
		return server.Run(ctx, orFree(c.NuORDERAddr), func(a net.Addr) { address <- a.String() })
	}
	if err := w.serve(ctx, run, address, &w.NuORDERURL); err != nil {
		return err
	}
	c.Say("NuORDER sandbox on " + w.NuORDERURL)
	return nil
}

// serve runs a server until the world stops and waits for its address.
func (w *World) serve(ctx context.Context, run func(context.Context) error, address <-chan string, url *string) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the world ends by Stop
	ended := make(chan error, 1)                                   // run's one result
	go func() { ended <- run(life) }()
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case a := <-address:
		*url = "http://" + a
	case err := <-ended:
		cancel()
		return err
	case <-timer.C:
		cancel()
		return errors.New("a local server did not listen within 10 s")
	}
	w.onStop(func(context.Context) error {
		cancel()
		return <-ended
	})
	return nil
}

// exists tells whether the database was there already, as it is in a named folder.
func exists(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == pgerrcodeDuplicateDatabase
}

const pgerrcodeDuplicateDatabase = "42P04"

func orFree(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}
