package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// Prepare makes the publisher ready and gives what each partition of the topics holds at its end; topics that do not exist
// yet are left out. It gets a producer id, shuts an older process out of the partitions if a fence is configured, and then
// reads the last positions: what is at or before them is not published again. It retries passing failures until ctx ends.
// Call it once, before Run and Publish.
//
// How the fence works. The producer id belongs to a transactional id named by the capture; asking for it raises its epoch.
// A partition learns of the new epoch by an abort marker, for which an empty transaction over all partitions is begun and
// aborted; readers do not see markers. From then on the partition refuses the older epoch, so that nothing can follow the
// position that is read next. No record is ever written in a transaction. // I8
func (p *Publisher) Prepare(ctx context.Context, topics []string) (map[cdc.Partition]Last, error) {
	return persist(ctx, p.log, func() (map[cdc.Partition]Last, error) { return p.prepareOnce(ctx, topics) })
}

// persist repeats a preparation until it succeeds, is refused for good, or ctx ends.
func persist(ctx context.Context, log *slog.Logger, once func() (map[cdc.Partition]Last, error)) (map[cdc.Partition]Last, error) {
	var pause backoff
	for {
		last, err := once()
		if err == nil {
			return last, nil
		}
		if fault.KindOf(err) == fault.Halt || ctx.Err() != nil {
			return nil, err
		}
		log.Warn("kafka publisher not ready, trying again", "error", err)
		if pause.wait(ctx) != nil {
			return nil, err
		}
	}
}

func (p *Publisher) prepareOnce(ctx context.Context, topics []string) (map[cdc.Partition]Last, error) {
	metas, partitions, err := p.client.existing(ctx, topics)
	if err != nil {
		return nil, err
	}
	if err := Changed(p.cfg.Known, infosOf(metas)); err != nil {
		return nil, err
	}
	identity, err := p.client.initProducer(ctx, p.cfg.Fence)
	if err != nil {
		return nil, err
	}
	if p.cfg.Fence != "" && len(partitions) > 0 {
		if err := p.client.fence(ctx, p.cfg.Fence, identity, partitions); err != nil {
			return nil, err
		}
		// The answer to the abort comes before its markers are written; a producer id is only given again after them.
		if identity, err = p.client.initProducer(ctx, p.cfg.Fence); err != nil {
			return nil, err
		}
	}
	last, err := p.client.LastPositions(ctx, partitions)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.producer = identity
	p.skip.last = last
	for _, meta := range metas {
		p.install(meta)
	}
	return last, nil
}

// Changed compares topics with how they were known and gives the halt that a publisher would come to, nil if it would not: none may
// be gone, made anew or repartitioned. // I8
func Changed(known, now []TopicInfo) error {
	for _, before := range known {
		at := slices.IndexFunc(now, func(i TopicInfo) bool { return i.Name == before.Name })
		switch {
		case at < 0:
			return topicHalt(fmt.Errorf("topic %q was written and is gone", before.Name))
		case before.ID == HoleID:
			return holeHalt(fmt.Errorf("topic %q lacks a batch: the broker stored a later one and refused it", before.Name))
		case now[at].ID != before.ID || now[at].Partitions != before.Partitions:
			return topicChanged(before.Name, before.Partitions, now[at].Partitions)
		}
	}
	return nil
}

func infosOf(metas []topicMeta) []TopicInfo {
	infos := make([]TopicInfo, len(metas))
	for i, meta := range metas {
		infos[i] = TopicInfo{Name: meta.name, ID: meta.id, Partitions: len(meta.parts)}
	}
	return infos
}

// existing gives those of the topics that exist, and their partitions.
func (c *Client) existing(ctx context.Context, topics []string) ([]topicMeta, []cdc.Partition, error) {
	known, err := c.metadata(ctx, append([]string{}, topics...))
	if err != nil {
		return nil, nil, wrap("describe topics", err)
	}
	var metas []topicMeta
	var partitions []cdc.Partition
	for _, name := range topics {
		meta := known[name]
		if errors.Is(meta.err, kafka.UnknownTopicOrPartition) {
			continue
		}
		if err := meta.usable(); err != nil {
			return nil, nil, wrap(fmt.Sprintf("topic %q", name), err)
		}
		metas = append(metas, meta)
		for _, part := range meta.parts {
			partitions = append(partitions, cdc.Partition{Topic: name, ID: int(part.id)})
		}
	}
	return metas, partitions, nil
}

// SkipThrough replaces what Prepare found. Call it before the first Publish.
func (p *Publisher) SkipThrough(last map[cdc.Partition]Last) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skip.last = last
}

// initProducer gets a producer id, and with a name the next epoch of the one that belongs to the name. It waits until an
// older transaction of the name has ended, markers included.
func (c *Client) initProducer(ctx context.Context, name string) (producer, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := c.kafka.InitProducerID(ctx, &kafka.InitProducerIDRequest{
			TransactionalID: name, TransactionTimeoutMs: 60_000, ProducerID: -1, ProducerEpoch: -1,
		})
		if err == nil {
			err = answer.Error
		}
		if err == nil {
			return producer{id: int64(answer.Producer.ProducerID), epoch: int16(answer.Producer.ProducerEpoch)}, nil
		}
		if !errors.Is(err, kafka.ConcurrentTransactions) {
			return producer{}, wrap("get a producer id", err)
		}
		select {
		case <-ctx.Done():
			return producer{}, wrap("get a producer id", err)
		case <-ticker.C:
		}
	}
}

// fence makes every partition refuse older epochs of the producer.
func (c *Client) fence(ctx context.Context, name string, identity producer, partitions []cdc.Partition) error {
	topics := map[string][]kafka.AddPartitionToTxn{}
	for _, id := range partitions {
		topics[id.Topic] = append(topics[id.Topic], kafka.AddPartitionToTxn{Partition: id.ID})
	}
	added, err := c.kafka.AddPartitionsToTxn(ctx, &kafka.AddPartitionsToTxnRequest{
		TransactionalID: name, ProducerID: int(identity.id), ProducerEpoch: int(identity.epoch), Topics: topics,
	})
	if err != nil {
		return wrap("fence older publishers", err)
	}
	for _, partitions := range added.Topics {
		for _, one := range partitions {
			if one.Error != nil {
				return wrap("fence older publishers", one.Error)
			}
		}
	}
	ended, err := c.kafka.EndTxn(ctx, &kafka.EndTxnRequest{
		TransactionalID: name, ProducerID: int(identity.id), ProducerEpoch: int(identity.epoch), Committed: false,
	})
	if err == nil {
		err = ended.Error
	}
	return wrap("fence older publishers", err)
}
