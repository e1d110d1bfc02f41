package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

type replayCmd struct {
	oneEnvironment
	Flow       string   `arg:"" help:"The flow."`
	Since      string   `help:"Everything that changed since then: a time (RFC 3339), or so long ago, such as 3h." placeholder:"TIME"`
	Until      string   `help:"Nothing that changed after that." placeholder:"TIME"`
	FromOffset []string `help:"Everything from an offset of a partition on; others of the topic are left out." placeholder:"TOPIC:PARTITION:OFFSET"`
	Keys       []string `help:"These keys." placeholder:"KEY,..."`
	All        bool     `help:"Every document that the OMS has, and every object that NuORDER has of us."`
	Force      bool     `help:"Send even what is in step."`
	Apply      bool     `help:"Do it; without, only show the plan."`
	Wait       bool     `help:"After --apply, wait until all of it is settled, with progress."`
}

// Example implements exampled.
func (replayCmd) Example() string {
	return "nubridge replay products --since 3h\n" +
		"nubridge replay products --since 2026-03-01T22:00:00Z --until 2026-03-02T04:00:00Z --apply\n" +
		"nubridge replay inventory --from-offset oms.oms.stock:0:120000 --apply --wait\n" +
		"nubridge replay customers --keys C00012,C00044 --apply"
}

// replayPlan is what a replay would do. What is in step costs no call; of the order flows only the far end can tell.
type replayPlan struct {
	Environment string  `json:"environment"`
	Flow        string  `json:"flow"`
	Records     int64   `json:"records"`
	Keys        int     `json:"keys"`
	InStep      int     `json:"in_step"`
	Filtered    int     `json:"filtered"`
	Invalid     int     `json:"breaking_a_rule"`
	Calls       int     `json:"calls_at_most"`
	RatePerS    float64 `json:"rate_per_s"`
	SecondsLeft float64 `json:"seconds_at_least"`
	// Expired partitions no longer hold all that was asked for.
	Expired []string `json:"expired"`
	Applied bool     `json:"applied"`
}

// Run shows what a replay would do, and with --apply asks the running flow to look at the keys again. Documents are read as they
// stand now, so nothing stale is sent; live traffic goes first.
func (c replayCmd) Run(ctx context.Context, s std) error {
	flow, window, err := c.choice()
	if err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	m, err := compileMapping(ctx, o.cfg, o.env)
	if err != nil {
		return err
	}
	defer m.close()
	if !m.mapping.Maps(flow) {
		return usageError{fmt.Errorf("the mapping of %s has no flow %s", o.name, flow)}
	}
	r := &replayer{
		operator: o, compiled: m, flow: flow, keys: map[mapper.Key]struct{}{}, bar: newBar(s.err, "read Kafka", "records"),
		plan: replayPlan{Environment: o.name, Flow: string(flow), RatePerS: o.env.NuORDER.Rate, Expired: []string{}},
	}
	if err := r.gather(ctx, c, window); err != nil {
		return err
	}
	chosen := slices.Sorted(maps.Keys(r.keys))
	if err := r.estimate(ctx, chosen, c.Force); err != nil {
		return err
	}
	if c.Apply && len(chosen) > 0 {
		if err := r.apply(ctx, c, chosen); err != nil {
			return err
		}
	}
	if err := c.print(s, r.plan); err != nil {
		return err
	}
	if c.Apply && c.Wait {
		return r.await(ctx, chosen, newBar(s.err, "replay", "keys"))
	}
	return nil
}

// window is the part of the log that is chosen.
type window struct {
	since, until time.Time
	from         map[cdc.Partition]int64
}

// choice refuses anything but one way to choose.
func (c replayCmd) choice() (mapper.Flow, window, error) {
	var w window
	flow, err := sinkFlow(c.Flow)
	if err != nil {
		return flow, w, err
	}
	ways := 0
	for _, given := range []bool{c.Since != "", len(c.FromOffset) > 0, len(c.Keys) > 0, c.All} {
		if given {
			ways++
		}
	}
	if ways != 1 || c.Until != "" && c.Since == "" && len(c.FromOffset) == 0 {
		return flow, w, usageError{errors.New("expected one of --since, --from-offset, --keys and --all; --until goes with the first two")}
	}
	if c.Wait && !c.Apply {
		return flow, w, usageError{errors.New("--wait goes with --apply")}
	}
	now := time.Now()
	if w.since, err = moment(c.Since, now); err == nil {
		w.until, err = moment(c.Until, now)
	}
	if err != nil {
		return flow, w, usageError{err}
	}
	if !w.until.IsZero() && !w.since.Before(w.until) {
		return flow, w, usageError{errors.New("--until must be later than --since")}
	}
	w.from = map[cdc.Partition]int64{}
	for _, text := range c.FromOffset {
		p, offset, err := parseOffset(text)
		if err != nil {
			return flow, w, usageError{err}
		}
		w.from[p] = offset
	}
	return flow, w, nil
}

// moment reads a time, or a duration before now; an empty text is the zero time.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is no time; expected one such as 2026-03-01T22:00:00Z, or a duration such as 3h", text)
	}
	return t, nil
}

// parseOffset reads topic:partition:offset; a topic holds no colon.
func parseOffset(text string) (cdc.Partition, int64, error) {
	wrong := fmt.Errorf("%q is no place in the log; expected TOPIC:PARTITION:OFFSET, such as oms.oms.styles:0:1200", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] == "" {
		return cdc.Partition{}, 0, wrong
	}
	id, err := strconv.ParseUint(parts[1], 10, 31)
	if err != nil {
		return cdc.Partition{}, 0, wrong
	}
	offset, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || offset < 0 {
		return cdc.Partition{}, 0, wrong
	}
	return cdc.Partition{Topic: parts[0], ID: int(id)}, offset, nil
}

// replayer gathers keys, compares them and asks for them.
type replayer struct {
	*operator
	*compiled
	flow mapper.Flow
	keys map[mapper.Key]struct{}
	plan replayPlan
	bar  *bar
	hops []mapper.Hop
}

func (r *replayer) gather(ctx context.Context, c replayCmd, w window) error {
	switch {
	case len(c.Keys) > 0:
		for _, typed := range keysOf(c.Keys) {
			key, err := r.reader.Spell(ctx, r.flow, typed)
			if err != nil {
				return err
			}
			r.add(key)
		}
		return nil
	case c.All:
		return r.everything(ctx)
	default:
		return r.scan(ctx, w)
	}
}

func (r *replayer) add(keys ...mapper.Key) {
	for _, k := range keys {
		r.keys[k] = struct{}{}
	}
}

// everything takes what the OMS has and what the ledger says NuORDER has, for a row that is gone must be archived.
func (r *replayer) everything(ctx context.Context) error {
	for key, err := range documents.Keys(ctx, r.pool, r.mapping, r.flow) {
		if err != nil {
			return err
		}
		r.add(key)
	}
	if r.flow.Kind() == mapper.Order { // the keys of the three order flows differ: one is by order, one by shipment
		return nil
	}
	const page = 5000
	for after := mapper.Key(""); ; {
		keys, err := r.store.KnownKeys(ctx, r.name, r.flow.Kind(), after, page)
		if err != nil {
			return err
		}
		r.add(keys...)
		if len(keys) < page {
			return nil
		}
		after = keys[len(keys)-1]
	}
}

// estimate reads the documents as they stand and compares them with what was last delivered.
func (r *replayer) estimate(ctx context.Context, keys []mapper.Key, force bool) error {
	r.plan.Keys = len(keys)
	for batch := range slices.Chunk(keys, 500) {
		bodies, err := r.reader.Bodies(ctx, r.flow, batch, nil)
		if err != nil {
			return err
		}
		objects, err := r.store.ByKey(ctx, r.name, r.flow.Kind(), batch)
		if err != nil {
			return err
		}
		for i, key := range batch {
			r.weigh(bodies[i], objects[key], force)
		}
	}
	if r.plan.RatePerS > 0 {
		r.plan.SecondsLeft = float64(int64(float64(r.plan.Calls)/r.plan.RatePerS*10)) / 10
	}
	return nil
}

// weigh sorts one document as the loop would.
func (r *replayer) weigh(body mapper.Body, object ledger.Object, force bool) {
	part, sent := object.Parts[ledger.PartOf(r.flow)]
	switch {
	case len(body.Violations) > 0:
		r.plan.Invalid++
	case body.Filtered && !object.Known && !object.InDoubt && object.RemoteID == "":
		r.plan.Filtered++
	case !force && sent && !object.InDoubt && part.Hash == ledger.HashOf(body.JSON):
		r.plan.InStep++
	default:
		r.plan.Calls++
	}
}

// apply records the replay and asks the flow for the keys, as bulk, so that live changes go first.
func (r *replayer) apply(ctx context.Context, c replayCmd, keys []mapper.Key) error {
	detail, err := json.Marshal(map[string]any{
		"since": c.Since, "until": c.Until, "from_offset": c.FromOffset, "all": c.All, "force": c.Force, "records": r.plan.Records, "keys": len(keys),
	})
	if err != nil {
		return err
	}
	err = r.store.Record(ctx, ledger.Action{Who: whoami(), What: "flow.replay", Environment: r.name, Flow: string(r.flow), Detail: detail})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, 1000) {
		if c.Force {
			if err := r.store.Doubt(ctx, r.name, r.flow, batch, "replay"); err != nil {
				return err
			}
		}
		if err := r.store.Request(ctx, r.name, r.flow, batch, "replay", ledger.RankBulk); err != nil {
			return err
		}
	}
	r.plan.Applied = true
	return nil
}

// await watches the requests until the flow has settled them all.
func (r *replayer) await(ctx context.Context, keys []mapper.Key, progress *bar) error {
	for {
		left, err := r.store.Requested(ctx, r.name, r.flow, keys)
		if err != nil {
			return err
		}
		progress.show(len(keys)-left, len(keys))
		if left == 0 {
			return nil
		}
		if !pauseFor(ctx, 250*time.Millisecond) {
			return nil
		}
	}
}

func (c replayCmd) print(s std, p replayPlan) error {
	if c.JSON {
		return printJSON(s.out, p)
	}
	fmt.Fprintf(s.out, "replay of %s %s: %d records name %d keys\n", p.Environment, p.Flow, p.Records, p.Keys)
	fmt.Fprintf(s.out, "  %d in step (no call), %d not selected or not there (no call), %d break a rule (parked), at most %d calls: at least %s at %g calls/s\n",
		p.InStep, p.Filtered, p.Invalid, p.Calls, ago(time.Duration(p.SecondsLeft*float64(time.Second))), p.RatePerS)
	for _, e := range p.Expired {
		fmt.Fprintf(s.out, "  %s\n", e)
	}
	text := "add --apply to do it"
	if p.Applied {
		text = "asked for; live changes go first, nubridge status shows the rest"
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}
