package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tail reads every topic of the capture with a Kafka client of others and counts.
type tail struct {
	mu    sync.Mutex
	count map[partition]int64
	// end is the offset behind the last record; what only brokers see is no record.
	end   map[partition]int64
	moved time.Time
}

type partition struct {
	topic string
	id    int
}

func newTail() *tail { return &tail{count: map[partition]int64{}, end: map[partition]int64{}} }

func (t *tail) run(ctx context.Context, brokers []string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeRegex(), kgo.ConsumeTopics(`^oms\..*`),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMaxAge(2*time.Second), kgo.MetadataMinAge(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		t.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			p := partition{r.Topic, int(r.Partition)}
			t.count[p]++
			t.end[p] = max(t.end[p], r.Offset+1)
			t.moved = time.Now()
		})
		t.mu.Unlock()
	}
	return nil
}

// still tells that no record has come for a while.
func (t *tail) still() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.moved) > time.Second
}

func (t *tail) of(p partition) (count, end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count[p], t.end[p]
}
