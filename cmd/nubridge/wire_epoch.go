package main

import (
	"context"
	"sync/atomic"
	"time"

	"nubridge/internal/ledger"
)

// epochWatch keeps the present epoch and timeline of the capture at hand, for readers that must tell whether a change needs proof
// of being visible: transaction ids of an older epoch mean nothing on the present server.
type epochWatch struct {
	captures *ledger.Captures
	capture  string
	epoch    atomic.Uint32
	timeline atomic.Int32
}

// now gives what was last seen, zero before anything was.
func (w *epochWatch) now() (epoch uint32, timeline int32) { return w.epoch.Load(), w.timeline.Load() }

// run looks every second until the context ends. What it cannot read stays as it was.
func (w *epochWatch) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if s, err := w.captures.LoadCapture(ctx, w.capture); err == nil && s != nil {
			w.timeline.Store(int32(s.Timeline))
			w.epoch.Store(s.Epoch)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
