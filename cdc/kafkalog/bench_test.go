package kafkalog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"golang.org/x/sys/unix"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	sandbox "nubridge/internal/sandbox/kafka"
)

// benchEvents are 640 bytes each, as Debezium's are, and differ from each other.
func benchEvents(topic string) []cdc.Event {
	made := events(topic, 0, 1000, 1000)
	for i := range made {
		made[i].Value = fmt.Appendf(nil, `{"before":null,"after":{"id":%d,"note":"%s","amount":"%d.25"},"source":{"connector":"postgresql","ts_ms":%d},"op":"u"}`,
			i, bytes.Repeat([]byte{byte('a' + i%26)}, 520), i*7, 1_700_000_000_000+i)
	}
	return made
}

// processorTime is what this process has used. With a broker of its own in another process it is the client's alone.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func report(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/event")
}

func benchBrokers(b *testing.B) []string {
	b.Helper()
	if brokers := os.Getenv("NUBRIDGE_KAFKA"); brokers != "" {
		return strings.Split(brokers, ",")
	}
	broker, err := sandbox.Start(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(broker.Close)
	return broker.Addrs()
}

func benchTopic(b *testing.B, brokers []string) (*kafkalog.Client, string) {
	b.Helper()
	client, err := kafkalog.New(kafkalog.Config{Brokers: brokers})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	if err := client.EnsureTopics(b.Context(), []kafkalog.Topic{{Name: topic, Partitions: 4, Replication: 1}}); err != nil {
		b.Fatal(err)
	}
	return client, topic
}

// BenchmarkPublish publishes batches of a thousand; an operation is one event.
func BenchmarkPublish(b *testing.B) {
	for _, codec := range []string{"lz4", "none", "snappy", "zstd"} {
		b.Run(codec, func(b *testing.B) {
			client, topic := benchTopic(b, benchBrokers(b))
			p, err := kafkalog.Open(b.Context(), client, kafkalog.PublisherConfig{Compression: codec}, []string{topic}, quiet())
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			made := benchEvents(topic)
			acks := make(chan error, b.N/len(made)+2)
			calls := 0
			b.ReportAllocs()
			before := processorTime(b)
			b.ResetTimer()
			for left := b.N; left > 0; left -= len(made) {
				batch := &cdc.Batch{Events: made[:min(left, len(made))]}
				if err := p.Publish(b.Context(), batch, func(err error) { acks <- err }); err != nil {
					b.Fatal(err)
				}
				calls++
			}
			for range calls {
				if err := <-acks; err != nil {
					b.Fatal(err)
				}
			}
			report(b, before)
		})
	}
}

// BenchmarkWriter is kafka-go's own way, for comparison: calls of a thousand, acknowledged by all.
func BenchmarkWriter(b *testing.B) {
	brokers := benchBrokers(b)
	_, topic := benchTopic(b, brokers)
	w := &kafka.Writer{
		Addr: kafka.TCP(brokers...), Topic: topic, Balancer: kafka.Murmur2Balancer{Consistent: true}, RequiredAcks: kafka.RequireAll,
		BatchSize: 1000, BatchTimeout: time.Millisecond, BatchBytes: 8 << 20, Compression: kafka.Lz4,
	}
	defer w.Close()
	for w.WriteMessages(b.Context(), kafka.Message{Value: []byte("warm")}) != nil { // its cache has not heard of the topic yet
		if b.Context().Err() != nil {
			b.Fatal("no topic")
		}
	}
	made := benchEvents(topic)
	b.ReportAllocs()
	before := processorTime(b)
	b.ResetTimer()
	for left := b.N; left > 0; left -= len(made) {
		messages := make([]kafka.Message, min(left, len(made)))
		for i := range messages {
			e := &made[i]
			messages[i] = kafka.Message{Key: e.Key, Value: e.Value, Headers: []kafka.Header{
				{Key: cdc.HeaderPosition, Value: []byte(e.Position.String())}, {Key: cdc.HeaderOp, Value: []byte("u")},
			}}
		}
		if err := w.WriteMessages(context.Background(), messages...); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before)
}
