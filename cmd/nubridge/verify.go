package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/internal/telemetry"
	"nubridge/orders"
)

// verifyCmd groups comparisons of what is on both sides.
type verifyCmd struct {
	Documents verifyDocumentsCmd `cmd:"" help:"Compare NuORDER's products, companies and stock with what the mapping makes of the OMS, and rebuild a lost ledger."`
	Orders    verifyOrdersCmd    `cmd:"" help:"Compare NuORDER's orders with the ledger and with the OMS by reference."`
}

type verifyOrdersCmd struct {
	oneEnvironment
	Grace  time.Duration `help:"Leave out orders younger than this: they are on their way." default:"10m"`
	Repair bool          `help:"Carry the repairs out that are shown."`
	Reason string        `help:"Why; it is kept. Needed with --repair." placeholder:"TEXT"`
}

// Example implements exampled.
func (verifyOrdersCmd) Example() string {
	return "nubridge verify orders --environment production\n" + `nubridge verify orders --repair --reason "after the outage of the 12th"`
}

// findingRow is a difference as it is printed.
type findingRow struct {
	Kind     string   `json:"kind"`
	ID       string   `json:"nuorder_id"`
	Numbers  []string `json:"oms_numbers,omitempty"`
	Text     string   `json:"text"`
	Repair   string   `json:"repair,omitempty"`
	Repaired bool     `json:"repaired"`
	Failed   string   `json:"failed,omitempty"`
}

// Run compares, shows each difference with its repair, and with --repair does it. What is left open exits 1.
func (c verifyOrdersCmd) Run(ctx context.Context, s std) error {
	if c.Repair && strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("--repair needs --reason, which is kept")}
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	name, err := chooseEnvironment(cfg, c.Environment)
	if err != nil {
		return err
	}
	if m := cfg.Environments[name].Flows["orders_in"]; m != "on" && m != "test" {
		return usageError{fmt.Errorf("orders_in of %s is %q; expected on or test", name, orDash(m))}
	}
	return besideRun(ctx, s, cfg, name, func(ctx context.Context, e *environment) error { return c.audit(ctx, s, e) })
}

// besideRun assembles one environment beside the running bridge, which leaves it a part of the portal's limits, and hands it over.
func besideRun(ctx context.Context, s std, cfg *config.Config, name string, do func(context.Context, *environment) error) error {
	tel, err := telemetry.New(ctx, telemetry.Config{Sample: *cfg.Telemetry.Sample, OTLP: cfg.Telemetry.OTLP, Version: version})
	if err != nil {
		return err
	}
	log := telemetry.NewLogger(s.err, cfg.Log.Format, slog.LevelWarn.String())
	g := lifecycle.NewGroup(log, grace)
	defer g.Stop()
	g.Close("telemetry", tel.Close)
	b, err := assemble(ctx, onlyEnvironment(cfg, name), tel, log)
	if err != nil {
		return err
	}
	g.Close("connections", func(context.Context) error { b.close(); return nil })
	g.Go("ledger", b.store.Listen)
	g.Go("shares", b.envs[0].shares.Run)
	return do(ctx, b.envs[0])
}

// onlyEnvironment gives the configuration of one environment, and nothing of capture.
func onlyEnvironment(cfg *config.Config, name string) *config.Config {
	only := *cfg
	only.Capture.Off = true
	only.Environments = map[string]*config.Environment{name: cfg.Environments[name]}
	return &only
}

func (c verifyOrdersCmd) audit(ctx context.Context, s std, e *environment) error {
	audit, err := e.poller.Audit(ctx, c.Grace)
	if err != nil {
		return err
	}
	if c.Repair {
		err := e.bridge.store.Record(ctx, ledger.Action{Who: whoami(), What: "orders.repair", Environment: e.name, Reason: c.Reason})
		if err != nil {
			return err
		}
	}
	rows, open := []findingRow{}, 0
	for i := range audit.Findings {
		r := c.settle(ctx, &audit.Findings[i])
		if !r.Repaired {
			open++
		}
		rows = append(rows, r)
	}
	if c.JSON {
		err = printJSON(s.out, map[string]any{
			"environment": e.name, "rows": audit.Rows, "listed": audit.Listed, "searched": audit.Searched, "doubled": audit.Doubled, "open": open, "findings": rows,
		})
	} else {
		err = printFindings(s, audit, rows, c.Repair)
	}
	if err == nil && open > 0 {
		return reported{exitError{lifecycle.ExitFailed}}
	}
	return err
}

// settle repairs one finding where that was asked for and can be done.
func (c verifyOrdersCmd) settle(ctx context.Context, f *orders.Finding) findingRow {
	r := findingRow{Kind: string(f.Kind), ID: f.NuORDERID, Numbers: f.Numbers, Text: f.Text, Repair: f.Repair}
	if !c.Repair || f.Repair == "" {
		return r
	}
	if err := f.Apply(ctx); err != nil {
		r.Failed = err.Error()
		return r
	}
	r.Repaired = true
	return r
}

func printFindings(s std, a *orders.Audit, rows []findingRow, repair bool) error {
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	repairs := 0
	for _, r := range rows {
		todo := "for a person"
		switch {
		case r.Failed != "":
			todo = "not repaired: " + r.Failed
		case r.Repaired:
			todo = "repaired: " + r.Repair
		case r.Repair != "":
			todo = "repair: " + r.Repair
			repairs++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Kind, r.ID, orDash(strings.Join(r.Numbers, ",")), r.Text, todo)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d orders in the log, %d listed at NuORDER, %d searched in the OMS: %d differences, %d references with more than one OMS order\n",
		a.Rows, a.Listed, a.Searched, len(rows), a.Doubled)
	if repairs > 0 && !repair {
		_, err := fmt.Fprintf(s.out, "add --repair --reason TEXT to carry %d repairs out\n", repairs)
		return err
	}
	return nil
}
