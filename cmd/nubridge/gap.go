package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/internal/telemetry"
	"nubridge/mapper"
)

type acceptGapCmd struct {
	configured
	JSON        bool   `help:"Print JSON."`
	Flow        string `help:"Accept what a flow's group has skipped, instead of what capture has lost." placeholder:"FLOW"`
	Environment string `short:"e" help:"The flow's environment; needed where there are several." placeholder:"NAME"`
	Reason      string `help:"Why; it is kept." required:"" placeholder:"TEXT"`
	Yes         bool   `help:"Do it; without, only show the gap."`
}

// Example implements exampled.
func (acceptGapCmd) Example() string {
	return `nubridge accept-gap --reason "slot dropped during the migration" --yes` + "\n" +
		`nubridge accept-gap --flow products --environment production --reason "topic was made anew" --yes`
}

// Run shows the discontinuity that stopped capture or a flow, and with --yes goes on behind it. Capture goes on at its next start.
func (c acceptGapCmd) Run(ctx context.Context, s std) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("expected --reason, which is kept")}
	}
	if c.Flow != "" {
		return c.flow(ctx, s)
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if cfg.Capture.Off {
		return usageError{errors.New("capture is off in this configuration; expected the one of the instance that captures")}
	}
	tables, err := capturedTables(cfg)
	if err != nil {
		return err
	}
	store, err := openLedger(ctx, cfg)
	if err != nil {
		return err
	}
	defer store.Close()
	config := captureConfig(cfg, tables)
	captures := ledger.NewCaptures(store.Pool())
	deps := pgsource.Deps{Store: captures, Log: telemetry.NewLogger(s.err, cfg.Log.Format, slog.LevelWarn.String())}
	gap, err := pgsource.Gap(ctx, config, deps)
	if err == nil && gap == nil {
		gap, err = changedTopics(ctx, cfg, config, captures)
	}
	if err != nil {
		return err
	}
	behind := false
	if gap == nil {
		if gap, err = standing(ctx, store); err != nil {
			return err
		}
		behind = slices.Contains([]string{pgsource.CodeRowTooLarge, pgsource.CodeSpillFull, pgsource.CodePublication}, fault.CodeOf(gap))
	}
	out := gapReport{Capture: cfg.Capture.Name, Snapshot: cfg.Capture.Snapshot}
	if gap != nil {
		out.Gap = gap.Error()
	}
	if gap != nil && c.Yes {
		err := store.Record(ctx, ledger.Action{Who: whoami(), What: "capture.accept_gap", Reason: c.Reason})
		if err == nil && behind { // first, since a try in between would begin at the same place again
			err = dropIdle(ctx, config)
		}
		if err == nil {
			err = captures.AcceptGap(ctx, cfg.Capture.Name, c.Reason)
		}
		if err == nil {
			err = pgsource.DropLost(ctx, config)
		}
		if err == nil {
			err = store.Mended(ctx)
		}
		if err != nil {
			return err
		}
		out.Accepted = true
	}
	return out.print(s, c.JSON)
}

// standing gives the halt of a running instance's capture that is mended by accepting a gap, nil if there is none: what the log holds
// cannot be compared with anything recorded, and only who met it knows.
func standing(ctx context.Context, store *ledger.Store) (gap, failed error) {
	reports, err := store.Reports(ctx, reportFresh)
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		var s instanceState
		if json.Unmarshal(r.State, &s) != nil {
			continue // of another version
		}
		for _, p := range s.Parts {
			if p.Part == "capture" && p.State == string(lifecycle.Halted) && strings.Contains(p.Mend, "nubridge accept-gap") {
				return fault.New(fault.Halt, p.Code, "%s", p.Cause), nil
			}
		}
	}
	return nil, nil
}

// dropIdle drops the slot, so that the next start makes a new one at the end of the log, once no try of the halted capture reads it.
func dropIdle(ctx context.Context, config pgsource.Config) error {
	wait, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	for {
		err := pgsource.DropSlot(ctx, config)
		if fault.CodeOf(err) != pgsource.CodeSlotActive || !pauseFor(wait, time.Second) {
			return err
		}
	}
}

// changedTopics compares the topics with how capture left them: one that was made anew, or that has other partitions, may lack
// changes that were acknowledged.
func changedTopics(ctx context.Context, cfg *config.Config, source pgsource.Config, captures *ledger.Captures) (gap, failed error) {
	recorded, err := captures.Topics(ctx, cfg.Capture.Name)
	if err != nil || len(recorded) == 0 {
		return nil, err
	}
	client, err := newKafka(cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := ping(ctx, client.Ping); err != nil {
		return nil, err
	}
	tables, err := pgsource.Tables(ctx, source)
	if err != nil {
		return nil, err
	}
	wanted := written(known(recorded), tables)
	names := make([]string, len(wanted))
	for i, t := range wanted {
		names[i] = t.Name
	}
	infos, err := client.DescribeTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	return kafkalog.Changed(wanted, infos), nil
}

// gapReport is a gap of the capture and what became of it.
type gapReport struct {
	Capture  string `json:"capture"`
	Gap      string `json:"gap,omitempty"`
	Accepted bool   `json:"accepted"`
	Snapshot string `json:"snapshot"`
}

func (g gapReport) print(s std, asJSON bool) error {
	if asJSON {
		return printJSON(s.out, g)
	}
	switch {
	case g.Gap == "":
		fmt.Fprintf(s.out, "capture %s has no gap\n", g.Capture)
		return nil
	case !g.Accepted:
		fmt.Fprintf(s.out, "capture %s: %s\nadd --yes to go on behind it\n", g.Capture, g.Gap)
		return nil
	}
	fmt.Fprintf(s.out, "capture %s: the gap is accepted\n", g.Capture)
	text := "a running bridge goes on by itself, else start nubridge run: capture begins a new epoch and loads the tables again; " +
		"what was deleted meanwhile is found by: nubridge replay FLOW --all"
	if g.Snapshot == string(pgsource.SnapshotNever) {
		text = "a running bridge goes on by itself; capture.snapshot is never: what changed in the gap is found by: nubridge snapshot start, and nubridge replay FLOW --all"
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}

// flowGap is one partition whose group and ledger do not meet.
type flowGap struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Group     int64  `json:"group_offset"`
	Settled   int64  `json:"settled_offset"`
	Start     int64  `json:"log_start"`
	End       int64  `json:"log_end"`
	Next      int64  `json:"reads_on_at"`
	Missed    int64  `json:"records_missed"`
}

// flow accepts what lies between a group's offsets and the ledger's checkpoints.
func (c acceptGapCmd) flow(ctx context.Context, s std) error {
	flow, err := sinkFlow(c.Flow)
	if err != nil {
		return err
	}
	o, err := oneEnvironment{configured: c.configured, Environment: c.Environment}.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	client, err := newKafka(o.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := ping(ctx, client.Ping); err != nil {
		return err
	}
	topics, err := c.flowTopics(ctx, o, client, flow)
	if err != nil {
		return err
	}
	offsets, err := client.GroupOffsets(ctx, groupID(o.name, flow), topics)
	if err != nil {
		return err
	}
	gaps, next := []flowGap{}, map[cdc.Partition]int64{}
	for p, at := range offsets {
		checkpoint, known, err := o.store.Look(ctx, o.name, flow, p)
		if err != nil {
			return err
		}
		if g, is := gapAt(p, at, checkpoint, known); is {
			gaps, next[p] = append(gaps, g), g.Next
		}
	}
	if c.Yes && len(gaps) > 0 {
		if err := resetIdle(ctx, client, groupID(o.name, flow), next); err != nil {
			return err
		}
		err := o.store.Record(ctx, ledger.Action{Who: whoami(), What: "flow.accept_gap", Environment: o.name, Flow: string(flow), Reason: c.Reason})
		if err == nil {
			err = o.store.Skip(ctx, o.name, flow, next)
		}
		if err == nil {
			err = o.store.Mended(ctx)
		}
		if err != nil {
			return err
		}
	}
	return c.printFlow(s, o.name+" "+string(flow), gaps)
}

// flowTopics gives the topics that a flow has read, by the ledger, and those that it reads by its mapping: a ledger that was lost names
// none. A mapping that does not compile is told elsewhere.
func (c acceptGapCmd) flowTopics(ctx context.Context, o *operator, client *kafkalog.Client, flow mapper.Flow) ([]string, error) {
	topics, err := o.store.Topics(ctx, o.name, flow)
	if err != nil {
		return nil, err
	}
	there, err := client.Topics(ctx, o.cfg.Capture.TopicPrefix+".")
	if err != nil {
		return nil, err
	}
	m, err := compileMapping(ctx, o.cfg, o.env)
	if err != nil {
		return topics, nil //nolint:nilerr // see above
	}
	defer m.close()
	for _, table := range m.mapping.Tables(flow) {
		if topic := pgsource.Topic(o.cfg.Capture.TopicPrefix, table); slices.Contains(there, topic) && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

// idleWait is how long the halted instances may take to leave the group: one after the other gets the partitions and halts too.
const idleWait = 30 * time.Second

// resetIdle sets a group's offsets once nobody is in the group.
func resetIdle(ctx context.Context, client *kafkalog.Client, group string, next map[cdc.Partition]int64) error {
	wait, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	for {
		err := client.ResetGroup(ctx, group, next)
		if fault.CodeOf(err) != "group_active" || !pauseFor(wait, time.Second) {
			return err
		}
	}
}

// gapAt finds where a flow would read on in a partition whose group and checkpoint do not meet, as the flow's own check does.
func gapAt(p cdc.Partition, at kafkalog.GroupOffset, c ledger.Checkpoint, known bool) (flowGap, bool) {
	g := flowGap{Topic: p.Topic, Partition: p.ID, Group: at.Committed, Settled: c.Next, Start: at.Start, End: at.End}
	switch {
	case !known && at.Committed > at.Start: // a ledger that was lost: what of this was settled, nobody knows
		g.Next, g.Settled = at.Committed, at.Start
		g.Missed = at.Committed - at.Start
		return g, true
	case !known:
		return g, false
	case at.End < c.Next: // the topic was made anew or cut: read it from its start
		g.Next = at.Start
	case at.Committed >= 0 && at.Committed < at.Start: // expired unread
		g.Next = at.Start
	case at.Committed < 0 && c.Next > at.Start: // the group's offset expired; the ledger knows where it was
		g.Next = c.Next
	case at.Committed < 0 && at.Start > c.Next && c.Next > 0:
		g.Next = at.Start
	case at.Committed > c.Next:
		g.Next = at.Committed
	default:
		return g, false
	}
	if g.Next > c.Next {
		g.Missed = g.Next - c.Next
	}
	return g, true
}

func (c acceptGapCmd) printFlow(s std, name string, gaps []flowGap) error {
	if c.JSON {
		return printJSON(s.out, map[string]any{"flow": name, "accepted": c.Yes && len(gaps) > 0, "gaps": gaps})
	}
	if len(gaps) == 0 {
		_, err := fmt.Fprintf(s.out, "%s has no gap\n", name)
		return err
	}
	missed := int64(0)
	for _, g := range gaps {
		missed += g.Missed
		fmt.Fprintf(s.out, "%s:%d: the group is at %d, the ledger has settled up to %d, the log holds %d to %d: reads on at %d\n",
			g.Topic, g.Partition, g.Group, g.Settled, g.Start, g.End, g.Next)
	}
	text := "add --yes to go on there"
	if c.Yes {
		text = "accepted; a running bridge goes on by itself; find what was missed by: nubridge replay " + c.Flow + " --all"
	}
	_, err := fmt.Fprintf(s.out, "%s: %d records were missed; %s\n", name, missed, text)
	return err
}
