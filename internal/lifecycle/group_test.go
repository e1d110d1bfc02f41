package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nubridge/internal/lifecycle"
)

func TestServicesStopInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := lifecycle.NewGroup(slog.New(slog.DiscardHandler), time.Second)
		var stopped []string
		for _, name := range []string{"a", "b"} {
			g.Go(name, func(ctx context.Context) error {
				<-ctx.Done()
				stopped = append(stopped, name)
				return ctx.Err()
			})
			g.Close("close "+name, func(context.Context) error {
				stopped = append(stopped, "close "+name)
				return nil
			})
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := g.Wait(ctx); err != nil {
			t.Errorf("an ordered stop is no failure, got %v", err)
		}
		if want := []string{"close b", "b", "close a", "a"}; !slices.Equal(stopped, want) {
			t.Errorf("got %v, want %v", stopped, want)
		}
	})
}

func TestOneFailureStopsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := lifecycle.NewGroup(slog.New(slog.DiscardHandler), time.Second)
		broken := errors.New("broken")
		stopped := false
		g.Go("healthy", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
		g.Go("failing", func(context.Context) error { return broken })
		if err := g.Wait(context.Background()); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if !stopped {
			t.Error("the healthy service still runs")
		}
	})
}

func TestStuckServiceIsLeftAfterGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := lifecycle.NewGroup(slog.New(slog.DiscardHandler), time.Second)
		release := make(chan struct{})
		g.Go("stuck", func(context.Context) error { <-release; return nil })
		start := time.Now()
		g.Stop()
		if d := time.Since(start); d != time.Second {
			t.Errorf("stop took %s, want the grace of 1s", d)
		}
		close(release)
	})
}
