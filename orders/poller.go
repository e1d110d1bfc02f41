package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Poller takes NuORDER's orders into the OMS. One process of an environment is active; others stand by.
type Poller struct {
	Deps
	cfg Config
	// now asks for a poll before its time; one request is enough, hence the capacity.
	now chan struct{}
	// stir tells the pump that rows may be due.
	stir chan struct{}

	mu sync.Mutex
	// busy holds the orders that a worker has.
	busy map[string]bool
	// rest is until when nothing is started, after a far end asked for a pause.
	rest time.Time
}

// New makes a poller. It starts nothing and touches no network.
func New(d Deps, c Config) (*Poller, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("orders of environment %q: %w", c.Environment, err)
	}
	if d.Portal == nil || d.OMS == nil || d.Intents == nil || d.Lock == nil || d.Log == nil {
		return nil, fmt.Errorf("orders of environment %q: portal, OMS, intent log, lock and log are needed", c.Environment)
	}
	return &Poller{
		Deps: d, cfg: c, now: make(chan struct{}, 1), stir: make(chan struct{}, 1), busy: map[string]bool{},
	}, nil
}

// Poll asks the running poller to poll at once. It does not block.
func (p *Poller) Poll() { poke(p.now) }

// Stir asks the running poller to look at the log at once, such as after an order was released. It does not block.
func (p *Poller) Stir() { poke(p.stir) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run polls and takes orders forward until the context ends; it stands by while another process is active. It gives the context's
// error, or that of a failure that going on would make worse.
func (p *Poller) Run(ctx context.Context) error {
	pause := p.cfg.Retry
	for {
		err := p.Lock.Hold(ctx, p.cfg.Environment, p.active)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fault.KindOf(err) == fault.Halt {
			return fmt.Errorf("orders of environment %q: %w", p.cfg.Environment, err)
		}
		p.Log.Warn("orders stand by", slog.String("environment", p.cfg.Environment), slog.String("code", fault.CodeOf(err)),
			slog.Any("error", err), slog.Duration("again_in", pause))
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// active is the work of the one active poller.
func (p *Poller) active(ctx context.Context, fence int64) error {
	p.Log.Info("orders are polled here", slog.String("environment", p.cfg.Environment), slog.Int64("fence", fence))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := p.pump(ctx, fence, nil); err != nil {
			cancel(err)
		}
	})
	err := p.polls(ctx, fence)
	cancel(err)
	tasks.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// polls lists orders at every interval and whenever asked. A failed poll is tried again soon; orders already seen go on meanwhile.
func (p *Poller) polls(ctx context.Context, fence int64) error {
	failures := 0
	for {
		next := p.cfg.Every
		if fresh, err := p.list(ctx, fence); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			next = min(p.backoff(failures, err), p.cfg.Every)
			failures++
			p.told(err, next)
		} else {
			failures = 0
			p.told(nil, next)
			if fresh > 0 {
				p.Log.Info("orders seen", slog.String("environment", p.cfg.Environment), slog.Int("new", fresh))
			}
			p.Stir()
		}
		if err := p.untilPoll(ctx, next); err != nil {
			return err
		}
	}
}

// told tells how the last poll ended: whoever listens logs it, else the poller does.
func (p *Poller) told(err error, next time.Duration) {
	switch {
	case p.Polled != nil:
		p.Polled(err)
	case err != nil:
		p.Log.Warn("orders could not be listed", slog.String("environment", p.cfg.Environment),
			slog.String("code", fault.CodeOf(err)), slog.Any("error", err), slog.Duration("again_in", next))
	}
}

// untilPoll waits for the next poll: its time, a call of Poll, or a request that another process wrote.
func (p *Poller) untilPoll(ctx context.Context, wait time.Duration) error {
	timer, look := time.NewTimer(wait), time.NewTicker(2*time.Second)
	defer timer.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-p.now:
			return nil
		case <-look.C:
			// A log that cannot be read is told by the pump.
			if asked, err := p.Intents.PollAsked(ctx, p.cfg.Environment); err == nil && asked {
				return nil
			}
		}
	}
}

// list reads the ids of every polled status and writes a row for each before anything else is done with it. Every poll reads the
// whole list: what a page shift or a late index hid is in the next one, and modification times play no part.
func (p *Poller) list(ctx context.Context, fence int64) (int, error) {
	fresh := 0
	if err := p.Intents.PollBegan(ctx, p.cfg.Environment, fence); err != nil {
		return 0, err
	}
	listed := []string{} // never nil: a NULL list would match nothing
	for _, status := range p.cfg.Statuses {
		ids, err := p.Portal.OrderIDs(ctx, status)
		if err != nil {
			return fresh, fmt.Errorf("list orders in status %s: %w", status, err)
		}
		listed = append(listed, ids...)
		p.at(IDsListed)
		for page := range slices.Chunk(ids, 500) {
			n, err := p.see(ctx, fence, page)
			if err != nil {
				return fresh, err
			}
			fresh += n
			p.at(RowSeen)
		}
	}
	if err := p.Intents.Absent(ctx, p.cfg.Environment, fence, listed); err != nil {
		return fresh, err
	}
	if _, err := p.Intents.Forget(ctx, p.cfg.Environment, p.cfg.Keep); err != nil {
		return fresh, err
	}
	p.Stir() // what was seen goes on meanwhile
	return fresh, p.others(ctx, fence)
}

// others reads the lists of orders that are not imported: of those that were, someone set the status; the others moved stock.
func (p *Poller) others(ctx context.Context, fence int64) error {
	listed := []string{} // never nil: a NULL list would match nothing
	for _, status := range slices.Concat(p.cfg.Watch, p.cfg.Sight) {
		ids, err := p.Portal.OrderIDs(ctx, status)
		if err != nil {
			return fmt.Errorf("list orders in status %s: %w", status, err)
		}
		if slices.Contains(p.cfg.Watch, status) {
			for page := range slices.Chunk(ids, sightPage) {
				if err := p.Intents.Watch(ctx, p.cfg.Environment, fence, page); err != nil {
					return err
				}
			}
		}
		if err := p.sight(ctx, status, ids); err != nil {
			return fmt.Errorf("look at the stock of orders in status %s: %w", status, err)
		}
		listed = append(listed, ids...)
	}
	if err := p.gone(ctx, listed); err != nil {
		return fmt.Errorf("look at the stock of orders that are gone: %w", err)
	}
	return nil
}

// see writes rows for a page of ids and tells how many are new.
func (p *Poller) see(ctx context.Context, fence int64, page []string) (int, error) {
	sightings := make([]ledger.Sighting, len(page))
	for n, id := range page {
		sightings[n] = ledger.Sighting{NuORDERID: id, Trace: p.seen(ctx)}
	}
	seen, err := p.Intents.See(ctx, p.cfg.Environment, fence, p.Lock.Owner(), sightings)
	return len(seen), err
}

// Once polls once and takes every order as far as it goes without waiting for a settle window or a back-off. It waits while
// another process is active.
func (p *Poller) Once(ctx context.Context) error {
	return p.Lock.Hold(ctx, p.cfg.Environment, func(ctx context.Context, fence int64) error {
		if _, err := p.list(ctx, fence); err != nil {
			return err
		}
		idle := errors.New("nothing is due")
		err := p.pump(ctx, fence, idle)
		if errors.Is(err, idle) {
			return nil
		}
		return err
	})
}

// backoff is the pause after a number of failures in a row, or what the far end asked for if that is longer.
func (p *Poller) backoff(failures int, err error) time.Duration {
	d := p.cfg.Retry << min(failures, 20)
	if d <= 0 || d > p.cfg.RetryMax {
		d = p.cfg.RetryMax
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		d = max(d, e.After)
	}
	return d
}

// sleep waits, and tells whether the context still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
