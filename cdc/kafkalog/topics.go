package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/internal/fault"
)

// Topic is a topic as it shall be.
type Topic struct {
	Name string
	// Partitions and Replication; zero leaves them to the broker's defaults.
	Partitions, Replication int
	// Configs are topic settings such as max.message.bytes or cleanup.policy.
	Configs map[string]string
}

// TopicInfo is a topic as it is.
type TopicInfo struct {
	Name string
	// ID changes when a topic is deleted and made again under the same name. // I8
	ID                      string
	Partitions, Replication int
}

// EnsureTopics creates the topics that do not exist, leaves the others as they are, and returns once all have leaders and
// this client can use them. It retries passing failures until ctx ends.
func (c *Client) EnsureTopics(ctx context.Context, topics []Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	var pause backoff
	for {
		err := c.ensureOnce(ctx, topics, names)
		if err == nil || fault.KindOf(err) == fault.Halt || errors.Is(err, context.Canceled) {
			return err
		}
		if pause.wait(ctx) != nil {
			return err
		}
	}
}

func (c *Client) ensureOnce(ctx context.Context, topics []Topic, names []string) error {
	known, err := c.metadata(ctx, names)
	if err != nil {
		return wrap("list topics", err)
	}
	var missing []kafka.TopicConfig
	for _, t := range topics {
		if errors.Is(known[t.Name].err, kafka.UnknownTopicOrPartition) {
			missing = append(missing, t.request())
		} else if err := known[t.Name].usable(); err != nil {
			return wrap("topic "+strconv.Quote(t.Name), err)
		}
	}
	if len(missing) == 0 {
		return c.awaitRouting(ctx, names)
	}
	answer, err := c.kafka.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: missing})
	if err != nil {
		return wrap("create topics", err)
	}
	for name, err := range answer.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return wrap("create topic "+strconv.Quote(name), err)
		}
	}
	return &fault.Error{Kind: fault.Retry, Code: codeTopic, Err: errors.New("new topics have no leaders yet")}
}

func (t Topic) request() kafka.TopicConfig {
	request := kafka.TopicConfig{Topic: t.Name, NumPartitions: -1, ReplicationFactor: -1}
	if t.Partitions > 0 {
		request.NumPartitions = t.Partitions
	}
	if t.Replication > 0 {
		request.ReplicationFactor = t.Replication
	}
	for _, name := range slices.Sorted(maps.Keys(t.Configs)) {
		request.ConfigEntries = append(request.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: t.Configs[name]})
	}
	return request
}

// usable says why a topic cannot be used now.
func (t topicMeta) usable() error {
	if t.err != nil {
		return t.err
	}
	if len(t.parts) == 0 {
		return kafka.LeaderNotAvailable
	}
	for _, p := range t.parts {
		if p.err != nil && !errors.Is(p.err, kafka.ReplicaNotAvailable) {
			return p.err
		}
		if p.leader < 0 {
			return kafka.LeaderNotAvailable
		}
	}
	return nil
}

// awaitRouting waits until kafka-go's cache, which routes fetches and offset queries, knows the topics.
func (c *Client) awaitRouting(ctx context.Context, names []string) error {
	answer, err := c.kafka.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return wrap("list topics", err)
	}
	for _, t := range answer.Topics {
		if t.Error != nil {
			return wrap("topic "+strconv.Quote(t.Name), t.Error)
		}
	}
	return nil
}

// DescribeTopics tells what the topics are; one that does not exist is missing from the answer.
func (c *Client) DescribeTopics(ctx context.Context, names []string) ([]TopicInfo, error) {
	known, err := c.metadata(ctx, names)
	if err != nil {
		return nil, wrap("describe topics", err)
	}
	infos := make([]TopicInfo, 0, len(known))
	for _, name := range slices.Sorted(maps.Keys(known)) {
		t := known[name]
		if errors.Is(t.err, kafka.UnknownTopicOrPartition) {
			continue
		}
		if t.err != nil {
			return nil, wrap("describe topic "+strconv.Quote(name), t.err)
		}
		info := TopicInfo{Name: name, ID: t.id, Partitions: len(t.parts)}
		for _, p := range t.parts {
			info.Replication = max(info.Replication, p.replicas)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Topics lists the names of all topics that start with a prefix, sorted.
func (c *Client) Topics(ctx context.Context, prefix string) ([]string, error) {
	known, err := c.metadata(ctx, nil)
	if err != nil {
		return nil, wrap("list topics", err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			names = append(names, name)
		}
	}
	return names, nil
}

// missingTopic is the halt for a topic that is gone: what it held is lost to whoever had not read it. // I8
func missingTopic(name string) error {
	return &fault.Error{
		Kind: fault.Halt, Code: codeTopic, Hint: "accept the gap and load the tables again with: nubridge accept-gap --reason TEXT",
		Err: fmt.Errorf("topic %q does not exist", name),
	}
}

func appendUvarint(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }
