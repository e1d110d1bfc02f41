package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
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
func (memory) Snapshots(context.Context, string) ([]cdc.SnapshotJob, error)   { return nil, nil }
func (memory) AddSnapshot(context.Context, string, cdc.SnapshotJob) error     { return nil }
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

// consume reads Debezium's topics up to the end of the workload.
func consume(ctx context.Context, broker, prefix string) ([]event, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("^"+prefix+`\..*`), kgo.ConsumeRegex(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(200*time.Millisecond), kgo.MetadataMaxAge(time.Second),
		kgo.FetchMaxPartitionBytes(1<<28), kgo.FetchMaxBytes(1<<28), kgo.BrokerMaxReadBytes(1<<30))
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	defer client.Close()
	var out []event
	ended := false
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		pollCtx, cancel := context.WithTimeout(ctx, 4*time.Second)
		fetches := client.PollFetches(pollCtx)
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if fetches.NumRecords() == 0 && ended {
			return out, nil
		}
		fetches.EachRecord(func(r *kgo.Record) {
			_, topic, _ := strings.Cut(r.Topic, ".")
			e := event{topic, string(r.Key), string(r.Value)}
			out = append(out, e)
			ended = ended || e.last()
		})
	}
	return out, fmt.Errorf("debezium: %w", errShort)
}
