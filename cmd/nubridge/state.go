package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// readyTimeout bounds a readiness probe.
const readyTimeout = 2 * time.Second

// notReady lists why not everything works that this process shall do: what does not answer, and the parts that fail or are halted.
func (b *bridge) notReady() []string {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	away := make([]string, 3)
	var looks sync.WaitGroup
	for i, look := range []struct {
		what string
		ping func(context.Context) error
	}{{"the ledger", b.store.Pool().Ping}, {"Kafka", b.kafka.Ping}, {"the OMS database", b.oms.Ping}} {
		looks.Go(func() {
			if look.ping(ctx) != nil {
				away[i] = look.what + " does not answer"
			}
		})
	}
	looks.Wait()
	return append(slices.DeleteFunc(away, func(s string) bool { return s == "" }), b.standing()...)
}

// instanceState is what /api/state shows: what this process does now. What is stored is in the ledger, for all instances.
type instanceState struct {
	Version  string `json:"version"`
	Instance string `json:"instance"`
	// Ledger marks the ledger, so that an instance of another installation on the same address is known as one.
	Ledger string `json:"ledger"`
	// Parts are what may halt alone: capture, each flow, each poller.
	Parts []partReport `json:"parts"`
	// HeldReload tells that a changed mapping waits for a confirmation.
	HeldReload   bool               `json:"held_reload"`
	Environments []environmentState `json:"environments"`
}

// partReport is how one part of the process stands.
type partReport struct {
	Part  string    `json:"part"`
	State string    `json:"state"`
	Code  string    `json:"code,omitempty"`
	Cause string    `json:"cause,omitempty"`
	Mend  string    `json:"mend,omitempty"`
	Since time.Time `json:"since"`
}

type environmentState struct {
	Name    string      `json:"name"`
	NuORDER portalState `json:"nuorder"`
	Flows   []loopState `json:"flows"`
}

// portalState is how the client stands with the portal.
type portalState struct {
	Calls       uint64  `json:"calls"`
	InFlight    int     `json:"in_flight"`
	Queued      int     `json:"queued"`
	Concurrency int     `json:"concurrency"`
	RatePerS    float64 `json:"rate_per_s"`
	// PausedUntil is set while the whole client waits.
	PausedUntil *time.Time        `json:"paused_until,omitempty"`
	PauseCode   string            `json:"pause_code,omitempty"`
	ClockSkewS  float64           `json:"clock_skew_s"`
	Breakers    map[string]string `json:"breakers"`
}

// loopState is what one flow's loop does in this process.
type loopState struct {
	Flow       string     `json:"flow"`
	Mode       string     `json:"mode"`
	State      string     `json:"state"`
	Code       string     `json:"code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Since      *time.Time `json:"since,omitempty"`
	FreshnessS float64    `json:"freshness_s"`
	Touches    int        `json:"touches"`
	Keys       int        `json:"keys"`
	InFlight   int        `json:"in_flight"`
	Delayed    int        `json:"delayed"`
	NotVisible int        `json:"not_yet_visible"`
	Partitions int        `json:"partitions"`
}

// state is what /api/state shows.
func (b *bridge) state(ctx context.Context) (any, error) {
	out := instanceState{Version: version, Instance: b.owner, HeldReload: b.held.Load() != nil, Parts: []partReport{}}
	// A ledger that is away leaves the mark empty: the rest is known without it.
	out.Ledger, _ = b.store.Mark(ctx)
	for _, p := range b.parts.all() {
		s := p.Standing()
		out.Parts = append(out.Parts, partReport{p.Name(), string(s.State), s.Code, s.Cause, s.Mend, s.Since})
	}
	for _, e := range b.envs {
		s := environmentState{Name: e.name, NuORDER: portalOf(e.client.Stats()), Flows: []loopState{}}
		for _, f := range e.flows {
			s.Flows = append(s.Flows, loopOf(f.status()))
		}
		out.Environments = append(out.Environments, s)
	}
	return out, nil
}

func portalOf(s nuorder.Stats) portalState {
	p := portalState{
		Calls: s.Calls, InFlight: s.InFlight, Queued: s.Waiting, Concurrency: s.Limit, RatePerS: s.Rate,
		PauseCode: s.PauseCode, ClockSkewS: seconds(s.Skew), Breakers: map[string]string{},
	}
	if !s.PausedUntil.IsZero() {
		p.PausedUntil = &s.PausedUntil
	}
	for class, b := range s.Breakers {
		p.Breakers[string(class)] = b.State
	}
	return p
}

func loopOf(s sink.Status) loopState {
	l := loopState{
		Flow: string(s.Flow), Mode: string(s.Mode), State: string(s.State), Code: s.Code, Reason: s.Reason, FreshnessS: seconds(s.Freshness),
		Touches: s.Touches, Keys: s.Keys, InFlight: s.InFlight, Delayed: s.Delayed, NotVisible: s.Hidden, Partitions: s.Partitions,
	}
	if !s.Since.IsZero() {
		l.Since = &s.Since
	}
	return l
}

// waiting counts the keys that wait for a parent.
func (b *bridge) waiting(ctx context.Context) (n int, err error) {
	err = b.store.Pool().QueryRow(ctx, "select count(*) from waiting").Scan(&n)
	return n, err
}
