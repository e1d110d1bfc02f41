package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// Replayer asks a flow to look at keys again: those that are named, or those that old records touch. What is sent is the
// document as it stands now, so a replay can never push old state, and what is in step makes no call. // decision 1
type Replayer struct {
	reader      Reader
	mapper      Mapper
	store       *ledger.Store
	environment string
	flow        mapper.Flow
}

// MaxReplayKeys bounds one replay. // I6
const MaxReplayKeys = 2_000_000

const replayBatch = 500

// Plan is what a replay would do.
type Plan struct {
	Flow mapper.Flow
	// Records were read, Unreadable of them name no document, Routeless concern no document of the flow.
	Records, Unreadable, Routeless int64
	// First and Last are the positions of the first and the last record.
	First, Last cdc.Position
	// Keys are the distinct documents, in order.
	Keys []mapper.Key
	// InStep need no call; Creates, Updates and Archivals do; Invalid would be parked; Undecided depend on what the Remote
	// finds, which is so for orders.
	InStep, Creates, Updates, Archivals, Invalid, Undecided int64
}

// Calls is the most that the replay calls for, hidden reads and repeats apart.
func (p *Plan) Calls() int64 { return p.Creates + p.Updates + p.Archivals + p.Undecided }

// NewReplayer makes a replayer; it starts nothing.
func NewReplayer(reader Reader, m Mapper, store *ledger.Store, environment string, flow mapper.Flow) (*Replayer, error) {
	if reader == nil || m == nil || store == nil || environment == "" || flow == "" {
		return nil, errors.New("make a replayer: reader, mapper, ledger, environment and flow are needed")
	}
	return &Replayer{reader: reader, mapper: m, store: store, environment: environment, flow: flow}, nil
}

// Keys names the distinct documents that records touch, without changing anything. scan gives it the records one after the
// other and ends with the error that it is given.
func (r *Replayer) Keys(ctx context.Context, scan func(see func(*cdc.Record) error) error) (*Plan, error) {
	p := &Plan{Flow: r.flow}
	seen := map[mapper.Key]struct{}{}
	hops := map[mapper.HopID][][]string{}
	waiting := 0
	err := scan(func(rec *cdc.Record) error {
		waiting += r.add(p, rec, seen, hops)
		if len(seen) > MaxReplayKeys {
			return fmt.Errorf("the records touch more than %d documents; hint: replay in smaller parts", MaxReplayKeys)
		}
		if waiting < replayBatch {
			return nil
		}
		waiting = 0
		return r.hop(ctx, hops, seen)
	})
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", r.flow, err)
	}
	if err := r.hop(ctx, hops, seen); err != nil {
		return nil, err
	}
	for k := range seen {
		p.Keys = append(p.Keys, k)
	}
	slices.Sort(p.Keys)
	return p, nil
}

// add takes one record into the plan and tells how many look-ups it needs.
func (r *Replayer) add(p *Plan, rec *cdc.Record, seen map[mapper.Key]struct{}, hops map[mapper.HopID][][]string) int {
	p.Records++
	if p.First.IsZero() {
		p.First = rec.Position
	}
	p.Last = rec.Position
	if rec.Op == cdc.OpTombstone || rec.Op == cdc.OpMessage || len(rec.Value) == 0 {
		p.Routeless++
		return 0
	}
	touches, err := r.route(rec)
	switch {
	case err != nil:
		p.Unreadable++
		return 0
	case len(touches.Keys)+len(touches.Hops) == 0:
		p.Routeless++
	}
	for _, k := range touches.Keys {
		seen[mapper.Key(strings.Clone(string(k)))] = struct{}{}
	}
	for _, h := range touches.Hops {
		hops[h.ID] = append(hops[h.ID], slices.Clone(h.Values))
	}
	return len(touches.Hops)
}

func (r *Replayer) route(rec *cdc.Record) (mapper.Touches, error) {
	change, err := cdc.DecodeChange(rec)
	if err != nil {
		return mapper.Touches{}, err
	}
	return r.mapper.Route(r.flow, change)
}

func (r *Replayer) hop(ctx context.Context, hops map[mapper.HopID][][]string, seen map[mapper.Key]struct{}) error {
	for id, values := range hops {
		answers, err := r.reader.Hop(ctx, id, values)
		if err != nil {
			return fmt.Errorf("look up routes: %w", err)
		}
		for _, keys := range answers {
			for _, k := range keys {
				seen[k] = struct{}{}
			}
		}
	}
	clear(hops)
	return nil
}

// Judge fills in what a replay of the plan's keys would call for, as things stand. progress is told how many keys are judged;
// it may be nil.
func (r *Replayer) Judge(ctx context.Context, p *Plan, progress func(done int)) error {
	for from := 0; from < len(p.Keys); from += replayBatch {
		keys := p.Keys[from:min(from+replayBatch, len(p.Keys))]
		if err := r.judge(ctx, p, keys); err != nil {
			return fmt.Errorf("judge %d documents of %s: %w", len(keys), r.flow, err)
		}
		if progress != nil {
			progress(from + len(keys))
		}
	}
	return nil
}

func (r *Replayer) judge(ctx context.Context, p *Plan, keys []mapper.Key) error {
	wants := make([]mapper.Want, len(keys))
	for i, k := range keys {
		wants[i].Key = k
	}
	docs, err := r.reader.Read(ctx, r.flow, wants)
	if err != nil {
		return err
	}
	objects, err := r.store.ByKey(ctx, r.environment, r.flow.Kind(), keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		body, err := r.mapper.Body(r.flow, k, docs[i].Document)
		o := objects[k]
		part, sent := o.Parts[ledger.PartOf(r.flow)]
		switch {
		case err != nil || len(body.Violations) > 0:
			p.Invalid++
		case body.Filtered && !o.Known && !o.InDoubt:
			p.InStep++
		case r.flow.Kind() == mapper.Order:
			p.Undecided++
		case sent && !o.InDoubt && part.Hash == ledger.HashOf(body.JSON):
			p.InStep++
		case body.Filtered:
			p.Archivals++
		case o.Known:
			p.Updates++
		default:
			p.Creates++
		}
	}
	return nil
}

// Apply asks the flow to look at the plan's keys, after all live work. It can be repeated: a key that is asked for already is
// asked for once. progress is told how many keys are asked for; it may be nil.
func (r *Replayer) Apply(ctx context.Context, p *Plan, progress func(done int)) error {
	for from := 0; from < len(p.Keys); from += replayBatch {
		keys := p.Keys[from:min(from+replayBatch, len(p.Keys))]
		if err := r.store.Request(ctx, r.environment, r.flow, keys, "replay", ledger.RankBulk); err != nil {
			return err
		}
		if progress != nil {
			progress(from + len(keys))
		}
	}
	return nil
}
