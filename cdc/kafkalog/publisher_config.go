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
	// Plain publishes without a producer id (idempotence off): Open then makes a PlainPublisher.
	Plain bool
	// Compression is lz4 (default), none, snappy, zstd or gzip.
	Compression string
	// BatchBytes is the size, before compression, at which a record batch is closed, default 512 KiB.
	BatchBytes int
	// BufferBytes bounds what is on its way or waits for it, default 5 MiB; one larger event passes alone. // I6
	BufferBytes int
	// Create is the model of topics that do not exist yet; its Name is not used. Nil waits TopicWait for someone else to
	// create a topic and then halts.
	Create *Topic
	// TopicWait is how long a topic may be unknown, default 30 s.
	TopicWait time.Duration
	// Known are the topics as an earlier process found them (Running.Topics), as far as they are still written. One that is gone, was
	// made anew since, or has another number of partitions is a halt with the code topic_changed. Nil knows none. // I8
	Known []TopicInfo
	// Keep is told of each topic that is met or created after the start, before the first record goes there, so that the next process
	// knows it. An error ends the publisher. Nil keeps none. // I8
	Keep func(ctx context.Context, topic TopicInfo) error
	// Hole is told of a topic that lacks a batch which the broker refused after it had stored a later one. Without it the next process
	// takes the last position for proof of all before it; a topic that is kept with HoleID as its ID stops that one too. // I8
	Hole func(ctx context.Context, topic string) error
	// Fence names the capture. With it, an older process of the same name is shut out of every partition before the first
	// record is published; it needs the right to write to the transactional id of that name. Empty does not fence.
	Fence string
}

// HoleID stands for the identity of a topic that lacks a batch.
const HoleID = "lacks a batch"

func (c PublisherConfig) withDefaults() PublisherConfig {
	if c.Compression == "" {
		c.Compression = "lz4"
	}
	if c.BatchBytes <= 0 {
		c.BatchBytes = 512 << 10
	}
	if c.BufferBytes <= 0 {
		c.BufferBytes = 5 << 20
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

// Last is the last change that a partition holds.
type Last struct {
	Position cdc.Position
	Op       cdc.Op
}

// skipper knows what each partition holds already.
type skipper struct{ last map[cdc.Partition]Last }

// skips tells whether an event is in its partition already. Positions rise along the feed, so within a partition one at or
// before the last was published by an earlier process. A tombstone that shares the position of its delete follows it.
func (s *skipper) skips(id cdc.Partition, e *cdc.Event) bool {
	if len(s.last) == 0 {
		return false
	}
	last, ok := s.last[id]
	if !ok {
		return false
	}
	order := e.Position.Compare(last.Position)
	if order == 0 && e.Op == cdc.OpTombstone && last.Op != cdc.OpTombstone {
		return false
	}
	return order <= 0
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
