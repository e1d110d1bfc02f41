package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"nubridge/cdc"
)

// bounds gives the first offset that the broker holds and the one after the last, for each partition.
func (c *Client) bounds(ctx context.Context, partitions []cdc.Partition) (map[cdc.Partition][2]int64, error) {
	starts, err := c.listOffsets(ctx, partitions, kafka.FirstOffset)
	if err != nil {
		return nil, err
	}
	ends, err := c.listOffsets(ctx, partitions, kafka.LastOffset)
	if err != nil {
		return nil, err
	}
	found := make(map[cdc.Partition][2]int64, len(partitions))
	for _, p := range partitions {
		found[p] = [2]int64{starts[p], ends[p]}
	}
	return found, nil
}

// OffsetsAt gives for each partition the first offset whose record is not older than at, or the end of the partition when
// all are older.
func (c *Client) OffsetsAt(ctx context.Context, topics []string, at time.Time) (map[cdc.Partition]int64, error) {
	partitions, err := c.partitions(ctx, topics)
	if err != nil {
		return nil, wrap("list offsets", err)
	}
	found, err := c.listOffsets(ctx, partitions, max(at.UnixMilli(), 0))
	if err != nil {
		return nil, wrap("list offsets", err)
	}
	ends, err := c.listOffsets(ctx, partitions, kafka.LastOffset)
	if err != nil {
		return nil, wrap("list offsets", err)
	}
	for p, offset := range found {
		if offset < 0 {
			found[p] = ends[p]
		}
	}
	return found, nil
}

// partitions lists the partitions of topics; a topic that does not exist is an error.
func (c *Client) partitions(ctx context.Context, topics []string) ([]cdc.Partition, error) {
	known, err := c.metadata(ctx, topics)
	if err != nil {
		return nil, err
	}
	var all []cdc.Partition
	for _, name := range topics {
		if err := known[name].err; err != nil {
			return nil, fmt.Errorf("topic %q: %w", name, err)
		}
		for _, p := range known[name].parts {
			all = append(all, cdc.Partition{Topic: name, ID: int(p.id)})
		}
	}
	return all, nil
}

// listOffsets asks each leader once for all of its partitions.
func (c *Client) listOffsets(ctx context.Context, partitions []cdc.Partition, at int64) (map[cdc.Partition]int64, error) {
	found := make(map[cdc.Partition]int64, len(partitions))
	if len(partitions) == 0 {
		return found, nil
	}
	byLeader, err := c.byLeader(ctx, partitions)
	if err != nil {
		return nil, err
	}
	for id, theirs := range byLeader {
		m := &call{
			key: protocol.ListOffsets, low: 2, high: 5, route: brokerByID(id),
			encode: func(version int16, dst []byte) []byte { return appendListOffsets(dst, version, theirs, at) },
		}
		if err := c.exchange(ctx, m, 0); err != nil {
			return nil, err
		}
		if err := decodeListOffsets(m.answer, m.version, found); err != nil {
			return nil, err
		}
	}
	for _, p := range partitions {
		if _, ok := found[p]; !ok {
			return nil, fmt.Errorf("offsets of %s/%d: %w", p.Topic, p.ID, kafka.UnknownTopicOrPartition)
		}
	}
	return found, nil
}

// byLeader groups partitions by the broker that leads them now, and each group by topic.
func (c *Client) byLeader(ctx context.Context, partitions []cdc.Partition) (map[int32]map[string][]int32, error) {
	wanted := map[string]map[int32]bool{}
	var names []string
	for _, p := range partitions {
		if wanted[p.Topic] == nil {
			wanted[p.Topic] = map[int32]bool{}
			names = append(names, p.Topic)
		}
		wanted[p.Topic][int32(p.ID)] = true
	}
	known, err := c.metadata(ctx, names)
	if err != nil {
		return nil, err
	}
	byLeader := map[int32]map[string][]int32{}
	for _, name := range names {
		if err := known[name].err; err != nil {
			return nil, fmt.Errorf("topic %q: %w", name, err)
		}
		for _, p := range known[name].parts {
			if !wanted[name][p.id] {
				continue
			}
			if p.leader < 0 {
				return nil, fmt.Errorf("partition %s/%d: %w", name, p.id, kafka.LeaderNotAvailable)
			}
			if byLeader[p.leader] == nil {
				byLeader[p.leader] = map[string][]int32{}
			}
			byLeader[p.leader][name] = append(byLeader[p.leader][name], p.id)
		}
	}
	return byLeader, nil
}

// brokerByID routes to one broker; it fails until kafka-go's cache has heard of it.
func brokerByID(id int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(cluster protocol.Cluster) (protocol.Broker, error) {
		broker, ok := cluster.Brokers[id]
		if !ok {
			return protocol.Broker{}, kafka.BrokerNotAvailable
		}
		return broker, nil
	}
}

// appendListOffsets writes a ListOffsets request of version 2 to 5.
func appendListOffsets(dst []byte, version int16, partitions map[string][]int32, at int64) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, ^uint32(0)) // replica -1: a consumer
	dst = append(dst, 0)                   // read uncommitted
	dst = be.AppendUint32(dst, uint32(len(partitions)))
	for topic, ids := range partitions {
		dst = appendString(dst, topic)
		dst = be.AppendUint32(dst, uint32(len(ids)))
		for _, id := range ids {
			dst = be.AppendUint32(dst, uint32(id))
			if version >= 4 {
				dst = be.AppendUint32(dst, ^uint32(0))
			}
			dst = be.AppendUint64(dst, uint64(at))
		}
	}
	return dst
}

// decodeListOffsets reads a ListOffsets answer of version 2 to 5 into found.
func decodeListOffsets(answer []byte, version int16, found map[cdc.Partition]int64) error {
	r := &reader{buf: answer}
	r.int32() // throttle
	for range r.count(6) {
		topic := r.string()
		for range r.count(22) {
			p := cdc.Partition{Topic: topic, ID: int(r.int32())}
			failed := codeError(r.int16())
			r.int64() // timestamp
			offset := r.int64()
			if version >= 4 {
				r.int32()
			}
			if failed != nil {
				return fmt.Errorf("offsets of %s/%d: %w", p.Topic, p.ID, failed)
			}
			if !r.bad {
				found[p] = offset
			}
		}
	}
	if r.bad {
		return errors.New("the broker's offsets answer is cut or malformed")
	}
	return nil
}

// committed reads the stored offsets of a group; partitions without one are missing from the answer.
func (c *Client) committed(ctx context.Context, group string, topics map[string][]int) (map[cdc.Partition]int64, error) {
	answer, err := c.kafka.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: topics})
	if err != nil {
		return nil, err
	}
	if errors.Is(answer.Error, kafka.GroupIdNotFound) {
		return map[cdc.Partition]int64{}, nil
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	found := map[cdc.Partition]int64{}
	for topic, partitions := range answer.Topics {
		for _, p := range partitions {
			if p.Error != nil && !errors.Is(p.Error, kafka.GroupIdNotFound) {
				return nil, fmt.Errorf("offset of %s/%d: %w", topic, p.Partition, p.Error)
			}
			if p.CommittedOffset >= 0 {
				found[cdc.Partition{Topic: topic, ID: p.Partition}] = p.CommittedOffset
			}
		}
	}
	return found, nil
}
