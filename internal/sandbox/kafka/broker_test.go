package kafka_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/internal/sandbox/kafka"
)

func produce(t *testing.T, addr, topic, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestDataDirKeepsRecordsOverARestart(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{DataDir: t.TempDir(), Partitions: 1}
	broker, err := kafka.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Cluster().CreateTopic("kept", 1, nil); err != nil {
		t.Fatal(err)
	}
	produce(t, broker.Addr(), "kept", "one")
	broker.Close()

	broker, err = kafka.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	produce(t, broker.Addr(), "kept", "two")
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.ConsumeTopics("kept"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	for len(got) < 2 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if got[0] != "one" || got[1] != "two" {
		t.Fatalf("got %v", got)
	}
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	t.Parallel()
	first, err := kafka.Start(kafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, text, err := net.SplitHostPort(first.Addr())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := kafka.Start(kafka.Config{Port: port}); err == nil {
		second.Close()
		t.Fatal("two brokers on one port")
	}
}
