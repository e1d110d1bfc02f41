package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"nubridge/cdc"
)

// fetched is one answer about one partition.
type fetched struct {
	// end is the offset after the last record that all in-sync replicas have; start is the first that the broker holds.
	start, end int64
	batches    []byte
}

// fetch reads record batches of one partition from offset on. It waits up to wait for the first byte.
func (c *Client) fetch(ctx context.Context, p cdc.Partition, offset int64, maxBytes int, wait time.Duration) (fetched, error) {
	m := &call{
		key: protocol.Fetch, low: 4, high: 11,
		route: func(cluster protocol.Cluster) (protocol.Broker, error) { return leader(cluster, p) },
		encode: func(version int16, dst []byte) []byte {
			return appendFetch(dst, version, p, offset, maxBytes, wait)
		},
	}
	if err := c.exchange(ctx, m, wait); err != nil {
		return fetched{}, err
	}
	return decodeFetch(m.answer, m.version)
}

// leader finds the broker that leads a partition in kafka-go's cached layout.
func leader(cluster protocol.Cluster, p cdc.Partition) (protocol.Broker, error) {
	topic, ok := cluster.Topics[p.Topic]
	if !ok {
		return protocol.Broker{}, kafka.UnknownTopicOrPartition
	}
	partition, ok := topic.Partitions[int32(p.ID)]
	if !ok {
		return protocol.Broker{}, kafka.UnknownTopicOrPartition
	}
	broker, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{}, kafka.LeaderNotAvailable
	}
	return broker, nil
}

// appendFetch writes a Fetch request of version 4 to 11 without a fetch session.
func appendFetch(dst []byte, version int16, p cdc.Partition, offset int64, maxBytes int, wait time.Duration) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, ^uint32(0)) // replica -1: a consumer
	dst = be.AppendUint32(dst, uint32(wait.Milliseconds()))
	dst = be.AppendUint32(dst, 1) // as soon as there is anything
	dst = be.AppendUint32(dst, uint32(maxBytes))
	dst = append(dst, 0) // read uncommitted: nobody writes transactions here
	if version >= 7 {
		dst = be.AppendUint32(dst, 0)
		dst = be.AppendUint32(dst, ^uint32(0))
	}
	dst = be.AppendUint32(dst, 1)
	dst = appendString(dst, p.Topic)
	dst = be.AppendUint32(dst, 1)
	dst = be.AppendUint32(dst, uint32(p.ID))
	if version >= 9 {
		dst = be.AppendUint32(dst, ^uint32(0)) // leader epoch unknown
	}
	dst = be.AppendUint64(dst, uint64(offset))
	if version >= 5 {
		dst = be.AppendUint64(dst, ^uint64(0))
	}
	dst = be.AppendUint32(dst, uint32(maxBytes))
	if version >= 7 {
		dst = be.AppendUint32(dst, 0)
	}
	if version >= 11 {
		dst = appendString(dst, "")
	}
	return dst
}

// decodeFetch reads a Fetch answer of version 4 to 11 about one partition.
func decodeFetch(answer []byte, version int16) (fetched, error) {
	r := &reader{buf: answer}
	r.int32() // throttle
	if version >= 7 {
		if err := codeError(r.int16()); err != nil {
			return fetched{}, err
		}
		r.int32()
	}
	if r.count(6) != 1 {
		return fetched{}, errors.New("the broker's fetch answer names no topic")
	}
	_ = r.string()
	if r.count(16) != 1 {
		return fetched{}, errors.New("the broker's fetch answer names no partition")
	}
	r.int32()
	failed := codeError(r.int16())
	f := fetched{start: -1, end: r.int64()}
	r.int64() // last stable offset
	if version >= 5 {
		f.start = r.int64()
	}
	for range r.count(16) {
		r.take(16)
	}
	if version >= 11 {
		r.int32()
	}
	f.batches = r.take(max(int(r.int32()), 0))
	if failed != nil {
		return fetched{}, failed
	}
	if r.bad {
		return fetched{}, errors.New("the broker's fetch answer is cut or malformed")
	}
	return f, nil
}
