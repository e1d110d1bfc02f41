package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// wakeKey names who is woken: a flow of an environment, or with an empty flow the environment itself.
type wakeKey struct {
	environment string
	flow        mapper.Flow
}

// wakes fans notifications out to the loops of this process. Each channel holds one wake-up, for a second says no more.
type wakes struct {
	mu    *sync.Mutex
	chans map[wakeKey]map[chan struct{}]struct{}
}

func (w *wakes) signal(key wakeKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.chans[key] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Wakes gives a channel that receives when a request for the flow was written by any instance, and a function that ends
// it. An empty flow listens for the environment: throttles, pauses. Wake-ups can be missed, so callers also look from time
// to time.
func (s *Store) Wakes(environment string, flow mapper.Flow) (<-chan struct{}, func()) {
	key, c := wakeKey{environment, flow}, make(chan struct{}, 1)
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	if s.wakes.chans[key] == nil {
		s.wakes.chans[key] = map[chan struct{}]struct{}{}
	}
	s.wakes.chans[key][c] = struct{}{}
	return c, func() {
		s.wakes.mu.Lock()
		defer s.wakes.mu.Unlock()
		delete(s.wakes.chans[key], c)
	}
}

// Mended tells all instances that a person has mended something: what is halted tries again at once. They hear it as a wake-up
// without environment and flow.
func (s *Store) Mended(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, "select pg_notify($1, '|')", s.channel()); err != nil {
		return fmt.Errorf("tell the instances that something is mended: %w", err)
	}
	return nil
}

// channel is the name of the notification channel; a database can hold several ledgers.
func (s *Store) channel() string { return "nubridge_" + s.schema }

// Listen turns the database's notifications into wake-ups until the context ends. It holds one connection of the pool and
// makes it anew after a failure; without it everything works, at the pace of the sweeps.
func (s *Store) Listen(ctx context.Context) error {
	for {
		_ = s.listen(ctx) // whoever reads or writes the ledger meets the same failure, and tells
		if ctx.Err() != nil {
			return nil
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

func (s *Store) listen(ctx context.Context) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect for wake-ups: %w", err)
	}
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{s.channel()}.Sanitize()); err != nil {
		return fmt.Errorf("listen for wake-ups: %w", err)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for wake-ups: %w", err)
		}
		environment, flow, _ := strings.Cut(n.Payload, "|")
		s.wakes.signal(wakeKey{environment, mapper.Flow(flow)})
	}
}
