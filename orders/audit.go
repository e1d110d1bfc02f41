package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/orders/oms"
)

// FindingKind is what an audit may find.
type FindingKind string

// The kinds of findings. Missing and doubled orders are alerts.
const (
	NotSeen      FindingKind = "not_seen"       // listed at NuORDER, and the log has no row
	ForeignOrder FindingKind = "not_ours"       // Processed at NuORDER, neither in the log nor in the OMS: someone else imported it
	Unlogged     FindingKind = "unlogged"       // the OMS has it, the log does not
	MissingInOMS FindingKind = "missing_in_oms" // the log says created, the OMS has no order with the reference
	DoubledInOMS FindingKind = "doubled"        // more than one OMS order has the reference
	OtherNumber  FindingKind = "other_number"   // the OMS order with the reference has another number than the log says
	NotProcessed FindingKind = "not_processed"  // created, and still not Processed at NuORDER
	NumberWrong  FindingKind = "number_differs" // numbered, and NuORDER shows another number
	Gone         FindingKind = "gone"           // imported, and NuORDER no longer knows it
)

// Finding is one difference between NuORDER, the log and the OMS.
type Finding struct {
	Kind      FindingKind
	NuORDERID string
	// Numbers are the OMS numbers that are concerned.
	Numbers []string
	// Text says what was found, Repair what Apply would do; an empty Repair is for a person.
	Text, Repair string

	apply func(ctx context.Context) error
}

// Apply carries the repair out. A finding without one is a reject.
func (f *Finding) Apply(ctx context.Context) error {
	if f.apply == nil {
		return fault.New(fault.Reject, "no_repair", "%s of order %s is for a person to settle", f.Kind, f.NuORDERID)
	}
	return f.apply(ctx)
}

// Audit is what an audit looked at and found.
type Audit struct {
	Findings []Finding
	// Rows of the log, orders listed at NuORDER, and references searched in the OMS.
	Rows, Listed, Searched int
	// Doubled counts references with more than one OMS order: anything but zero is an alert.
	Doubled int
}

// Audit compares NuORDER, the log and the OMS, order by order, and changes nothing but the list of doubles. Orders younger than
// grace are left out: they are on their way.
func (p *Poller) Audit(ctx context.Context, grace time.Duration) (*Audit, error) {
	a := &auditor{p: p, grace: grace}
	approved, processed := map[string]bool{}, map[string]bool{}
	for _, status := range append(slices.Clone(p.cfg.Statuses), p.cfg.MarkAs) {
		ids, err := p.Portal.OrderIDs(ctx, status)
		if err != nil {
			return nil, fmt.Errorf("list orders in status %s: %w", status, err)
		}
		into := approved
		if status == p.cfg.MarkAs {
			into = processed
		}
		for _, id := range ids {
			into[id] = true
		}
		a.out.Listed += len(ids)
	}
	if err := a.listed(ctx, approved, processed); err != nil {
		return nil, err
	}
	after := ""
	for {
		page, err := p.Intents.Page(ctx, p.cfg.Environment, after, 500)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].NuORDERID
		a.out.Rows += len(page)
		if err := a.rows(ctx, page, approved); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(a.out.Findings, func(x, y Finding) int {
		return strings.Compare(string(x.Kind)+x.NuORDERID, string(y.Kind)+y.NuORDERID)
	})
	return &a.out, nil
}

type auditor struct {
	p     *Poller
	grace time.Duration
	out   Audit
}

// listed looks at orders that NuORDER lists and the log does not know.
func (a *auditor) listed(ctx context.Context, approved, processed map[string]bool) error {
	var ids []string
	for id := range approved {
		ids = append(ids, id)
	}
	for id := range processed {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, 500) {
		known, err := a.p.Intents.Known(ctx, a.p.cfg.Environment, part)
		if err != nil {
			return err
		}
		unknown := slices.DeleteFunc(slices.Clone(part), func(id string) bool { return known[id] })
		err = a.each(ctx, len(unknown), func(ctx context.Context, n int) ([]Finding, error) {
			return a.unknown(ctx, unknown[n], approved[unknown[n]])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) unknown(ctx context.Context, id string, approved bool) ([]Finding, error) {
	env := a.p.cfg.Environment
	if approved {
		return []Finding{{
			Kind: NotSeen, NuORDERID: id, Text: "the order is listed at NuORDER and has not been seen by a poll",
			Repair: "poll now", apply: func(ctx context.Context) error { return a.p.Intents.AskPoll(ctx, env) },
		}}, nil
	}
	found, err := a.search(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		// Nothing to repair: other clients may import orders of their own. It is told because it may be a lost row.
		return []Finding{{Kind: ForeignOrder, NuORDERID: id, Text: "the order is " + a.p.cfg.MarkAs + " at NuORDER; neither the log nor the OMS knows it"}}, nil
	}
	number := found[0].Number
	return []Finding{{
		Kind: Unlogged, NuORDERID: id, Numbers: numbersOf(found), Text: "the OMS has the order as " + number + ", the log has no row",
		Repair: "write the row as created with OMS order " + number,
		apply: func(ctx context.Context) error {
			_, err := a.p.Intents.Prove(ctx, ledger.Proof{Environment: env, NuORDERID: id, OMSNumber: number, By: "the audit", Trace: newTrace()})
			return err
		},
	}}, nil
}

// rows looks at rows of the log.
func (a *auditor) rows(ctx context.Context, page []*ledger.Intent, approved map[string]bool) error {
	return a.each(ctx, len(page), func(ctx context.Context, n int) ([]Finding, error) {
		i := page[n]
		if i.Now.Sub(i.At) < a.grace || i.State == ledger.Withdrawn && i.Code == "oms_born" {
			return nil, nil
		}
		return a.row(ctx, i, approved[i.NuORDERID])
	})
}

func (a *auditor) row(ctx context.Context, i *ledger.Intent, approved bool) ([]Finding, error) {
	var out []Finding
	if a.p.OMS.CanSearch() {
		found, err := a.search(ctx, i.NuORDERID, []byte(i.Order))
		if err != nil {
			return nil, err
		}
		out = append(out, a.inOMS(ctx, i, found)...)
	}
	if !i.State.Imported() {
		return out, nil
	}
	if approved {
		out = append(out, Finding{
			Kind: NotProcessed, NuORDERID: i.NuORDERID, Numbers: []string{i.OMSNumber}, Text: "the OMS has the order as " + i.OMSNumber + ", and it is not " + a.p.cfg.MarkAs + " at NuORDER",
			Repair: "mark it at the next look", apply: func(ctx context.Context) error { return a.p.Intents.Remind(ctx, i, true) },
		})
	}
	if i.State != ledger.Numbered {
		return out, nil
	}
	raw, err := a.p.Portal.Order(ctx, i.NuORDERID)
	if fault.CodeOf(err) == "not_found" {
		return append(out, Finding{Kind: Gone, NuORDERID: i.NuORDERID, Numbers: []string{i.OMSNumber}, Text: "NuORDER no longer knows the order; the OMS has it as " + i.OMSNumber}), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", i.NuORDERID, err)
	}
	o, err := ParseOrder(raw)
	if err != nil {
		return nil, err
	}
	if o.Number != i.OMSNumber {
		out = append(out, Finding{
			Kind: NumberWrong, NuORDERID: i.NuORDERID, Numbers: []string{i.OMSNumber}, Text: "NuORDER shows number " + o.Number + ", the OMS has " + i.OMSNumber,
			Repair: "give it number " + i.OMSNumber + " again", apply: func(ctx context.Context) error { return a.p.Renumber(ctx, i, o.Number) },
		})
	}
	return out, nil
}

// inOMS compares a row with what the OMS has under its reference.
func (a *auditor) inOMS(ctx context.Context, i *ledger.Intent, found []oms.Found) []Finding {
	numbers := numbersOf(found)
	switch {
	case len(found) > 1:
		for _, n := range numbers {
			if n != i.OMSNumber {
				// The alert counts these. That it could not be written is told by the audit's own result.
				_ = a.p.Intents.Double(ctx, i, n, "the audit")
			}
		}
		return []Finding{{Kind: DoubledInOMS, NuORDERID: i.NuORDERID, Numbers: numbers, Text: fmt.Sprintf(
			"the OMS has %d orders with reference %s: %s; cancel all but one there", len(found), i.Reference(), strings.Join(numbers, ", "))}}
	case len(found) == 0 && i.State.Imported():
		return []Finding{{Kind: MissingInOMS, NuORDERID: i.NuORDERID, Numbers: []string{i.OMSNumber}, Text: "the log says that the OMS has the order as " + i.OMSNumber +
			", and the OMS has none with reference " + i.Reference()}}
	case len(found) == 1 && i.State.Imported() && numbers[0] != i.OMSNumber:
		return []Finding{{Kind: OtherNumber, NuORDERID: i.NuORDERID, Numbers: []string{i.OMSNumber, numbers[0]}, Text: "the log says OMS order " + i.OMSNumber +
			", and reference " + i.Reference() + " is on " + numbers[0]}}
	case len(found) == 1 && !i.State.Imported():
		number := numbers[0]
		return []Finding{{
			Kind: Unlogged, NuORDERID: i.NuORDERID, Numbers: numbers, Text: "the order is " + string(i.State) + " in the log, and the OMS has it as " + number,
			Repair: "adopt OMS order " + number,
			apply: func(ctx context.Context) error {
				_, err := a.p.Intents.Prove(ctx, ledger.Proof{Environment: i.Environment, NuORDERID: i.NuORDERID, OMSNumber: number, By: "the audit"})
				return err
			},
		}}
	}
	return nil
}

func numbersOf(found []oms.Found) []string {
	out := make([]string, len(found))
	for n, f := range found {
		out[n] = f.Number
	}
	return out
}

// search asks the OMS for a reference. The order's own content plays no part.
func (a *auditor) search(ctx context.Context, id string, order []byte) ([]oms.Found, error) {
	if !a.p.OMS.CanSearch() {
		return nil, nil
	}
	if len(order) == 0 {
		order = []byte("{}")
	}
	return a.p.OMS.SearchReference(ctx, oms.Order{Environment: a.p.cfg.Environment, Reference: ledger.Reference(a.p.cfg.Environment, id), JSON: order})
}

// each runs a check over n orders with the poller's workers and collects the findings.
func (a *auditor) each(ctx context.Context, n int, check func(ctx context.Context, n int) ([]Finding, error)) error {
	results := make([][]Finding, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(a.p.cfg.Workers)
	for k := range n {
		group.Go(func() error {
			found, err := check(ctx, k)
			results[k] = found
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, found := range results {
		for _, f := range found {
			if f.Kind == DoubledInOMS {
				a.out.Doubled++
			}
		}
		a.out.Findings = append(a.out.Findings, found...)
	}
	a.out.Searched += n
	return nil
}
