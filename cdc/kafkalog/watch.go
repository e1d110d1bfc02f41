package kafkalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"nubridge/internal/fault"
)

// watch returns when the partitions of the topics are others than those that were assigned, so that the group assigns anew,
// or when ctx ends. It calls resubscribe when topics came or went. kafka-go's own watcher ends every generation at once
// while one of the topics does not exist.
func (g *Group) watch(ctx context.Context, resubscribe func()) {
	ticker := time.NewTicker(g.cfg.WatchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		topics, partitions := g.look(ctx)
		if topics {
			resubscribe()
		}
		if topics || partitions {
			g.log.Info("kafka topics changed, assigning anew")
			return
		}
	}
}

// look compares the topics with how they were at the last look and remembers them as they are: whether topics came or went,
// and whether one has more partitions. A topic made anew under its old name is a halt: its offsets mean other records. // I8
func (g *Group) look(ctx context.Context) (topics, partitions bool) {
	infos, err := g.client.DescribeTopics(ctx, g.cfg.Topics)
	if err != nil {
		return false, false // whoever fetches meets the same failure, and tells
	}
	g.present = g.present[:0:0]
	for _, info := range infos {
		g.present = append(g.present, info.Name)
		before, ok := g.seen[info.Name]
		if ok && before.ID != info.ID {
			g.fail(&fault.Error{
				Kind: fault.Halt, Code: codeTopicChanged, Hint: "take a snapshot of the table, then reset the group",
				Err: fmt.Errorf("topic %q was deleted and made anew", info.Name),
			})
		}
		partitions = partitions || ok && before.Partitions != info.Partitions
		g.seen[info.Name] = info // what is gone stays known: if it comes back, it is another one
	}
	topics = !slices.Equal(g.present, g.subscribed)
	return topics, partitions
}
