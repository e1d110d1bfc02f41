package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"nubridge/sink"
)

const (
	// reportEvery is how often an instance tells the ledger what it does, reportFresh how old what it told may be.
	reportEvery = 2 * time.Second
	reportFresh = 7 * time.Second
)

// report tells the ledger what this instance does, until the context ends. A ledger that is away hears it later.
func (b *bridge) report(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	failed := false
	for {
		err := b.reportOnce(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			b.log.Warn("status does not show this instance", "error", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = b.store.EndReport(end, b.owner) // it ages
			return nil
		case <-tick.C:
		}
	}
}

func (b *bridge) reportOnce(ctx context.Context) error {
	state, err := b.state(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return b.store.Report(ctx, b.owner, text)
}

// liveInstance is one of the instances that share the ledger.
type liveInstance struct {
	Name    string  `json:"name"`
	Version string  `json:"version,omitempty"`
	AgeS    float64 `json:"told_s_ago"`
	// Keys, InFlight and Partitions are sums over its flows.
	Keys       int `json:"keys"`
	InFlight   int `json:"in_flight"`
	Partitions int `json:"partitions"`
}

// instances reads what all live instances do: the one that was asked, if it answered, and those that reported to the ledger.
func (w *statusWatcher) instances(ctx context.Context, asked *instanceState) ([]instanceState, []liveInstance, error) {
	reports, err := w.store.Reports(ctx, reportFresh)
	if err != nil {
		return nil, nil, err
	}
	var states []instanceState
	live := []liveInstance{}
	add := func(s instanceState, age time.Duration) {
		l := liveInstance{Name: s.Instance, Version: s.Version, AgeS: seconds(age)}
		for _, e := range s.Environments {
			for _, f := range e.Flows {
				l.Keys, l.InFlight, l.Partitions = l.Keys+f.Keys, l.InFlight+f.InFlight, l.Partitions+f.Partitions
			}
		}
		states, live = append(states, s), append(live, l)
	}
	if asked != nil {
		add(*asked, 0)
	}
	for _, r := range reports {
		var s instanceState
		if asked != nil && asked.Instance == r.Instance || json.Unmarshal(r.State, &s) != nil {
			continue // it was just asked, or is of another version
		}
		add(s, r.Age)
	}
	return states, live, nil
}

// together gives the environments as all instances have them: what is counted is added up, of what they say the worst counts.
func together(states []instanceState) map[string]environmentState {
	all := map[string]environmentState{}
	for _, s := range states {
		for _, e := range s.Environments {
			before, there := all[e.Name]
			if !there {
				all[e.Name] = e
				continue
			}
			all[e.Name] = environmentState{Name: e.Name, NuORDER: before.NuORDER.and(e.NuORDER), Flows: flowsTogether(before.Flows, e.Flows)}
		}
	}
	return all
}

func (p portalState) and(o portalState) portalState {
	p.Calls, p.InFlight, p.Queued = p.Calls+o.Calls, p.InFlight+o.InFlight, p.Queued+o.Queued
	p.Concurrency, p.RatePerS = p.Concurrency+o.Concurrency, p.RatePerS+o.RatePerS
	if o.PausedUntil != nil && (p.PausedUntil == nil || o.PausedUntil.After(*p.PausedUntil)) {
		p.PausedUntil, p.PauseCode = o.PausedUntil, o.PauseCode
	}
	breakers := map[string]string{}
	for _, of := range []map[string]string{p.Breakers, o.Breakers} {
		for class, state := range of {
			if breakers[class] == "" || breakers[class] == "closed" {
				breakers[class] = state
			}
		}
	}
	p.Breakers = breakers
	return p
}

// worstLoop orders how a loop may stand, the worst highest.
func worstLoop(state string) int {
	return slices.Index([]string{string(sink.Running), string(sink.Throttled), string(sink.Paused), string(sink.Halted)}, state)
}

func flowsTogether(a, b []loopState) []loopState {
	out := slices.Clone(a)
	for _, f := range b {
		i := slices.IndexFunc(out, func(o loopState) bool { return o.Flow == f.Flow })
		if i < 0 {
			out = append(out, f)
			continue
		}
		o := &out[i]
		if worstLoop(f.State) > worstLoop(o.State) {
			o.State, o.Code, o.Reason, o.Since = f.State, f.Code, f.Reason, f.Since
		}
		o.FreshnessS = max(o.FreshnessS, f.FreshnessS)
		o.Touches, o.Keys, o.InFlight = o.Touches+f.Touches, o.Keys+f.Keys, o.InFlight+f.InFlight
		o.Delayed, o.NotVisible, o.Partitions = o.Delayed+f.Delayed, o.NotVisible+f.NotVisible, o.Partitions+f.Partitions
	}
	return out
}
