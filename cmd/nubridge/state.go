package main

import (
	"context"
	"time"
)

// readyTimeout bounds a readiness probe.
const readyTimeout = 2 * time.Second

// notReady lists why the bridge cannot work at all; a halted flow does not make it unready.
func (b *bridge) notReady() []string {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := b.store.Pool().Ping(ctx); err != nil {
		return []string{"the ledger does not answer"}
	}
	return nil
}

// state is what /api/state shows.
func (b *bridge) state(context.Context) (any, error) {
	type env struct {
		Name    string `json:"name"`
		NuORDER any    `json:"nuorder"`
	}
	out := struct {
		Version      string `json:"version"`
		Environments []env  `json:"environments"`
	}{Version: version}
	for _, e := range b.envs {
		out.Environments = append(out.Environments, env{e.name, e.client.Stats()})
	}
	return out, nil
}

// waiting counts the keys that wait for a parent.
func (b *bridge) waiting(ctx context.Context) (n int, err error) {
	err = b.store.Pool().QueryRow(ctx, "select count(*) from waiting").Scan(&n)
	return n, err
}
