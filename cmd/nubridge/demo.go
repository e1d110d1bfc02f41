package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/day"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/telemetry"
)

type demoCmd struct {
	postgresFlags
	Once  bool     `help:"Play a scripted day, compare both ends field by field, and end; exit 1 on any difference."`
	Kafka []string `help:"Use this Kafka instead of one in process." placeholder:"HOST:PORT"`
	Seed  uint64   `help:"Seed of the generated data." default:"1"`
	Log   string   `help:"Level of the bridge's own log: debug, info, warn or error." default:"warn" enum:"debug,info,warn,error"`
}

// Example implements exampled.
func (demoCmd) Example() string {
	return "nubridge demo --once\nnubridge demo --once --kafka 127.0.0.1:9092"
}

// demoSince is the first order date that the demo's environment creates at NuORDER: a month of the generated orders.
func demoSince() string { return time.Now().UTC().AddDate(0, -1, 0).Format(time.DateOnly) }

// Run starts the local world and the bridge in it.
func (c demoCmd) Run(ctx context.Context, s std) error {
	start := time.Now()
	w, err := sandbox.Start(ctx, sandbox.Config{
		Postgres: c.config(s), Brokers: c.Kafka, Sizes: oms.Sizes{Seed: c.Seed}, Limits: &nuorder.Limits{Concurrency: 5, RetryAfter: 1},
		Say: func(text string) { fmt.Fprintln(s.out, text) },
	})
	if err != nil {
		return err
	}
	err = c.bridge(ctx, s, w, start)
	return errors.Join(err, w.Stop(context.WithoutCancel(ctx)))
}

// bridge runs the bridge in the world until the day is over, or the context.
func (c demoCmd) bridge(ctx context.Context, s std, w *sandbox.World, start time.Time) error {
	cfg, err := demoConfig(w)
	if err != nil {
		return err
	}
	log := telemetry.NewLogger(s.err, "text", c.Log)
	tel, err := telemetry.New(ctx, telemetry.Config{Sample: 1, Version: version, Log: log})
	if err != nil {
		return err
	}
	b, err := assemble(ctx, cfg, tel, log)
	if err != nil {
		return err
	}
	g := lifecycle.NewGroup(log, grace)
	g.Close("telemetry", tel.Close)
	if err := b.start(g); err != nil {
		g.Stop()
		return err
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	played := make(chan error, 1) // one day, one result
	go func() {
		defer done()
		played <- c.play(ctx, s, w, b, start)
	}()
	err = g.Wait(ctx)
	done()
	return errors.Join(err, <-played)
}

// play plays the day and compares; without --once it leaves the world to the user.
func (c demoCmd) play(ctx context.Context, s std, w *sandbox.World, b *bridge, start time.Time) error {
	p := &day.Player{
		World: w, Out: s.out, Bar: newBar(s.err, "initial load", "objects").show, Patience: 20 * time.Second,
		PollOrders: func(context.Context) error { b.envs[0].poller.Poll(); return nil },
		Waiting:    b.waiting,
	}
	if err := p.Play(ctx); err != nil {
		return err
	}
	if !c.Once {
		fmt.Fprintf(s.out, "The day is over, the bridge goes on. OMS database %s, OMS API %s, NuORDER %s (hooks under /_sandbox/). End with Ctrl-C.\n",
			w.DatabaseURL, w.OMSURL, w.NuORDERURL)
		<-ctx.Done()
		return nil
	}
	return c.compare(ctx, s, w, b, p, start)
}

// demoConfig points the bridge at the world.
func demoConfig(w *sandbox.World) (*config.Config, error) {
	c := &config.Config{
		Path: "demo",
		OMS:  config.OMS{URL: config.NewSecret(w.DatabaseURL)},
		// A real broker may hold topics of an earlier demo.
		Capture: config.Capture{TopicPrefix: "demo" + strings.ToLower(rand.Text()[:8])},
		Kafka:   config.Kafka{Brokers: w.Brokers},
		Environments: map[string]*config.Environment{"sandbox": {
			MappingFS: mapping.Folder(),
			NuORDER: config.NuORDER{
				URL: w.NuORDERURL, AllowPrivate: true, Rate: 500, Concurrency: 4,
				ConsumerKey: config.NewSecret(w.Portal.ConsumerKey), ConsumerSecret: config.NewSecret(w.Portal.ConsumerSecret),
				Token: config.NewSecret(w.Portal.Token), TokenSecret: config.NewSecret(w.Portal.TokenSecret),
			},
			OMSAPI: config.OMSAPI{URL: w.OMSURL},
			Flows: map[string]string{
				"products": "on", "customers": "on", "inventory": "on", "order_edits": "on", "order_creation": "on", "shipments": "on", "orders_in": "on",
			},
			Orders: config.Orders{Since: demoSince()},
		}},
	}
	return c, c.Finish()
}
