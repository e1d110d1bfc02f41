//go:build lab

package kafkalog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
)

// real gives the addresses of the lab's three brokers (make test-kafka).
func real(t *testing.T) []string {
	t.Helper()
	brokers := os.Getenv("NUBRIDGE_KAFKA")
	if brokers == "" {
		t.Fatal("expected NUBRIDGE_KAFKA=host:port,...; hint: make test-kafka starts the lab's brokers and sets it")
	}
	return strings.Split(brokers, ",")
}

func unique(name string) string { return name + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) }

func realTopic(t *testing.T, client *kafkalog.Client, partitions int, configs map[string]string) string {
	t.Helper()
	name := unique("nubridge-test")
	if err := client.EnsureTopics(soon(t), []kafkalog.Topic{{Name: name, Partitions: partitions, Configs: configs}}); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRealPublishFenceSkipAndRead(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	for _, codec := range []string{"lz4", "none", "snappy", "zstd", "gzip"} {
		t.Run(codec, func(t *testing.T) {
			topic := realTopic(t, client, 3, nil)
			cfg := kafkalog.PublisherConfig{Compression: codec, Fence: unique("fence"), BatchBytes: 16 << 10}
			older := open(t, client, cfg, topic)
			sent := events(topic, 0, 5000, 50)
			allAcked(t, pump(t, older, sent[:3000], 50))
			newer := open(t, newClient(t, brokers...), cfg, topic)
			errs := pump(t, older, sent[3000:3100], 100)
			if fault.CodeOf(errors.Join(errs...)) != "producer_fenced" {
				t.Fatalf("the older process was not fenced: %v", errs)
			}
			allAcked(t, pump(t, newer, sent[2000:], 50))
			checkRecords(t, sent, contents(t, client, len(sent), topic))
		})
	}
}

func TestRealLostAnswersMakeNeitherDuplicateNorHole(t *testing.T) {
	brokers := real(t)
	var on atomic.Bool
	var cuts atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &deafConn{Conn: conn, on: &on, cuts: &cuts}, nil
	}
	client, err := kafkalog.New(kafkalog.Config{Brokers: brokers, Dial: dial, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topic := realTopic(t, client, 3, nil)
	p := open(t, client, kafkalog.PublisherConfig{BatchBytes: 8 << 10, BufferBytes: 32 << 10}, topic)
	sent := events(topic, 0, 40000, 100)
	on.Store(true)
	allAcked(t, pump(t, p, sent, 50))
	on.Store(false)
	t.Logf("%d connections cut after the broker answered", cuts.Load())
	checkRecords(t, sent, contents(t, newClient(t, brokers...), len(sent), topic))
}

// deafConn loses answers: it waits until the broker has sent one and then cuts the connection.
type deafConn struct {
	net.Conn
	on   *atomic.Bool
	cuts *atomic.Int64
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.on.Load() && rand.IntN(6) == 0 {
		c.cuts.Add(1)
		_ = c.Close()
		return 0, errors.New("cut by the test")
	}
	return n, err
}

func TestRealTooLargeRecordsAreCutDown(t *testing.T) {
	client := newClient(t, real(t)...)
	topic := realTopic(t, client, 1, map[string]string{"max.message.bytes": "20000"})
	p := open(t, client, kafkalog.PublisherConfig{Compression: "none"}, topic)
	sent := events(topic, 0, 1000, 40)
	sent[500].Value = fmt.Appendf(nil, `{"before":null,"after":{"id":1,"note":"%s"},"op":"u"}`, strings.Repeat("x", 30000))
	allAcked(t, pump(t, p, sent, 200))
	got := contents(t, client, len(sent), topic)
	if want := `{"before":null,"after":{"id":1,"note":"__debezium_unavailable_value"},"op":"u"}`; string(got[500].Value) != want {
		t.Fatalf("got %.200s", got[500].Value)
	}
	got[500].Value = sent[500].Value
	checkRecords(t, sent, got)
}

func TestRealGroupRebalancesCommitsAndHaltsOnExpiredOffsets(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	topic := realTopic(t, client, 4, nil)
	p := open(t, client, kafkalog.PublisherConfig{}, topic)
	sent := events(topic, 0, 4000, 100)
	allAcked(t, pump(t, p, sent, 200))
	w := &world{client: client}
	cfg := kafkalog.GroupConfig{ID: unique("group"), Topics: []string{topic}, SessionTimeout: 6 * time.Second, MaxRecords: 100, FetchBytes: 4 << 10}
	first := join(t, w, cfg)
	records := read(t, first.Group, 2000)
	if err := first.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	second := join(t, w, cfg)
	theirs, err := second.Poll(soon(t))
	if err != nil || len(theirs.Assigned) == 0 {
		t.Fatalf("got %+v, %v", theirs, err)
	}
	first.stop()
	second.stop()
	third := join(t, w, cfg)
	rest := read(t, third.Group, 4000-len(records))
	checkRecords(t, sent, append(records, rest...))
	third.stop()
	admin, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	ends, err := kadm.NewClient(admin).ListEndOffsets(soon(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	cut := kadm.Offsets{}
	ends.Each(func(o kadm.ListedOffset) { cut.AddOffset(topic, o.Partition, o.Offset, -1) })
	if _, err := kadm.NewClient(admin).DeleteRecords(soon(t), cut); err != nil {
		t.Fatal(err)
	}
	fourth := join(t, w, cfg)
	ctx := soon(t)
	for err == nil {
		_, err = fourth.Poll(ctx)
	}
	if fault.CodeOf(err) != "offset_out_of_range" {
		t.Fatalf("got %v", err)
	}
}

// node kills or starts one of the lab's brokers, 1 to 3.
func node(t *testing.T, verb string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "../../bench/lab/kafka.sh", verb, strconv.Itoa(n)).CombinedOutput(); err != nil {
		t.Fatalf("%s %d: %v\n%s", verb, n, err, out)
	}
}

// inSync waits until every partition has all its replicas again, so that the next broker may go.
func inSync(t *testing.T, brokers []string, topic string) {
	t.Helper()
	admin := adminOf(t, brokers)
	within(t, 2*time.Minute, "all replicas are in sync", func() bool {
		topics, err := admin.ListTopics(t.Context(), topic)
		if err != nil || topics[topic].Err != nil {
			return false
		}
		for _, p := range topics[topic].Partitions {
			if len(p.ISR) < 3 {
				return false
			}
		}
		return true
	})
}

// TestRealBrokersMayDie publishes, reads and commits while each broker in turn is killed and started again: every leader and every
// coordinator changes.
func TestRealBrokersMayDie(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	topic := realTopic(t, client, 6, map[string]string{"min.insync.replicas": "2"})
	p := open(t, client, kafkalog.PublisherConfig{BufferBytes: 256 << 10, Fence: unique("fence")}, topic)
	seen := make(chan map[cdc.Position]int)
	total := make(chan int, 1)
	go func() { seen <- follow(t, client, topic, total) }()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for n := 1; n <= 3; n++ {
			inSync(t, brokers, topic)
			node(t, "kill-node", n)
			down := time.NewTimer(5 * time.Second) // longer than a session: whatever it led or coordinated moves
			<-down.C
			node(t, "start-node", n)
		}
	}()
	var sent []cdc.Event
	acks := make(chan error, 1<<20)
	longest := time.Duration(0)
	for running := true; running; {
		next := events(topic, len(sent), 100, 500)
		sent = append(sent, next...)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		if err := p.Publish(ctx, &cdc.Batch{Events: next}, func(err error) { acks <- err }); err != nil {
			t.Fatal(err)
		}
		cancel()
		longest = max(longest, time.Since(began))
		pace := time.NewTimer(10 * time.Millisecond)
		select {
		case <-pace.C:
		case <-over:
			running = false
		}
	}
	for range len(sent) / 100 {
		if err := <-acks; err != nil {
			t.Fatal(err)
		}
	}
	publisher, _ := p.Publisher.(*kafkalog.Publisher)
	t.Logf("%d events, longest wait %v, %+v", len(sent), longest, publisher.Stats())
	total <- len(sent)
	if got := <-seen; len(got) != len(sent) {
		t.Fatalf("the group that read meanwhile saw %d of %d", len(got), len(sent))
	}
	checkRecords(t, sent, contents(t, client, len(sent), topic))
}

func TestRealMembersComeAndGoUnderLoad(t *testing.T) {
	client := newClient(t, real(t)...)
	membersComeAndGo(t, client, realTopic(t, client, 6, nil), unique("group"), 6000, 2*time.Minute)
}

func TestRealNewPartitionsAreTakenUpFromTheirStart(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	partitionsAdded(t, client, brokers, realTopic(t, client, 2, nil), unique("group"), time.Minute)
}

func TestRealATopicMadeAnewHaltsTheGroup(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	topicMadeAnew(t, client, brokers, realTopic(t, client, 2, nil), unique("group"), time.Minute)
}

func TestRealOffsetsSetByHandAreTakenAsTheyAre(t *testing.T) {
	brokers := real(t)
	client := newClient(t, brokers...)
	offsetsSetByHand(t, client, brokers, realTopic(t, client, 2, nil), unique("group"))
}

// follow reads and commits while brokers die, until as many positions are seen as total says, or two minutes after it said so.
func follow(t *testing.T, client *kafkalog.Client, topic string, total <-chan int) map[cdc.Position]int {
	seen := map[cdc.Position]int{}
	group := newGroup(t, client, kafkalog.GroupConfig{ID: unique("follow"), Topics: []string{topic}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = group.Run(ctx)
	}()
	defer func() { <-done }()
	defer cancel()
	want := -1
	for want < 0 || len(seen) < want {
		select {
		case want = <-total:
			defer time.AfterFunc(2*time.Minute, cancel).Stop()
		default:
		}
		poll, stop := context.WithTimeout(ctx, time.Second)
		fetch, err := group.Poll(poll)
		stop()
		if ctx.Err() != nil || fault.KindOf(err) == fault.Halt {
			t.Errorf("reading ended: %v", err)
			return seen
		}
		for _, r := range fetch.Records {
			seen[r.Position]++
		}
		if len(fetch.Records) > 0 {
			if err := group.Commit(ctx, after(fetch.Records)); err != nil {
				t.Logf("commit: %v", err)
			}
		}
	}
	return seen
}
