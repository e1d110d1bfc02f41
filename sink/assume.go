package sink

import (
	"context"
	"fmt"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// codeRecreated is a log that ends before what was settled of it.
const codeRecreated = "topic_recreated"

// assume checks an assignment against the ledger and takes the partition. It tells false when the flow halted or stops.
func (l *Loop) assume(ctx context.Context, a cdc.Assignment) bool {
	for failures := 1; ; failures++ {
		err := l.tryAssume(ctx, a)
		if err == nil {
			return l.gate.halted() == nil
		}
		if ctx.Err() != nil {
			return false
		}
		l.Logger.Warn("a partition cannot be taken yet", "error", err, "failures", failures)
		pause(ctx, l.backoff(failures))
	}
}

func (l *Loop) tryAssume(ctx context.Context, a cdc.Assignment) error {
	c, known, err := l.Ledger.Look(ctx, l.config.Environment, l.config.Flow, a.Partition)
	if err != nil {
		return err
	}
	if gap := gapOf(a, c, known); gap != nil {
		if gap.Code == codeRecreated && !l.looked[a.Partition] {
			// The end was read before the checkpoint: the owner before may have settled more meanwhile.
			if err := l.Log.Again(ctx, a.Partition); err != nil {
				return fmt.Errorf("look at %s/%d again: %w", a.Partition.Topic, a.Partition.ID, err)
			}
			l.looked[a.Partition] = true
			return nil
		}
		l.halt(gap)
		return nil
	}
	delete(l.looked, a.Partition)
	l.at(PointAssigned)
	start := a.Committed
	if start < 0 {
		start = a.Start
	}
	if !known && a.Start > 0 && l.Everything != nil && !l.begun {
		// Nothing was read of it yet, and its first records are gone: what they told of stands in the OMS still. // I8
		if err := l.Everything(ctx, "the log has expired before the flow began"); err != nil {
			return fmt.Errorf("ask for what has expired of %s/%d: %w", a.Partition.Topic, a.Partition.ID, err)
		}
		l.begun = true
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
	delete(l.board.orphans, a.Partition)
	l.board.tracks[a.Partition] = newTrack(a, c, start)
	return nil
}

// Gap tells why a flow must not read a partition: nil if the group's offset and the checkpoint of the ledger, if one is known, meet.
func Gap(a cdc.Assignment, next int64, known bool) error {
	if gap := gapOf(a, ledger.Checkpoint{Next: next}, known); gap != nil {
		return gap
	}
	return nil
}

// gapOf compares the group's offset with the ledger's checkpoint: behind it is harmless; ahead of it, or expired, some changes
// would never be seen. // I8
func gapOf(a cdc.Assignment, c ledger.Checkpoint, known bool) *fault.Error {
	name := fmt.Sprintf("%s/%d", a.Partition.Topic, a.Partition.ID)
	gap := func(code, format string, args ...any) *fault.Error {
		e := fault.New(fault.Halt, code, name+format, args...)
		e.Hint = "look at what was missed, accept the gap, then replay the flow"
		return e
	}
	if known && c.Next < 0 {
		return nil // a person has accepted the gap
	}
	switch {
	case known && a.End < c.Next:
		return gap(codeRecreated, " ends at offset %d and %d were settled: the topic was made anew or cut", a.End, c.Next)
	case a.Committed >= 0 && a.Committed < a.Start:
		return gap("records_expired", ": the group is at offset %d and the broker holds records from %d on: %d records expired unread", a.Committed, a.Start, a.Start-a.Committed)
	case known && c.Next > 0 && a.Committed < 0 && a.Start > c.Next:
		return gap("offset_expired", ": the group has no offset, %d were settled and the broker holds records from %d on: %d records expired unread",
			c.Next, a.Start, a.Start-c.Next)
	case known && c.Next > a.Start && a.Committed < 0:
		return gap("offset_expired", ": the group has no offset though the ledger has settled up to %d; %d records are not settled yet", c.Next, max(a.End-c.Next, 0))
	case known && a.Committed > c.Next:
		return gap("offset_ahead", ": the group is at offset %d and the ledger has settled up to %d: %d records were skipped", a.Committed, c.Next, a.Committed-c.Next)
	case !known && a.Committed > a.Start:
		return gap("checkpoint_missing", ": the group is at offset %d and the ledger has no checkpoint: %d records may have been skipped", a.Committed, a.Committed-a.Start)
	default:
		return nil
	}
}
