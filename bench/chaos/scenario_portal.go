package main

import (
	"context"
	"slices"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

func portalScenarios() []scenario {
	return []scenario{
		{name: "portal", smoke: true, play: portal},
		{name: "away", play: away},
		{name: "unauthorized", play: unauthorized},
	}
}

// portal spoils NuORDER's answers in every way, each for a while under load.
func portal(ctx context.Context, w *world) error {
	if _, err := w.load(ctx); err != nil {
		return err
	}
	length := 8 * time.Second
	if w.run.smoke {
		length = 3 * time.Second
	}
	half := func(f nuorder.Fault) nuorder.Fault { f.Probability = 0.4; return f }
	for _, s := range []struct {
		name  string
		fault nuorder.Fault
	}{
		{"429 with Retry-After", half(nuorder.Fault{Kind: "status", Status: 429, RetryAfter: "1"})},
		{"429 without Retry-After", half(nuorder.Fault{Kind: "status", Status: 429})},
		{"500 in plain text", half(nuorder.Fault{Kind: "status", Status: 500, Text: "Oops, there was a problem!"})},
		{"500 after the commit", half(nuorder.Fault{Kind: "status", Status: 500, AfterCommit: true, Text: "Oops, there was a problem!"})},
		{"502", half(nuorder.Fault{Kind: "status", Status: 502, Text: "<html>Bad Gateway</html>"})},
		{"504 after the commit", half(nuorder.Fault{Kind: "status", Status: 504, AfterCommit: true})},
		{"cut before the commit", half(nuorder.Fault{Kind: "cut"})},
		{"cut after the commit", half(nuorder.Fault{Kind: "cut", AfterCommit: true})},
		{"body cut", half(nuorder.Fault{Kind: "cut_body"})},
		{"row errors in 200", half(nuorder.Fault{Kind: "row_errors", Path: "/api/**", Method: "PUT"})},
		{"answer 30 s late", nuorder.Fault{Kind: "slow", AfterCommit: true, Delay: nuorder.Duration(30 * time.Second), Probability: 0.1}},
		{"trickled body", nuorder.Fault{Kind: "trickle", Delay: nuorder.Duration(200 * time.Millisecond), Probability: 0.2}},
		{"endless body", nuorder.Fault{Kind: "endless", Probability: 0.1}},
	} {
		if w.run.smoke && (s.fault.Kind == "slow" || slices.Contains([]int{502, 504}, s.fault.Status)) {
			continue // a 500 before and after the commit stands for them
		}
		id := w.fault(s.fault)
		w.desk.during(ctx, length, 15)
		hits := 0
		for _, f := range w.NuORDER.Faults() {
			hits += f.Hits
		}
		w.NuORDER.ClearFaults(id)
		w.run.say("%s: %d calls were hit", s.name, hits)
		if s.fault.Kind == "row_errors" {
			// What NuORDER refuses is parked, and nothing in the OMS will mend it: a person asks for another try.
			if err := w.command(ctx, "parked", "retry", "--all", "--apply"); err != nil {
				return err
			}
		}
		w.equal(ctx, s.name, patience)
	}
	return nil
}

// away lets NuORDER answer nothing but 503 for a while; the backlog drains in order.
func away(ctx context.Context, w *world) error {
	if _, err := w.load(ctx); err != nil {
		return err
	}
	id := w.fault(nuorder.Fault{Kind: "status", Status: 503, Text: "Service Unavailable"})
	before := w.NuORDER.Counts().Calls
	w.desk.during(ctx, 60*time.Second, 15)
	calls := w.NuORDER.Counts().Calls - before
	w.run.expect(calls < 400, "NuORDER away for 60 s: %d calls knocked", calls)
	list, err := w.parked(ctx)
	w.run.expect(err == nil && len(list) == 0, "NuORDER away: nothing parked meanwhile %v", list)
	w.NuORDER.ClearFaults(id)
	w.equal(ctx, "NuORDER away for 60 s", patience)
	return nil
}

// unauthorized refuses every signature for a while, as after a revoked token.
func unauthorized(ctx context.Context, w *world) error {
	if _, err := w.load(ctx); err != nil {
		return err
	}
	for _, status := range []int{401, 403} {
		id := w.fault(nuorder.Fault{Kind: "status", Status: status})
		before := w.NuORDER.Counts().Calls
		w.desk.during(ctx, 20*time.Second, 15)
		list, err := w.parked(ctx)
		w.run.expect(err == nil && len(list) == 0, "%d for 20 s: nothing parked %v", status, list)
		calls := w.NuORDER.Counts().Calls - before
		w.run.expect(calls < 200, "%d for 20 s: %d calls knocked", status, calls)
		w.NuORDER.ClearFaults(id)
		w.equal(ctx, "signatures good again", patience)
	}
	return nil
}
