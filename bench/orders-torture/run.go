package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"nubridge/internal/sandbox/postgres"
	"nubridge/orders"
)

// run is the whole torture; it tells whether everything held.
func run(ctx context.Context, o options, server *postgres.Server, log *slog.Logger) (bool, error) {
	began := time.Now()
	w, err := newWorld(ctx, o, server)
	if err != nil {
		return false, err
	}
	defer w.close()
	var kills []string
	for range o.kills {
		for _, p := range orders.Points() {
			kills = append(kills, string(p))
		}
	}
	w.dice.Shuffle(len(kills), func(a, b int) { kills[a], kills[b] = kills[b], kills[a] })
	died := map[string]int{}
	for n, point := range kills {
		wave := (o.count-w.placed)/(len(kills)-n) + 1
		if err := w.place(min(wave, o.count-w.placed)); err != nil {
			return false, err
		}
		if err := w.killOne(ctx, point, wave); err != nil {
			return false, fmt.Errorf("kill %d of %d: %w", n+1, len(kills), err)
		}
		died[point]++
		if (n+1)%10 == 0 || n+1 == len(kills) {
			if err := w.processedImpliesCreated(ctx); err != nil {
				return false, err
			}
		}
		if (n+1)%55 == 0 {
			fmt.Printf("%d of %d kills, %d orders placed, %s\n", n+1, len(kills), w.placed, time.Since(began).Round(time.Second))
		}
	}
	if err := w.place(o.count - w.placed); err != nil {
		return false, err
	}
	if err := w.finish(ctx); err != nil {
		return false, err
	}
	r, err := w.count(ctx, log)
	if err != nil {
		return false, err
	}
	r.kills, r.seconds = len(kills), int(time.Since(began).Seconds())
	for _, p := range orders.Points() {
		fmt.Printf("%s killed %d times\n", p, died[string(p)])
	}
	fmt.Printf("%d seconds\n", r.seconds)
	return r.tell(w), nil
}

// running is a child; err is how it ended, once done is closed.
type running struct {
	*exec.Cmd
	done chan struct{}
	err  error
}

// start starts a child.
func (w *world) start(p plan) (*running, error) {
	p.Database, p.OMS, p.NuORDER, p.Settle = w.url, w.oms.URL, w.nuorder.URL, w.settle
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), childVariable+"="+string(text))
	c.Stderr = os.Stderr
	if w.verbose {
		fmt.Printf("child with point %q, hit %d\n", p.Point, p.Hits)
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	r := &running{Cmd: c, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = c.Wait()
	}()
	return r, nil
}

// killOne runs a child until it has killed itself at its point. It fails if the point was not reached.
func (w *world) killOne(ctx context.Context, point string, wave int) error {
	hits := int64(1)
	if point != string(orders.RowSeen) && point != string(orders.IDsListed) {
		hits = 1 + int64(w.dice.IntN(max(1, wave)))
	}
	c, err := w.start(plan{Point: point, Hits: hits})
	if err != nil {
		return err
	}
	timer := time.NewTimer(60 * time.Second)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		_ = c.Process.Kill()
		<-c.done
		return fmt.Errorf("point %s was not passed %d times within a minute", point, hits)
	case <-ctx.Done():
		_ = c.Process.Kill()
		<-c.done
		return ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	return fmt.Errorf("a child ended by itself before point %s: %w", point, c.err)
}

// finish runs a last child until nothing is under way any more.
func (w *world) finish(ctx context.Context) error {
	c, err := w.start(plan{})
	if err != nil {
		return err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-c.done
	}()
	deadline := time.Now().Add(10 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		var rows, rest int
		err := w.pool.QueryRow(ctx, `select count(*), count(*) filter (where state not in ('NUMBERED', 'QUARANTINED'))
			from nubridge.order_intents where environment = $1`, environment).Scan(&rows, &rest)
		if err != nil {
			return err
		}
		if rows == w.placed && rest == 0 {
			return w.calm(ctx)
		}
		select {
		case <-c.done:
			return fmt.Errorf("the last child ended by itself: %w", c.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New("orders are still under way after ten minutes")
}

// calm waits until creates that the OMS applies late are in, and until their events have come.
func (w *world) calm(ctx context.Context) error {
	wait := 2 * w.settle
	if w.unbounded {
		wait = 8 * w.settle
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
