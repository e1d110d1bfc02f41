package kafkalog_test

import (
	"context"
	"maps"
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

// filled is a world with one topic of three partitions that holds n events.
func filled(t *testing.T, n int) (*world, []cdc.Event) {
	t.Helper()
	w := newWorld(t, sandbox.Config{})
	w.topic(t, "a", 3)
	p := open(t, w.client, kafkalog.PublisherConfig{BatchBytes: 2 << 10}, "a")
	sent := events("a", 0, n, 40)
	allAcked(t, pump(t, p, sent, 50))
	return w, sent
}

// after gives the offsets to commit once records are settled.
func after(records []cdc.Record) map[cdc.Partition]int64 {
	next := map[cdc.Partition]int64{}
	for _, r := range records {
		next[r.Partition] = max(next[r.Partition], r.Offset+1)
	}
	return next
}

// member is a group member whose Run a test can end.
type member struct {
	*kafkalog.Group
	stop func()
}

func join(t *testing.T, w *world, cfg kafkalog.GroupConfig) *member {
	t.Helper()
	m := &member{Group: newGroup(t, w.client, cfg)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stopped := false
	m.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	}
	t.Cleanup(m.stop)
	return m
}

func TestGroupGoesOnBehindWhatWasCommitted(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 1000)
	cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, PollRecords: 100}
	first := join(t, w, cfg)
	records := read(t, first.Group, 300)
	if err := first.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	first.stop()
	second := join(t, w, cfg)
	fetch, err := second.Poll(soon(t))
	if err != nil || len(fetch.Assigned) != 3 {
		t.Fatalf("got %+v, %v", fetch.Assigned, err)
	}
	for _, a := range fetch.Assigned {
		want := int64(0) // the start is stored even of what was never read
		if next, ok := after(records)[a.Partition]; ok {
			want = next
		}
		if a.Committed != want || a.Start != 0 || a.End == 0 {
			t.Fatalf("got %+v, want committed %d", a, want)
		}
	}
	records = append(records, fetch.Records...)
	records = append(records, read(t, second.Group, 1000-len(records))...)
	checkRecords(t, sent, records)
}

func TestRebalanceReportsRevokedAndFencesTheOldOwner(t *testing.T) {
	t.Parallel()
	w, _ := filled(t, 1000)
	cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}}
	first := join(t, w, cfg)
	records := read(t, first.Group, 1000)
	second := join(t, w, cfg)
	fetch, err := first.Poll(soon(t))
	if err != nil || len(fetch.Revoked) != 3 {
		t.Fatalf("got %+v, %v", fetch, err)
	}
	if len(fetch.Assigned) == 0 {
		if fetch, err = first.Poll(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := second.Poll(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(fetch.Assigned)+len(theirs.Assigned) != 3 || len(theirs.Assigned) == 0 {
		t.Fatalf("first owns %v, second %v", fetch.Assigned, theirs.Assigned)
	}
	err = first.Commit(soon(t), after(records))
	if fault.CodeOf(err) != "partition_lost" {
		t.Fatalf("got %v", err)
	}
	offsets, err := w.client.GroupOffsets(soon(t), "g", []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range theirs.Assigned {
		if offsets[a.Partition].Committed != 0 {
			t.Fatalf("the old owner committed %v", a.Partition)
		}
	}
	for _, a := range fetch.Assigned {
		if offsets[a.Partition].Lag() != 0 {
			t.Fatalf("what is still owned was not committed: %+v", offsets[a.Partition])
		}
	}
}

func TestGroupStaysAliveWhileNobodyPolls(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 2000)
	cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, MaxRecords: 50, FetchBytes: 1 << 10, SessionTimeout: time.Second}
	m := join(t, w, cfg)
	records := read(t, m.Group, 1)
	idle := time.NewTimer(2500 * time.Millisecond) // several sessions
	<-idle.C
	records = append(records, read(t, m.Group, 2000-len(records))...)
	checkRecords(t, sent, records)
	if err := m.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
}

func TestExpiredOffsetHaltsInsteadOfJumping(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"before start", "while reading"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			w, _ := filled(t, 1000)
			cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, MaxRecords: 10, FetchBytes: 1 << 10, PollRecords: 5}
			m := join(t, w, cfg)
			records := read(t, m.Group, 30)
			if err := m.Commit(soon(t), after(records)); err != nil {
				t.Fatal(err)
			}
			if moment == "before start" {
				m.stop()
			}
			for id := range after(records) {
				end := w.broker.Cluster().PartitionInfo("a", int32(id.ID)).HighWatermark
				if err := w.broker.Cluster().DeleteRecords("a", int32(id.ID), end-1); err != nil {
					t.Fatal(err)
				}
			}
			if moment == "before start" {
				m = join(t, w, cfg)
			}
			ctx := soon(t)
			for {
				if _, err := m.Poll(ctx); err != nil {
					if fault.CodeOf(err) != "offset_out_of_range" || fault.KindOf(err) != fault.Halt {
						t.Fatalf("got %v", err)
					}
					break
				}
			}
			if _, err := m.Poll(ctx); fault.CodeOf(err) != "offset_out_of_range" {
				t.Fatalf("the halt does not stay: %v", err)
			}
		})
	}
}

// A publisher that starts leaves a marker in each partition. When the records before it and the marker itself have expired, nothing
// was missed: Poll has told that there is nothing to read up to there, so that it can be committed. // I8
func TestAMarkerThatExpiresIsNoRecordMissed(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 100)
	open(t, w.client, kafkalog.PublisherConfig{Fence: "capture"}, "a")
	end, all := map[cdc.Partition]int64{}, int64(0)
	for id := range 3 {
		at := w.broker.Cluster().PartitionInfo("a", int32(id)).HighWatermark
		end[cdc.Partition{Topic: "a", ID: id}] = at
		all += at
	}
	if all != int64(len(sent)+3) {
		t.Fatalf("%d offsets, want %d records and a marker in each partition", all, len(sent))
	}
	cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, PollRecords: 7}
	m := join(t, w, cfg)
	var records []cdc.Record
	passed, ctx := map[cdc.Partition]int64{}, soon(t)
	for len(records) < len(sent) || !maps.Equal(passed, end) {
		fetch, err := m.Poll(ctx)
		if err != nil {
			t.Fatalf("%d of %d records, passed %v of %v: %v", len(records), len(sent), passed, end, err)
		}
		records = append(records, fetch.Records...)
		for id, next := range fetch.Passed {
			if next <= after(records)[id] || next <= passed[id] {
				t.Errorf("%v: told to have passed %d after %d and offset %d", id, next, passed[id], after(records)[id])
			}
			passed[id] = next
		}
	}
	if err := m.Commit(soon(t), passed); err != nil {
		t.Fatal(err)
	}
	m.stop()
	for id, at := range end {
		if err := w.broker.Cluster().DeleteRecords("a", int32(id.ID), at); err != nil {
			t.Fatal(err)
		}
	}
	m = join(t, w, cfg)
	p := open(t, w.client, kafkalog.PublisherConfig{Fence: "capture"}, "a")
	more := events("a", 100, 10, 40)
	publish(t, p, more)
	checkRecords(t, more, read(t, m.Group, len(more)))
}

func TestGroupMeetsTopicsThatAppearLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{})
	m := join(t, w, kafkalog.GroupConfig{ID: "g", Topics: []string{"early", "late"}})
	p := open(t, w.client, kafkalog.PublisherConfig{Create: &kafkalog.Topic{Partitions: 2, Replication: 1}})
	sent := events("early", 0, 100, 10)
	allAcked(t, pump(t, p, sent, 100))
	records := read(t, m.Group, 100)
	checkRecords(t, sent, records)
	if err := m.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	sent = events("late", 0, 100, 10)
	allAcked(t, pump(t, p, sent, 100))
	checkRecords(t, sent, read(t, m.Group, 100))
}

func TestPassingFetchErrorsAreRetried(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 1000)
	for _, answer := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.FencedLeaderEpoch, kerr.UnknownServerError} {
		w.broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: answer, Count: 2})
	}
	w.broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.CoordinatorLoadInProgress, Count: 1, TopLevel: true})
	m := join(t, w, kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, FetchBytes: 1 << 10})
	checkRecords(t, sent, read(t, m.Group, 1000))
}

func TestStandingFetcherIsStartedAnew(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 300)
	w.broker.Cluster().ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, nil, true // swallowed: no answer ever comes
	})
	m := join(t, w, kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, StallAfter: 300 * time.Millisecond, FetchWait: 50 * time.Millisecond})
	checkRecords(t, sent, read(t, m.Group, 300))
	if m.Stalls() == 0 {
		t.Fatal("no stall was counted")
	}
}

func TestGroupCanBeResetOnlyWhileEmpty(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 500)
	cfg := kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}}
	m := join(t, w, cfg)
	records := read(t, m.Group, 500)
	if err := m.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	back := map[cdc.Partition]int64{}
	for p := range after(records) {
		back[p] = 0
	}
	if err := w.client.ResetGroup(soon(t), "g", back); fault.CodeOf(err) != "group_active" {
		t.Fatalf("got %v", err)
	}
	m.stop()
	if err := w.client.ResetGroup(soon(t), "g", back); err != nil {
		t.Fatal(err)
	}
	offsets, err := w.client.GroupOffsets(soon(t), "g", []string{"a", "absent"})
	if err != nil {
		t.Fatal(err)
	}
	lag := int64(0)
	for _, o := range offsets {
		lag += o.Lag()
	}
	if lag != 500 {
		t.Fatalf("lag %d", lag)
	}
	checkRecords(t, sent, read(t, join(t, w, cfg).Group, 500))
}

func TestOffsetsByTime(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 300)
	between := time.Now().Add(2 * time.Millisecond)
	timer := time.NewTimer(5 * time.Millisecond)
	<-timer.C
	p := open(t, w.client, kafkalog.PublisherConfig{}, "a")
	allAcked(t, pump(t, p, events("a", 300, 60, 40), 60))
	for at, want := range map[time.Time]int64{{}: 360, between: 60, time.Now().Add(time.Hour): 0} {
		offsets, err := w.client.OffsetsAt(soon(t), []string{"a"}, at)
		if err != nil {
			t.Fatal(err)
		}
		ends, err := w.client.GroupOffsets(soon(t), "none", []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		left := int64(0)
		for p, o := range offsets {
			left += ends[p].End - o
		}
		if left != want {
			t.Fatalf("at %v: %d left, want %d of %d", at, left, want, len(sent)+60)
		}
	}
}
