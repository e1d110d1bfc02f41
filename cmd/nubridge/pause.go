package main

import (
	"context"
	"fmt"

	"nubridge/internal/ledger"
)

type pauseCmd struct {
	oneEnvironment
	Flow   string `arg:"" help:"The flow."`
	Reason string `help:"Why; status shows it." default:"by hand" placeholder:"TEXT"`
}

// Example implements exampled.
func (pauseCmd) Example() string {
	return `nubridge pause products --environment production --reason "price list is being rebuilt"`
}

// Run pauses a flow in all instances. Nothing is lost: changes wait in Kafka, and what is in flight is settled.
func (c pauseCmd) Run(ctx context.Context, s std) error {
	return c.act(ctx, s, c.Flow, "pause", c.Reason)
}

type resumeCmd struct {
	oneEnvironment
	Flow   string `arg:"" help:"The flow."`
	Reason string `help:"Why; it is kept." placeholder:"TEXT"`
}

// Example implements exampled.
func (resumeCmd) Example() string { return "nubridge resume products --environment production" }

// Run lets a paused flow go on in all instances; the guards of the hour begin anew.
func (c resumeCmd) Run(ctx context.Context, s std) error {
	return c.act(ctx, s, c.Flow, "resume", c.Reason)
}

// act pauses or resumes and says what the state was and is.
func (c oneEnvironment) act(ctx context.Context, s std, name, verb, reason string) error {
	flow, err := sinkFlow(name)
	if err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	before, err := o.store.FlowState(ctx, o.name, flow)
	if err != nil {
		return err
	}
	paused := verb == "pause"
	changed := before.Paused != paused
	if changed {
		err = o.store.Record(ctx, ledger.Action{Who: whoami(), What: "flow." + verb, Environment: o.name, Flow: string(flow), Reason: reason})
		if err == nil && paused {
			_, err = o.store.Pause(ctx, o.name, flow, ledger.Pausing{Code: "by_hand", Reason: reason, By: whoami()})
		} else if err == nil {
			err = o.store.Resume(ctx, o.name, flow)
		}
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": o.name, "flow": flow, "paused": paused, "changed": changed, "was": map[string]any{
			"paused": before.Paused, "code": before.Code, "reason": before.Reason, "by": before.PausedBy,
		}})
	}
	switch {
	case !changed && paused:
		_, err = fmt.Fprintf(s.out, "%s %s was paused already (%s): %s\n", o.name, flow, before.Code, before.Reason)
	case !changed:
		_, err = fmt.Fprintf(s.out, "%s %s was not paused\n", o.name, flow)
	case paused:
		_, err = fmt.Fprintf(s.out, "%s %s is paused; nubridge resume %s -e %s lets it go on\n", o.name, flow, flow, o.name)
	default:
		_, err = fmt.Fprintf(s.out, "%s %s goes on; it was paused (%s): %s\n", o.name, flow, before.Code, before.Reason)
	}
	return err
}
