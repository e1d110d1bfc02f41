package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
	"nubridge/internal/config"
	"nubridge/internal/ledger"
)

// snapshotCmd groups what is done with snapshots of tables.
type snapshotCmd struct {
	Start  snapshotStartCmd  `cmd:"" help:"Load tables again, beside the live changes."`
	Pause  snapshotPauseCmd  `cmd:"" help:"Pause the snapshots that are not done."`
	Resume snapshotResumeCmd `cmd:"" help:"Let paused snapshots go on."`
	Status snapshotStatusCmd `cmd:"" help:"Show snapshots with rows, rate and time left."`
}

// capturedTables lists what is captured: what the configuration names, else what the mappings watch.
func capturedTables(cfg *config.Config) ([]string, error) {
	if len(cfg.Capture.Tables) > 0 {
		return cfg.Capture.Tables, nil
	}
	var tables []string
	for _, name := range sortedNames(cfg.Environments) {
		e := cfg.Environments[name]
		if e.Mapping == "" && e.MappingFS == nil {
			continue
		}
		folder, err := loadMapping(cfg, e)
		if err != nil {
			return nil, err
		}
		tables = append(tables, folder.Tables()...)
	}
	slices.Sort(tables)
	return slices.Compact(tables), nil
}

// captureDesk is what a command about capture works with.
type captureDesk struct {
	cfg      *config.Config
	store    *ledger.Store
	captures *ledger.Captures
}

func (c configured) captureDesk(ctx context.Context) (*captureDesk, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	store, err := openLedger(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &captureDesk{cfg, store, ledger.NewCaptures(store.Pool())}, nil
}

type snapshotStartCmd struct {
	configured
	JSON   bool     `help:"Print JSON."`
	Tables []string `help:"Which tables; all that are captured by default." placeholder:"SCHEMA.TABLE,..."`
	Where  string   `help:"Only these rows, as an SQL condition; with one table." placeholder:"CONDITION"`
	Yes    bool     `help:"Do it; without, only show what would be loaded."`
}

// Example implements exampled.
func (snapshotStartCmd) Example() string {
	return "nubridge snapshot start --tables oms.styles,oms.skus --yes\nnubridge snapshot start --tables oms.sales_orders --where \"order_date >= '2026-01-01'\" --yes"
}

// Run plans snapshots; the running capture takes them up within seconds.
func (c snapshotStartCmd) Run(ctx context.Context, s std) error {
	if c.Where != "" && len(c.Tables) != 1 {
		return usageError{errors.New("--where goes with exactly one table in --tables")}
	}
	d, err := c.captureDesk(ctx)
	if err != nil {
		return err
	}
	defer d.store.Close()
	jobs, err := c.plan(ctx, d)
	if err != nil {
		return err
	}
	if c.Yes {
		err := d.store.Record(ctx, ledger.Action{Who: whoami(), What: "snapshot.start", Reason: strings.Join(c.Tables, ",")})
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if err := d.captures.AddSnapshot(ctx, d.cfg.Capture.Name, j); err != nil {
				return err
			}
		}
	}
	rows := []snapshotReport{}
	for _, j := range jobs {
		rows = append(rows, snapshotOf(j, time.Now()))
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"capture": d.cfg.Capture.Name, "started": c.Yes, "snapshots": rows})
	}
	for _, r := range rows {
		fmt.Fprintf(s.out, "%s: about %d rows\n", r.Table, r.Estimated)
	}
	text := "add --yes to load them; live changes go on meanwhile"
	if c.Yes {
		text = "planned; the running capture takes them up: nubridge snapshot status"
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}

// plan finds the tables in what is captured, and asks the source for their sizes and whether the condition is one.
func (c snapshotStartCmd) plan(ctx context.Context, d *captureDesk) ([]cdc.SnapshotJob, error) {
	state, err := d.captures.LoadCapture(ctx, d.cfg.Capture.Name)
	if err != nil {
		return nil, err
	}
	if state == nil {
		return nil, usageError{fmt.Errorf("capture %s has never run; its first run loads the tables by itself", d.cfg.Capture.Name)}
	}
	var known []string
	for _, t := range state.Tables {
		known = append(known, t.Schema+"."+t.Table)
	}
	slices.Sort(known)
	names := c.Tables
	if len(names) == 0 {
		names = known
	}
	pool, err := openSource(ctx, d.cfg)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	var jobs []cdc.SnapshotJob
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usageError{fmt.Errorf("table %q is not captured; expected one of %s", name, strings.Join(known, ", "))}
		}
		schema, table, _ := strings.Cut(name, ".")
		j := cdc.SnapshotJob{Schema: schema, Table: table, Where: c.Where, Status: cdc.SnapshotPending}
		quoted := pgx.Identifier{schema, table}.Sanitize()
		if err := pool.QueryRow(ctx, "select greatest(reltuples, 0)::bigint from pg_class where oid = $1::text::regclass", quoted).Scan(&j.Estimated); err != nil {
			return nil, fmt.Errorf("look up table %s: %w", name, err)
		}
		if c.Where != "" {
			if _, err := pool.Exec(ctx, "explain select from "+quoted+" where ("+c.Where+")"); err != nil {
				return nil, usageError{fmt.Errorf("--where is no condition on %s: %w", name, err)}
			}
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// openSource connects to the OMS's primary, whatever documents are read from.
func openSource(ctx context.Context, cfg *config.Config) (*pgxpool.Pool, error) {
	primary := *cfg
	primary.OMS.ReplicaURL = config.Secret{}
	return openOMS(ctx, &primary)
}

type snapshotPauseCmd struct {
	configured
	JSON bool `help:"Print JSON."`
}

// Example implements exampled.
func (snapshotPauseCmd) Example() string { return "nubridge snapshot pause" }

// Run pauses snapshots at the end of their present chunk; live changes go on.
func (c snapshotPauseCmd) Run(ctx context.Context, s std) error {
	return c.pauseSnapshots(ctx, s, true, c.JSON)
}

type snapshotResumeCmd struct {
	configured
	JSON bool `help:"Print JSON."`
}

// Example implements exampled.
func (snapshotResumeCmd) Example() string { return "nubridge snapshot resume" }

// Run lets snapshots go on where they stopped.
func (c snapshotResumeCmd) Run(ctx context.Context, s std) error {
	return c.pauseSnapshots(ctx, s, false, c.JSON)
}

func (c configured) pauseSnapshots(ctx context.Context, s std, pause, asJSON bool) error {
	d, err := c.captureDesk(ctx)
	if err != nil {
		return err
	}
	defer d.store.Close()
	n, err := d.captures.PauseSnapshots(ctx, d.cfg.Capture.Name, pause)
	if err != nil {
		return err
	}
	verb := "resumed"
	if pause {
		verb = "paused"
	}
	if asJSON {
		return printJSON(s.out, map[string]any{"capture": d.cfg.Capture.Name, verb: n})
	}
	_, err = fmt.Fprintf(s.out, "%d snapshots %s\n", n, verb)
	return err
}

type snapshotStatusCmd struct {
	configured
	JSON bool `help:"Print JSON."`
	All  bool `help:"Those that are done too."`
}

// Example implements exampled.
func (snapshotStatusCmd) Example() string { return "nubridge snapshot status --all" }

// Run shows snapshots.
func (c snapshotStatusCmd) Run(ctx context.Context, s std) error {
	d, err := c.captureDesk(ctx)
	if err != nil {
		return err
	}
	defer d.store.Close()
	list := d.captures.Snapshots
	if c.All {
		list = d.captures.AllSnapshots
	}
	jobs, err := list(ctx, d.cfg.Capture.Name)
	if err != nil {
		return err
	}
	rows := []snapshotReport{}
	for _, j := range jobs {
		rows = append(rows, snapshotOf(j, time.Now()))
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"capture": d.cfg.Capture.Name, "snapshots": rows})
	}
	if len(rows) == 0 {
		_, err = fmt.Fprintln(s.out, "no snapshot is under way; --all shows those that are done")
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tWHERE\tSTATUS\tROWS\tOF ABOUT\tROWS/S\tLEFT")
	for _, r := range rows {
		left := "-"
		if r.LeftS != nil {
			left = ago(time.Duration(*r.LeftS * float64(time.Second)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%.0f\t%s\n", r.Table, orDash(r.Where), r.Status, r.Rows, r.Estimated, r.RowsPerS, left)
	}
	return w.Flush()
}
