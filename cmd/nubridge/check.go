package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc/pgsource"
	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/orders/oms"
)

type checkCmd struct {
	configured
	JSON bool `help:"Print JSON."`
	// Offline leaves out whatever needs a network.
	Offline bool `help:"Check the files alone."`
	// Quick leaves out the documents, of which there may be many.
	Quick bool `help:"Do not read the documents to see which would be parked."`
}

// Example implements exampled.
func (checkCmd) Example() string { return "nubridge check --config nubridge.yaml" }

// checked is one finding of a check.
type checked struct {
	Status string `json:"status"` // ok, warn or fail
	Area   string `json:"area"`
	Code   string `json:"code,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`

	exit int
}

// checker gathers the findings of all areas.
type checker struct {
	cfg   *config.Config
	pool  *pgxpool.Pool
	quick bool
	all   []checked
}

// Run checks every area, prints all findings, and fails with the worst of them. It changes nothing.
func (c checkCmd) Run(ctx context.Context, s std) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	k := &checker{cfg: cfg, quick: c.Quick}
	k.ok("configuration", "%s is well-formed", c.Config)
	folders := k.folders()
	if !c.Offline {
		k.online(ctx, folders)
	}
	return k.report(s, c.JSON)
}

func (k *checker) online(ctx context.Context, folders map[string]*mapper.Folder) {
	pool, err := openOMS(ctx, k.cfg)
	k.add("oms database", err, "answers")
	if err == nil {
		defer pool.Close()
		k.pool = pool
		k.source(ctx, folders)
	}
	k.kafka(ctx)
	k.ledger(ctx)
	for _, name := range sortedNames(k.cfg.Environments) {
		e := k.cfg.Environments[name]
		demands := k.remote(ctx, name, e)
		if k.pool != nil && folders[name] != nil {
			k.mapping(ctx, name, folders[name], demands)
		}
	}
}

// folders loads every environment's mapping folder.
func (k *checker) folders() map[string]*mapper.Folder {
	out := map[string]*mapper.Folder{}
	for _, name := range sortedNames(k.cfg.Environments) {
		e := k.cfg.Environments[name]
		if e.Mapping == "" && e.MappingFS == nil {
			continue
		}
		area := "mapping of " + name
		folder, findings := mapper.Load(mappingFolder(k.cfg, e), e.Overlay)
		k.findings(area, findings)
		out[name] = folder
		k.unowned(area, e)
		if m := e.Flows[string(mapper.OrdersIn)]; m == "" || m == "off" {
			continue
		}
		if folder == nil {
			continue
		}
		tree := folder.Tree("orders_in.yaml")
		if tree == nil {
			k.fail(area, "mapping_incomplete", lifecycle.ExitUsage, "orders_in.yaml is missing", "write it, or set the flow orders_in to off")
			continue
		}
		spec, findings := oms.CompileTree(tree)
		k.findings(area, findings)
		switch {
		case findings.HasErrors():
		case spec.CanSearch():
			k.ok(area, "an order whose create got no answer is searched for in the OMS by its reference")
		default:
			k.all = append(k.all, checked{
				Status: "warn", Area: area, Code: "oms_without_search", Text: "the OMS cannot be searched by reference: an order whose create got no answer waits for a person",
				Hint: "give orders_in.yaml a search, if the OMS has one",
			})
		}
	}
	return out
}

// unowned warns of order flows that have nothing to do: orders that were born in the OMS belong to the environment that imports. // I12
func (k *checker) unowned(area string, e *config.Environment) {
	active := func(flow string) bool { return e.Flows[flow] != "" && e.Flows[flow] != "off" }
	if e.Flows[string(mapper.OrdersIn)] != "on" && active(string(mapper.OrderCreation)) {
		k.all = append(k.all, checked{
			Status: "warn", Area: area, Code: "orders_not_ours", Text: "order_creation is on and orders_in is not: no order that was born in the OMS is created at NuORDER by this environment",
			Hint: "set orders_in to on in the one environment that such orders belong to",
		})
	}
}

func (k *checker) source(ctx context.Context, folders map[string]*mapper.Folder) {
	tables := k.cfg.Capture.Tables
	for _, f := range folders {
		if f != nil && len(k.cfg.Capture.Tables) == 0 {
			tables = append(tables, f.Tables()...)
		}
	}
	if k.cfg.Capture.Off || len(tables) == 0 {
		return
	}
	findings, err := pgsource.Check(ctx, captureConfig(k.cfg, tables))
	if err != nil {
		k.add("capture", err, "")
	}
	for _, f := range findings {
		switch {
		case f.OK:
			k.ok("capture", "%s", f.Text)
		case f.Fatal:
			k.fail("capture", f.Code, lifecycle.ExitUsage, f.Text, f.Hint)
		default:
			k.all = append(k.all, checked{Status: "warn", Area: "capture", Code: f.Code, Text: f.Text, Hint: f.Hint})
		}
	}
}

func (k *checker) kafka(ctx context.Context) {
	client, err := newKafka(k.cfg)
	if err == nil {
		defer client.Close()
		err = ping(ctx, client.Ping)
	}
	k.add("kafka", err, "answers")
}

func (k *checker) ledger(ctx context.Context) {
	pool, err := pgxpool.New(ctx, k.cfg.Ledger.URL.Reveal())
	if err != nil {
		k.fail("ledger", "ledger_address", lifecycle.ExitUsage, "ledger.url is no PostgreSQL address", "expected postgres://user:password@host:5432/database")
		return
	}
	defer pool.Close()
	var may bool
	err = pool.QueryRow(ctx, "select coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = $1), has_database_privilege(current_database(), 'create'))",
		k.cfg.Ledger.Schema).Scan(&may)
	switch {
	case err != nil:
		k.fail("ledger", "ledger_unreachable", lifecycle.ExitUnreachable, "the ledger's database does not answer: "+err.Error(), "check ledger.url and that the server runs")
	case !may:
		k.fail("ledger", "ledger_rights", lifecycle.ExitUsage, "the role may not make tables in schema "+k.cfg.Ledger.Schema, "let its owner run the script in deploy/sql")
	default:
		k.ok("ledger", "schema %s may be made or upgraded", k.cfg.Ledger.Schema)
	}
}

func (k *checker) findings(area string, findings mapper.Findings) {
	for _, f := range findings {
		if f.Severity == mapper.Error {
			k.fail(area, "mapping", lifecycle.ExitUsage, f.String(), "")
		} else {
			k.all = append(k.all, checked{Status: "warn", Area: area, Code: "mapping", Text: f.String()})
		}
	}
}

func (k *checker) ok(area, format string, args ...any) {
	k.all = append(k.all, checked{Status: "ok", Area: area, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) fail(area, code string, exit int, text, hint string) {
	k.all = append(k.all, checked{Status: "fail", Area: area, Code: code, Text: text, Hint: hint, exit: exit})
}

// add turns an error into a finding, or its absence into a good one.
func (k *checker) add(area string, err error, good string) {
	if err == nil {
		k.ok(area, "%s", good)
		return
	}
	text, hint := err.Error(), ""
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Hint != "" {
		hint = f.Hint
		text = strings.TrimSuffix(text, "; hint: "+f.Hint)
	}
	k.fail(area, fault.CodeOf(err), exitCode(err), text, hint)
}

// report prints all findings; the exit code is the worst one's.
func (k *checker) report(s std, asJSON bool) error {
	worst := 0
	for _, f := range k.all {
		worst = max(worst, f.exit)
	}
	if asJSON {
		if err := json.NewEncoder(s.out).Encode(map[string]any{"command": "check", "ok": worst == 0, "findings": k.all}); err != nil {
			return err
		}
	} else {
		for _, f := range k.all {
			fmt.Fprintf(s.out, "%-4s  %-20s %s\n", f.Status, f.Area, strings.ReplaceAll(f.Text, "\n", "\n      "))
			if f.Hint != "" {
				fmt.Fprintf(s.out, "      %-20s hint: %s\n", "", f.Hint)
			}
		}
	}
	if worst == 0 {
		return nil
	}
	return reported{exitError{worst}}
}

// exitError carries an exit code whose cause is printed already.
type exitError struct{ code int }

// Error implements error.
func (e exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }
