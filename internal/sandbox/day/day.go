// Package day plays a scripted day in the local world: what people at the OMS and buyers at NuORDER do, and how long each act
// takes to be seen at the other end. It knows both ends and nothing of the bridge between them.
package day

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"nubridge/internal/sandbox"
)

// Player plays the day.
type Player struct {
	World *sandbox.World
	// PollOrders makes the bridge look for approved orders now, as its timer does every ten minutes.
	PollOrders func(context.Context) error
	// Waiting counts the keys that wait for a parent in the bridge.
	Waiting func(context.Context) (int, error)
	// Loaded tells whether the bridge has read all that was there before the day; nil if the day begins as soon as NuORDER shows it, while
	// later tables may still be read.
	Loaded func(context.Context) (bool, error)
	// Out takes a line for each step; Bar, if not nil, is told how far the load is.
	Out io.Writer
	Bar func(done, total int)
	// Patience bounds the wait for one step.
	Patience time.Duration

	steps int
	http  http.Client
}

// step is one act and what must follow from it at the other end.
type step struct {
	name string
	// act commits something and may give words for the line.
	act func(context.Context) error
	// seen tells whether the other end shows it.
	seen func(context.Context) (bool, error)
}

// play does the act, waits until it is seen and prints a line with the time from the commit.
func (p *Player) play(ctx context.Context, s step) error {
	if err := s.act(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	commit := time.Now()
	if err := p.await(ctx, s.seen); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return p.line(s.name, time.Since(commit))
}

func (p *Player) line(name string, took time.Duration) error {
	p.steps++
	_, err := fmt.Fprintf(p.Out, "%3d  %-72s %8s\n", p.steps, name, took.Round(time.Millisecond))
	return err
}

// Steps counts the lines printed so far.
func (p *Player) Steps() int { return p.steps }

var errPatience = errors.New("not seen at the other end in time")

// await asks every few milliseconds until seen is true.
func (p *Player) await(ctx context.Context, seen func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.Patience, errPatience)
	defer cancel()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := seen(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// document reads one stored document of the NuORDER sandbox; nil if there is none.
func (p *Player) document(ctx context.Context, kind, id string) (map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.World.NuORDERURL+"/_sandbox/state/"+kind+"/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	var d map[string]any
	decoder := json.NewDecoder(answer.Body)
	decoder.UseNumber()
	return d, decoder.Decode(&d)
}

// shows waits for one document to fulfil a condition.
func (p *Player) shows(kind, id string, holds func(d map[string]any) bool) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		d, err := p.document(ctx, kind, id)
		return err == nil && d != nil && holds(d), err
	}
}

// dig follows keys and list positions into a document; nil where there is nothing.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func list(v any) []any { l, _ := v.([]any); return l }
