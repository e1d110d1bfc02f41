package kafkalog_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc/kafkalog"
	"nubridge/internal/fault"
)

// adminOf does to a cluster what an administrator's tools do.
func adminOf(t *testing.T, brokers []string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// partitionsAdded raises the number of partitions under a group that reads: what lies in the new ones is read from their start.
func partitionsAdded(t *testing.T, client *kafkalog.Client, brokers []string, topic, group string, patience time.Duration) {
	t.Helper()
	r := newReaders(t, client, kafkalog.GroupConfig{ID: group, Topics: []string{topic}})
	r.member()
	sent := events(topic, 0, 500, 40)
	p := open(t, client, kafkalog.PublisherConfig{}, topic)
	allAcked(t, pump(t, p, sent, 50))
	r.all(sent, patience)
	if _, err := adminOf(t, brokers).UpdatePartitions(soon(t), 5, topic); err != nil {
		t.Fatal(err)
	}
	// A publisher that knew the topic otherwise would halt; this is one that a person let go on.
	within(t, patience, "the new partitions have leaders", func() bool {
		infos, err := client.DescribeTopics(soon(t), []string{topic})
		return err == nil && len(infos) == 1 && infos[0].Partitions == 5
	})
	again := open(t, client, kafkalog.PublisherConfig{}, topic)
	more := events(topic, 500, 500, 400)
	allAcked(t, pump(t, again, more, 50))
	r.all(append(sent, more...), patience)
}

// topicMadeAnew deletes a topic under a group that reads and makes it again: its offsets mean other records, so the group halts.
func topicMadeAnew(t *testing.T, client *kafkalog.Client, brokers []string, topic, group string, patience time.Duration) {
	t.Helper()
	m := join(t, &world{client: client}, kafkalog.GroupConfig{ID: group, Topics: []string{topic}})
	p := open(t, client, kafkalog.PublisherConfig{}, topic)
	sent := events(topic, 0, 300, 40)
	allAcked(t, pump(t, p, sent, 50))
	records := read(t, m.Group, 300)
	if err := m.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Logf("the publisher of the topic that goes: %v", err)
	}
	admin := adminOf(t, brokers)
	if _, err := admin.DeleteTopic(soon(t), topic); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "the topic is made again", func() bool {
		_, err := admin.CreateTopic(soon(t), 2, 1, nil, topic)
		return err == nil
	})
	ctx := soon(t)
	for {
		_, err := m.Poll(ctx)
		if err == nil {
			continue
		}
		if fault.KindOf(err) != fault.Halt || fault.CodeOf(err) != "topic_changed" && fault.CodeOf(err) != "offset_out_of_range" {
			t.Fatalf("got %v, want a halt", err)
		}
		return
	}
}

// offsetsSetByHand sets a group's offsets back, and then forwards, as Kafka's own tools do while nobody is in the group: the group
// begins where it was told, and says so, for the ledger to compare.
func offsetsSetByHand(t *testing.T, client *kafkalog.Client, brokers []string, topic, group string) {
	t.Helper()
	p := open(t, client, kafkalog.PublisherConfig{}, topic)
	sent := events(topic, 0, 400, 40)
	allAcked(t, pump(t, p, sent, 50))
	cfg := kafkalog.GroupConfig{ID: group, Topics: []string{topic}}
	m := join(t, &world{client: client}, cfg)
	records := read(t, m.Group, 400)
	if err := m.Commit(soon(t), after(records)); err != nil {
		t.Fatal(err)
	}
	m.stop()
	for _, set := range []struct {
		to   func(end int64) int64
		left int
	}{{func(int64) int64 { return 0 }, 400}, {func(end int64) int64 { return end - 1 }, len(after(records))}} {
		offsets := kadm.Offsets{}
		for id, end := range after(records) {
			offsets.AddOffset(id.Topic, int32(id.ID), set.to(end), -1)
		}
		if err := adminOf(t, brokers).CommitAllOffsets(soon(t), group, offsets); err != nil {
			t.Fatal(err)
		}
		m := join(t, &world{client: client}, cfg)
		fetch, err := m.Poll(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range fetch.Assigned {
			if want := set.to(after(records)[a.Partition]); a.Committed != want {
				t.Errorf("%v: assigned from %d, want %d", a.Partition, a.Committed, want)
			}
		}
		got := append(fetch.Records, read(t, m.Group, set.left-len(fetch.Records))...)
		if len(got) != set.left {
			t.Errorf("read %d, want %d", len(got), set.left)
		}
		m.stop()
	}
}
