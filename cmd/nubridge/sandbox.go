package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/kafka"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
)

// sandboxCmd groups the parts of the local world.
type sandboxCmd struct {
	All      sandboxAllCmd      `cmd:"" help:"Run all parts and print a configuration that fits them."`
	Postgres sandboxPostgresCmd `cmd:"" help:"Run a PostgreSQL server with wal_level=logical."`
	Kafka    sandboxKafkaCmd    `cmd:"" help:"Run a Kafka broker in this process."`
	NuORDER  sandboxNuORDERCmd  `cmd:"" name:"nuorder" help:"Run a NuORDER API with test hooks."`
	OMS      sandboxOMSCmd      `cmd:"" name:"oms" help:"Run the reference OMS's HTTP API over a database."`
	Mapping  sandboxMappingCmd  `cmd:"" help:"Write the mapping folder of the reference OMS."`
}

// postgresFlags choose the server.
type postgresFlags struct {
	PostgresBin string `help:"Folder with the programs postgres and initdb; found or fetched by default." type:"path" placeholder:"DIR"`
	Major       int    `help:"PostgreSQL's major version, 14 to 18; any by default." placeholder:"N"`
	Data        string `help:"Folder to keep the database in; a temporary one by default." type:"path" placeholder:"DIR"`
}

func (f postgresFlags) config(s std) postgres.Config {
	return postgres.Config{Bin: f.PostgresBin, Major: f.Major, Data: f.Data, Progress: newBar(s.err, "fetch PostgreSQL", "bytes").show64}
}

type sandboxAllCmd struct {
	postgresFlags
	Kafka []string `help:"Use this Kafka instead of one in process." placeholder:"HOST:PORT"`
	Seed  uint64   `help:"Seed of the generated data." default:"1"`
	Out   string   `help:"Folder to write nubridge.yaml and the mapping into." type:"path" placeholder:"DIR"`
}

// Example implements exampled.
func (sandboxAllCmd) Example() string { return "nubridge sandbox all --out try" }

// Run runs the world until the context ends.
func (c sandboxAllCmd) Run(ctx context.Context, s std) error {
	w, err := sandbox.Start(ctx, sandbox.Config{
		Postgres: c.config(s), Brokers: c.Kafka, Sizes: oms.Sizes{Seed: c.Seed},
		Say: func(text string) { fmt.Fprintln(s.out, text) },
	})
	if err != nil {
		return err
	}
	if c.Out != "" {
		err = writeSandboxConfig(c.Out, w, s)
	}
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, w.Stop(context.WithoutCancel(ctx)))
}

// writeSandboxConfig writes what points the bridge at the world; its secrets lie beside it, readable by their owner alone.
func writeSandboxConfig(dir string, w *sandbox.World, s std) error {
	if err := writeFolder(mapping.Folder(), filepath.Join(dir, "mapping")); err != nil {
		return err
	}
	brokers, err := json.Marshal(w.Brokers)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`oms:
  url: %q
kafka:
  brokers: %s
environments:
  sandbox:
    mapping: mapping
    nuorder:
      url: %s
      allow_private: true
      consumer_key_file: secrets/consumer_key
      consumer_secret_file: secrets/consumer_secret
      token_file: secrets/token
      token_secret_file: secrets/token_secret
    oms_api:
      url: %s
    flows: {products: on, customers: on, inventory: on, order_edits: on, order_creation: on, shipments: on, orders_in: on}
    orders:
      since: %s
`, w.DatabaseURL, brokers, w.NuORDERURL, w.OMSURL, demoSince())
	for name, content := range map[string]string{
		"nubridge.yaml": text, "secrets/consumer_key": w.Portal.ConsumerKey, "secrets/consumer_secret": w.Portal.ConsumerSecret,
		"secrets/token": w.Portal.Token, "secrets/token_secret": w.Portal.TokenSecret,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(s.out, "wrote %s; run: nubridge run --config %s\n", dir, filepath.Join(dir, "nubridge.yaml"))
	return err
}

type sandboxPostgresCmd struct {
	postgresFlags
	Port int `help:"Loopback port; a free one by default." placeholder:"N"`
}

// Example implements exampled.
func (sandboxPostgresCmd) Example() string { return "nubridge sandbox postgres --port 5499" }

// Run runs the server until the context ends.
func (c sandboxPostgresCmd) Run(ctx context.Context, s std) error {
	cfg := c.config(s)
	cfg.Port = c.Port
	server, err := postgres.Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, server.URL("postgres"))
	<-ctx.Done()
	return server.Stop(context.WithoutCancel(ctx))
}

type sandboxKafkaCmd struct {
	Port int    `help:"Loopback port; a free one by default." placeholder:"N"`
	Data string `help:"Folder to keep topics in; memory by default." type:"path" placeholder:"DIR"`
}

// Example implements exampled.
func (sandboxKafkaCmd) Example() string { return "nubridge sandbox kafka --port 9092" }

// Run runs the broker until the context ends.
func (c sandboxKafkaCmd) Run(ctx context.Context, s std) error {
	broker, err := kafka.Start(kafka.Config{Port: c.Port, DataDir: c.Data})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, broker.Addr())
	<-ctx.Done()
	broker.Close()
	return nil
}

type sandboxNuORDERCmd struct {
	Listen         string `help:"Address to listen on." default:"127.0.0.1:8090"`
	ConsumerKey    string `help:"The portal's consumer key." default:"key"`
	ConsumerSecret string `help:"Its secret." default:"secret"`
	Token          string `help:"The token; empty to go through the handshake." default:"token"`
	TokenSecret    string `help:"Its secret." default:"token-secret"`
	Data           string `help:"File to keep the stores in; memory by default." type:"path" placeholder:"FILE"`
}

// Example implements exampled.
func (sandboxNuORDERCmd) Example() string { return "nubridge sandbox nuorder --listen 127.0.0.1:8090" }

// Run serves until the context ends.
func (c sandboxNuORDERCmd) Run(ctx context.Context, s std) error {
	server, err := nuorder.New(nuorder.Config{DataFile: c.Data, Portals: []nuorder.Portal{{
		Name: "sandbox", ConsumerKey: c.ConsumerKey, ConsumerSecret: c.ConsumerSecret, Token: c.Token, TokenSecret: c.TokenSecret,
		Warehouses: []nuorder.Warehouse{{Code: "default"}, {Code: "west"}, {Code: "3pl"}},
	}}})
	if err != nil {
		return usageError{err}
	}
	return server.Run(ctx, c.Listen, func(a net.Addr) { fmt.Fprintf(s.out, "http://%s\n", a) })
}

type sandboxOMSCmd struct {
	Database string `help:"The database; its tables are made and filled where there are none." required:"" placeholder:"URL"`
	Listen   string `help:"Address to listen on." default:"127.0.0.1:8091"`
	Seed     uint64 `help:"Seed of the generated data." default:"1"`
	Unique   bool   `help:"Refuse a second order with the same reference."`
}

// Example implements exampled.
func (sandboxOMSCmd) Example() string {
	return "nubridge sandbox oms --database postgres://postgres@127.0.0.1:5499/postgres"
}

// Run serves until the context ends.
func (c sandboxOMSCmd) Run(ctx context.Context, s std) error {
	pool, err := pgxpool.New(ctx, c.Database)
	if err != nil {
		return usageError{err}
	}
	defer pool.Close()
	made, err := oms.Apply(ctx, pool)
	if err != nil {
		return err
	}
	if made {
		if _, err := oms.Generate(ctx, pool, oms.Sizes{Seed: c.Seed}); err != nil {
			return err
		}
	}
	api, err := oms.NewAPI(pool, oms.APIConfig{UniqueReference: c.Unique, Hooks: true})
	if err != nil {
		return err
	}
	defer api.Close()
	address := make(chan string, 1) // Run hands over one address
	go func() {
		select {
		case a := <-address:
			fmt.Fprintln(s.out, "http://"+a)
		case <-ctx.Done():
		}
	}()
	return api.Run(ctx, c.Listen, address)
}

type sandboxMappingCmd struct {
	Out string `help:"Folder to write; it must not exist." required:"" type:"path" placeholder:"DIR"`
}

// Example implements exampled.
func (sandboxMappingCmd) Example() string { return "nubridge sandbox mapping --out mapping" }

// Run writes the folder.
func (c sandboxMappingCmd) Run(s std) error {
	if _, err := os.Stat(c.Out); err == nil {
		return usageError{fmt.Errorf("%s exists; expected a new folder", c.Out)}
	}
	if err := writeFolder(mapping.Folder(), c.Out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "wrote %s\n", c.Out)
	return err
}

func writeFolder(from fs.FS, to string) error {
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), text, 0o644)
	})
}
