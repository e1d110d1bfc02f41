package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// PublisherConfig is how to publish. The zero value is usable.
type PublisherConfig struct {
	// Compression is lz4 (default), none, snappy, zstd or gzip.
	Compression string
	// BatchBytes is the size, before compression, at which a record batch is closed, default 512 KiB.
	BatchBytes int
	// BufferBytes bounds what is on its way or waits for it, default 16 MiB; one larger event passes alone. // I6
	BufferBytes int
	// Create is the model of topics that do not exist yet; its Name is not used. Nil waits TopicWait for someone else to
	// create a topic and then halts.
	Create *Topic
	// TopicWait is how long a topic may be unknown, default 30 s.
	TopicWait time.Duration
	// Fence names the capture. With it, an older process of the same name is shut out of every partition before the first
	// record is published; it needs the right to write to the transactional id of that name. Empty does not fence.
	Fence string
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	if c.Compression == "" {
		c.Compression = "lz4"
	}
	if c.BatchBytes <= 0 {
		c.BatchBytes = 512 << 10
	}
	if c.BufferBytes <= 0 {
		c.BufferBytes = 16 << 20
	}
	if c.TopicWait <= 0 {
		c.TopicWait = 30 * time.Second
	}
	return c
}

func (c PublisherConfig) codec() (compress.Compression, error) {
	switch c.Compression {
	case "none":
		return compress.None, nil
	case "lz4":
		return compress.Lz4, nil
	case "snappy":
		return compress.Snappy, nil
	case "zstd":
		return compress.Zstd, nil
	case "gzip":
		return compress.Gzip, nil
	default:
		return 0, fmt.Errorf("kafka: compression %q: expected lz4, none, snappy, zstd or gzip", c.Compression)
	}
}

// Last is what a partition held at its end when it was asked. Zero positions are unknown.
type Last struct {
	// Stream is the position of the last change that came from the log, StreamOp its operation.
	Stream   cdc.Position
	StreamOp cdc.Op
	// Snapshot is the position of the last row of a snapshot.
	Snapshot cdc.Position
}

// skipper knows what each partition holds already.
type skipper struct{ last map[cdc.Partition]Last }

func (s *skipper) set(last map[cdc.Partition]Last) { s.last = last }

// skips tells whether an event is in its partition already. Within a partition changes stand in the order of their
// positions, so one at or before the last was published by an earlier process. Rows of a snapshot carry the position of
// their chunk's low mark, which lies before changes that were published earlier; they are compared with their own chunk
// only. A tombstone has the position of its delete and follows it.
func (s *skipper) skips(id cdc.Partition, e *cdc.Event) bool {
	if len(s.last) == 0 {
		return false
	}
	last, ok := s.last[id]
	if !ok {
		return false
	}
	if e.Op == cdc.OpRead {
		return e.Position.Epoch == last.Snapshot.Epoch && e.Position.Commit == last.Snapshot.Commit &&
			!last.Snapshot.IsZero() && e.Position.Index <= last.Snapshot.Index
	}
	if last.Stream.IsZero() {
		return false
	}
	switch order := e.Position.Compare(last.Stream); {
	case order == 0:
		return e.Op != cdc.OpTombstone || last.StreamOp == cdc.OpTombstone
	default:
		return order < 0
	}
}

// awaitTopic gives the number of partitions of a topic once it can be written, and creates it by the model if asked.
func (c *Client) awaitTopic(ctx context.Context, name string, model *Topic, wait time.Duration) (int, error) {
	var unknownSince time.Time
	var pause backoff
	for {
		known, err := c.metadata(ctx, []string{name})
		if err == nil {
			err = known[name].usable()
		}
		switch {
		case err == nil:
			return len(known[name].parts), nil
		case errors.Is(err, kafka.UnknownTopicOrPartition) && model != nil:
			topic := *model
			topic.Name = name
			if err := c.EnsureTopics(ctx, []Topic{topic}); err != nil {
				return 0, err
			}
			continue
		case errors.Is(err, kafka.UnknownTopicOrPartition):
			if unknownSince.IsZero() {
				unknownSince = time.Now()
			}
			if time.Since(unknownSince) > wait {
				return 0, missingTopic(name)
			}
		default:
			if failed := wrap(fmt.Sprintf("describe topic %q", name), err); fault.KindOf(failed) == fault.Halt {
				return 0, failed
			}
		}
		if err := pause.wait(ctx); err != nil {
			return 0, err
		}
	}
}

// tooLarge is the fault for a record that cannot be made small enough.
func tooLarge(id cdc.Partition, err error) error {
	return &fault.Error{
		Kind: fault.Halt, Code: codeTooLarge, Hint: "raise max.message.bytes of the topic",
		Err: fmt.Errorf("publish to %s/%d: one record is larger than the broker takes: %w", id.Topic, id.ID, err),
	}
}
