package ledger_test

import (
	"testing"

	"nubridge/cdc"
	"nubridge/internal/ledger"
)

// A process that was frozen and thaws behind its successor does not take the recorded position back. // I8
func TestAnAcknowledgedPositionNeverMovesBack(t *testing.T) {
	t.Parallel()
	c := ledger.NewCaptures(setup(t).Pool())
	ctx := t.Context()
	if err := c.SaveCapture(ctx, "oms", cdc.CaptureState{SystemID: "1", Timeline: 1, Slot: "s", Publication: "p", Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	at := func(epoch uint32, commit cdc.LSN, index uint64) cdc.Position {
		return cdc.Position{Epoch: epoch, Commit: commit, Index: index}
	}
	var last cdc.Position
	var through cdc.LSN
	for _, step := range []struct {
		last    cdc.Position
		through cdc.LSN
	}{
		{at(2, 100, 3), 90}, {at(2, 100, 2), 95}, {at(2, 90, 9), 80}, {at(2, 0x1_0000_0000, 0), 0x1_0000_0000}, {at(1, 0x2_0000_0000, 7), 70}, {at(3, 50, 1), 60},
	} {
		if step.last.Compare(last) > 0 {
			last = step.last
		}
		through = max(through, step.through)
		if err := c.Acknowledged(ctx, "oms", step.last, step.through); err != nil {
			t.Fatal(err)
		}
		state, err := c.LoadCapture(ctx, "oms")
		if err != nil {
			t.Fatal(err)
		}
		if state.Last != last || state.Through != through {
			t.Fatalf("after %v through %s: recorded %v through %s, want %v through %s", step.last, step.through, state.Last, state.Through, last, through)
		}
	}
	if err := c.Acknowledged(ctx, "other", at(1, 1, 1), 1); err == nil {
		t.Error("a capture that is not there was acknowledged")
	}
}

// What is wrong with a topic stays until somebody accepts it, whatever a later publisher finds. // I8
func TestHeldTopicStaysUntilAGapIsAccepted(t *testing.T) {
	t.Parallel()
	c := ledger.NewCaptures(setup(t).Pool())
	ctx := t.Context()
	if err := c.SaveCapture(ctx, "oms", cdc.CaptureState{SystemID: "1", Timeline: 1, Slot: "s", Publication: "p", Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	want := func(id string) {
		t.Helper()
		topics, err := c.Topics(ctx, "oms")
		if err != nil || len(topics) != 1 || topics[0].ID != id || topics[0].Partitions != 6 {
			t.Fatalf("got %+v, %v, want id %s", topics, err, id)
		}
	}
	keep := func() {
		t.Helper()
		if err := c.KeepTopics(ctx, "oms", []ledger.CapturedTopic{{Name: "t", ID: "x", Partitions: 6}}); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	want("x")
	if err := c.HoldTopic(ctx, "oms", "t", "held"); err != nil {
		t.Fatal(err)
	}
	keep()
	want("held")
	if err := c.AcceptGap(ctx, "oms", "by hand"); err != nil {
		t.Fatal(err)
	}
	keep()
	want("x")
}
