package orders

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"nubridge/internal/fault"
)

// sightPage is how many ids are compared with the log at once.
const sightPage = 5000

// sight looks at orders that are new in a status whose orders are not imported, such as one that was placed and cancelled between two
// polls: NuORDER moved the stock of their lines, and may give nothing back. What the first reading of a list holds is older than the
// stock that was sent. An order is noted once its stock is in doubt, so that a failure is made good by the next poll. // decision 5
func (p *Poller) sight(ctx context.Context, status string, ids []string) error {
	if p.Stock == nil {
		return nil
	}
	first, err := p.Intents.SightBegan(ctx, p.cfg.Environment, status)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(ids, sightPage) {
		if !first {
			if page, err = p.Intents.Unsighted(ctx, p.cfg.Environment, status, page); err != nil {
				return err
			}
			if page, err = p.lookAt(ctx, status, page); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			continue
		}
		if err := p.Intents.Sighted(ctx, p.cfg.Environment, status, page); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	return p.Intents.SightEnded(ctx, p.cfg.Environment, status)
}

// lookAt reads orders and puts the stock of their lines in doubt, and gives those with which it is done. An order that cannot be read
// does not hold up the others. // I7
func (p *Poller) lookAt(ctx context.Context, status string, ids []string) ([]string, error) {
	var mu sync.Mutex
	var done []string
	var failed error
	slots := make(chan struct{}, p.cfg.Workers)
	var workers sync.WaitGroup
	for _, id := range ids {
		slots <- struct{}{}
		mu.Lock()
		stop := ctx.Err() != nil || failed != nil
		mu.Unlock()
		if stop {
			break
		}
		workers.Go(func() {
			defer func() { <-slots }()
			err := p.lookAtOne(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done = append(done, id)
			case fault.CodeOf(err) == codeUnreadable:
				p.Log.Warn("an order's stock was not looked at", slog.String("order", id), slog.String("status", status), slog.Any("error", err))
			default:
				failed = errors.Join(failed, err)
			}
		})
	}
	workers.Wait()
	if failed != nil && len(done) > 0 {
		failed = errors.Join(failed, p.Intents.Sighted(ctx, p.cfg.Environment, status, done))
	}
	return done, failed
}

func (p *Poller) lookAtOne(ctx context.Context, id string) error {
	raw, err := p.Portal.Order(ctx, id)
	if fault.CodeOf(err) == "not_found" {
		return nil
	}
	if err != nil {
		return err
	}
	o, err := ParseOrder(raw)
	if err != nil || len(o.Lines) == 0 {
		return err
	}
	return p.Stock.DoubtStock(ctx, p.cfg.Environment, o.Lines)
}
