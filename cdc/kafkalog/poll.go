package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// Poll blocks until there are records, or places without, or the assignment changed. Changes come first: revoked, then assigned, then
// records.
// An error of kind halt stays until the group is made anew: code offset_out_of_range when the broker no longer holds what
// would have to be read next. // I8
func (g *Group) Poll(ctx context.Context) (cdc.Fetch, error) {
	for {
		fetch, err := g.take()
		if err != nil || len(fetch.Revoked)+len(fetch.Assigned)+len(fetch.Records)+len(fetch.Passed) > 0 {
			return fetch, err
		}
		select {
		case <-ctx.Done():
			return cdc.Fetch{}, ctx.Err()
		case <-g.wake:
		}
	}
}

func (g *Group) take() (cdc.Fetch, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fetch := cdc.Fetch{Revoked: g.revoked, Assigned: g.assigned}
	g.revoked, g.assigned = nil, nil
	for _, a := range fetch.Assigned {
		if p := g.parts[a.Partition]; p != nil {
			p.handed = true
		}
	}
	if g.err != nil {
		if len(fetch.Revoked)+len(fetch.Assigned) > 0 {
			g.signal()
			return fetch, nil
		}
		return cdc.Fetch{}, g.err
	}
	room, ready := g.cfg.PollRecords, 0
	for _, p := range g.turn {
		ready += len(p.ready)
	}
	fetch.Records = slices.Grow(fetch.Records, min(room, ready))
	for i, p := range g.turn {
		fetch.Records = p.take(fetch.Records, room-len(fetch.Records))
		if len(fetch.Records) >= room {
			// The next Poll starts behind the partition that filled this one, so that none starves.
			g.turn = slices.Concat(g.turn[i+1:], g.turn[:i+1])
			g.signal()
			break
		}
	}
	for _, p := range g.turn {
		if next, ok := p.passed(); ok {
			if fetch.Passed == nil {
				fetch.Passed = map[cdc.Partition]int64{}
			}
			fetch.Passed[p.id] = next
		}
	}
	return fetch, nil
}

// Commit stores the offset after the last settled record of each partition. Partitions that this member does not own now,
// or whose assignment Poll has not reported yet, are left out and make the error partition_lost; the others are stored. An
// offset below the stored one is left out too. // I2
func (g *Group) Commit(ctx context.Context, next map[cdc.Partition]int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	offsets := map[string]map[int]int64{}
	var lost []cdc.Partition
	g.mu.Lock()
	generation := g.generation
	for id, offset := range next {
		p := g.parts[id]
		switch {
		case p == nil || !p.handed:
			lost = append(lost, id)
		case offset > p.committed:
			if offsets[id.Topic] == nil {
				offsets[id.Topic] = map[int]int64{}
			}
			offsets[id.Topic][id.ID] = offset
		}
	}
	g.mu.Unlock()
	if len(offsets) > 0 {
		if err := generation.CommitOffsets(offsets); err != nil {
			return commitFault(err)
		}
		g.committed(generation, offsets)
	}
	if len(lost) > 0 {
		return fault.New(fault.Retry, codeLost, "%d partitions are not this member's, among them %s/%d; they are settled again by their owner",
			len(lost), lost[0].Topic, lost[0].ID)
	}
	return nil
}

// committed notes what is stored, unless the generation ended meanwhile.
func (g *Group) committed(generation *kafka.Generation, offsets map[string]map[int]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation != generation {
		return
	}
	for topic, partitions := range offsets {
		for id, offset := range partitions {
			if p := g.parts[cdc.Partition{Topic: topic, ID: id}]; p != nil {
				p.committed = max(p.committed, offset)
			}
		}
	}
}

func commitFault(err error) error {
	code, ok := errors.AsType[kafka.Error](err)
	if ok && (code == kafka.IllegalGeneration || code == kafka.UnknownMemberId || code == kafka.RebalanceInProgress ||
		code == kafka.FencedInstanceID) {
		return &fault.Error{Kind: fault.Retry, Code: codeGeneration, Err: fmt.Errorf("commit offsets: %w", err)}
	}
	return wrap("commit offsets", err)
}
