package kafkalog_test

import (
	"fmt"
	"testing"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	sandbox "nubridge/internal/sandbox/kafka"
)

func TestManyPartitionsShareRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Brokers: 3})
	var names []string
	var topics []kafkalog.Topic
	for i := range 30 {
		names = append(names, fmt.Sprintf("t%d", i))
		topics = append(topics, kafkalog.Topic{Name: names[i], Partitions: 6, Replication: 1})
	}
	if err := w.client.EnsureTopics(soon(t), topics); err != nil {
		t.Fatal(err)
	}
	p := open(t, w.client, kafkalog.PublisherConfig{Fence: "wide"}, names...)
	sent := events("", 0, 6000, 3000)
	for i := range sent {
		sent[i].Topic = names[i%3000%len(names)]
	}
	allAcked(t, pump(t, p, sent, 1000))
	publisher, _ := p.Publisher.(*kafkalog.Publisher)
	if n := publisher.Stats().Requests; n > 100 {
		t.Fatalf("%d requests for 6 batches over 180 partitions", n)
	}
	checkRecords(t, sent, contents(t, w.client, len(sent), names...))
}

func TestEmptyBatchesAreAcknowledgedInTheirTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 1)
	p := open(t, w.client, kafkalog.PublisherConfig{}, "a")
	order := make(chan int, 3)
	for i, batch := range []cdc.Batch{{Events: events("a", 0, 50, 5)}, {}, {Events: events("a", 50, 50, 5)}} {
		if err := p.Publish(soon(t), &batch, func(err error) {
			if err != nil {
				t.Error(err)
			}
			order <- i
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if got := <-order; got != i {
			t.Fatalf("acknowledgement %d came as number %d", got, i)
		}
	}
}
