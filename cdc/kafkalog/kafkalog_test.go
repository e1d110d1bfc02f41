package kafkalog_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
	sandbox "nubridge/internal/sandbox/kafka"
)

func quiet() *slog.Logger {
	if os.Getenv("NUBRIDGE_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// world is a broker and a client of it.
type world struct {
	broker *sandbox.Broker
	client *kafkalog.Client
}

func newWorld(t *testing.T, cfg sandbox.Config) *world {
	t.Helper()
	broker, err := sandbox.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return &world{broker: broker, client: newClient(t, broker.Addrs()...)}
}

func newClient(t *testing.T, brokers ...string) *kafkalog.Client {
	t.Helper()
	client, err := kafkalog.New(kafkalog.Config{Brokers: brokers, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w *world) topic(t *testing.T, name string, partitions int) {
	t.Helper()
	topics := []kafkalog.Topic{{Name: name, Partitions: partitions, Replication: 1}}
	if err := w.client.EnsureTopics(soon(t), topics); err != nil {
		t.Fatal(err)
	}
}

// soon is a context that ends when a test should long be over.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// running starts Run and ends it with the test.
func running(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// events makes n changes of one transaction after another, ten a transaction, with keys spread over keys.
func events(topic string, from, n, keys int) []cdc.Event {
	made := make([]cdc.Event, n)
	for i := range made {
		at := from + i
		made[i] = cdc.Event{
			Topic: topic, Op: cdc.OpUpdate,
			Key:      fmt.Appendf(nil, `{"id":%d}`, at%keys),
			Value:    fmt.Appendf(nil, `{"before":null,"after":{"id":%d,"n":%d},"op":"u"}`, at%keys, at),
			Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(1000 + at/10*8), Index: uint64(at % 10)},
			XID:      uint64(700 + at/10), CommitTime: 1_700_000_000_000_000 + int64(at),
		}
	}
	return made
}

// publish sends one batch and waits for its acknowledgement.
func publish(t *testing.T, p cdc.Publisher, events []cdc.Event) {
	t.Helper()
	acked := make(chan error, 1)
	if err := p.Publish(soon(t), &cdc.Batch{Events: events}, func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-acked:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no acknowledgement")
	}
}

func newGroup(t *testing.T, client *kafkalog.Client, cfg kafkalog.GroupConfig) *kafkalog.Group {
	t.Helper()
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = time.Second
		if os.Getenv("NUBRIDGE_KAFKA") != "" {
			cfg.SessionTimeout = 6 * time.Second // a real broker's least
		}
	}
	if cfg.WatchInterval == 0 {
		cfg.WatchInterval = 300 * time.Millisecond
	}
	group, err := kafkalog.NewGroup(client, cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// read polls until n records came.
func read(t *testing.T, group *kafkalog.Group, n int) []cdc.Record {
	t.Helper()
	ctx := soon(t)
	var records []cdc.Record
	for len(records) < n {
		fetch, err := group.Poll(ctx)
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetch.Records...)
	}
	return records
}

func TestPingTellsAnUnreachableBroker(t *testing.T) {
	t.Parallel()
	client, err := kafkalog.New(kafkalog.Config{Brokers: []string{"127.0.0.1:1"}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = client.Ping(soon(t))
	if fault.CodeOf(err) != "kafka_unreachable" {
		t.Fatalf("got %v", err)
	}
	w := newWorld(t, sandbox.Config{})
	if err := w.client.Ping(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func TestPlainPublisherAndGroupCarryAllFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "oms.public.styles", 3)
	publisher, err := kafkalog.NewPlainPublisher(w.client, kafkalog.PublisherConfig{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	running(t, publisher.Run)
	sent := events("oms.public.styles", 0, 500, 40)
	publish(t, publisher, sent)
	group := newGroup(t, w.client, kafkalog.GroupConfig{ID: "g", Topics: []string{"oms.public.styles"}})
	running(t, group.Run)
	checkRecords(t, sent, read(t, group, len(sent)))
}

// checkRecords compares by position what was sent with what was read, and the order within each key.
func checkRecords(t *testing.T, sent []cdc.Event, got []cdc.Record) {
	t.Helper()
	want := map[cdc.Position]*cdc.Event{}
	for i := range sent {
		want[sent[i].Position] = &sent[i]
	}
	last := map[string]cdc.Position{}
	place := map[string]cdc.Partition{}
	for _, r := range got {
		e := want[r.Position]
		if e == nil {
			t.Fatalf("position %v came twice or was never sent", r.Position)
		}
		delete(want, r.Position)
		key := string(r.Key)
		if string(e.Key) != key || string(e.Value) != string(r.Value) || e.Op != r.Op || e.XID != r.XID ||
			e.CommitTime != r.CommitTime.UnixMicro() || e.Trace != r.Trace || e.Topic != r.Partition.Topic {
			t.Fatalf("sent %+v, got %+v", e, r)
		}
		if last[key].Compare(r.Position) >= 0 {
			t.Fatalf("key %s: %v after %v", key, r.Position, last[key])
		}
		if p, ok := place[key]; ok && p != r.Partition {
			t.Fatalf("key %s lies in %v and %v", key, p, r.Partition)
		}
		last[key], place[key] = r.Position, r.Partition
	}
	if len(want) > 0 {
		t.Fatalf("%d of %d events are missing", len(want), len(sent))
	}
}
