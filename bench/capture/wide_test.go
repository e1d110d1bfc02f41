package main

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	sandbox "nubridge/internal/sandbox/kafka"
)

func TestEveryFiftiethTableStandsForTheOthersUntilTheEnd(t *testing.T) {
	const tables, partitions, rows = 100, 2, 200 // a row in each partition
	broker, err := sandbox.Start(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &bench{client: client, admin: kadm.NewClient(client)}
	var topics []string
	for i := range tables {
		topics = append(topics, fmt.Sprintf("t%d", i))
	}
	if err := makeTopics(t.Context(), b.admin, partitions, topics...); err != nil {
		t.Fatal(err)
	}
	write := func(topics ...string) {
		t.Helper()
		var records []*kgo.Record
		for _, topic := range topics {
			for id := range partitions {
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(id), Value: []byte("x")})
			}
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	ask := b.reached(rows, partitions, topics)
	expect := func(want int64, when string) {
		t.Helper()
		if got, err := ask(t.Context()); err != nil || got != want {
			t.Errorf("%s: %d, %v; expected %d", when, got, err, want)
		}
	}
	expect(0, "before the fence")
	write(topics...)
	expect(0, "with the markers of the fence")
	write(topics[0])
	expect(rows/2, "with one of the two tables that are asked")
	write(topics[1:70]...)
	expect(140, "with both, and thirty tables behind them without a row")
	write(topics[70:]...)
	expect(rows, "with all")
}
