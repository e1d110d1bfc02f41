package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// group names the consumer group of a flow.
func group(flow string) string { return "nubridge." + environment + "." + flow }

func (w *world) kafka() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(w.Brokers...), Timeout: 5 * time.Second}
}

type checkpoint struct {
	flow, topic string
	partition   int
	next        int64
}

func (w *world) checkpoints(ctx context.Context) ([]checkpoint, error) {
	rows, err := w.ledgerDB.Query(ctx, "select flow, topic, partition, next from group_checkpoints order by 1, 2, 3")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []checkpoint
	for rows.Next() {
		var c checkpoint
		if err := rows.Scan(&c.flow, &c.topic, &c.partition, &c.next); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// behind names the partitions whose records are not all settled.
func (w *world) behind(ctx context.Context) ([]string, error) {
	all, err := w.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return []string{"nothing was read yet"}, nil
	}
	if !w.tail.still() {
		return []string{"records come"}, nil
	}
	var why []string
	for _, c := range all {
		if _, end := w.tail.of(partition{c.topic, c.partition}); end > c.next {
			why = append(why, fmt.Sprintf("%s has settled %d of %d in %s/%d", c.flow, c.next, end, c.topic, c.partition))
		}
	}
	return why[:min(len(why), 5)], nil
}

// setOffsets commits offsets for a group that has no member, as Kafka's own tools do.
func (w *world) setOffsets(ctx context.Context, flow string, to func(next int64) int64) error {
	all, err := w.checkpoints(ctx)
	if err != nil {
		return err
	}
	commits := map[string][]kafka.OffsetCommit{}
	for _, c := range all {
		if c.flow == flow {
			commits[c.topic] = append(commits[c.topic], kafka.OffsetCommit{Partition: c.partition, Offset: to(c.next)})
		}
	}
	answer, err := w.kafka().OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group(flow), GenerationID: -1, Topics: commits})
	if err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	for _, parts := range answer.Topics {
		for _, p := range parts {
			if p.Error != nil {
				return fmt.Errorf("commit offsets: %w", p.Error)
			}
		}
	}
	return nil
}

// deleteOffsets forgets a group as Kafka does when its offsets expire.
func (w *world) deleteGroup(ctx context.Context, flow string) error {
	answer, err := w.kafka().DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group(flow)}})
	if err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	return answer.Errors[group(flow)]
}
