package kafkalog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// Publisher is the idempotent, pipelined publisher: it implements cdc.Publisher. Prepare takes the partitions over from an
// older process, Run does the sending. After the first final failure it refuses everything; the caller makes a new one and
// starts again from the last recorded position. One goroutine calls Publish.
type Publisher struct {
	client *Client
	cfg    PublisherConfig
	codec  compress.Compression
	log    *slog.Logger
	now    func() time.Time

	producer producer
	skip     skipper

	settled chan struct{} // one token: a batch was answered, so the head of tickets may be ready
	room    chan struct{} // one token: there is room, or it is over
	repair  chan struct{} // one token: some partition waits for its leader
	dead    chan struct{} // closed by the first final failure, or the end of Run

	mu       sync.Mutex
	err      error  // why it is over
	holed    string // the topic whose hole ended it
	topics   map[string]*outTopic
	lanes    map[int32]*lane
	newLanes chan *lane
	tickets  []*ticket // in the order of Publish
	buffered int       // bytes of events not yet acknowledged // I6
	building pool      // buffers of open batches
	packed   pool      // buffers of compressed ones
	stats    PublisherStats
	noted    string // the last passing failure that was logged
	notedAt  time.Time
}

// PublisherStats counts since the publisher was made.
type PublisherStats struct {
	// Records, the bytes they were sent as, and the batches they were in, all acknowledged.
	Records, Bytes   int64
	Batches          int64
	Requests         int64
	Retries          int64 // batches sent again
	Skipped          int64 // events that were in Kafka already
	Oversize, Splits int64
}

// ticket is one call of Publish.
type ticket struct {
	acked   func(error)
	pending int  // batches that hold some of its events and are not acknowledged
	whole   bool // all its events are in batches
}

// outTopic is a topic that is being written.
type outTopic struct {
	name  string
	id    string // the topic's identity when first seen // I8
	parts []*outPartition
}

// NewPublisher checks the settings; it touches no network.
func NewPublisher(client *Client, cfg PublisherConfig, log *slog.Logger) (*Publisher, error) {
	cfg = cfg.withDefaults()
	codec, err := cfg.codec()
	if err != nil {
		return nil, err
	}
	return &Publisher{
		client: client, cfg: cfg, codec: codec, log: log, now: time.Now,
		settled: make(chan struct{}, 1), room: make(chan struct{}, 1), repair: make(chan struct{}, 1),
		dead: make(chan struct{}), topics: map[string]*outTopic{}, lanes: map[int32]*lane{},
		newLanes: make(chan *lane, 256), // more brokers than a cluster has
		producer: producer{id: -1, epoch: -1},
		building: pool{limit: cfg.BufferBytes}, packed: pool{limit: cfg.BufferBytes / 2},
	}, nil
}

// Publish implements cdc.Publisher. It blocks while BufferBytes are on their way, and while a new topic is looked up or made.
func (p *Publisher) Publish(ctx context.Context, b *cdc.Batch, acked func(error)) error {
	t := &ticket{acked: acked}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if p.producer.id < 0 {
		return fault.New(fault.Retry, codeClosed, "the publisher is not prepared")
	}
	p.tickets = append(p.tickets, t)
	for i := range b.Events {
		if err := p.publish(ctx, t, &b.Events[i]); err != nil {
			// Part of the batch may be on its way: nothing can follow it any more.
			p.killLocked(err)
			return p.withdraw(t, err)
		}
	}
	t.whole = true
	if t.pending == 0 {
		token(p.settled)
	}
	return nil
}

// withdraw takes a ticket back whose Publish fails; nil means that it has been called back already. The caller holds the lock.
func (p *Publisher) withdraw(t *ticket, err error) error {
	if n := len(p.tickets); n > 0 && p.tickets[n-1] == t {
		p.tickets = p.tickets[:n-1]
		return err
	}
	return nil
}

// publish puts one event into the open batch of its partition. The caller holds the lock; it is released while waiting.
func (p *Publisher) publish(ctx context.Context, t *ticket, e *cdc.Event) error {
	topic := p.topics[e.Topic]
	if topic == nil {
		p.mu.Unlock()
		err := p.learn(ctx, e.Topic)
		p.mu.Lock()
		if err != nil {
			return err
		}
		topic = p.topics[e.Topic]
	}
	part := topic.parts[partitionOf(e.Topic, e.Key, len(topic.parts))]
	if p.skip.skips(part.id, e) {
		p.stats.Skipped++
		return nil
	}
	lighter, err := lighten(e, maxRecord)
	if err != nil {
		return tooLarge(part.id, err)
	}
	if lighter != e {
		p.oversized(part.id)
		e = lighter
	}
	size := len(e.Key) + len(e.Value)
	for p.err == nil && p.buffered > 0 && p.buffered+size > p.cfg.BufferBytes { // I6 I9
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-p.room:
		case <-p.dead:
		}
		p.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if p.err != nil {
		return p.err
	}
	part.add(p, t, e)
	return nil
}

// oversized counts and tells of a record that goes out without its largest columns. The caller holds the lock.
func (p *Publisher) oversized(id cdc.Partition) {
	p.stats.Oversize++
	p.log.Warn("kafka record too large, published without its largest columns", "topic", id.Topic, "partition", id.ID)
}

// learn looks a topic up, and creates it if that was asked for.
func (p *Publisher) learn(ctx context.Context, name string) error {
	if _, err := p.client.awaitTopic(ctx, name, p.cfg.Create, p.cfg.TopicWait); err != nil {
		return err
	}
	known, err := p.client.metadata(ctx, []string{name})
	if err != nil {
		return wrap("describe topic "+name, err)
	}
	if meta := known[name]; p.cfg.Keep != nil {
		if err := p.cfg.Keep(ctx, TopicInfo{Name: name, ID: meta.id, Partitions: len(meta.parts)}); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.install(known[name])
	return nil
}

// install begins to write a topic. The caller holds the lock.
func (p *Publisher) install(meta topicMeta) {
	if p.topics[meta.name] != nil {
		return
	}
	topic := &outTopic{name: meta.name, id: meta.id, parts: make([]*outPartition, len(meta.parts))}
	for _, m := range meta.parts {
		if int(m.id) < len(topic.parts) {
			topic.parts[m.id] = &outPartition{
				id: cdc.Partition{Topic: meta.name, ID: int(m.id)}, leader: m.leader, stale: m.leader < 0,
			}
		}
		if m.leader < 0 {
			token(p.repair)
		}
	}
	p.topics[meta.name] = topic
}

// Stats gives the counts so far.
func (p *Publisher) Stats() PublisherStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Run sends and acknowledges until ctx ends or a failure is final. It returns that failure, or nil after ctx ended; what is
// then still on its way is acknowledged with an error, and may be in Kafka or not.
func (p *Publisher) Run(ctx context.Context) error {
	sending, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { p.mend(sending) })
	running.Go(func() { p.acknowledge() })
	running.Go(func() {
		for {
			select {
			case <-sending.Done():
				return
			case l := <-p.newLanes:
				running.Go(func() { l.run(sending) })
			}
		}
	})
	select {
	case <-ctx.Done():
		p.kill(fault.New(fault.Retry, codeClosed, "the publisher has been stopped"))
	case <-p.dead:
	}
	cancel()
	running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holed != "" && p.cfg.Hole != nil {
		keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.TopicWait)
		defer cancel()
		if err := p.cfg.Hole(keeping, p.holed); err != nil {
			p.log.Error("a hole in a topic is not recorded", "topic", p.holed, "error", err)
		}
	}
	return p.err
}

// trimEvery is how often the buffers that a load has left behind are let go.
const trimEvery = 2 * time.Second

// acknowledge calls back in the order of Publish. After the end it calls back with the cause. // I2
func (p *Publisher) acknowledge() {
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for {
		p.mu.Lock()
		var ready []*ticket
		for len(p.tickets) > 0 && (p.err != nil || p.tickets[0].whole && p.tickets[0].pending == 0) {
			ready = append(ready, p.tickets[0])
			p.tickets = p.tickets[1:]
		}
		err := p.err
		p.mu.Unlock()
		for _, t := range ready {
			t.acked(t.result(err))
		}
		if err != nil {
			return
		}
		select {
		case <-p.settled:
		case <-p.dead:
		case <-trim.C:
			p.mu.Lock()
			p.building.trim()
			p.packed.trim()
			p.mu.Unlock()
		}
	}
}

// result is nil for a ticket that was complete before the end.
func (t *ticket) result(err error) error {
	if t.whole && t.pending == 0 {
		return nil
	}
	return err
}

func (p *Publisher) kill(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killLocked(err)
}

func (p *Publisher) killLocked(err error) {
	if p.err != nil {
		return
	}
	p.err = err
	close(p.dead)
}

// token puts one token into a channel that holds one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// stopped describes a partition in an error.
func stopped(id cdc.Partition, err error) error {
	return fmt.Errorf("publish to %s/%d: %w", id.Topic, id.ID, err)
}
