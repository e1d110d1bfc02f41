package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"nubridge/internal/ledger"
	"nubridge/orders"
)

// ordersCmd groups what is done with NuORDER's orders on their way into the OMS.
type ordersCmd struct {
	Poll     ordersPollCmd     `cmd:"" help:"Ask the running bridge to poll NuORDER at once."`
	List     ordersListCmd     `cmd:"" help:"List orders by state with their age."`
	Show     ordersShowCmd     `cmd:"" help:"Show one order with its whole story."`
	Adopt    ordersAdoptCmd    `cmd:"" help:"Take an OMS order as the one that was created for an order."`
	Release  ordersReleaseCmd  `cmd:"" help:"Send an order on its way again, with a reason that is kept."`
	Withdraw ordersWithdrawCmd `cmd:"" help:"End the way of an order that shall not be created, with a reason that is kept."`
}

func (o *operator) desk() *orders.Desk {
	return orders.NewDesk(ledger.NewIntents(o.store.Pool()), o.name, whoami())
}

type ordersPollCmd struct {
	oneEnvironment
	Wait time.Duration `help:"Wait so long for the poll to begin." default:"15s"`
}

// Example implements exampled.
func (ordersPollCmd) Example() string { return "nubridge orders poll --environment production" }

// Run leaves a note for the active poller, wherever it runs, and waits until it begins.
func (c ordersPollCmd) Run(ctx context.Context, s std) error {
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if m := o.env.Flows["orders_in"]; m != "on" && m != "test" {
		return usageError{fmt.Errorf("orders_in of %s is %q; expected on or test", o.name, orDash(m))}
	}
	intents := ledger.NewIntents(o.store.Pool())
	if err := intents.AskPoll(ctx, o.name); err != nil {
		return err
	}
	began, err := awaitPoll(ctx, intents, o.name, c.Wait)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": o.name, "asked": true, "began": began})
	}
	text := "the poll has begun"
	if !began {
		text = "a poll is asked for; no poller has taken it up yet: is nubridge running?"
	}
	_, err = fmt.Fprintf(s.out, "%s: %s\n", o.name, text)
	return err
}

// awaitPoll looks until the note is taken up or the time is over.
func awaitPoll(ctx context.Context, intents *ledger.Intents, environment string, wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		asked, err := intents.PollAsked(ctx, environment)
		if err != nil && ctx.Err() == nil {
			return false, err
		}
		if err == nil && !asked {
			return true, nil
		}
		if !pauseFor(ctx, 100*time.Millisecond) {
			return false, nil
		}
	}
}

// orderRow is an order of the log as it is printed. It holds no buyer's data. // I11
type orderRow struct {
	ID        string     `json:"nuorder_id"`
	State     string     `json:"state"`
	AgeS      float64    `json:"age_s"`
	SeenAt    time.Time  `json:"seen_at"`
	Number    string     `json:"nuorder_number,omitempty"`
	OMSNumber string     `json:"oms_number,omitempty"`
	Reference string     `json:"reference"`
	Attempts  int        `json:"attempts"`
	Code      string     `json:"code,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	DueAt     *time.Time `json:"due_at,omitempty"`
	ChangedAt *time.Time `json:"changed_at,omitempty"`
	Trace     string     `json:"trace,omitempty"`
}

func orderOf(i *ledger.Intent) orderRow {
	r := orderRow{
		ID: i.NuORDERID, State: string(i.State), AgeS: seconds(i.Now.Sub(i.At)), SeenAt: i.SeenAt, Number: i.Number, OMSNumber: i.OMSNumber,
		Reference: i.Reference(), Attempts: i.Attempts, Code: i.Code, Reason: i.Reason, Trace: i.Trace,
	}
	if !i.Due.IsZero() {
		r.DueAt = &i.Due
	}
	if !i.ChangedAt.IsZero() {
		r.ChangedAt = &i.ChangedAt
	}
	return r
}

type ordersListCmd struct {
	oneEnvironment
	State   []string `help:"Only these states, such as QUARANTINED." placeholder:"STATE,..."`
	Changed bool     `help:"Only orders that were changed at NuORDER after they came into the OMS."`
	Limit   int      `help:"Print at most so many." default:"100"`
}

// Example implements exampled.
func (ordersListCmd) Example() string {
	return "nubridge orders list\nnubridge orders list --state QUARANTINED,HELD"
}

// Run lists orders, those longest in their state first.
func (c ordersListCmd) Run(ctx context.Context, s std) error {
	var states []ledger.IntentState
	for _, name := range c.State {
		state := ledger.IntentState(strings.ToUpper(name))
		if !slices.Contains(ledger.IntentStates(), state) {
			return usageError{fmt.Errorf("there is no state %q; expected one of %v", name, ledger.IntentStates())}
		}
		states = append(states, state)
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	var list []*ledger.Intent
	if c.Changed {
		list, err = ledger.NewIntents(o.store.Pool()).ChangedOrders(ctx, o.name, c.Limit)
	} else {
		list, err = o.desk().List(ctx, states, c.Limit)
	}
	if err != nil {
		return err
	}
	rows := []orderRow{}
	for _, i := range list {
		rows = append(rows, orderOf(i))
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": o.name, "orders": rows})
	}
	if len(rows) == 0 {
		_, err = fmt.Fprintln(s.out, "no order fits")
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tAGE\tNUORDER ID\tNUORDER NUMBER\tOMS NUMBER\tTRIES\tWHY")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.State, ago(time.Duration(r.AgeS*float64(time.Second))), r.ID, orDash(r.Number), orDash(r.OMSNumber),
			r.Attempts, orDash(strings.TrimSpace(r.Code+" "+r.Reason)))
	}
	return w.Flush()
}

type ordersShowCmd struct {
	oneEnvironment
	Order string `arg:"" help:"NuORDER _id, reference in the OMS, or OMS number."`
}

// Example implements exampled.
func (ordersShowCmd) Example() string { return "nubridge orders show 100231" }

// stepRow is one line of an order's story.
type stepRow struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step"`
	State  string    `json:"state"`
	Detail string    `json:"detail,omitempty"`
	Owner  string    `json:"owner,omitempty"`
	Fence  int64     `json:"fence,omitempty"`
	Trace  string    `json:"trace,omitempty"`
}

// Run shows an order's story: polls, creates, answers, marks, with trace ids.
func (c ordersShowCmd) Run(ctx context.Context, s std) error {
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	story, err := o.desk().Show(ctx, c.Order)
	if err != nil {
		return err
	}
	steps := []stepRow{}
	for _, t := range story.Steps {
		steps = append(steps, stepRow{t.At, t.Step, string(t.State), t.Detail, t.Owner, t.Fence, t.Trace})
	}
	if c.JSON {
		out := map[string]any{"environment": o.name, "steps": steps}
		if story.Order != nil {
			out["order"] = orderOf(story.Order)
		}
		return printJSON(s.out, out)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	if story.Order != nil {
		r := orderOf(story.Order)
		fmt.Fprintf(w, "order %s\tis %s since %s\nreference\t%s\nNuORDER number\t%s\nOMS number\t%s\ntries\t%d\nwhy\t%s\ntrace\t%s\n\n", r.ID, r.State,
			ago(time.Duration(r.AgeS*float64(time.Second))), r.Reference, orDash(r.Number), orDash(r.OMSNumber), r.Attempts,
			orDash(strings.TrimSpace(r.Code+" "+r.Reason)), orDash(r.Trace))
	}
	for _, t := range steps {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.At.UTC().Format("2006-01-02T15:04:05.000Z"), t.State, t.Step, t.Detail)
	}
	return w.Flush()
}

// oneOrder is what decisions about an order have in common.
type oneOrder struct {
	oneEnvironment
	Order  string `arg:"" help:"NuORDER _id, reference in the OMS, or OMS number."`
	Reason string `help:"Why; it is kept in the order's story." required:"" placeholder:"TEXT"`
	Yes    bool   `help:"Do it; without, only show the order."`
}

// decide shows the order, and with --yes carries the decision out.
func (c oneOrder) decide(ctx context.Context, s std, what string, act func(d *orders.Desk) (*ledger.Intent, error)) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("expected --reason, which is kept in the order's story")}
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	desk := o.desk()
	story, err := desk.Show(ctx, c.Order)
	if err != nil {
		return err
	}
	before, after := story.Order, story.Order
	if before == nil {
		return usageError{fmt.Errorf("order %q was born in the OMS; there is nothing to %s", c.Order, what)}
	}
	if c.Yes {
		if after, err = act(desk); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"environment": o.name, "action": what, "applied": c.Yes, "before": orderOf(before), "after": orderOf(after)})
	}
	if !c.Yes {
		_, err = fmt.Fprintf(s.out, "order %s is %s (%s), OMS number %s; add --yes to %s\n", before.NuORDERID, before.State,
			orDash(strings.TrimSpace(before.Code+" "+before.Reason)), orDash(before.OMSNumber), what)
		return err
	}
	_, err = fmt.Fprintf(s.out, "order %s was %s and is %s, OMS number %s\n", after.NuORDERID, before.State, after.State, orDash(after.OMSNumber))
	return err
}

type ordersAdoptCmd struct {
	oneOrder
	OMSNumber string `help:"The OMS order's number." name:"oms-number" required:"" placeholder:"NUMBER"`
}

// Example implements exampled.
func (ordersAdoptCmd) Example() string {
	return `nubridge orders adopt 66f2c1d0a1b2c3d4e5f60718 --oms-number 100231 --reason "found by phone" --yes`
}

// Run takes an OMS order as the created one, on a person's word.
func (c ordersAdoptCmd) Run(ctx context.Context, s std) error {
	return c.decide(ctx, s, "adopt OMS order "+c.OMSNumber, func(d *orders.Desk) (*ledger.Intent, error) { return d.Adopt(ctx, c.Order, c.OMSNumber, c.Reason) })
}

type ordersReleaseCmd struct{ oneOrder }

// Example implements exampled.
func (ordersReleaseCmd) Example() string {
	return `nubridge orders release 66f2c1d0a1b2c3d4e5f60718 --reason "the OMS has no such order" --yes`
}

// Run releases an order from quarantine or hold, or sets a change after the create aside.
func (c ordersReleaseCmd) Run(ctx context.Context, s std) error {
	return c.decide(ctx, s, "release it", func(d *orders.Desk) (*ledger.Intent, error) { return d.Release(ctx, c.Order, c.Reason) })
}

type ordersWithdrawCmd struct{ oneOrder }

// Example implements exampled.
func (ordersWithdrawCmd) Example() string {
	return `nubridge orders withdraw 66f2c1d0a1b2c3d4e5f60718 --reason "entered by hand" --yes`
}

// Run ends the way of an order that shall not be created.
func (c ordersWithdrawCmd) Run(ctx context.Context, s std) error {
	return c.decide(ctx, s, "withdraw it", func(d *orders.Desk) (*ledger.Intent, error) { return d.Withdraw(ctx, c.Order, c.Reason) })
}
