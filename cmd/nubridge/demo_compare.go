package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/compare"
	"nubridge/internal/sandbox/day"
)

// planted is how many differences each run plants afterwards, to show that the comparison would have named them.
const planted = 20

// compare holds everything in the OMS against everything at NuORDER, once the last calls are through, and then proves that it
// sees.
func (c demoCmd) compare(ctx context.Context, s std, w *sandbox.World, b *bridge, p *day.Player, start time.Time) error {
	result, err := compareWhenStill(ctx, w)
	if err != nil {
		return err
	}
	for _, kind := range sortedNames(result.Objects) {
		fmt.Fprintf(s.out, "compared %-10s %6d objects %7d fields\n", kind, result.Objects[kind], result.Fields[kind])
	}
	for _, d := range result.Differences {
		fmt.Fprintln(s.out, "DIFFERENCE", d)
	}
	if len(result.Differences) > 0 {
		if err := listParked(ctx, s, b); err != nil {
			return err
		}
	}
	unnamed, err := c.plant(ctx, s, w)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "demo steps=%d differences=%d seconds=%.1f\n", p.Steps(), len(result.Differences), time.Since(start).Seconds())
	switch {
	case len(result.Differences) > 0:
		return reported{errors.New("the two ends differ")}
	case unnamed > 0:
		return reported{errors.New("the comparison is blind to a planted difference")}
	}
	return nil
}

// compareWhenStill compares until both ends agree or nothing has changed at NuORDER for a while.
func compareWhenStill(ctx context.Context, w *sandbox.World) (compare.Result, error) {
	const still, limit = 6 * time.Second, 30 * time.Second
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	begin, moved, calls := time.Now(), time.Now(), w.NuORDER.Counts().Calls
	for {
		result, err := runCompare(ctx, w)
		if err != nil || len(result.Differences) == 0 {
			return result, err
		}
		if n := w.NuORDER.Counts().Calls; n != calls {
			calls, moved = n, time.Now()
		}
		if time.Since(moved) > still || time.Since(begin) > limit {
			return result, nil
		}
		select {
		case <-ctx.Done():
			return result, ctx.Err()
		case <-tick.C:
		}
	}
}

func runCompare(ctx context.Context, w *sandbox.World) (compare.Result, error) {
	state, err := w.NuORDER.State("")
	if err != nil {
		return compare.Result{}, err
	}
	since, err := time.Parse(time.DateOnly, demoSince())
	if err != nil {
		return compare.Result{}, err
	}
	return compare.Run(ctx, w.Pool, state, compare.Config{Environment: "sandbox", Since: since})
}

// plant spoils objects at NuORDER behind the bridge's back and counts those that a second comparison does not name.
func (c demoCmd) plant(ctx context.Context, s std, w *sandbox.World) (int, error) {
	what, err := compare.Plant(w.NuORDER, "", planted, c.Seed)
	if err != nil {
		return 0, err
	}
	result, err := runCompare(ctx, w)
	if err != nil {
		return 0, err
	}
	unnamed := compare.Unnamed(what, result.Differences)
	fmt.Fprintf(s.out, "planted %d differences afterwards, %d of them named\n", len(what), len(what)-len(unnamed))
	for _, u := range slices.Clip(unnamed) {
		fmt.Fprintf(s.out, "NOT NAMED %s %s %s: %s\n", u.Kind, u.Key, u.Field, u.What)
	}
	return len(unnamed), nil
}

// listParked says which keys the bridge has parked, and why: the first place to look when the ends differ.
func listParked(ctx context.Context, s std, b *bridge) error {
	for _, e := range b.envs {
		parked, err := b.store.Parked(ctx, e.name, ledger.ParkedFilter{})
		if err != nil {
			return err
		}
		for _, k := range parked {
			fmt.Fprintf(s.out, "PARKED %s %s %s: %s\n", k.Flow, k.Key, k.Code, k.Text)
		}
	}
	return nil
}
