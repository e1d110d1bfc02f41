package orders

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
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
		seen := make([]ledger.Sighted, 0, len(page))
		if first {
			for _, id := range page {
				seen = append(seen, ledger.Sighted{NuORDERID: id})
			}
		} else {
			if page, err = p.Intents.Unsighted(ctx, p.cfg.Environment, status, page); err != nil {
				return err
			}
			if seen, err = p.lookAt(ctx, status, page); err != nil {
				return err
			}
		}
		if len(seen) == 0 {
			continue
		}
		if err := p.Intents.Sighted(ctx, p.cfg.Environment, status, seen); err != nil {
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
func (p *Poller) lookAt(ctx context.Context, status string, ids []string) ([]ledger.Sighted, error) {
	var mu sync.Mutex
	var done []ledger.Sighted
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
			products, err := p.lookAtOne(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done = append(done, ledger.Sighted{NuORDERID: id, Products: products})
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

// lookAtOne puts the stock of an order's lines in doubt and gives their products.
func (p *Poller) lookAtOne(ctx context.Context, id string) (products string, err error) {
	raw, err := p.Portal.Order(ctx, id)
	if fault.CodeOf(err) == "not_found" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	o, err := ParseOrder(raw)
	if err != nil || len(o.Lines) == 0 {
		return "", err
	}
	if products, err = productsOf(o.Lines); err != nil {
		return "", err
	}
	return products, p.Stock.DoubtStock(ctx, p.cfg.Environment, o.Lines)
}

// productOf names the product of a line.
type productOf struct {
	ID    string `json:"id,omitempty"`
	Brand string `json:"brand_id,omitempty"`
}

// productsOf writes the products of lines, each once.
func productsOf(lines []Line) (string, error) {
	var list []productOf
	for _, l := range lines {
		if one := (productOf{l.ProductID, l.BrandID}); !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// gone puts the stock in doubt of orders that were seen in a status that is not imported and are in no list any more, such as one that was
// deleted: NuORDER gave their stock back, or did not, and nobody can be asked for their lines. // decision 5
func (p *Poller) gone(ctx context.Context, listed []string) error {
	if p.Stock == nil {
		return nil
	}
	orders, err := p.Intents.UnlistedSightings(ctx, p.cfg.Environment, p.cfg.Sight, listed)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(orders, sightPage) {
		var lines []Line
		for _, o := range page {
			var list []productOf
			if o.Products == "" || json.Unmarshal([]byte(o.Products), &list) != nil {
				continue
			}
			for _, one := range list {
				lines = append(lines, Line{ProductID: one.ID, BrandID: one.Brand})
			}
		}
		if len(lines) > 0 {
			if err := p.Stock.DoubtStock(ctx, p.cfg.Environment, lines); err != nil {
				return err
			}
		}
		if err := p.Intents.ForgetSightings(ctx, p.cfg.Environment, page); err != nil {
			return err
		}
	}
	return nil
}
