package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/console"
	"nubridge/internal/lifecycle"
	"nubridge/internal/telemetry"
)

// grace is how long each part may take to stop.
const grace = 20 * time.Second

// How much garbage may gather, in percent of what lives: less than Go would allow for capture alone, most of whose heap are buffers that
// are used again, so that collecting early costs little; more with environments, where collecting is a good part of what a document
// costs and the limit below keeps the process small. GOGC in the environment wins. // I6
const (
	gcAlone      = 50
	gcDelivering = 150
)

// What the program may hold before it collects garbage whatever that costs: to capture alone, with one environment, and for each
// further one. It is no hard limit; GOMEMLIMIT in the environment wins. // I6
const (
	memoryAlone = 34 << 20
	memoryFirst = 100 << 20
	memoryEach  = 20 << 20
)

// garbage gives both for a number of environments.
func garbage(environments int) (percent int, limit int64) {
	if environments == 0 {
		return gcAlone, memoryAlone
	}
	return gcDelivering, memoryFirst + memoryEach*int64(environments-1)
}

// boundMemory sets the collector for so many environments, unless the surroundings say otherwise. // I6
func boundMemory(environments int) {
	percent, limit := garbage(environments)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

type runCmd struct {
	configured
	CPUProfile string `name:"cpu-profile" placeholder:"FILE" help:"Write where the processor's time goes, from the start to the stop, to this file for go tool pprof."`
}

// Example implements exampled.
func (runCmd) Example() string { return "nubridge run --config nubridge.yaml" }

// Run runs the bridge until the context ends or a part fails.
func (c runCmd) Run(ctx context.Context, s std) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.CPUProfile != "" {
		stop, failed := profile(c.CPUProfile)
		if failed != nil {
			return failed
		}
		defer func() {
			if failed := stop(); err == nil {
				err = failed
			}
		}()
	}
	boundMemory(len(cfg.Environments))
	log := telemetry.NewLogger(s.err, cfg.Log.Format, cfg.Log.Level)
	tel, err := telemetry.New(ctx, telemetry.Config{OTLP: cfg.Telemetry.OTLP, Sample: *cfg.Telemetry.Sample, Version: version, Log: log})
	if err != nil {
		return err
	}
	b, err := assemble(ctx, cfg, tel, log)
	if err != nil {
		return errors.Join(err, tel.Close(context.WithoutCancel(ctx)))
	}
	g := lifecycle.NewGroup(log, grace)
	g.Close("telemetry", tel.Close)
	if err := serveConsole(ctx, g, cfg, b, tel, log); err != nil {
		b.close()
		g.Stop()
		return err
	}
	if err := b.start(g); err != nil {
		g.Stop()
		return err
	}
	g.Go("reload", b.reloadOnHangup)
	log.Info("bridge runs", "version", version, "environments", sortedNames(cfg.Environments))
	return g.Wait(ctx)
}

// profile begins to write where the processor's time goes; stop ends it.
func profile(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("open the file of --cpu-profile: %w; hint: name a file in a folder that can be written", err)}
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("start the profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			return fmt.Errorf("write the profile: %w", err)
		}
		return nil
	}, nil
}

// serveConsole opens the console's listener, unless it is off.
func serveConsole(ctx context.Context, g *lifecycle.Group, cfg *config.Config, b *bridge, tel *telemetry.Telemetry, log *slog.Logger) error {
	if cfg.HTTP.Listen == "off" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.HTTP.Listen)
	if err != nil {
		return usageError{fmt.Errorf("listen for the console: %w; hint: set http.listen to a free address, or to off", err)}
	}
	h := console.Handler(console.Deps{Metrics: tel.Metrics(), NotReady: b.notReady, State: b.state, Reload: b.reload})
	g.Go("console", func(ctx context.Context) error { return console.Serve(ctx, l, h) })
	log.Info("console listens", "address", l.Addr().String())
	return nil
}
