package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
)

type verifyDocumentsCmd struct {
	oneEnvironment
	Flows []string `arg:"" optional:"" name:"flow" help:"products, customers or inventory; all that are mapped if none is named."`
	Lost  bool     `help:"Do not read again what the ledger knows as delivered: the rest of a rebuild that was broken off."`
	Apply bool     `help:"Record what is in step as delivered, and have what differs delivered; without, only show the plan."`
}

// Example implements exampled.
func (verifyDocumentsCmd) Example() string {
	return "nubridge verify documents --environment production\n" +
		"nubridge verify documents products --json\n" +
		"nubridge verify documents --apply"
}

// documentsReport is what a comparison of the documents of one flow with NuORDER found.
type documentsReport struct {
	Flow string `json:"flow"`
	// Documents are those of the OMS. Each is counted under one of those that follow.
	Documents int `json:"documents"`
	InStep    int `json:"in_step"`
	Differ    int `json:"differ"`
	Missing   int `json:"missing"`
	Filtered  int `json:"not_selected"`
	Invalid   int `json:"breaking_a_rule"`
	Parent    int `json:"without_product"`
	Moving    int `json:"under_way"`
	Unread    int `json:"not_comparable"`
	// New are those in step that the ledger did not know to be.
	New int `json:"in_step_new"`
	// Foreign objects of NuORDER belong to no document of the OMS.
	Foreign int `json:"foreign"`
	// Calls is how many documents are delivered, if it is applied.
	Calls       int            `json:"calls_at_most"`
	Applied     bool           `json:"applied"`
	Differences []differenceAt `json:"differences"`
}

// differenceAt is a document that is not in step; Field is empty if NuORDER does not have it.
type differenceAt struct {
	Key   string `json:"key"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text,omitempty"`
}

// differencesShown bounds the list of differences, so that a report has a size. // I6
const differencesShown = 50

func (r *documentsReport) note(key mapper.Key, field, text string) {
	if len(r.Differences) < differencesShown {
		r.Differences = append(r.Differences, differenceAt{string(key), field, text})
	}
}

// verifiable are the flows whose objects can be read back, in the order in which they need each other.
func verifiable() []mapper.Flow {
	return []mapper.Flow{mapper.Products, mapper.Customers, mapper.Inventory}
}

// Run reads what NuORDER holds and compares it with what the mapping makes of the OMS. It writes nothing to NuORDER; with --apply the
// ledger learns what is in step, and the flows are asked to deliver what is not.
func (c verifyDocumentsCmd) Run(ctx context.Context, s std) error {
	flows, err := c.chosen()
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	name, err := chooseEnvironment(cfg, c.Environment)
	if err != nil {
		return err
	}
	boundMemory(1)
	return besideRun(ctx, s, cfg, name, func(ctx context.Context, e *environment) error { return c.verify(ctx, s, e, flows) })
}

// chosen gives the named flows in the order in which they need each other.
func (c verifyDocumentsCmd) chosen() ([]mapper.Flow, error) {
	for _, name := range c.Flows {
		if !slices.Contains(verifiable(), mapper.Flow(name)) {
			return nil, usageError{fmt.Errorf("the documents of %q cannot be read back; expected products, customers or inventory; orders have nubridge verify orders", name)}
		}
	}
	return slices.DeleteFunc(verifiable(), func(f mapper.Flow) bool { return len(c.Flows) > 0 && !slices.Contains(c.Flows, string(f)) }), nil
}

func (c verifyDocumentsCmd) verify(ctx context.Context, s std, e *environment, flows []mapper.Flow) error {
	if c.Apply {
		detail, err := json.Marshal(map[string]any{"flows": flows, "lost": c.Lost})
		if err != nil {
			return err
		}
		err = e.bridge.store.Record(ctx, ledger.Action{Who: whoami(), What: "documents.verify", Environment: e.name, Detail: detail})
		if err != nil {
			return err
		}
	}
	reports, open := []*documentsReport{}, 0
	for _, flow := range flows {
		if !e.mapping.Load().Maps(flow) {
			if len(c.Flows) > 0 {
				return usageError{fmt.Errorf("the mapping of %s has no flow %s", e.name, flow)}
			}
			continue
		}
		v := newVerifier(e, flow, c, newBar(s.err, "verify "+string(flow), "documents"))
		if err := v.run(ctx); err != nil {
			return fmt.Errorf("verify %s, which can be repeated: %w", flow, err)
		}
		reports = append(reports, v.report)
		open += v.report.Unread
		if !c.Apply {
			open += v.report.Calls + v.report.New
		}
	}
	if len(reports) == 0 {
		return usageError{errors.New("the mapping has none of the flows products, customers and inventory")}
	}
	if err := c.print(s, e, reports); err != nil {
		return err
	}
	if open > 0 {
		return reported{exitError{lifecycle.ExitFailed}}
	}
	return nil
}

func (c verifyDocumentsCmd) print(s std, e *environment, reports []*documentsReport) error {
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": e.name, "flows": reports})
	}
	calls, fresh := 0, 0
	for _, r := range reports {
		fmt.Fprintf(s.out, "verify of %s %s: %d documents\n", e.name, r.Flow, r.Documents)
		fmt.Fprintf(s.out, "  %d in step, %d of them new to the ledger; %d differ, %d are not at NuORDER\n", r.InStep, r.New, r.Differ, r.Missing)
		var others []string
		for _, o := range []struct {
			n    int
			text string
		}{
			{r.Filtered, "not selected"},
			{r.Invalid, "break a rule (parked)"},
			{r.Parent, "wait for their product"},
			{r.Moving, "under way or in doubt (delivered anyway)"},
			{r.Unread, "cannot be compared"},
			{r.Foreign, "objects at NuORDER are of no document (left alone)"},
		} {
			if o.n > 0 {
				others = append(others, fmt.Sprintf("%d %s", o.n, o.text))
			}
		}
		if len(others) > 0 {
			fmt.Fprintf(s.out, "  %s\n", strings.Join(others, ", "))
		}
		for _, d := range r.Differences {
			text := d.Text
			switch {
			case text != "":
			case d.Field == "":
				text = "not at NuORDER"
			default:
				text = "differs in " + d.Field
			}
			fmt.Fprintf(s.out, "  %s: %s\n", d.Key, text)
		}
		if all := r.Differ + r.Missing + r.Unread; all > len(r.Differences) {
			fmt.Fprintf(s.out, "  and %d more\n", all-len(r.Differences))
		}
		calls, fresh = calls+r.Calls, fresh+r.New
	}
	rate := e.cfg.NuORDER.Rate
	text := fmt.Sprintf("add --apply to record %d documents as delivered and to have %d delivered: at least %s at %g calls/s",
		fresh, calls, ago(time.Duration(float64(calls)/max(rate, 0.001)*float64(time.Second))), rate)
	if c.Apply {
		text = fmt.Sprintf("%d documents are recorded as delivered, %d are asked for; live changes go first, nubridge status shows the rest", fresh, calls)
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}
