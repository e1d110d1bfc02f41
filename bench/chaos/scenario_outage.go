package main

import (
	"context"
	"time"
)

func outageScenarios() []scenario {
	return []scenario{
		{name: "kafka", settings: settings{kafkaDir: true}, play: kafkaAway},
		{name: "database", settings: settings{ledgerApart: true}, play: databases},
	}
}

// kafkaAway ends the broker and brings it back.
func kafkaAway(ctx context.Context, w *world) error {
	b, err := w.load(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		ctxLoad, end := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); w.desk.work(ctxLoad, 15) }()
		pause(ctx, 2*time.Second)
		err := w.restartBroker(ctx, 8*time.Second)
		pause(ctx, 5*time.Second)
		end()
		<-done
		if err != nil {
			return err
		}
		w.run.expect(!b.dead.Load(), "Kafka away for 8 s: the bridge lives")
		w.equal(ctx, "Kafka away and back", patience)
	}
	return nil
}

// databases restart: the OMS's while it is streamed, and the ledger's.
func databases(ctx context.Context, w *world) error {
	b, err := w.load(ctx)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name     string
		end, run func(context.Context) error
		away     time.Duration
	}{
		{"the OMS database restarts", w.Postgres.Shutdown, w.Postgres.Launch, 0},
		{"the OMS database crashes", w.Postgres.Crash, w.Postgres.Launch, 3 * time.Second},
		{"the ledger database restarts", w.ledger.Shutdown, w.ledger.Launch, 0},
		{"the ledger database is away for 15 s", w.ledger.Shutdown, w.ledger.Launch, 15 * time.Second},
		{"the ledger database crashes", w.ledger.Crash, w.ledger.Launch, 2 * time.Second},
	} {
		loading, end := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); w.desk.work(loading, 15) }()
		pause(ctx, 3*time.Second)
		err := s.end(ctx)
		pause(ctx, s.away)
		if err == nil {
			err = s.run(ctx)
		}
		pause(ctx, 4*time.Second)
		end()
		<-done
		if err != nil {
			return err
		}
		w.run.expect(!b.dead.Load(), "%s: the bridge lives", s.name)
		if b.dead.Load() {
			if b, err = w.start(); err != nil {
				return err
			}
		}
		w.equal(ctx, s.name, patience)
	}
	return nil
}
