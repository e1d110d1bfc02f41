package orders

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"nubridge/internal/ledger"
	"nubridge/orders/oms"
)

// search asks the OMS for an order whose create is unanswered. Found: adopted. Not found before the settle window's end: asked again.
// Not found after it, twice in all: one more create, as long as there are attempts left. // I4
func (p *Poller) search(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	ctx, end := p.span(ctx, i, "orders.search")
	next, err := p.searchIn(ctx, fence, i)
	end(err)
	return next, err
}

func (p *Poller) searchIn(ctx context.Context, fence int64, i *ledger.Intent) (*ledger.Intent, error) {
	if !p.OMS.CanSearch() {
		return p.quarantine(ctx, fence, i, "cannot_search",
			"the answer of the create was lost and this OMS cannot be searched by reference: look there for "+i.Reference()+
				", then adopt its number or release the order")
	}
	draft, err := p.OMS.Draft(oms.Order{Environment: i.Environment, Reference: i.Reference(), JSON: []byte(i.Order)})
	if err != nil {
		return nil, err
	}
	found, err := p.OMS.Search(ctx, draft)
	if err != nil {
		return nil, fmt.Errorf("search the OMS for %s: %w", i.Reference(), err)
	}
	if len(found) > 0 {
		return p.adopt(ctx, fence, i, found, "found after a lost answer")
	}
	searches := i.Searches + 1
	m := ledger.Move{
		Fence: fence, Owner: p.Lock.Owner(), Searches: &searches, Failures: ledger.In(0), Code: i.Code, Reason: i.Reason,
	}
	// The row was read before this search began, so a settle window that had ended then had ended for the search.
	left := i.Settle.Sub(i.Now)
	switch {
	case left > 0 || searches < 2:
		wait := max(left, p.cfg.Settle/2)
		if i.Searches == 0 && left > 0 {
			wait = left / 2
		}
		m.Step, m.Detail, m.DueIn = "searched", "not found, "+left.Round(time.Millisecond).String()+" of the settle window left", &wait
	case i.Attempts >= p.cfg.Attempts:
		return p.quarantine(ctx, fence, i, "attempts_used", fmt.Sprintf(
			"%d creates went unanswered and the OMS shows no order %s: look there, then adopt its number or release the order",
			i.Attempts, i.Reference()))
	default:
		m.To, m.Step, m.Detail = ledger.Seen, "not there", fmt.Sprintf("%d searches found nothing, the settle window is over", searches)
		m.DueIn, m.Code, m.Reason = ledger.In(time.Duration(0)), "", ""
	}
	return p.Intents.Move(ctx, i, m)
}

// adopt takes the OMS order that carries the reference. Several, or one that is another order, are a question to a person.
func (p *Poller) adopt(ctx context.Context, fence int64, i *ledger.Intent, found []oms.Found, how string) (*ledger.Intent, error) {
	if len(found) > 1 {
		numbers := make([]string, len(found))
		for n, f := range found {
			numbers[n] = f.Number
			if n > 0 {
				if err := p.Intents.Double(ctx, i, f.Number, "search"); err != nil {
					return nil, err
				}
			}
		}
		p.doubled(i, numbers[0], numbers[1])
		return p.quarantine(ctx, fence, i, ledger.CodeDoubled, "the OMS has "+fmt.Sprint(len(found))+" orders with reference "+i.Reference()+
			": "+strings.Join(numbers, ", ")+"; cancel all but one there, then adopt the one that stays")
	}
	if found[0].Differs {
		return p.quarantine(ctx, fence, i, ledger.CodeDiffers, "OMS order "+found[0].Number+" carries reference "+i.Reference()+
			" but is not this order: compare them, then adopt it or correct the reference in the OMS")
	}
	return p.created(ctx, fence, i, found[0].Number, how)
}

// quarantine asks a person.
func (p *Poller) quarantine(ctx context.Context, fence int64, i *ledger.Intent, code, reason string) (*ledger.Intent, error) {
	p.Log.Error("an order waits for a person", slog.String("order", i.NuORDERID), slog.String("code", code), slog.String("reason", reason))
	return p.Intents.Move(ctx, i, ledger.Move{
		To: ledger.Quarantined, Step: "quarantined", Detail: reason, Fence: fence, Owner: p.Lock.Owner(), Code: code, Reason: reason,
	})
}
