package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

// event is a record of a feed.
type event struct {
	topic      string // without the prefix
	key, value string
}

// last tells whether it is the row that ends the workload.
func (e event) last() bool { return e.topic == "feed.rows" && e.key == `{"id":999999}` }

// recorder is a publisher that keeps everything.
type recorder struct {
	events []event
	ended  chan struct{}
}

func newRecorder() *recorder { return &recorder{ended: make(chan struct{})} }

// Publish keeps the events of a batch and acknowledges them.
func (r *recorder) Publish(_ context.Context, b *cdc.Batch, acked func(error)) error {
	for _, e := range b.Events {
		_, topic, _ := strings.Cut(e.Topic, ".")
		if topic == markTopic {
			continue
		}
		kept := event{topic, string(e.Key), string(e.Value)}
		r.events = append(r.events, kept)
		if kept.last() {
			close(r.ended)
		}
	}
	acked(nil)
	return nil
}

// memory is a store for one run.
type memory struct{}

func (memory) LoadCapture(context.Context, string) (*cdc.CaptureState, error) { return nil, nil }
func (memory) SaveCapture(context.Context, string, cdc.CaptureState) error    { return nil }
func (memory) SaveTables(context.Context, string, []cdc.CapturedTable) error  { return nil }
func (memory) RecordSchema(context.Context, string, cdc.SchemaVersion) error  { return nil }
func (memory) PastType(context.Context, string, uint32) ([]byte, error)       { return nil, nil }
func (memory) PastKey(context.Context, string, string, string, []string, cdc.LSN) ([]string, error) {
	return nil, nil
}
func (memory) Snapshots(context.Context, string) ([]cdc.SnapshotJob, error) { return nil, nil }
func (memory) AddSnapshot(context.Context, string, cdc.SnapshotJob) error   { return nil }
func (memory) AdvanceSnapshot(context.Context, string, cdc.SnapshotJob) (bool, error) {
	return false, nil
}
func (memory) Acknowledged(context.Context, string, cdc.Position, cdc.LSN) error { return nil }

// capture runs the bridge's capture into the recorder until the context ends.
func capture(ctx context.Context, s settings, prefix string, to *recorder, log *slog.Logger) error {
	c, err := cdc.NewCapture(func(context.Context) (cdc.Session, error) {
		src, err := pgsource.New(pgsource.Config{
			DatabaseURL: s.url(database), Capture: "conformance", Slot: "conformance_ours", Publication: "conformance", TopicPrefix: prefix,
			Tables: []string{"feed.*"}, Snapshot: pgsource.SnapshotNever, DiscoverInterval: time.Hour,
		}, pgsource.Deps{Store: memory{}, Log: log})
		return cdc.Session{Source: src, Publisher: to}, err
	}, memory{}, log, cdc.CaptureConfig{Capture: "conformance", Halts: func(error) bool { return true }})
	if err != nil {
		return fmt.Errorf("make the capture: %w", err)
	}
	return c.Run(ctx)
}

// consumer reads Debezium's topics while the workload runs.
type consumer struct {
	client *kgo.Client
	mu     sync.Mutex
	events []event
	marks  map[string]bool
	ended  bool
	grew   time.Time
}

func newConsumer(broker, prefix string) (*consumer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("^"+prefix+`\..*`), kgo.ConsumeRegex(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(200*time.Millisecond), kgo.MetadataMaxAge(time.Second),
		kgo.FetchMaxPartitionBytes(1<<28), kgo.FetchMaxBytes(1<<28), kgo.BrokerMaxReadBytes(1<<30))
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return &consumer{client: client, marks: map[string]bool{}}, nil
}

// run reads until the context ends.
func (c *consumer) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := c.client.PollFetches(ctx)
		c.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			_, topic, _ := strings.Cut(r.Topic, ".")
			e := event{topic, string(r.Key), string(r.Value)}
			c.grew = time.Now()
			if topic == markTopic {
				c.marks[e.key] = true
				return
			}
			c.events = append(c.events, e)
			c.ended = c.ended || e.last()
		})
		c.mu.Unlock()
	}
	c.client.Close()
}

// markTopic holds rows by which Debezium is waited for; they are no part of the comparison.
const markTopic = "feed.marks"

// marked waits until Debezium has come to a mark: it asks the catalog for tables, which must not be ahead of the log then.
func (c *consumer) marked(ctx context.Context, n int) error {
	return c.await(ctx, func() bool { return c.marks[fmt.Sprintf(`{"id":%d}`, n)] })
}

// all waits for the end of the workload, and until nothing more comes.
func (c *consumer) all(ctx context.Context) ([]event, error) {
	err := c.await(ctx, func() bool { return c.ended && time.Since(c.grew) > 8*time.Second })
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events, err
}

func (c *consumer) await(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("debezium: %w", errShort)
}
