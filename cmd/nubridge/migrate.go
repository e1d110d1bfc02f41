package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"nubridge/internal/config"
	"nubridge/migrations"
)

// configured is embedded by every command that reads the configuration.
type configured struct {
	Config string `help:"The configuration file." default:"nubridge.yaml" type:"path" placeholder:"FILE"`
}

func (c configured) load() (*config.Config, error) { return config.Load(c.Config, os.LookupEnv) }

type migrateCmd struct {
	configured
	JSON bool `help:"Print JSON."`
}

// Example implements exampled.
func (migrateCmd) Example() string { return "nubridge migrate --config nubridge.yaml" }

// Run applies the migrations.
func (c migrateCmd) Run(ctx context.Context, s std) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	state, err := migrations.ApplyURL(ctx, cfg.Ledger.URL.Reveal(), cfg.Ledger.Schema)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"schema": cfg.Ledger.Schema, "version": state.Version})
	}
	_, err = fmt.Fprintf(s.out, "schema %s is at version %d\n", cfg.Ledger.Schema, state.Version)
	return err
}
