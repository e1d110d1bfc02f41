package sink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

const (
	claimMost  = 2 * time.Minute
	sweepEvery = 2 * time.Second
)

// watch brings in what the ledger holds for this flow: requests, pauses, guards, waiting keys whose wake-up was missed.
func (l *Loop) watch(ctx context.Context) {
	requests, endRequests := l.Ledger.Wakes(l.config.Environment, l.config.Flow)
	defer endRequests()
	flows, endFlows := l.Ledger.Wakes(l.config.Environment, "")
	defer endFlows()
	look := time.NewTicker(l.config.Look)
	defer look.Stop()
	alive := time.NewTicker(l.config.Silent / 4)
	defer alive.Stop()
	var swept time.Time
	var shadowed mapper.Key
	l.lookAtState(ctx)
	for l.claim(ctx); ; {
		select {
		case <-ctx.Done():
			return
		case <-alive.C:
			if err := l.Ledger.Alive(ctx, l.config.Environment, l.config.Flow, l.config.owner()); err != nil && ctx.Err() == nil {
				l.Logger.Warn("others may take over what this instance claimed", "error", err)
			}
		case <-requests:
			l.claim(ctx)
		case <-flows:
			l.lookAtState(ctx)
		case <-look.C:
			l.lookAtState(ctx)
			if now := l.Now(); now.Sub(swept) >= min(sweepEvery, 5*l.config.Look) {
				swept = now
				l.sweep(ctx)
				l.wakeLate(ctx)
				l.rollStock(ctx)
				shadowed = l.sendShadowed(ctx, shadowed)
			}
			l.claim(ctx)
		}
	}
}

// claim takes open requests while there is room for them.
func (l *Loop) claim(ctx context.Context) {
	hold := ledger.Hold{Silent: l.config.Silent, Most: claimMost}
	for ctx.Err() == nil {
		if s, _ := l.gate.standing(l.Now()); s.State == Halted || s.State == Paused || l.board.crowded(4*l.config.InFlight) {
			return
		}
		requests, err := l.Ledger.Claim(ctx, l.config.Environment, l.config.Flow, l.config.owner(), 2*l.config.InFlight, hold)
		if err != nil {
			if ctx.Err() == nil {
				l.Logger.Warn("requests cannot be claimed", "error", err)
			}
			return
		}
		for _, r := range requests {
			l.board.ask(r, r.Reason == ledger.ReasonRetry)
		}
		if len(requests) < 2*l.config.InFlight {
			return
		}
	}
}

func (l *Loop) sweep(ctx context.Context) {
	_, parked, err := l.Ledger.SweepWaiting(ctx, l.config.Environment, l.config.Flow, l.config.Patience)
	if err != nil && ctx.Err() == nil {
		l.Logger.Warn("waiting keys cannot be swept", "error", err)
	}
	if _, err := l.Ledger.RetryFailing(ctx, l.config.Environment, l.config.Flow, l.config.RetryFailing); err != nil && ctx.Err() == nil {
		l.Logger.Warn("keys that keep failing cannot be tried again", "error", err)
	}
	if parked > 0 {
		l.Logger.Warn("parents never arrived", "keys", parked)
	}
}

// wakeLate sends once more what a call without an answer may have set back meanwhile. // I3
func (l *Loop) wakeLate(ctx context.Context) {
	if _, err := l.Ledger.WakeLate(ctx, l.config.Environment, l.config.Flow); err != nil && ctx.Err() == nil {
		l.Logger.Warn("objects of late calls are not sent again", "error", err)
	}
}

// rollStock keeps the rolling pass over all stock going.
func (l *Loop) rollStock(ctx context.Context) {
	if l.config.Flow != mapper.Inventory || l.config.Mode != On || l.config.StockPass < 0 {
		return
	}
	if _, err := l.Ledger.RollStock(ctx, l.config.Environment, l.config.StockPass); err != nil && ctx.Err() == nil {
		l.Logger.Warn("the pass over all stock stands still", "error", err)
	}
}

// lookAtState reads whether the flow is paused, and what all instances did in this hour.
func (l *Loop) lookAtState(ctx context.Context) {
	ended := l.guards.ending()
	f, err := l.Ledger.FlowState(ctx, l.config.Environment, l.config.Flow)
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("the state of the flow cannot be read", "error", err)
		}
		return
	}
	l.guards.loaded(f, ended)
	var s *Standing
	if f.Paused {
		s = &Standing{Paused, f.Code, f.Reason, f.Since}
	}
	if l.gate.pause(s) {
		if s == nil {
			l.window.reset()
			l.Logger.Info("flow resumed")
		} else {
			l.Logger.Warn("flow paused", "code", s.Code, "reason", s.Reason)
		}
		wake(l.board.work)
	}
	// What a person has mended before the resume is still in the lot until the flow has gone over it.
	if !f.Paused && f.ParkedKeys >= l.config.ParkedCap && f.FreshlyParked > 0 {
		l.pauseFlow(ctx, ledger.Pausing{Code: "parking_full", Reason: fmt.Sprintf("%d keys are parked, the cap is %d; mend or discard some, then resume", f.ParkedKeys, l.config.ParkedCap)})
	}
}

// pauseFlow stops the flow in all instances until a person resumes it. The first of several causes counts.
func (l *Loop) pauseFlow(ctx context.Context, p ledger.Pausing) {
	l.pausing.Lock()
	defer l.pausing.Unlock()
	now := l.Now()
	if s, _ := l.gate.standing(now); s.State == Paused {
		return
	}
	p.By = l.config.owner()
	paused, err := l.Ledger.Pause(ctx, l.config.Environment, l.config.Flow, p)
	switch {
	case err != nil:
		l.Logger.Error("the pause cannot be written", "error", err)
	case !paused: // resumed meanwhile, or a new hour
		return
	}
	if l.gate.pause(&Standing{Paused, p.Code, p.Reason, now}) {
		l.Logger.Error("flow paused", "code", p.Code, "reason", p.Reason)
	}
}

// rejects is a window over the last outcomes.
type rejects struct {
	mu   sync.Mutex
	last []bool
	at   int
	full bool
	bad  int
}

func (r *rejects) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at, r.full, r.bad = nil, 0, false, 0
}

// add notes an outcome and tells whether the window is full of rejections.
func (r *rejects) add(bad bool, size int, share float64) (rejected, of int, tripped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make([]bool, size)
	}
	if r.last[r.at] {
		r.bad--
	}
	if r.last[r.at] = bad; bad {
		r.bad++
	}
	if r.at++; r.at == size {
		r.at, r.full = 0, true
	}
	of = r.at
	if r.full {
		of = size
	}
	// A quarter of the window says enough, so that a bad mapping does not fill the lot first.
	return r.bad, of, of >= max(size/4, 1) && float64(r.bad) > share*float64(of)
}

// observe looks for a flow that rejects most of what it is given: a bad mapping pauses the flow, it does not fill the lot.
func (l *Loop) observe(ctx context.Context, batch []outcome) {
	for i := range batch {
		s := &batch[i].settlement
		if !batch[i].final() || s.Disposition == ledger.Waiting || s.Disposition == ledger.Filtered {
			continue
		}
		if t := batch[i].turn; s.Disposition == ledger.Parked && t != nil && t.isParked {
			continue // a parked key that was touched again, or that a child asks for, is no new rejection. // I7
		}
		bad, of, tripped := l.window.add(s.Disposition == ledger.Parked, l.config.RejectWindow, l.config.RejectShare)
		if tripped {
			l.window.reset()
			l.pauseFlow(ctx, ledger.Pausing{Code: "mostly_rejected", Reason: fmt.Sprintf("%d of the last %d documents were rejected, which looks like a wrong mapping; mend it, then resume", bad, of)})
		}
	}
}
