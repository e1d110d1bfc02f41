package kafkalog_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
	sandbox "nubridge/internal/sandbox/kafka"
)

// What is known to go wrong with the Kafka library and its groups, each on the local broker here and on real ones in real_test.go.

// readers are what the members of a group read together, and what they committed.
type readers struct {
	t      *testing.T
	client *kafkalog.Client
	cfg    kafkalog.GroupConfig

	mu   sync.Mutex
	seen map[cdc.Position]int
	// read and committed are the highest offsets behind what was read and committed, by anyone.
	read, committed map[cdc.Partition]int64
	handed          int
}

func newReaders(t *testing.T, client *kafkalog.Client, cfg kafkalog.GroupConfig) *readers {
	return &readers{t: t, client: client, cfg: cfg, seen: map[cdc.Position]int{}, read: map[cdc.Partition]int64{}, committed: map[cdc.Partition]int64{}}
}

// member reads and commits until it is told to leave. joined is closed when it has got its first partitions.
func (r *readers) member() (leave func(), joined <-chan struct{}) {
	group := newGroup(r.t, r.client, r.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var first sync.Once
	assigned := make(chan struct{})
	running.Go(func() { _ = group.Run(ctx) })
	running.Go(func() {
		for ctx.Err() == nil {
			fetch, err := group.Poll(ctx)
			if len(fetch.Assigned) > 0 {
				first.Do(func() { close(assigned) })
			}
			if fault.KindOf(err) == fault.Halt {
				r.t.Errorf("a member halted: %v", err)
				return
			}
			if err != nil || !r.took(fetch) {
				continue
			}
			// What was lost meanwhile is its new owner's.
			_ = group.Commit(ctx, after(fetch.Records))
		}
	})
	var once sync.Once
	leave = func() { once.Do(func() { cancel(); running.Wait() }) }
	r.t.Cleanup(leave)
	return leave, assigned
}

// took counts what one poll gave, and checks that no member is handed anything in front of what it was assigned.
func (r *readers) took(f cdc.Fetch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range f.Assigned {
		if a.Committed > r.read[a.Partition] {
			r.t.Errorf("%v: offset %d is stored, and only %d were read", a.Partition, a.Committed, r.read[a.Partition]) // I2
		}
		if a.Committed >= 0 && a.Committed < r.committed[a.Partition] {
			r.t.Errorf("%v: the stored offset went back from %d to %d", a.Partition, r.committed[a.Partition], a.Committed)
		}
		r.committed[a.Partition] = max(r.committed[a.Partition], a.Committed)
	}
	for _, record := range f.Records {
		r.seen[record.Position]++
		r.read[record.Partition] = max(r.read[record.Partition], record.Offset+1)
	}
	r.handed += len(f.Records)
	return len(f.Records) > 0
}

// all waits until every event was read.
func (r *readers) all(sent []cdc.Event, patience time.Duration) {
	r.t.Helper()
	within(r.t, patience, "every event is read", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.seen) >= len(sent)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range sent {
		if r.seen[sent[i].Position] == 0 {
			r.t.Fatalf("%v was never read", sent[i].Position)
		}
	}
	r.t.Logf("%d events, handed out %d times", len(sent), r.handed)
}

// within looks again and again.
func within(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// membersComeAndGo publishes while members join and leave, and checks that nothing is lost and no offset goes astray.
func membersComeAndGo(t *testing.T, client *kafkalog.Client, topic, group string, n int, patience time.Duration) {
	t.Helper()
	p := open(t, client, kafkalog.PublisherConfig{}, topic)
	r := newReaders(t, client, kafkalog.GroupConfig{ID: group, Topics: []string{topic}, MaxRecords: 100, FetchBytes: 4 << 10})
	leave, _ := r.member()
	sent := events(topic, 0, n, 100)
	published := make(chan []error, 1)
	go func() {
		errs := []error{}
		for from := 0; from < n; from += 50 {
			errs = append(errs, pump(t, p, sent[from:min(from+50, n)], 50)...)
			pace := time.NewTimer(patience / time.Duration(10*n/50)) // over a tenth of the patience
			<-pace.C
		}
		published <- errs
	}()
	for i := range 4 {
		next, joined := r.member()
		select {
		case <-joined:
		case <-time.After(patience):
			t.Fatal("a member never got a partition")
		}
		if i%2 == 1 {
			leave()
			leave = next
		}
	}
	allAcked(t, <-published)
	r.all(sent, patience)
}

func TestMembersComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 6)
	membersComeAndGo(t, w.client, "a", "g", 3000, 20*time.Second)
}

func TestLeaderChangesWhileReadingLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Brokers: 3})
	w.topic(t, "a", 3)
	r := newReaders(t, w.client, kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, FetchBytes: 2 << 10})
	r.member()
	p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 4 << 10}, "a")
	sent := events("a", 0, 3000, 40)
	for i := range 30 {
		allAcked(t, pump(t, p, sent[i*100:(i+1)*100], 50))
		if err := w.broker.Cluster().MoveTopicPartition("a", int32(i%3), int32(rand.IntN(3))); err != nil {
			t.Fatal(err)
		}
		if i%10 == 5 {
			w.broker.Cluster().RehashCoordinators()
		}
	}
	r.all(sent, 20*time.Second)
}

func TestNewPartitionsAreTakenUpFromTheirStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 2)
	partitionsAdded(t, w.client, w.broker.Addrs(), "a", "g", 20*time.Second)
}

func TestATopicMadeAnewHaltsTheGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 2)
	topicMadeAnew(t, w.client, w.broker.Addrs(), "a", "g", 20*time.Second)
}

func TestOffsetsSetByHandAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 2)
	offsetsSetByHand(t, w.client, w.broker.Addrs(), "a", "g")
}
