package sink

import (
	"context"
	"time"

	"nubridge/cdc"
)

// orphanRetry is how long an orphan waits for a revocation before it is asked for again.
const orphanRetry = time.Second

// orphaned tells whether partitions are held whose checkpoint someone else has taken. That is usual just before a rebalance is told.
// But an instance that lags behind the group may take a checkpoint after the next owner has, and never read on: then nobody does.
func (b *board) orphaned() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.orphans) > 0
}

// reclaim has the orphans handed out again that are due and that this instance holds still.
func (l *Loop) reclaim(ctx context.Context) {
	now := l.Now()
	var due []cdc.Partition
	l.board.mu.Lock()
	for p, since := range l.board.orphans {
		if now.Sub(since) >= orphanRetry {
			l.board.orphans[p] = now
			due = append(due, p)
		}
	}
	l.board.mu.Unlock()
	for _, p := range due {
		if err := l.Log.Again(ctx, p); err != nil {
			l.Logger.Warn("a partition whose checkpoint another instance took is not read again yet", "topic", p.Topic, "partition", p.ID, "error", err)
			continue
		}
		l.Logger.Info("another instance took the checkpoint of a partition; it is read again if it is still ours", "topic", p.Topic, "partition", p.ID)
	}
}
