package kafkalog

import (
	"context"
	"errors"
	"fmt"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// GroupOffset is where a group stands in one partition.
type GroupOffset struct {
	// Committed is the stored offset, -1 when there is none; Start and End bound what the broker holds.
	Committed, Start, End int64
}

// Lag is how many offsets are left to read.
func (o GroupOffset) Lag() int64 { return max(o.End-max(o.Committed, o.Start), 0) }

// GroupOffsets tells where a group stands in every partition of the topics. Topics that do not exist are left out.
func (c *Client) GroupOffsets(ctx context.Context, group string, topics []string) (map[cdc.Partition]GroupOffset, error) {
	_, partitions, err := c.existing(ctx, topics)
	if err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		return map[cdc.Partition]GroupOffset{}, nil
	}
	request := map[string][]int{}
	for _, p := range partitions {
		request[p.Topic] = append(request[p.Topic], p.ID)
	}
	committed, err := c.committed(ctx, group, request)
	if err != nil {
		return nil, wrap("read committed offsets", err)
	}
	bounds, err := c.bounds(ctx, partitions)
	if err != nil {
		return nil, wrap("list offsets", err)
	}
	offsets := make(map[cdc.Partition]GroupOffset, len(partitions))
	for _, p := range partitions {
		o := GroupOffset{Committed: -1, Start: bounds[p][0], End: bounds[p][1]}
		if at, ok := committed[p]; ok {
			o.Committed = at
		}
		offsets[p] = o
	}
	return offsets, nil
}

// ResetGroup stores offsets for a group that has no members. A group at work refuses, with the code group_active: two
// hands on one offset would lose what lies between.
func (c *Client) ResetGroup(ctx context.Context, group string, next map[cdc.Partition]int64) error {
	described, err := c.kafka.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return wrap("describe group", err)
	}
	for _, g := range described.Groups {
		if len(g.Members) > 0 {
			return groupActive(group, fmt.Errorf("it has %d members", len(g.Members)))
		}
	}
	topics := map[string][]kafka.OffsetCommit{}
	for p, offset := range next {
		topics[p.Topic] = append(topics[p.Topic], kafka.OffsetCommit{Partition: p.ID, Offset: offset})
	}
	answer, err := c.kafka.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: topics})
	if err != nil {
		return wrap("reset group", err)
	}
	for topic, partitions := range answer.Topics {
		for _, p := range partitions {
			if errors.Is(p.Error, kafka.UnknownMemberId) || errors.Is(p.Error, kafka.RebalanceInProgress) {
				return groupActive(group, p.Error)
			}
			if p.Error != nil {
				return wrap(fmt.Sprintf("reset group at %s/%d", topic, p.Partition), p.Error)
			}
		}
	}
	return nil
}

func groupActive(group string, err error) error {
	return &fault.Error{
		Kind: fault.Reject, Code: codeGroupActive, Hint: "stop the flow on every instance, then try again",
		Err: fmt.Errorf("group %q is at work: %w", group, err),
	}
}
