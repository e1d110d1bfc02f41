package sink

import (
	"context"
	"fmt"

	"nubridge/cdc"
	"nubridge/internal/ledger"
)

// assume checks an assignment against the ledger and takes the partition. It tells false when the flow halted or stops.
func (l *Loop) assume(ctx context.Context, a cdc.Assignment) bool {
	for failures := 1; ; failures++ {
		err := l.tryAssume(ctx, a)
		if err == nil {
			s, _ := l.gate.standing(l.Now())
			return s.State != Halted
		}
		if ctx.Err() != nil {
			return false
		}
		l.Logger.Warn("the ledger cannot be read", "error", err, "failures", failures)
		pause(ctx, l.backoff(failures))
	}
}

func (l *Loop) tryAssume(ctx context.Context, a cdc.Assignment) error {
	c, known, err := l.Ledger.Look(ctx, l.config.Environment, l.config.Flow, a.Partition)
	if err != nil {
		return err
	}
	if gap := gapOf(a, c, known); gap != nil {
		l.halt(gap.Code, gap.Reason)
		return nil
	}
	l.at(PointAssigned)
	start := a.Committed
	if start < 0 {
		start = a.Start
	}
	if c, err = l.Ledger.Assume(ctx, l.config.Environment, l.config.Flow, a.Partition, start); err != nil {
		return err
	}
	if a.Committed < 0 {
		// A group without an offset shall mean one that expired, not one that was killed before its first commit. // I8, I10
		if err := l.commit(ctx, map[cdc.Partition]int64{a.Partition: start}); err != nil {
			return fmt.Errorf("commit the first offset of %s/%d: %w", a.Partition.Topic, a.Partition.ID, err)
		}
	}
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	l.board.drop(a.Partition)
	l.board.tracks[a.Partition] = newTrack(a, c, start)
	return nil
}

// gapOf compares the group's offset with the ledger's checkpoint: behind it is harmless; ahead of it, or expired, some changes
// would never be seen. // I8
func gapOf(a cdc.Assignment, c ledger.Checkpoint, known bool) *Standing {
	name := fmt.Sprintf("%s/%d", a.Partition.Topic, a.Partition.ID)
	const hint = "; look at what was missed, replay it, then accept the gap"
	if known && c.Next < 0 {
		return nil // a person has accepted the gap
	}
	switch {
	case known && a.End < c.Next:
		return &Standing{Code: "topic_recreated", Reason: fmt.Sprintf(
			"%s ends at offset %d and %d were settled: the topic was made anew or cut%s", name, a.End, c.Next, hint)}
	case a.Committed >= 0 && a.Committed < a.Start:
		return &Standing{Code: "records_expired", Reason: fmt.Sprintf(
			"%s: the group is at offset %d and the broker holds records from %d on: %d records expired unread%s", name, a.Committed, a.Start, a.Start-a.Committed, hint)}
	case known && c.Next > 0 && a.Committed < 0 && a.Start > c.Next:
		return &Standing{Code: "offset_expired", Reason: fmt.Sprintf(
			"%s: the group has no offset, %d were settled and the broker holds records from %d on: %d records expired unread%s", name, c.Next, a.Start, a.Start-c.Next, hint)}
	case known && c.Next > a.Start && a.Committed < 0:
		return &Standing{Code: "offset_expired", Reason: fmt.Sprintf(
			"%s: the group has no offset though the ledger has settled up to %d; %d records are not settled yet%s", name, c.Next, max(a.End-c.Next, 0), hint)}
	case known && a.Committed > c.Next:
		return &Standing{Code: "offset_ahead", Reason: fmt.Sprintf(
			"%s: the group is at offset %d and the ledger has settled up to %d: %d records were skipped%s", name, a.Committed, c.Next, a.Committed-c.Next, hint)}
	case !known && a.Committed > a.Start:
		return &Standing{Code: "checkpoint_missing", Reason: fmt.Sprintf(
			"%s: the group is at offset %d and the ledger has no checkpoint: %d records may have been skipped%s", name, a.Committed, a.Committed-a.Start, hint)}
	default:
		return nil
	}
}
