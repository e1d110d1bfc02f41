package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
	"nubridge/mapper"
)

// hopBatch is how many look-ups of a route are made at once.
const hopBatch = 500

// scan reads the chosen part of the log and routes its rows as the loop does. It uses no group and commits nothing.
func (r *replayer) scan(ctx context.Context, w window) error {
	client, err := newKafka(r.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := ping(ctx, client.Ping); err != nil {
		return err
	}
	topics, err := r.topics(ctx, client)
	if err != nil {
		return err
	}
	from, to, err := r.ranges(ctx, client, topics, w)
	if err != nil {
		return err
	}
	total := int64(0)
	for p := range from {
		total += max(to[p]-from[p], 0)
	}
	for _, p := range sortedPartitions(from) {
		err := client.Scan(ctx, p, from[p], to[p], func(record *cdc.Record) error {
			r.plan.Records++
			if r.plan.Records%1000 == 0 {
				r.bar.show64(r.plan.Records, total)
			}
			return r.route(ctx, record)
		})
		if err != nil {
			return err
		}
	}
	return r.hop(ctx)
}

// topics gives the flow's topics that exist.
func (r *replayer) topics(ctx context.Context, client *kafkalog.Client) ([]string, error) {
	there, err := client.Topics(ctx, r.cfg.Capture.TopicPrefix+".")
	if err != nil {
		return nil, err
	}
	var topics []string
	for _, table := range r.mapping.Tables(r.flow) {
		if topic := pgsource.Topic(r.cfg.Capture.TopicPrefix, table); slices.Contains(there, topic) {
			topics = append(topics, topic)
		}
	}
	if len(topics) == 0 {
		return nil, usageError{fmt.Errorf("flow %s has no topic yet; expected capture to have run", r.flow)}
	}
	return topics, nil
}

// ranges finds the first offset and the one after the last of each chosen partition.
func (r *replayer) ranges(ctx context.Context, client *kafkalog.Client, topics []string, w window) (from, to map[cdc.Partition]int64, err error) {
	bounds, err := client.GroupOffsets(ctx, groupID(r.name, r.flow), topics)
	if err != nil {
		return nil, nil, err
	}
	to = map[cdc.Partition]int64{}
	if w.until.IsZero() {
		for p, b := range bounds {
			to[p] = b.End
		}
	} else if to, err = client.OffsetsAt(ctx, topics, w.until); err != nil {
		return nil, nil, err
	}
	if w.since.IsZero() {
		for p, offset := range w.from {
			b, ok := bounds[p]
			switch {
			case !ok:
				return nil, nil, usageError{fmt.Errorf("flow %s reads no partition %s:%d; expected one of the topics %s", r.flow, p.Topic, p.ID, strings.Join(topics, ", "))}
			case offset < b.Start || offset > b.End:
				return nil, nil, usageError{fmt.Errorf("the broker holds %s:%d from offset %d to %d; %d is outside", p.Topic, p.ID, b.Start, b.End, offset)}
			}
		}
		return w.from, to, nil
	}
	if from, err = client.OffsetsAt(ctx, topics, w.since); err != nil {
		return nil, nil, err
	}
	for _, p := range sortedPartitions(from) {
		if start := bounds[p].Start; start > 0 && from[p] == start {
			r.plan.Expired = append(r.plan.Expired, fmt.Sprintf("%s:%d holds nothing before offset %d: what is older has expired; --all covers it", p.Topic, p.ID, start))
		}
	}
	return from, to, nil
}

func sortedPartitions(m map[cdc.Partition]int64) []cdc.Partition {
	list := make([]cdc.Partition, 0, len(m))
	for p := range m {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b cdc.Partition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return a.ID - b.ID
	})
	return list
}

// route names the documents of a record. A row that does not carry what names its documents parks nothing here: the loop said so
// when it met it.
func (r *replayer) route(ctx context.Context, record *cdc.Record) error {
	change, err := cdc.DecodeChange(record)
	if err != nil {
		return err
	}
	touches, err := r.mapping.Route(r.flow, change)
	if err != nil {
		return err
	}
	for _, k := range touches.Keys {
		r.add(mapper.Key(strings.Clone(string(k)))) // the key may point into the record
	}
	for _, h := range touches.Hops {
		for i := range h.Values {
			h.Values[i] = strings.Clone(h.Values[i])
		}
		r.hops = append(r.hops, h)
	}
	if len(r.hops) < hopBatch {
		return nil
	}
	return r.hop(ctx)
}

// hop resolves the gathered look-ups, each kind in one query.
func (r *replayer) hop(ctx context.Context) error {
	values := map[mapper.HopID][][]string{}
	for _, h := range r.hops {
		values[h.ID] = append(values[h.ID], h.Values)
	}
	r.hops = r.hops[:0]
	for id, rows := range values {
		found, err := r.reader.Hop(ctx, id, rows)
		if err != nil {
			return err
		}
		for _, keys := range found {
			r.add(keys...)
		}
	}
	return nil
}
