package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
	"nubridge/internal/fault"
	"nubridge/internal/lifecycle"
	"nubridge/mapper"
	"nubridge/sink"
)

// flow is one stream of documents of an environment: its consumer group and its loop, made anew for each life.
type flow struct {
	env    *environment
	name   mapper.Flow
	mode   sink.Mode
	remote sink.Remote

	mu    sync.Mutex
	part  *lifecycle.Part // once it is started
	group *kafkalog.Group
	loop  *sink.Loop
	// stalls are those of earlier groups.
	stalls int64
}

// topics are those of the tables that route to the flow.
func (f *flow) topics() []string {
	var topics []string
	for _, table := range f.env.mapping.Load().Tables(f.name) {
		topics = append(topics, pgsource.Topic(f.env.bridge.cfg.Capture.TopicPrefix, table))
	}
	return topics
}

// renew makes group and loop for the next life. It starts nothing.
func (f *flow) renew() error {
	e, b := f.env, f.env.bridge
	group, err := kafkalog.NewGroup(b.kafka, kafkalog.GroupConfig{
		ID: groupID(e.name, f.name), Topics: f.topics(), SessionTimeout: b.cfg.Kafka.SessionTimeout,
		// There is a group for each flow of each environment: what each reads ahead is small. // I6
		MaxRecords: 500, FetchBytes: 32 << 10, TotalBytes: 2 << 20,
	}, e.log.With("flow", string(f.name)))
	if err != nil {
		return err
	}
	deps := sink.Deps{
		Log: group, Reader: e.reader, Mapper: current{&e.mapping}, Remote: f.remote, Ledger: b.store, Logger: b.log, Tracer: b.tel.Tracer("sink"),
		Measures: b.measures.sink,
		Everything: func(ctx context.Context, why string) error {
			n, err := (&remapper{environment: e}).request(ctx, f.name, e.mapping.Load(), why)
			if err == nil {
				e.log.Info("documents that differ are sent", "flow", string(f.name), "cause", why, "documents", n)
			}
			return err
		},
	}
	if orders := e.cfg.Flows[string(mapper.OrdersIn)]; orders == "on" || orders == "test" {
		deps.OpenOrders = e.openOrders
	}
	loop, err := sink.New(deps, sinkConfig(e.name, b.owner, f.name, f.mode, e.cfg))
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.group != nil {
		f.stalls += f.group.Stalls()
	}
	f.group, f.loop = group, loop
	return nil
}

// start hands the flow to the group.
func (f *flow) start(g *lifecycle.Group) {
	part := f.env.bridge.part(g, f.env.name+" "+string(f.name), f.life, f.mend)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.part = part
}

// current gives the group and the loop of the present life.
func (f *flow) current() (*kafkalog.Group, *sink.Loop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.group, f.loop
}

// life runs the flow until the context ends or it halts. A gap is looked for before the group is joined: a halted flow is no member
// of it, so that a person can set its offsets.
func (f *flow) life(ctx context.Context, _ func(lifecycle.PartState, error)) error {
	if err := f.gap(ctx); err != nil {
		return err
	}
	if err := f.renew(); err != nil {
		return err
	}
	err := f.run(ctx)
	if ctx.Err() != nil || !isGap(err) {
		return err
	}
	// The group's offsets and the checkpoint were read one after the other while others may have gone on: once more, at leisure.
	again := f.gap(ctx)
	if fault.KindOf(again) == fault.Halt {
		return again
	}
	if again == nil && fault.CodeOf(err) != "topic_changed" {
		return &fault.Error{Kind: fault.Retry, Code: fault.CodeOf(err), Err: fmt.Errorf("no gap is left at a second look: %w", err)}
	}
	return err
}

// run is the membership and the loop. The loop ends before its membership does.
func (f *flow) run(ctx context.Context) error {
	group, loop := f.current()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	membership, leave := context.WithCancel(context.WithoutCancel(ctx))
	left := make(chan error, 1) // the membership's one result
	go func() {
		err := group.Run(membership)
		stop()
		left <- err
	}()
	err := loop.Run(ctx)
	leave()
	if end := <-left; err == nil {
		err = end
	}
	return err
}

// gap compares the group's offsets with the ledger's checkpoints. Others may work meanwhile: what is committed is read before the
// checkpoints, which are ahead of it, and the ends of the log after them. // I8
func (f *flow) gap(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	e, b := f.env, f.env.bridge
	before, err := b.kafka.GroupOffsets(ctx, groupID(e.name, f.name), f.topics())
	if err != nil {
		return err
	}
	type seen struct {
		next  int64
		known bool
	}
	checkpoints := make(map[cdc.Partition]seen, len(before))
	for p := range before {
		c, known, err := b.store.Look(ctx, e.name, f.name, p)
		if err != nil {
			return err
		}
		checkpoints[p] = seen{c.Next, known}
	}
	after, err := b.kafka.GroupOffsets(ctx, groupID(e.name, f.name), f.topics())
	if err != nil {
		return err
	}
	var gaps []error
	for p, at := range before {
		a := cdc.Assignment{Partition: p, Committed: at.Committed, Start: at.Start, End: max(at.End, after[p].End)}
		if err := sink.Gap(a, checkpoints[p].next, checkpoints[p].known); err != nil {
			gaps = append(gaps, err)
		}
	}
	if len(gaps) < 2 {
		return errors.Join(gaps...)
	}
	slices.SortFunc(gaps, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return &fault.Error{Kind: fault.Halt, Code: fault.CodeOf(gaps[0]), Err: fmt.Errorf("%d partitions have a gap, the first: %w", len(gaps), gaps[0])}
}

// status is that of the loop, unless the part stands still.
func (f *flow) status() sink.Status {
	f.mu.Lock()
	part, loop := f.part, f.loop
	f.mu.Unlock()
	s := loop.Status()
	if part == nil {
		return s
	}
	if stands := part.Standing(); stands.State == lifecycle.Halted || stands.State == lifecycle.Failing {
		s.Standing = sink.Standing{State: sink.Halted, Code: stands.Code, Reason: stands.Cause, Since: stands.Since}
	}
	return s
}

func (f *flow) stalled() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stalls + f.group.Stalls()
}

// mend names what a person is to do about a halt.
func (f *flow) mend(err error) string {
	of := fmt.Sprintf("%s -e %s", f.name, f.env.name)
	if isGap(err) {
		return fmt.Sprintf("nubridge accept-gap --flow %s --reason TEXT, then nubridge replay %s --all", of, of)
	}
	return hint(err)
}
