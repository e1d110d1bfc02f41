package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
)

// runwayAlarm is the room for WAL, in seconds, below which a person should look.
const runwayAlarm = 6 * 3600

// finding adds a reason and worsens the verdict.
func (r *statusReport) finding(verdict, format string, args ...any) {
	r.Verdict = worse(r.Verdict, verdict)
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

// judge forms the verdict, the worst reason first for whoever reads one line alone.
func (r *statusReport) judge() {
	if !r.Instance.Reached && r.Instance.Address != "" && len(r.Instances) == 0 {
		r.finding(verdictStopped, "%s: is nubridge running? (--server names another address)", r.Instance.Trouble)
	}
	if r.held {
		r.finding(verdictAttention, "a changed mapping is held because it alters much; nubridge reload --confirm takes it over")
	}
	r.judgeCapture(r.judgeParts())
	for i := range r.Environments {
		e := &r.Environments[i]
		for j := range e.Flows {
			r.judgeFlow(e.Name, &e.Flows[j])
		}
		if p := e.NuORDER; p != nil {
			for class, state := range p.Breakers {
				if state != "closed" {
					r.finding(verdictStopped, "%s: the breaker of %s is %s: NuORDER fails there, and is tried again by itself", e.Name, class, state)
				}
			}
			if p.PausedUntil != nil && p.PausedUntil.After(r.At) {
				r.finding(verdictBehind, "%s: NuORDER asked us to wait (%s)", e.Name, p.PauseCode)
			}
		}
		r.judgeOrders(e.Name, e.Orders)
	}
}

// judgeParts names the parts that stand still, and tells whether capture is one.
func (r *statusReport) judgeParts() (capture bool) {
	for _, p := range r.parts {
		if p.State == string(lifecycle.Halted) || p.State == string(lifecycle.Failing) {
			r.finding(verdictStopped, "%s", partLine(p.Part, p.State, p.Code, p.Cause, p.Mend))
			capture = capture || p.Part == "capture" || strings.HasSuffix(p.Part, ": capture")
		}
	}
	return capture
}

func (r *statusReport) judgeCapture(told bool) {
	c := r.Capture
	switch {
	case c == nil:
		return
	case told: // by the instance that captures, with the cause
	case c.unread:
		r.finding(verdictStopped, "%s", c.SourceError)
	case !c.recorded:
		r.finding(verdictStopped, "capture has never run; start it with nubridge run")
	case !c.SlotExists:
		r.finding(verdictStopped, "slot %s is gone: changes since %s are not in the feed; nubridge accept-gap loads the tables again", c.Slot, c.AcknowledgedLSN)
	case c.WALStatus == "lost":
		r.finding(verdictStopped, "slot %s is lost: the server dropped its WAL; nubridge accept-gap loads the tables again", c.Slot)
	case !c.Active:
		r.finding(verdictStopped, "nobody reads slot %s; it holds %s of WAL", c.Slot, size(c.RetainedBytes))
	}
	if c.RunwayS != nil && *c.RunwayS < runwayAlarm && c.BehindBytes > 64<<20 {
		r.finding(verdictAttention, "the slot is lost in about %s if it is not read", ago(time.Duration(*c.RunwayS)*time.Second))
	}
	for _, s := range c.Snapshots {
		r.finding(verdictBehind, "snapshot of %s is %s, %d of about %d rows", s.Table, s.Status, s.Rows, s.Estimated)
	}
}

func (r *statusReport) judgeFlow(environment string, f *flowReport) {
	name := environment + " " + f.Flow
	switch f.State {
	case "paused":
		r.finding(verdictStopped, "%s is paused since %s (%s): %s; nubridge resume %s -e %s", name, ago(r.At.Sub(*f.Since)), f.Code, f.Reason, f.Flow, environment)
	case "throttled":
		r.finding(verdictBehind, "%s waits (%s): %s", name, f.Code, f.Reason)
	}
	if f.Lag > 0 || f.Asked > 0 || f.loop != nil && f.loop.Keys > 0 {
		r.Verdict = worse(r.Verdict, verdictBehind)
	}
	if f.Parked > 0 {
		top := ""
		if len(f.Reasons) > 0 {
			top = ", mostly " + f.Reasons[0].Code
		}
		r.finding(verdictAttention, "%s: %d keys are parked%s; nubridge parked list --flow %s -e %s", name, f.Parked, top, f.Flow, environment)
	}
	if f.Counts.Missing != 0 {
		r.finding(verdictAttention, "%s: the account of touches is off by %d, which is a fault of nubridge", name, f.Counts.Missing)
	}
}

func (r *statusReport) judgeOrders(environment string, o *ordersReport) {
	if o == nil {
		return
	}
	for _, s := range o.States {
		switch ledger.IntentState(s.State) {
		case ledger.Quarantined, ledger.Held:
			r.finding(verdictAttention, "%s: %d orders are %s; nubridge orders list --state %s -e %s", environment, s.Orders, s.State, s.State, environment)
		case ledger.Seen, ledger.Intended, ledger.Ambiguous, ledger.Created, ledger.Marked:
			r.Verdict = worse(r.Verdict, verdictBehind)
		}
	}
	if o.Doubled > 0 {
		r.finding(verdictAttention, "%s: %d OMS orders share a reference; nubridge verify orders -e %s", environment, o.Doubled, environment)
	}
	if o.Changed > 0 {
		r.finding(verdictAttention, "%s: %d orders were changed at NuORDER after they came into the OMS; nubridge orders list --changed -e %s", environment, o.Changed, environment)
	}
}

// print writes the report for a person: the verdict word first, then why, then the figures.
func (r *statusReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%s\n", strings.ReplaceAll(r.Verdict, "_", " "))
	for _, why := range r.Why {
		fmt.Fprintf(out, "  - %s\n", why)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if r.Capture != nil {
		r.Capture.print(w)
	}
	if len(r.Instances) > 1 {
		fmt.Fprint(w, "\ninstance\ttold\tkeys\tin flight\tpartitions\n")
		for _, i := range r.Instances {
			fmt.Fprintf(w, "%s\t%s ago\t%d\t%d\t%d\n", i.Name, ago(time.Duration(i.AgeS*float64(time.Second))), i.Keys, i.InFlight, i.Partitions)
		}
	}
	for _, e := range r.Environments {
		e.print(w)
	}
	return w.Flush()
}

func (c *captureReport) print(w io.Writer) {
	fmt.Fprintf(w, "\ncapture %s\tslot %s\tconfirmed %s\tbehind %s\tretained %s\trunway %s\n",
		c.Name, c.Slot, orDash(c.ConfirmedLSN), size(c.BehindBytes), size(c.RetainedBytes), c.runway())
	for _, s := range c.Snapshots {
		left := "-"
		if s.LeftS != nil {
			left = ago(time.Duration(*s.LeftS * float64(time.Second)))
		}
		fmt.Fprintf(w, "  snapshot %s\t%s\t%d of %d rows\t%.0f/s\tleft %s\n", s.Table, s.Status, s.Rows, s.Estimated, s.RowsPerS, left)
	}
}

func (c *captureReport) runway() string {
	switch {
	case c.RunwayBytes == nil:
		return "unbounded (max_slot_wal_keep_size is not set)"
	case c.RunwayS == nil:
		return size(*c.RunwayBytes)
	default:
		return size(*c.RunwayBytes) + ", about " + ago(time.Duration(*c.RunwayS)*time.Second)
	}
}

func (e *environmentReport) print(w io.Writer) {
	fmt.Fprintf(w, "\nenvironment %s", e.Name)
	if p := e.NuORDER; p != nil {
		var open []string
		for class, state := range p.Breakers {
			if state != "closed" {
				open = append(open, class+" "+state)
			}
		}
		breaker := "closed"
		if len(open) > 0 {
			breaker = strings.Join(open, ", ")
		}
		fmt.Fprintf(w, "\tbreaker %s\trate %.1f/s\tin flight %d of %d\tcalls %d", breaker, p.RatePerS, p.InFlight, p.Concurrency, p.Calls)
	}
	fmt.Fprint(w, "\nflow\tmode\tstate\tfreshness\tlag\twaiting\tparked\tread\tdelivered\tunchanged\tsuperseded\tfiltered\tcalls\n")
	for _, f := range e.Flows {
		fresh, lag := "-", "-"
		if f.FreshnessS != nil {
			fresh = ago(time.Duration(*f.FreshnessS * float64(time.Second)))
		}
		if f.LagOf {
			lag = fmt.Sprint(f.Lag)
		}
		c := f.Counts
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", f.Flow, f.Mode, f.State, fresh, lag, f.Waiting, f.Parked,
			c.Read, c.Delivered, c.Unchanged, c.Superseded, c.Filtered, c.Calls)
	}
	for _, f := range e.Flows {
		for i, reason := range f.Reasons {
			if i < 3 {
				fmt.Fprintf(w, "  parked %s\t%s\t%d\toldest %s\n", f.Flow, reason.Code, reason.Keys, ago(time.Duration(reason.OldestS*float64(time.Second))))
			}
		}
	}
	if e.Orders == nil {
		return
	}
	fmt.Fprintf(w, "orders_in\t%s", e.Orders.Mode)
	for _, s := range e.Orders.States {
		fmt.Fprintf(w, "\t%s %d (%s)", s.State, s.Orders, ago(time.Duration(s.OldestS*float64(time.Second))))
	}
	fmt.Fprintln(w)
}
