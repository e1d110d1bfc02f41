package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// parkedCmd groups what is done with keys that a person must look at.
type parkedCmd struct {
	List    parkedListCmd    `cmd:"" help:"List parked keys with their reason."`
	Show    parkedShowCmd    `cmd:"" help:"Show one parked key with all that is known of it."`
	Retry   parkedRetryCmd   `cmd:"" help:"Try parked keys again; shows which before --apply."`
	Discard parkedDiscardCmd `cmd:"" help:"Give parked keys up, with a reason that is kept; shows which before --apply."`
	Log     parkedLogCmd     `cmd:"" help:"Show who discarded what, and why."`
}

// parkedFilter chooses parked keys.
type parkedFilter struct {
	Flow string   `help:"Only this flow." placeholder:"FLOW"`
	Code string   `help:"Only this reason, such as required." placeholder:"CODE"`
	Keys []string `help:"Only these keys." placeholder:"KEY,..."`
}

func (f parkedFilter) filter() (ledger.ParkedFilter, error) {
	out := ledger.ParkedFilter{Code: f.Code, Keys: keysOf(f.Keys)}
	if f.Flow == "" {
		return out, nil
	}
	flow, err := sinkFlow(f.Flow)
	out.Flow = flow
	return out, err
}

func (f parkedFilter) empty() bool { return f.Flow == "" && f.Code == "" && len(f.Keys) == 0 }

// parkedRow is a parked key as it is printed.
type parkedRow struct {
	Flow       string             `json:"flow"`
	Key        string             `json:"key"`
	Code       string             `json:"code"`
	Field      string             `json:"field,omitempty"`
	Rule       string             `json:"rule,omitempty"`
	Value      string             `json:"value,omitempty"`
	Text       string             `json:"text"`
	Violations []mapper.Violation `json:"violations,omitempty"`
	Touches    int64              `json:"touches"`
	Attempts   int64              `json:"attempts"`
	First      time.Time          `json:"first_at"`
	Last       time.Time          `json:"last_at"`
	Trace      string             `json:"trace,omitempty"`
}

func rowOf(p ledger.ParkedKey) parkedRow {
	return parkedRow{
		Flow: string(p.Flow), Key: string(p.Key), Code: p.Code, Field: p.Field, Rule: p.Rule, Value: p.Value, Text: p.Text, Violations: p.Violations,
		Touches: p.Touches, Attempts: p.Attempts, First: p.First, Last: p.Last, Trace: p.Trace,
	}
}

// collect reads up to limit parked keys.
func (o *operator) parked(ctx context.Context, f ledger.ParkedFilter, limit int) ([]parkedRow, error) {
	rows := []parkedRow{}
	for f.Limit = min(limit, 500); len(rows) < limit; {
		page, err := o.store.Parked(ctx, o.name, f)
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			if len(rows) < limit {
				rows = append(rows, rowOf(p))
			}
		}
		if len(page) < f.Limit {
			break
		}
		f.AfterFlow, f.AfterKey = page[len(page)-1].Flow, page[len(page)-1].Key
	}
	return rows, nil
}

type parkedListCmd struct {
	oneEnvironment
	parkedFilter
	CSV   bool `help:"Print CSV, for whoever mends the data in the OMS."`
	Limit int  `help:"Print at most so many." default:"1000"`
}

// Example implements exampled.
func (parkedListCmd) Example() string {
	return "nubridge parked list --flow products\nnubridge parked list --code required --csv"
}

// Run lists parked keys.
func (c parkedListCmd) Run(ctx context.Context, s std) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	rows, err := o.parked(ctx, filter, max(c.Limit, 1))
	if err != nil {
		return err
	}
	switch {
	case c.CSV:
		return parkedCSV(s.out, rows)
	case c.JSON:
		return printJSON(s.out, map[string]any{"environment": o.name, "parked": rows})
	case len(rows) == 0:
		_, err = fmt.Fprintln(s.out, "nothing is parked")
		return err
	}
	return parkedTable(s.out, rows)
}

func parkedTable(out io.Writer, rows []parkedRow) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "FLOW\tKEY\tCODE\tFIELD\tTRIES\tSINCE\tWHY")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Flow, r.Key, r.Code, orDash(r.Field), r.Attempts, ago(time.Since(r.First)), r.Text)
	}
	return w.Flush()
}

func parkedCSV(out io.Writer, rows []parkedRow) error {
	w := csv.NewWriter(out)
	records := [][]string{{"flow", "key", "code", "field", "rule", "value", "text", "touches", "attempts", "first_at", "last_at", "trace"}}
	for _, r := range rows {
		records = append(records, []string{
			r.Flow, r.Key, r.Code, r.Field, r.Rule, r.Value, r.Text, strconv.FormatInt(r.Touches, 10), strconv.FormatInt(r.Attempts, 10),
			r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339), r.Trace,
		})
	}
	return w.WriteAll(records)
}

type parkedShowCmd struct {
	oneEnvironment
	Flow string `arg:"" help:"The flow."`
	Key  string `arg:"" help:"The key."`
}

// Example implements exampled.
func (parkedShowCmd) Example() string { return "nubridge parked show products 1042" }

// Run shows one parked key.
func (c parkedShowCmd) Run(ctx context.Context, s std) error {
	flow, err := sinkFlow(c.Flow)
	if err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	p, err := o.store.ParkedKey(ctx, o.name, flow, mapper.Key(c.Key))
	if err != nil {
		return err
	}
	r := rowOf(p)
	if c.JSON {
		return printJSON(s.out, r)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s %s\t\ncode\t%s\nfield\t%s\nrule\t%s\nvalue\t%s\nwhy\t%s\n", r.Flow, r.Key, r.Code, orDash(r.Field), orDash(r.Rule), orDash(r.Value), r.Text)
	fmt.Fprintf(w, "since\t%s\nlast\t%s\ntries\t%d\ntouches\t%d\ntrace\t%s\n",
		r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339), r.Attempts, r.Touches, orDash(r.Trace))
	for _, v := range r.Violations {
		fmt.Fprintf(w, "violation\t%s: %s: %s\n", v.Field, v.Rule, v.Text)
	}
	return w.Flush()
}

// parkedActs is what retry and discard have in common.
type parkedActs struct {
	oneEnvironment
	parkedFilter
	All   bool `help:"All parked keys of the environment."`
	Apply bool `help:"Do it; without, only show what would be done."`
}

// plan refuses an empty choice and counts what was chosen.
func (c parkedActs) plan(ctx context.Context, o *operator) (ledger.ParkedFilter, []parkedRow, error) {
	filter, err := c.filter()
	if err != nil {
		return filter, nil, err
	}
	rows, err := o.parked(ctx, filter, 1<<20)
	return filter, rows, err
}

func (c parkedActs) refuse() error {
	if c.All == c.empty() {
		return nil
	}
	if c.All {
		return usageError{errors.New("--all goes with no --flow, --code or --keys")}
	}
	return usageError{errors.New("expected which keys: --flow, --code, --keys or --all")}
}

// answer prints what was or would be done.
func (c parkedActs) answer(s std, o *operator, verb string, rows []parkedRow, done int64) error {
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": o.name, "action": verb, "applied": c.Apply, "chosen": len(rows), "done": done, "keys": rows})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(s.out, "no parked key fits")
		return err
	}
	if c.Apply {
		_, err := fmt.Fprintf(s.out, "%s: %d keys\n", verb, done)
		return err
	}
	if err := parkedTable(s.out, rows[:min(len(rows), 20)]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s would take %d keys; add --apply to do it\n", verb, len(rows))
	return err
}

type parkedRetryCmd struct{ parkedActs }

// Example implements exampled.
func (parkedRetryCmd) Example() string {
	return "nubridge parked retry --code required\nnubridge parked retry --flow products --keys 1042,1043 --apply"
}

// Run asks for parked keys to be tried again; they stay parked until one succeeds.
func (c parkedRetryCmd) Run(ctx context.Context, s std) error {
	if err := c.refuse(); err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	filter, rows, err := c.plan(ctx, o)
	if err != nil {
		return err
	}
	var n int64
	if c.Apply {
		if n, err = o.store.RetryParked(ctx, o.name, filter); err != nil {
			return err
		}
	}
	return c.answer(s, o, "retry", rows, n)
}

type parkedDiscardCmd struct {
	parkedActs
	Reason string `help:"Why; it is kept." placeholder:"TEXT"`
}

// Example implements exampled.
func (parkedDiscardCmd) Example() string {
	return `nubridge parked discard --flow shipments --keys 70112 --reason "voided in the OMS" --apply`
}

// Run gives parked keys up. Their next change is tried like any other.
func (c parkedDiscardCmd) Run(ctx context.Context, s std) error {
	if err := c.refuse(); err != nil {
		return err
	}
	if c.Apply && c.Reason == "" {
		return usageError{errors.New("expected --reason, which is kept with what is given up")}
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	filter, rows, err := c.plan(ctx, o)
	if err != nil {
		return err
	}
	if !c.Apply || len(rows) == 0 {
		return c.answer(s, o, "discard", rows, 0)
	}
	type given struct{ Flow, Key, Code string }
	detail := make([]given, 0, len(rows))
	for _, r := range rows {
		detail = append(detail, given{r.Flow, r.Key, r.Code})
	}
	text, err := json.Marshal(map[string]any{"keys": detail})
	if err != nil {
		return err
	}
	err = o.store.Record(ctx, ledger.Action{Who: whoami(), What: "parked.discard", Environment: o.name, Flow: c.Flow, Reason: c.Reason, Detail: text})
	if err != nil {
		return err
	}
	n, err := o.store.DiscardParked(ctx, o.name, filter)
	if err != nil {
		return err
	}
	return c.answer(s, o, "discard", rows, n)
}

type parkedLogCmd struct {
	oneEnvironment
	Limit int `help:"Print at most so many." default:"100"`
}

// Example implements exampled.
func (parkedLogCmd) Example() string { return "nubridge parked log" }

// Run shows what was given up by hand.
func (c parkedLogCmd) Run(ctx context.Context, s std) error {
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	return o.printActions(ctx, s, "parked.discard", c.Limit, c.JSON)
}

// actionRow is an action as it is printed.
type actionRow struct {
	At          time.Time       `json:"at"`
	Who         string          `json:"who"`
	What        string          `json:"what"`
	Environment string          `json:"environment"`
	Flow        string          `json:"flow,omitempty"`
	Reason      string          `json:"reason"`
	Detail      json.RawMessage `json:"detail"`
}

func (o *operator) printActions(ctx context.Context, s std, what string, limit int, asJSON bool) error {
	list, err := o.store.Actions(ctx, o.name, what, limit)
	if err != nil {
		return err
	}
	rows := []actionRow{}
	for _, a := range list {
		rows = append(rows, actionRow{a.At, a.Who, a.What, a.Environment, a.Flow, a.Reason, a.Detail})
	}
	if asJSON {
		return printJSON(s.out, map[string]any{"actions": rows})
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.At.UTC().Format(time.RFC3339), r.Who, r.What, orDash(r.Flow), r.Reason, r.Detail)
	}
	return w.Flush()
}
