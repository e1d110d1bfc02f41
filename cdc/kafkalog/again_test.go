package kafkalog_test

import (
	"testing"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
)

// TestAPartitionIsHandedOutAgain has one partition of three handed out once more: from the stored offset, the others as they are.
func TestAPartitionIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	w, sent := filled(t, 1000)
	m := join(t, w, kafkalog.GroupConfig{ID: "g", Topics: []string{"a"}, PollRecords: 100})
	records := read(t, m.Group, 400)
	settled := after(records)
	if err := m.Commit(soon(t), settled); err != nil {
		t.Fatal(err)
	}
	more := read(t, m.Group, 1000-len(records))
	again := more[0].Partition
	for range 2 { // as often as it is asked for
		if err := m.Again(soon(t), again); err != nil {
			t.Fatal(err)
		}
		fetch, err := m.Poll(soon(t))
		if err != nil || len(fetch.Revoked) != 1 || fetch.Revoked[0] != again || len(fetch.Assigned) != 1 || fetch.Assigned[0].Partition != again || fetch.Assigned[0].Committed != settled[again] {
			t.Fatalf("got %+v and %+v, %v; want %v from offset %d", fetch.Revoked, fetch.Assigned, err, again, settled[again])
		}
		var once []cdc.Record
		for _, r := range more {
			if r.Partition == again {
				once = append(once, r)
			}
		}
		twice := append(fetch.Records, read(t, m.Group, len(once)-len(fetch.Records))...)
		for i, r := range twice {
			if len(twice) != len(once) || r.Partition != again || r.Offset != once[i].Offset {
				t.Fatalf("record %d is %v/%d, want the %d records of %v from offset %d on", i, r.Partition, r.Offset, len(once), again, settled[again])
			}
		}
	}
	checkRecords(t, sent, append(records, more...))
	if err := m.Commit(soon(t), after(more)); err != nil {
		t.Fatal(err)
	}
	m.stop()
	if err := m.Again(soon(t), again); err != nil {
		t.Fatalf("what is no longer this member's: got %v, want nothing done", err)
	}
}
