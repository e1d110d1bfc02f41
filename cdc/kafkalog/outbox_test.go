package kafkalog

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"testing"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// A row here and a row there in 500 tables of 12 partitions opens as many batches as there are rows on their way. // I6
func TestOpenBatchesOfAWideFeedStaySmall(t *testing.T) {
	p, err := NewPublisher(nil, PublisherConfig{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e := cdc.Event{Topic: "t", Op: cdc.OpUpdate, Key: []byte(`{"id":1}`), Value: bytes.Repeat([]byte("x"), 640), Position: cdc.Position{Epoch: 1, Commit: 7}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ticket := &ticket{}
	p.mu.Lock()
	for p.buffered+len(e.Value) <= p.cfg.BufferBytes {
		o := &outPartition{leader: -1}
		o.add(p, ticket, &e)
		p.topics[string(rune(len(p.topics)))] = &outTopic{parts: []*outPartition{o}}
	}
	p.mu.Unlock()
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := float64(after.HeapAlloc) - float64(before.HeapAlloc)
	if most := 2.5 * float64(p.cfg.BufferBytes); held > most {
		t.Errorf("%d open batches of an event each, %d bytes of events, hold %.0f bytes; expected at most %.0f", len(p.topics), p.buffered, held, most)
	}
	runtime.KeepAlive(p)
}

// A later batch that is stored while an earlier one is refused would be taken for proof of it by the next publisher. // I8
func TestHoleInAPartitionIsToldSoThatTheNextPublisherHalts(t *testing.T) {
	t.Parallel()
	var told []string
	p, err := NewPublisher(nil, PublisherConfig{Hole: func(_ context.Context, topic string) error {
		told = append(told, topic)
		return nil
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	o := &outPartition{id: cdc.Partition{Topic: "t", ID: 3}}
	first, second := &batch{part: o, onWire: true}, &batch{part: o, stored: true}
	o.flight, o.onWire = []*batch{first, second}, 1
	p.answered(first, kafka.OutOfOrderSequenceNumber)
	if err := p.Run(t.Context()); fault.KindOf(err) != fault.Halt || fault.CodeOf(err) != codeHole {
		t.Errorf("got %v, want a halt with %s", err, codeHole)
	}
	if len(told) != 1 || told[0] != "t" {
		t.Errorf("told of %q, want t", told)
	}
	if err := Changed([]TopicInfo{{Name: "t", ID: HoleID}}, []TopicInfo{{Name: "t", ID: "x", Partitions: 6}}); fault.CodeOf(err) != codeHole {
		t.Errorf("got %v, want a halt with %s", err, codeHole)
	}
}
