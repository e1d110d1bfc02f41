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

// peakMemory is the most that this process has held, as the kernel counts it, in bytes.
func peakMemory(b *testing.B) int64 {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Maxrss << 10
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

// BenchmarkPublishWide publishes the same events into one partition, into 500 topics of 12 partitions each in runs of a hundred, and there
// event by event: records/batch is what the broker pays for. Each partition is met before the clock starts.
func BenchmarkPublishWide(b *testing.B) {
	brokers := benchBrokers(b)
	for _, shape := range []struct {
		name                    string
		topics, partitions, run int
	}{{"narrow", 1, 1, 1}, {"wide", 500, 12, 100}, {"spread", 500, 12, 1}} {
		var w *wideFeed
		b.Run(shape.name, func(b *testing.B) {
			if w == nil { // this is called again with other numbers
				w = openWide(b, brokers, shape.topics, shape.partitions, shape.run)
			}
			w.send(b, 30*shape.topics*shape.partitions-w.at)
			met, before := w.p.Stats(), processorTime(b)
			b.ResetTimer()
			w.send(b, b.N)
			report(b, before)
			sent := w.p.Stats()
			b.ReportMetric(float64(sent.Records-met.Records)/float64(sent.Batches-met.Batches), "records/batch")
			b.ReportMetric(float64(sent.Batches-met.Batches)/float64(sent.Requests-met.Requests), "batches/request")
			b.ReportMetric(float64(peakMemory(b))/(1<<20), "peak-MiB")
		})
		if w != nil {
			w.close(b, brokers)
		}
	}
}

// wideFeed publishes events into its topics in turn, some in a run.
type wideFeed struct {
	client *kafkalog.Client
	p      *kafkalog.Running
	names  []string
	run    int
	made   []cdc.Event
	at     int
}

func openWide(b *testing.B, brokers []string, topics, partitions, run int) *wideFeed {
	b.Helper()
	client, err := kafkalog.New(kafkalog.Config{Brokers: brokers})
	if err != nil {
		b.Fatal(err)
	}
	w := &wideFeed{client: client, run: run, made: benchEvents("")}
	models := make([]kafkalog.Topic, topics)
	for i := range models {
		w.names = append(w.names, fmt.Sprintf("bench-%d-%d", time.Now().UnixNano(), i))
		models[i] = kafkalog.Topic{Name: w.names[i], Partitions: partitions, Replication: 1}
	}
	if err := client.EnsureTopics(b.Context(), models); err != nil {
		b.Fatal(err)
	}
	if w.p, err = kafkalog.Open(context.Background(), client, kafkalog.PublisherConfig{}, w.names, quiet()); err != nil {
		b.Fatal(err)
	}
	return w
}

func (w *wideFeed) send(b *testing.B, n int) {
	b.Helper()
	acks := make(chan error, max(0, n)/len(w.made)+1)
	calls := 0
	for ; n > 0; n -= len(w.made) {
		batch := &cdc.Batch{Events: w.made[:min(n, len(w.made))]}
		for i := range batch.Events {
			batch.Events[i].Topic = w.names[w.at/w.run%len(w.names)]
			batch.Events[i].Key = fmt.Appendf(batch.Events[i].Key[:0], `{"id":%d}`, w.at)
			w.at++
		}
		if err := w.p.Publish(b.Context(), batch, func(err error) { acks <- err }); err != nil {
			b.Fatal(err)
		}
		calls++
	}
	for range calls {
		if err := <-acks; err != nil {
			b.Fatal(err)
		}
	}
}

// close leaves no topic behind.
func (w *wideFeed) close(b *testing.B, brokers []string) {
	b.Helper()
	if err := w.p.Close(); err != nil {
		b.Error(err)
	}
	deleter := &kafka.Client{Addr: kafka.TCP(brokers...)}
	if _, err := deleter.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: w.names}); err != nil {
		b.Error(err)
	}
	w.client.Close()
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
