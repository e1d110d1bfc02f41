package orders

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// pump takes due orders forward with a bounded number of workers until the context ends. If idle is set, it ends with that error
// when nothing is due.
func (p *Poller) pump(ctx context.Context, fence int64, idle error) error {
	// One slot a worker: a due order waits in the log, not in memory.
	slots := make(chan struct{}, p.cfg.Workers)
	var workers sync.WaitGroup
	defer workers.Wait()
	failures := 0
	for {
		started, err := p.dispatch(ctx, fence, slots, &workers)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := p.cfg.Tick
		if err != nil {
			wait = p.backoff(failures, err)
			failures++
			p.Log.Warn("due orders could not be read", slog.String("code", fault.CodeOf(err)), slog.Any("error", err))
			if idle != nil {
				return err
			}
		} else {
			failures = 0
			if started > 0 {
				continue
			}
			if idle != nil && !p.working() {
				return idle
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.stir:
		}
		timer.Stop()
	}
}

// dispatch hands due orders to workers and tells how many. It blocks while all workers have one.
func (p *Poller) dispatch(ctx context.Context, fence int64, slots chan struct{}, workers *sync.WaitGroup) (int, error) {
	if rest := p.resting(); rest > 0 {
		if !sleep(ctx, rest) {
			return 0, ctx.Err()
		}
	}
	due, err := p.Intents.Due(ctx, p.cfg.Environment, p.names(), 4*p.cfg.Workers)
	if err != nil {
		return 0, err
	}
	started := 0
	for _, i := range due {
		if p.resting() > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return started, ctx.Err()
		case slots <- struct{}{}:
		}
		p.hold(i.NuORDERID, true)
		started++
		workers.Go(func() {
			defer func() {
				p.hold(i.NuORDERID, false)
				<-slots
				p.Stir()
			}()
			p.advance(ctx, fence, i)
		})
	}
	return started, nil
}

func (p *Poller) hold(id string, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if busy {
		p.busy[id] = true
	} else {
		delete(p.busy, id)
	}
}

func (p *Poller) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make([]string, 0, len(p.busy))
	for id := range p.busy {
		names = append(names, id)
	}
	return names
}

func (p *Poller) working() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.busy) > 0
}

func (p *Poller) resting() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.rest)
}

// restFor stops new work: a far end that throttles or refuses us throttles every order, and none of them is at fault.
func (p *Poller) restFor(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.rest) {
		p.rest = until
	}
}

// advance takes one order forward as far as it goes now.
func (p *Poller) advance(ctx context.Context, fence int64, i *ledger.Intent) {
	for ctx.Err() == nil {
		next, err := p.step(ctx, fence, i)
		switch {
		case errors.Is(err, ledger.ErrMoved):
			return // whoever moved it goes on with it, or the next look does
		case err != nil:
			p.postpone(ctx, fence, i, err)
			return
		case next == nil || (!next.Due.IsZero() && next.Due.After(next.Now)) || (next.Due.IsZero() && next.State != ledger.Intended):
			return
		}
		i = next
	}
}

// step makes the one move that the order's state asks for. It gives the row as it is then, nil when nothing more is to be done.
func (p *Poller) step(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	switch i.State {
	case ledger.Seen, ledger.Held:
		return p.begin(ctx, fence, i)
	case ledger.Intended:
		// Nobody in this process works on it: whether it was sent, and what came of it, is not known.
		return p.Intents.Move(ctx, i, ledger.Move{
			To: ledger.Ambiguous, Step: "taken over", Detail: "the create by " + i.Owner + " is unanswered", Fence: fence,
			Owner: p.Lock.Owner(), Searches: ledger.In(0), Failures: ledger.In(0), Lost: true,
			SettleIn: &p.cfg.Settle, DueIn: ledger.In(time.Duration(0)),
			Code: "answer_lost", Reason: "the process that created it ended before it read the answer",
		})
	case ledger.Ambiguous:
		return p.search(ctx, fence, i)
	case ledger.Created:
		return p.mark(ctx, fence, i)
	case ledger.Marked:
		return p.afterMark(ctx, fence, i)
	case ledger.Numbered, ledger.Withdrawn:
		return p.revisit(ctx, fence, i)
	default:
		return nil, nil
	}
}

// postpone writes why an order did not go on and when it is tried again. A throttle or a halt is nobody's fault: everything rests.
func (p *Poller) postpone(ctx context.Context, fence int64, i *ledger.Intent, err error) {
	if ctx.Err() != nil {
		return
	}
	wait := p.backoff(i.Failures, err)
	if i.State == ledger.Created && fault.KindOf(err) == fault.Retry {
		wait = min(wait, p.cfg.HeldEvery) // what the OMS has is to be marked soon
	}
	if kind := fault.KindOf(err); kind == fault.Throttle || kind == fault.Halt {
		p.restFor(wait)
	}
	// A state that is not INTENT stays: nothing is under way. An INTENT is left as it is and read as ambiguous.
	_, moveErr := p.Intents.Move(ctx, i, ledger.Move{
		Step: "postponed", Detail: fault.CodeOf(err) + ", again in " + wait.Round(time.Millisecond).String(), Fence: fence,
		Owner: p.Lock.Owner(), Failures: ledger.In(i.Failures + 1), DueIn: &wait, Code: fault.CodeOf(err), Reason: err.Error(),
	})
	p.Log.Warn("an order is tried again", slog.String("order", i.NuORDERID), slog.String("state", string(i.State)),
		slog.String("code", fault.CodeOf(err)), slog.Any("error", err), slog.Duration("again_in", wait))
	if moveErr != nil && !errors.Is(moveErr, ledger.ErrMoved) && ctx.Err() == nil {
		p.Log.Warn("the intent log could not be written", slog.String("order", i.NuORDERID), slog.Any("error", moveErr))
		p.restFor(p.cfg.Retry)
	}
}
