package kafkalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
	sandbox "nubridge/internal/sandbox/kafka"
)

// breaking opens listeners whose connections lose some answers: the broker has done its work, and the connection is cut
// instead of the answer being sent.
type breaking struct {
	on   atomic.Bool
	cuts atomic.Int64
}

func (b *breaking) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return &breakingListener{Listener: l, breaking: b}, err
}

type breakingListener struct {
	net.Listener
	breaking *breaking
}

func (l *breakingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &breakingConn{Conn: conn, breaking: l.breaking}, nil
}

type breakingConn struct {
	net.Conn
	breaking *breaking
}

func (c *breakingConn) Write(b []byte) (int, error) {
	if c.breaking.on.Load() && rand.IntN(10) == 0 {
		c.breaking.cuts.Add(1)
		_ = c.Close()
		return 0, errors.New("cut by the test")
	}
	return c.Conn.Write(b)
}

func allAcked(t *testing.T, errs []error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestLostAnswersMakeNeitherDuplicateNorHole(t *testing.T) {
	t.Parallel()
	var faults breaking
	w := newWorld(t, sandbox.Config{Listen: faults.listen})
	w.topic(t, "a", 2)
	p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 8 << 10, BufferBytes: 64 << 10}, "a")
	sent := events("a", 0, 4000, 40)
	faults.on.Store(true)
	allAcked(t, pump(t, p, sent, 20))
	faults.on.Store(false)
	if faults.cuts.Load() == 0 {
		t.Fatal("no connection was cut")
	}
	checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
}

func TestPassingAnswersMakeNeitherDuplicateNorHole(t *testing.T) {
	t.Parallel()
	passing := []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
		kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.KafkaStorageError, kerr.CorruptMessage,
	}
	for _, answer := range passing {
		t.Run(answer.Message, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Config{Brokers: 3})
			w.topic(t, "a", 3)
			p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 4 << 10, BufferBytes: 128 << 10}, "a")
			var n atomic.Int64
			handle := w.broker.Cluster().Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.Produce}, Err: answer, Count: -1,
				When: func(kmsg.Request) bool { i := n.Add(1); return i <= 1 || i%4 == 0 && i < 60 },
			})
			sent := events("a", 0, 3000, 40)
			allAcked(t, pump(t, p, sent, 30))
			if handle.Hits() == 0 {
				t.Fatal("the fault was never met")
			}
			checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
		})
	}
}

func TestLeaderChangesMakeNeitherDuplicateNorHole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Brokers: 3})
	w.topic(t, "a", 2)
	p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 4 << 10, BufferBytes: 32 << 10}, "a")
	ctx, cancel := context.WithCancel(t.Context())
	moved := make(chan int)
	go func() {
		moves := 0
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				moved <- moves
				return
			case <-tick.C:
				if w.broker.Cluster().MoveTopicPartition("a", int32(moves%2), int32(rand.IntN(3))) == nil {
					moves++
				}
			}
		}
	}()
	sent := events("a", 0, 6000, 40)
	allAcked(t, pump(t, p, sent, 20))
	cancel()
	if n := <-moved; n < 2 {
		t.Fatalf("only %d leader changes", n)
	}
	checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
}

func TestBrokenSequenceKillsThePublisherAndANewOneGoesOnWithoutRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 2)
	p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 2 << 10}, "a")
	sent := events("a", 0, 2000, 40)
	allAcked(t, pump(t, p, sent[:1000], 100))
	w.broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.OutOfOrderSequenceNumber, Count: 1, Partitions: []int32{1}})
	confirmed, failed := 1000, error(nil)
	for at := 1000; at < 2000 && failed == nil; at += 100 {
		acked := make(chan error, 1)
		if failed = p.Publish(soon(t), &cdc.Batch{Events: sent[at : at+100]}, func(err error) { acked <- err }); failed == nil {
			if failed = <-acked; failed == nil {
				confirmed = at + 100
			}
		}
	}
	if fault.CodeOf(failed) != "sequence_broken" || fault.KindOf(failed) != fault.Retry {
		t.Fatalf("got %v", failed)
	}
	if err := p.Publish(soon(t), &cdc.Batch{Events: sent[:1]}, func(error) {}); err == nil {
		t.Fatal("a dead publisher takes more")
	}
	// Restart from an older position than confirmed, as after a crash before the position was recorded.
	again := open(t, w.client, kafkalog.PublisherConfig{}, "a")
	allAcked(t, pump(t, again, sent[confirmed-500:], 100))
	checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
}

func TestOlderProcessIsFencedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Brokers: 3})
	w.topic(t, "a", 3)
	cfg := kafkalog.PublisherConfig{Fence: "nubridge.sandbox.capture"}
	older := open(t, w.client, cfg, "a")
	sent := events("a", 0, 600, 40)
	allAcked(t, pump(t, older, sent[:200], 50))
	newer := open(t, newClient(t, w.broker.Addrs()...), cfg, "a")
	errs := pump(t, older, sent[200:400], 200)
	if fault.CodeOf(errors.Join(errs...)) != "producer_fenced" || fault.KindOf(errs[0]) != fault.Halt {
		t.Fatalf("got %v", errs)
	}
	allAcked(t, pump(t, newer, sent[100:], 50))
	checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
}

func TestTooLargeBatchesAreSplitAndRecordsCutDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Settings: map[string]string{"message.max.bytes": "5000"}})
	w.topic(t, "a", 1)
	p := open(t, w.client, kafkalog.PublisherConfig{Compression: "none"}, "a")
	sent := events("a", 0, 300, 40)
	big := strings.Repeat("x", 9000)
	sent[150].Value = fmt.Appendf(nil, `{"before":{"id":1,"note":"%s","b":"y"},"after":{"id":1,"note":"%s","b":"y"},"op":"u"}`, big, big)
	allAcked(t, pump(t, p, sent, 100))
	got := contents(t, w.client, len(sent), "a")
	for i := range got {
		if got[i].Position == sent[150].Position {
			want := `{"before":{"id":1,"note":"__debezium_unavailable_value","b":"y"},"after":{"id":1,"note":"__debezium_unavailable_value","b":"y"},"op":"u"}`
			if string(got[i].Value) != want {
				t.Fatalf("got %s", got[i].Value)
			}
			got[i].Value = sent[150].Value
		}
	}
	checkRecords(t, sent, got)
	last, err := w.client.LastPositions(soon(t), []cdc.Partition{{Topic: "a", ID: 0}})
	if err != nil || last[cdc.Partition{Topic: "a"}].Position != sent[299].Position {
		t.Fatalf("got %v, %v", last, err)
	}
}

func TestHugeRecordsPassWhereTheTopicAllowsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Settings: map[string]string{"message.max.bytes": "100000000"}})
	w.topic(t, "a", 1)
	for _, codec := range []string{"none", "lz4"} {
		p := open(t, w.client, kafkalog.PublisherConfig{Compression: codec}, "a")
		from := 0
		if codec == "lz4" {
			from = 30
		}
		sent := events("a", from, 30, 10)
		for _, i := range []int{3, 4, 20} {
			sent[i].Value = fmt.Appendf(nil, `{"after":{"id":1,"note":%q}}`, bytes.Repeat([]byte{byte(i)}, 4<<20))
		}
		allAcked(t, pump(t, p, sent, 10))
		all := contents(t, w.client, from+30, "a")
		checkRecords(t, sent, all[from:])
	}
}

func TestRecordThatCannotBeCutDownHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Settings: map[string]string{"message.max.bytes": "2000"}})
	w.topic(t, "a", 1)
	p := open(t, w.client, kafkalog.PublisherConfig{Compression: "none"}, "a")
	sent := events("a", 0, 1, 1)
	sent[0].Key = bytes.Repeat([]byte("k"), 3000)
	errs := pump(t, p, sent, 1)
	if fault.CodeOf(errs[0]) != "record_too_large" || fault.KindOf(errs[0]) != fault.Halt {
		t.Fatalf("got %v", errs)
	}
}

func TestTopicMadeAnewHaltsThePublisher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 1)
	p := open(t, w.client, kafkalog.PublisherConfig{}, "a")
	sent := events("a", 0, 20, 4)
	allAcked(t, pump(t, p, sent[:10], 10))
	if err := w.broker.Cluster().DeleteTopic("a"); err != nil {
		t.Fatal(err)
	}
	acked := make(chan error, 1)
	if err := p.Publish(soon(t), &cdc.Batch{Events: sent[10:]}, func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	if err := w.broker.Cluster().CreateTopic("a", 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-acked; err == nil {
		t.Log("the new topic took the records before the change was seen")
	} else if code := fault.CodeOf(err); code != "topic_changed" && code != "sequence_broken" {
		t.Fatalf("got %v", err)
	}
}

func TestTopicMadeAnewBetweenTwoProcessesHaltsTheSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 2)
	first := open(t, w.client, kafkalog.PublisherConfig{}, "a", "absent")
	if len(first.Topics) != 1 || first.Topics[0].Partitions != 2 {
		t.Fatalf("got %+v", first.Topics)
	}
	open(t, w.client, kafkalog.PublisherConfig{Known: first.Topics}, "a")
	if err := w.broker.Cluster().DeleteTopic("a"); err != nil {
		t.Fatal(err)
	}
	_, gone := kafkalog.Open(soon(t), w.client, kafkalog.PublisherConfig{Known: first.Topics}, []string{"a"}, quiet())
	if fault.CodeOf(gone) != "topic_changed" || fault.KindOf(gone) != fault.Halt {
		t.Fatalf("a topic that is gone: got %v", gone)
	}
	// One that went before the topics were listed is as gone as one that went after.
	_, gone = kafkalog.Open(soon(t), w.client, kafkalog.PublisherConfig{Known: first.Topics, Plain: true}, nil, quiet())
	if fault.CodeOf(gone) != "topic_changed" || fault.KindOf(gone) != fault.Halt {
		t.Fatalf("a topic that is gone and not listed: got %v", gone)
	}
	if err := w.broker.Cluster().CreateTopic("a", 2, nil); err != nil {
		t.Fatal(err)
	}
	_, err := kafkalog.Open(soon(t), w.client, kafkalog.PublisherConfig{Known: first.Topics}, []string{"a"}, quiet())
	if fault.CodeOf(err) != "topic_changed" || fault.KindOf(err) != fault.Halt {
		t.Fatalf("got %v", err)
	}
}

func TestFullBufferBlocksPublishAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 1)
	p := open(t, w.client, kafkalog.PublisherConfig{BufferBytes: 4 << 10}, "a")
	sent := events("a", 0, 1000, 40)
	hold := make(chan struct{})
	w.broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.Cluster().SleepControl(func() { <-hold })
		return nil, nil, false
	})
	acks := make(chan error, 100)
	began := make(chan struct{})
	finished := make(chan error, 1)
	go func() {
		close(began)
		for at := 0; at < len(sent); at += 10 {
			if err := p.Publish(soon(t), &cdc.Batch{Events: sent[at : at+10]}, func(err error) { acks <- err }); err != nil {
				finished <- err
				return
			}
		}
		finished <- nil
	}()
	<-began
	select {
	case err := <-finished:
		t.Fatalf("Publish did not block while the broker kept silent: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(hold)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := <-acks; err != nil {
			t.Fatal(err)
		}
	}
	checkRecords(t, sent, contents(t, w.client, len(sent), "a"))
}

func TestNewTopicsAreCreatedByTheModelOrHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	var kept []kafkalog.TopicInfo
	p := open(t, w.client, kafkalog.PublisherConfig{
		Create: &kafkalog.Topic{Partitions: 5, Replication: 1},
		Keep:   func(_ context.Context, topic kafkalog.TopicInfo) error { kept = append(kept, topic); return nil },
	})
	sent := events("new.topic", 0, 100, 40)
	allAcked(t, pump(t, p, sent, 10))
	if len(kept) != 1 || kept[0].Name != "new.topic" || kept[0].Partitions != 5 || len(kept[0].ID) != 32 {
		t.Errorf("kept %+v, want the new topic once", kept)
	}
	infos, err := w.client.DescribeTopics(soon(t), []string{"new.topic", "absent"})
	if err != nil || len(infos) != 1 || infos[0].Partitions != 5 || len(infos[0].ID) != 32 {
		t.Fatalf("got %+v, %v", infos, err)
	}
	checkRecords(t, sent, contents(t, w.client, len(sent), "new.topic"))
	strict := open(t, w.client, kafkalog.PublisherConfig{TopicWait: 10 * time.Millisecond})
	err = strict.Publish(soon(t), &cdc.Batch{Events: events("absent", 0, 1, 1)}, func(error) { t.Error("called back") })
	if fault.CodeOf(err) != "topic_missing" || fault.KindOf(err) != fault.Halt {
		t.Fatalf("got %v", err)
	}
}
