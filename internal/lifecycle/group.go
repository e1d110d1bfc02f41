// Package lifecycle starts named services and stops them in the reverse order, knows the two signals and the exit codes.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Group runs services until one fails or its context ends, then stops them one by one, the last started first, so that what
// a service needs outlives it. A Group is used once.
type Group struct {
	log   *slog.Logger
	grace time.Duration

	mu       sync.Mutex
	services []*service
	failed   chan struct{}
	once     sync.Once
	err      error
}

type service struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	close  func(context.Context) error
}

// NewGroup makes a group whose services each have grace to stop.
func NewGroup(log *slog.Logger, grace time.Duration) *Group {
	return &Group{log: log, grace: grace, failed: make(chan struct{})}
}

// Go starts run, which blocks until its context ends. An error ends the whole group; a nil return before that is fine.
func (g *Group) Go(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background()) // stopped in order by the group, not by the caller's context
	s := &service{name: name, cancel: cancel, done: make(chan struct{})}
	g.add(s)
	go func() {
		defer close(s.done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			g.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
}

// Close registers what is to be closed in its place of the order.
func (g *Group) Close(name string, fn func(context.Context) error) {
	g.add(&service{name: name, cancel: func() {}, close: fn})
}

// Wait blocks until ctx ends or a service fails, stops everything, and gives the first failure.
func (g *Group) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-g.failed:
	}
	g.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Stop stops the services in reverse order and waits for each at most the grace time.
func (g *Group) Stop() {
	g.mu.Lock()
	services := slices.Clone(g.services)
	g.services = nil
	g.mu.Unlock()
	for _, s := range slices.Backward(services) {
		if err := g.stop(s); err != nil {
			g.log.Error("service did not stop cleanly", "service", s.name, "error", err)
		}
	}
}

func (g *Group) stop(s *service) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.grace)
	defer cancel()
	s.cancel()
	if s.close != nil {
		return s.close(ctx)
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return errors.New("still running after the grace time")
	}
}

func (g *Group) add(s *service) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.services = append(g.services, s)
}

func (g *Group) fail(err error) {
	g.once.Do(func() {
		g.mu.Lock()
		g.err = err
		g.mu.Unlock()
		close(g.failed)
	})
}
