package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// GroupConfig is one member of a consumer group.
type GroupConfig struct {
	// ID of the group, such as nubridge.production.products.
	ID string
	// Topics to read. They may not exist yet; partitions that appear are taken up within WatchInterval.
	Topics []string
	// MaxRecords and MaxBytes bound what is read ahead for one partition, default 2,000 records and 2 MiB, and TotalBytes
	// what is read ahead for all, default 32 MiB; each may be passed by one fetch. // I6
	MaxRecords, MaxBytes, TotalBytes int
	// FetchBytes is what one fetch asks for, compressed, default 256 KiB; a larger record comes all the same.
	FetchBytes int
	// PollRecords bounds what one Poll returns, default 1,000.
	PollRecords int
	// SessionTimeout is how long the group waits for a silent member, default 30 s; heartbeats go out at a tenth of it.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the group waits for members to join again, default SessionTimeout: members here join at their
	// next heartbeat, and one that was killed while it joined would hold up all others for so long.
	RebalanceTimeout time.Duration
	// WatchInterval is how often new topics and partitions are looked for, default 5 s.
	WatchInterval time.Duration
	// FetchWait is how long a broker holds a fetch that finds nothing, default 4 s: it answers at once when there is something, and each
	// partition that stands still costs a request as often.
	FetchWait time.Duration
	// StallAfter is how long an assigned partition with records to read may stand still before its fetcher is started
	// anew, default 30 s.
	StallAfter time.Duration
}

func (c GroupConfig) withDefaults() GroupConfig {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	def(&c.SessionTimeout, 30*time.Second)
	def(&c.RebalanceTimeout, c.SessionTimeout)
	def(&c.WatchInterval, 5*time.Second)
	def(&c.FetchWait, 4*time.Second)
	def(&c.StallAfter, 30*time.Second)
	if c.MaxRecords <= 0 {
		c.MaxRecords = 2000
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 2 << 20
	}
	if c.TotalBytes <= 0 {
		c.TotalBytes = 32 << 20
	}
	if c.FetchBytes <= 0 {
		c.FetchBytes = 256 << 10
	}
	if c.PollRecords <= 0 {
		c.PollRecords = 1000
	}
	return c
}

// Group is a member of a consumer group. Heartbeats and reading ahead go on in Run however long the caller takes between
// calls of Poll, within the bounds of GroupConfig. One goroutine calls Poll; Commit may be called from others.
type Group struct {
	client *Client
	cfg    GroupConfig
	log    *slog.Logger

	wake chan struct{} // one token: Poll has something to look at

	mu         sync.Mutex
	generation *kafka.Generation
	parts      map[cdc.Partition]*partition // of the present generation
	turn       []*partition                 // in the order in which Poll serves them
	revoked    []cdc.Partition              // not yet reported
	assigned   []cdc.Assignment             // not yet reported
	bytes      int                          // read ahead in all partitions
	err        error                        // what Poll returns once all is reported; it stays
	stalls     int64

	// Used by Run and by serve, never at the same time: Run waits for serve to end before it looks again.
	seen                map[string]TopicInfo
	present, subscribed []string // topics that exist; those that were joined
}

// NewGroup checks the settings; Run joins the group.
func NewGroup(client *Client, cfg GroupConfig, log *slog.Logger) (*Group, error) {
	if cfg.ID == "" {
		return nil, errors.New("kafka group: no id")
	}
	if len(cfg.Topics) == 0 {
		return nil, fmt.Errorf("kafka group %q: no topics", cfg.ID)
	}
	return &Group{
		client: client, cfg: cfg.withDefaults(), log: log.With("group", cfg.ID),
		wake: make(chan struct{}, 1), parts: map[cdc.Partition]*partition{}, seen: map[string]TopicInfo{},
	}, nil
}

// Run is the membership: it joins, heartbeats and reads ahead until ctx ends, then leaves the group. It retries whatever
// may pass and returns nil after ctx ended. Topics that do not exist are joined when they appear.
func (g *Group) Run(ctx context.Context) error {
	defer g.end(fault.New(fault.Retry, codeClosed, "the membership of group %q has ended", g.cfg.ID))
	ticker := time.NewTicker(g.cfg.WatchInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		g.look(ctx)
		g.subscribed = g.present
		if len(g.subscribed) > 0 {
			if err := g.member(ctx, g.subscribed); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

// member is in the group for some topics until ctx ends or other topics exist.
func (g *Group) member(ctx context.Context, topics []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	membership, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: g.cfg.ID, Topics: topics, Brokers: g.client.cfg.Brokers,
		Dialer: &kafka.Dialer{
			ClientID: g.client.cfg.ClientID, Timeout: 5 * time.Second, DialFunc: g.client.cfg.Dial,
			TLS: g.client.cfg.TLS, SASLMechanism: g.client.mechanism,
		},
		GroupBalancers:    []kafka.GroupBalancer{kafka.RoundRobinGroupBalancer{}, kafka.RangeGroupBalancer{}},
		HeartbeatInterval: max(g.cfg.SessionTimeout/10, 50*time.Millisecond),
		SessionTimeout:    g.cfg.SessionTimeout,
		RebalanceTimeout:  g.cfg.RebalanceTimeout,
		JoinGroupBackoff:  time.Second,
		StartOffset:       kafka.FirstOffset,
		Timeout:           g.client.cfg.Timeout,
	})
	if err != nil {
		return fmt.Errorf("kafka group %q: %w", g.cfg.ID, err)
	}
	defer func() { _ = membership.Close() }() // it leaves the group and never fails
	var last string
	for {
		generation, err := membership.Next(ctx)
		if ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed) {
			return nil
		}
		if err != nil {
			if text := err.Error(); text != last {
				g.log.Warn("kafka group not joined, trying again", "error", err)
				last = text
			}
			if fatal := wrap("join group", err); fault.KindOf(fatal) == fault.Halt {
				g.fail(fatal)
			}
			continue
		}
		last = ""
		generation.Start(func(ended context.Context) { g.serve(ended, generation, cancel) })
	}
}

// serve is one generation: it takes the assignment over, reads until the generation ends, and gives all of it back.
func (g *Group) serve(ended context.Context, generation *kafka.Generation, resubscribe func()) {
	ctx, cancel := context.WithCancel(ended)
	defer cancel()
	parts, assigned, err := g.inspect(ctx, generation)
	if err != nil {
		<-ctx.Done() // Poll has been told; leaving now would only make the group assign anew and fail again
		return
	}
	g.plant(generation, assigned)
	g.mu.Lock()
	g.generation, g.turn = generation, parts
	for _, p := range parts {
		g.parts[p.id] = p
	}
	g.assigned = append(g.assigned, assigned...)
	g.mu.Unlock()
	g.signal()
	g.log.Info("kafka partitions assigned", "generation", generation.ID, "partitions", len(parts))
	var running sync.WaitGroup
	for _, p := range parts {
		running.Go(func() { g.read(ctx, p) })
	}
	g.watch(ctx, resubscribe)
	g.revoke()
	cancel()
	running.Wait()
}

// plant stores where a partition begins that the group never read, so that records that expire before they are read are
// missed instead of jumped over at the next start. // I8
func (g *Group) plant(generation *kafka.Generation, assigned []cdc.Assignment) {
	offsets := map[string]map[int]int64{}
	for _, a := range assigned {
		if a.Committed < 0 {
			if offsets[a.Partition.Topic] == nil {
				offsets[a.Partition.Topic] = map[int]int64{}
			}
			offsets[a.Partition.Topic][a.Partition.ID] = a.Start
		}
	}
	if err := generation.CommitOffsets(offsets); err != nil {
		g.log.Warn("kafka start offsets not stored", "error", err)
	}
}

// inspect finds where each assigned partition starts. It retries until the generation ends.
func (g *Group) inspect(ctx context.Context, generation *kafka.Generation) ([]*partition, []cdc.Assignment, error) {
	var ids []cdc.Partition
	topics := map[string][]int{}
	for topic, assignments := range generation.Assignments {
		for _, a := range assignments {
			ids = append(ids, cdc.Partition{Topic: topic, ID: a.ID})
			topics[topic] = append(topics[topic], a.ID)
		}
	}
	var pause backoff
	for {
		parts, assigned, err := g.inspectOnce(ctx, ids, topics)
		if err == nil {
			return parts, assigned, nil
		}
		if fault.KindOf(err) == fault.Halt {
			g.fail(err)
			return nil, nil, err
		}
		if ctx.Err() == nil {
			g.log.Warn("kafka offsets not read, trying again", "error", err)
		}
		if pause.wait(ctx) != nil {
			return nil, nil, err
		}
	}
}

func (g *Group) inspectOnce(ctx context.Context, ids []cdc.Partition, topics map[string][]int) ([]*partition, []cdc.Assignment, error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	committed, err := g.client.committed(ctx, g.cfg.ID, topics)
	if err != nil {
		return nil, nil, wrap("read committed offsets", err)
	}
	bounds, err := g.client.bounds(ctx, ids)
	if err != nil {
		return nil, nil, wrap("list offsets", err)
	}
	parts := make([]*partition, 0, len(ids))
	assigned := make([]cdc.Assignment, 0, len(ids))
	for _, id := range ids {
		a := cdc.Assignment{Partition: id, Committed: -1, Start: bounds[id][0], End: bounds[id][1]}
		if offset, ok := committed[id]; ok {
			a.Committed = offset
		}
		parts = append(parts, newPartition(g, a))
		assigned = append(assigned, a)
	}
	return parts, assigned, nil
}

// revoke ends the present generation for Poll and Commit. // I2
func (g *Group) revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	unseen := map[cdc.Partition]bool{}
	for _, a := range g.assigned {
		unseen[a.Partition] = true
	}
	for id := range g.parts {
		if !unseen[id] {
			g.revoked = append(g.revoked, id)
		}
	}
	clear(g.parts)
	g.assigned, g.turn, g.generation, g.bytes = nil, nil, nil, 0
	g.signal()
}

// fail stops handing out; what was read before stays with the caller.
func (g *Group) fail(err error) {
	g.mu.Lock()
	if g.err == nil || fault.KindOf(g.err) != fault.Halt {
		g.err = err
	}
	g.mu.Unlock()
	g.signal()
}

// end marks the end of Run, unless a graver cause is there already.
func (g *Group) end(err error) {
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.mu.Unlock()
	g.signal()
}

func (g *Group) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Stalls counts how often a fetcher stood still before records to read and was started anew.
func (g *Group) Stalls() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stalls
}
