package kafkalog_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	sandbox "nubridge/internal/sandbox/kafka"
)

func open(t *testing.T, client *kafkalog.Client, cfg kafkalog.PublisherConfig, topics ...string) *kafkalog.Running {
	t.Helper()
	running, err := kafkalog.Open(soon(t), client, cfg, topics, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	return running
}

// pump publishes events in batches of size without waiting, and returns the errors of the acknowledgements in order.
func pump(t *testing.T, p cdc.Publisher, all []cdc.Event, size int) []error {
	t.Helper()
	var mu sync.Mutex
	var order []int
	var errs []error
	done := make(chan struct{}, len(all))
	calls := 0
	for at := 0; at < len(all); at += size {
		number := calls
		calls++
		batch := &cdc.Batch{Events: all[at:min(at+size, len(all))]}
		if err := p.Publish(soon(t), batch, func(err error) {
			mu.Lock()
			order = append(order, number)
			errs = append(errs, err)
			mu.Unlock()
			done <- struct{}{}
		}); err != nil {
			t.Fatalf("publish call %d: %v", number, err)
		}
	}
	limit := time.After(30 * time.Second)
	for range calls {
		select {
		case <-done:
		case <-limit:
			t.Fatalf("%d of %d acknowledgements", len(order), calls)
		}
	}
	for i, number := range order {
		if i != number {
			t.Fatalf("acknowledgement %d came as number %d", number, i)
		}
	}
	return errs
}

// contents reads a topic from its start to its end.
func contents(t *testing.T, client *kafkalog.Client, n int, topics ...string) []cdc.Record {
	t.Helper()
	group := newGroup(t, client, kafkalog.GroupConfig{ID: t.Name() + time.Now().Format("150405.000000"), Topics: topics})
	running(t, group.Run)
	// A member that a busy machine holds up is given its partitions again and reads them from the start: an offset counts once.
	next := map[cdc.Partition]int64{}
	var records []cdc.Record
	for len(records) < n {
		for _, r := range read(t, group, 1) {
			if r.Offset >= next[r.Partition] {
				records, next[r.Partition] = append(records, r), r.Offset+1
			}
		}
	}
	return records
}

func TestIdempotentPublisherKeepsOrderAndFields(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"lz4", "none", "snappy", "zstd", "gzip"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Config{Brokers: 3})
			w.topic(t, "a", 3)
			p := open(t, w.client, kafkalog.PublisherConfig{Compression: codec, Fence: "cap", BatchBytes: 4 << 10}, "a")
			sent := events("a", 0, 3000, 50)
			for _, err := range pump(t, p, sent, 7) {
				if err != nil {
					t.Fatal(err)
				}
			}
			checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
			if err := errors.Join(p.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
