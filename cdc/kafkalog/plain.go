package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// PlainPublisher publishes without a producer id: one call after another, each repeated until it is acknowledged. A lost
// answer doubles records; readers recognise them by position. It is the fallback for brokers without idempotent producers.
type PlainPublisher struct {
	client  *Client
	cfg     PublisherConfig
	codec   compress.Compression
	log     *slog.Logger
	queue   chan plainJob
	skip    skipper
	stopped chan struct{}
	err     error // set before stopped is closed
	counts  map[string]int
}

type plainJob struct {
	events []cdc.Event
	acked  func(error)
}

// taken copies events out of the memory of their batch.
func taken(events []cdc.Event) []cdc.Event {
	size := 0
	for i := range events {
		size += len(events[i].Key) + len(events[i].Value)
	}
	arena := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		from := len(arena)
		arena = append(arena, b...)
		return arena[from:len(arena):len(arena)]
	}
	out := slices.Clone(events)
	for i := range out {
		out[i].Key, out[i].Value = keep(out[i].Key), keep(out[i].Value)
	}
	return out
}

// NewPlainPublisher checks the settings; Run publishes.
func NewPlainPublisher(client *Client, cfg PublisherConfig, log *slog.Logger) (*PlainPublisher, error) {
	cfg = cfg.withDefaults()
	codec, err := cfg.codec()
	if err != nil {
		return nil, err
	}
	return &PlainPublisher{
		client: client, cfg: cfg, codec: codec, log: log, counts: map[string]int{},
		queue:   make(chan plainJob, 4), // four batches wait while one is on its way
		stopped: make(chan struct{}),
	}, nil
}

// Prepare reads what each partition of the topics holds at its end; what is at or before it is not published again. Topics
// that do not exist yet are left out. It retries passing failures until ctx ends. Call it once, before Run and Publish.
func (p *PlainPublisher) Prepare(ctx context.Context, topics []string) (map[cdc.Partition]Last, error) {
	last, err := persist(ctx, p.log, func() (map[cdc.Partition]Last, error) {
		metas, partitions, err := p.client.existing(ctx, topics)
		if err != nil {
			return nil, err
		}
		if err := Changed(p.cfg.Known, infosOf(metas)); err != nil {
			return nil, err
		}
		return p.client.LastPositions(ctx, partitions)
	})
	p.skip.last = last
	return last, err
}

// SkipThrough drops what is at or before the last position of a partition from now on. Call it before the first Publish.
func (p *PlainPublisher) SkipThrough(last map[cdc.Partition]Last) { p.skip.last = last }

// Publish implements cdc.Publisher.
func (p *PlainPublisher) Publish(ctx context.Context, b *cdc.Batch, acked func(error)) error {
	select {
	case <-p.stopped:
		return p.err
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stopped:
		return p.err
	case p.queue <- plainJob{taken(b.Events), acked}:
	}
	select {
	case <-p.stopped:
		p.drain() // Run has ended, perhaps before it saw this batch
	default:
	}
	return nil
}

// Run publishes until ctx ends or a failure is final; it returns that failure, or nil after ctx ended.
func (p *PlainPublisher) Run(ctx context.Context) error {
	err := p.serve(ctx)
	p.err = err
	if err == nil {
		p.err = fault.New(fault.Retry, codeClosed, "the publisher has stopped")
	}
	close(p.stopped)
	p.drain()
	return err
}

// drain refuses what still waits.
func (p *PlainPublisher) drain() {
	for {
		select {
		case job := <-p.queue:
			job.acked(p.err)
		default:
			return
		}
	}
}

func (p *PlainPublisher) serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-p.queue:
			err := p.publish(ctx, job.events)
			job.acked(err)
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
	}
}

func (p *PlainPublisher) publish(ctx context.Context, events []cdc.Event) error {
	byPartition := map[cdc.Partition][]*cdc.Event{}
	var order []cdc.Partition
	for i := range events {
		e := &events[i]
		partitions, err := p.partitions(ctx, e.Topic)
		if err != nil {
			return err
		}
		id := cdc.Partition{Topic: e.Topic, ID: partitionOf(e.Topic, e.Key, partitions)}
		if p.skip.skips(id, e) {
			continue
		}
		if e, err = lighten(e, maxRecord); err != nil {
			return tooLarge(id, err)
		}
		if byPartition[id] == nil {
			order = append(order, id)
		}
		byPartition[id] = append(byPartition[id], e)
	}
	errs := make([]error, len(order))
	var running sync.WaitGroup
	for i, id := range order {
		running.Go(func() { errs[i] = p.send(ctx, id, byPartition[id]) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (p *PlainPublisher) partitions(ctx context.Context, topic string) (int, error) {
	if n := p.counts[topic]; n > 0 {
		return n, nil
	}
	n, err := p.client.awaitTopic(ctx, topic, p.cfg.Create, p.cfg.TopicWait)
	if err == nil {
		p.counts[topic] = n
	}
	return n, err
}

// send repeats until acknowledged or final.
func (p *PlainPublisher) send(ctx context.Context, id cdc.Partition, events []*cdc.Event) error {
	var pause backoff
	for {
		now := time.Now()
		records := make([]kafka.Record, len(events))
		for i, e := range events {
			records[i] = plainRecord(e, now)
		}
		answer, err := p.client.kafka.Produce(ctx, &kafka.ProduceRequest{
			Topic: id.Topic, Partition: id.ID, RequiredAcks: kafka.RequireAll, Compression: p.codec,
			Records: kafka.NewRecordReader(records...),
		})
		if err == nil {
			err = answer.Error
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, kafka.MessageSizeTooLarge) && len(events) > 1 {
			if err := p.send(ctx, id, events[:len(events)/2]); err != nil {
				return err
			}
			return p.send(ctx, id, events[len(events)/2:])
		}
		if errors.Is(err, kafka.MessageSizeTooLarge) {
			return tooLarge(id, err)
		}
		failed := wrap(fmt.Sprintf("publish to %s/%d", id.Topic, id.ID), err)
		if ctx.Err() != nil || fault.KindOf(failed) == fault.Halt {
			return failed
		}
		p.log.Warn("kafka publish failed, trying again", "topic", id.Topic, "partition", id.ID, "error", err)
		if pause.wait(ctx) != nil {
			return failed
		}
	}
}

func plainRecord(e *cdc.Event, now time.Time) kafka.Record {
	record := kafka.Record{Time: now, Key: bytesOrNil(e.Key), Value: bytesOrNil(e.Value)}
	header := func(key, value string) {
		record.Headers = append(record.Headers, kafka.Header{Key: key, Value: []byte(value)})
	}
	header(cdc.HeaderPosition, e.Position.String())
	header(cdc.HeaderOp, string(rune(e.Op)))
	if e.XID != 0 {
		header(cdc.HeaderXID, strconv.FormatUint(e.XID, 10))
	}
	if e.CommitTime != 0 {
		header(cdc.HeaderCommitTime, strconv.FormatInt(e.CommitTime, 10))
	}
	if e.TxSize != 0 {
		header(cdc.HeaderTxSize, strconv.FormatUint(e.TxSize, 10))
	}
	if e.Trace != "" {
		header(cdc.HeaderTrace, e.Trace)
	}
	if e.Oversize != "" {
		header(cdc.HeaderOversize, e.Oversize)
	}
	return record
}

func bytesOrNil(b []byte) kafka.Bytes {
	if b == nil {
		return nil
	}
	return kafka.NewBytes(b)
}
