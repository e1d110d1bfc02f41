package kafkalog

import (
	"context"
	"slices"

	"nubridge/cdc"
)

// read reads a partition until ctx ends, and what takes its place when it is handed out again.
func (g *Group) read(ctx context.Context, p *partition) {
	for {
		reading, stop := context.WithCancel(ctx)
		g.mu.Lock()
		if now := g.parts[p.id]; now != nil {
			p = now
		}
		p.stop = stop
		g.mu.Unlock()
		p.run(reading)
		stop()
		g.mu.Lock()
		now := g.parts[p.id]
		g.mu.Unlock()
		if ctx.Err() != nil || now == nil || now == p {
			return
		}
	}
}

// Again hands a partition out once more, from the group's stored offset: Poll reports it as revoked and assigned. It is for a caller
// that lost its place in a partition without a revocation. If the partition is no longer this member's, or Poll has not reported its
// assignment yet, it does nothing, for Poll will tell more. It blocks for some round trips; an error changes nothing.
func (g *Group) Again(ctx context.Context, id cdc.Partition) error {
	g.mu.Lock()
	old, generation := g.parts[id], g.generation
	mine := old != nil && old.handed
	g.mu.Unlock()
	if !mine {
		return nil
	}
	parts, assigned, err := g.inspectOnce(ctx, []cdc.Partition{id}, map[string][]int{id.Topic: {id.ID}})
	if err != nil {
		return err
	}
	fresh, a := parts[0], assigned[0]
	// Only the broker knows whether the generation is over. To store what is stored asks it.
	if err := generation.CommitOffsets(map[string]map[int]int64{id.Topic: {id.ID: fresh.next}}); err != nil {
		return commitFault(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation != generation || g.parts[id] != old {
		return nil
	}
	g.parts[id] = fresh
	if at := slices.Index(g.turn, old); at >= 0 {
		g.turn[at] = fresh
	}
	g.bytes -= old.bytes
	g.revoked, g.assigned = append(g.revoked, id), append(g.assigned, a)
	if old.stop != nil {
		old.stop()
	}
	g.signal()
	return nil
}
