package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/mapper/cases"
	"nubridge/mapper/documents"
)

// mappingCmd groups what people who map need.
type mappingCmd struct {
	Test mappingTestCmd `cmd:"" help:"Run the cases beside the mapping."`
	Try  mappingTryCmd  `cmd:"" help:"Show what the mapping makes of one real key; nothing is sent."`
}

// compileFor loads the configuration and compiles the mapping of the chosen environment; the caller closes it.
func (c oneEnvironment) compileFor(ctx context.Context) (*config.Config, string, *compiled, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, "", nil, err
	}
	name, err := chooseEnvironment(cfg, c.Environment)
	if err != nil {
		return nil, "", nil, err
	}
	m, err := compileMapping(ctx, cfg, cfg.Environments[name])
	return cfg, name, m, err
}

type mappingTestCmd struct{ oneEnvironment }

// Example implements exampled.
func (mappingTestCmd) Example() string { return "nubridge mapping test --environment sandbox" }

// caseRow is how a case went, as JSON.
type caseRow struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Problems []string `json:"problems,omitempty"`
}

// Run runs the cases; it needs the OMS database for its columns and types, not for its rows, and no NuORDER. A failed case exits 1.
func (c mappingTestCmd) Run(ctx context.Context, s std) error {
	cfg, name, m, err := c.compileFor(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	results, findings := cases.Run(mappingFolder(cfg, cfg.Environments[name]), m.mapping)
	rows, failed := []caseRow{}, 0
	for _, r := range results {
		rows = append(rows, caseRow{r.File, r.Line, r.Name, r.Passed(), r.Problems})
		if !r.Passed() {
			failed++
		}
	}
	if c.JSON {
		var texts []string
		for _, f := range findings {
			texts = append(texts, f.String())
		}
		err = printJSON(s.out, map[string]any{"environment": name, "cases": rows, "failed": failed, "findings": texts})
	} else {
		for _, r := range results {
			if !r.Passed() {
				fmt.Fprintln(s.out, r)
			}
		}
		for _, f := range findings {
			fmt.Fprintln(s.out, f)
		}
		_, err = fmt.Fprintf(s.out, "%d cases, %d failed\n", len(results), failed)
	}
	switch {
	case err != nil:
		return err
	case findings.HasErrors():
		return reported{exitError{lifecycle.ExitUsage}}
	case failed > 0:
		return reported{exitError{lifecycle.ExitFailed}}
	}
	return nil
}

type mappingTryCmd struct {
	oneEnvironment
	Flow string `arg:"" help:"The flow."`
	Key  string `arg:"" help:"The document's key; several columns are joined by |."`
}

// Example implements exampled.
func (mappingTryCmd) Example() string { return "nubridge mapping try products 1042" }

// Run reads one document as it stands, and compares its body with what was last sent, where the ledger knows that.
func (c mappingTryCmd) Run(ctx context.Context, s std) error {
	flow, err := sinkFlow(c.Flow)
	if err != nil {
		return err
	}
	cfg, name, m, err := c.compileFor(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	if !m.mapping.Maps(flow) {
		return usageError{fmt.Errorf("the mapping of %s has no flow %s", name, flow)}
	}
	key, err := m.reader.Spell(ctx, flow, mapper.Key(c.Key))
	if err != nil {
		return usageError{err}
	}
	object, noLedger := lastSent(ctx, cfg, name, flow, key)
	trial, err := m.reader.Try(ctx, flow, key, object.Parts[ledger.PartOf(flow)].Body)
	if err != nil {
		return err
	}
	calls := callsOf(flow, trial, object)
	if c.JSON {
		return printJSON(s.out, trialReport(name, trial, calls))
	}
	if err := trial.Print(s.out); err != nil {
		return err
	}
	if noLedger != nil {
		fmt.Fprintln(s.out, "the ledger does not say what was last sent:", noLedger)
	}
	return printCalls(s.out, calls)
}

// lastSent gives what the ledger knows of an object with its body; a try works without a ledger.
func lastSent(ctx context.Context, cfg *config.Config, environment string, flow mapper.Flow, key mapper.Key) (ledger.Object, error) {
	store, err := openLedger(ctx, cfg)
	if err != nil {
		return ledger.Object{}, err
	}
	defer store.Close()
	found, err := store.ByKey(ctx, environment, flow.Kind(), []mapper.Key{key})
	if err != nil {
		return ledger.Object{}, err
	}
	object, known := found[key]
	if !known {
		return ledger.Object{}, nil
	}
	err = store.Bodies(ctx, environment, flow.Kind(), map[mapper.Key]*ledger.Object{key: &object})
	return object, err
}

// callsOf tells what the flow would ask of NuORDER, from what the ledger knows.
func callsOf(flow mapper.Flow, t documents.Trial, o ledger.Object) []string {
	part, sent := o.Parts[ledger.PartOf(flow)]
	there := o.Known || o.RemoteID != ""
	what := strings.TrimSpace(string(flow.Kind()) + " " + t.Body.RemoteKey)
	calls := []string{}
	for _, p := range t.Body.Parents {
		calls = append(calls, fmt.Sprintf("none before %s %s is at NuORDER", p.Flow, p.Key))
	}
	switch {
	case len(t.Body.Violations) > 0:
		return []string{}
	case t.Body.Filtered && !there && !o.InDoubt:
		return []string{}
	case flow.Kind() == mapper.Order:
		return append(calls, "read the "+what+", then change what differs there")
	case sent && !o.InDoubt && part.Hash == ledger.HashOf(t.Body.JSON):
		return []string{}
	case t.Body.Filtered:
		return append(calls, "archive the "+what)
	case flow == mapper.Inventory:
		return append(calls, "replace the "+what)
	case there:
		return append(calls, "update the "+what)
	default:
		return append(calls, "create the "+what)
	}
}

func printCalls(out io.Writer, calls []string) error {
	if len(calls) == 0 {
		_, err := fmt.Fprintln(out, "no call would be made")
		return err
	}
	for _, call := range calls {
		if _, err := fmt.Fprintln(out, "call:", call); err != nil {
			return err
		}
	}
	return nil
}

// trialReport is a trial as JSON.
func trialReport(environment string, t documents.Trial, calls []string) any {
	type part struct {
		Name    string      `json:"name"`
		Columns []string    `json:"columns"`
		Rows    [][]*string `json:"rows"`
	}
	parts := []part{}
	for _, p := range t.Parts {
		parts = append(parts, part{p.Name, p.Columns, p.Rows})
	}
	differences := []string{}
	for _, d := range t.Differences {
		differences = append(differences, d.String())
	}
	var body json.RawMessage
	if len(t.Body.JSON) > 0 {
		body = t.Body.JSON
	}
	return map[string]any{
		"environment": environment, "flow": t.Flow, "key": t.Key, "rows": parts, "remote_key": t.Body.RemoteKey, "body": body, "facts": t.Body.Facts,
		"filtered": t.Body.Filtered, "violations": t.Body.Violations, "sent_before": t.Known, "differences": differences, "calls": calls,
	}
}
