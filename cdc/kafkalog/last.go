package kafkalog

import (
	"context"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"nubridge/cdc"
)

// lastReaders is how many partitions are looked into at a time.
const lastReaders = 16

// LastPositions reads the last change of each partition; a partition without one is missing from the answer. Records
// without a position, such as markers, are stepped over, as are the holes that compaction leaves.
func (c *Client) LastPositions(ctx context.Context, partitions []cdc.Partition) (map[cdc.Partition]Last, error) {
	bounds, err := c.bounds(ctx, partitions)
	if err != nil {
		return nil, wrap("list offsets", err)
	}
	var mu sync.Mutex
	found := map[cdc.Partition]Last{}
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(lastReaders)
	for _, id := range partitions {
		start, end := bounds[id][0], bounds[id][1]
		if start >= end {
			continue
		}
		readers.Go(func() error {
			last, ok, err := c.lastPosition(ctx, id, start, end)
			if err != nil {
				return wrap("read the last position of "+id.Topic, err)
			}
			if ok {
				mu.Lock()
				defer mu.Unlock()
				found[id] = last
			}
			return nil
		})
	}
	return found, readers.Wait()
}

// lastPosition looks back from the end in growing steps until it meets a position.
func (c *Client) lastPosition(ctx context.Context, id cdc.Partition, start, end int64) (last Last, ok bool, err error) {
	for step := int64(1); ; step *= 16 {
		from := max(end-step, start)
		if last, ok, err = c.lastWithin(ctx, id, from, end); err != nil || ok || from == start {
			return last, ok, err
		}
	}
}

// lastWithin reads from an offset to the end.
func (c *Client) lastWithin(ctx context.Context, id cdc.Partition, from, end int64) (last Last, ok bool, err error) {
	var pause backoff
	for from < end {
		answer, err := c.fetch(ctx, id, from, 1<<20, 500*time.Millisecond)
		if isPassing(err) {
			if err := pause.wait(ctx); err != nil {
				return last, ok, err
			}
			continue
		}
		if err != nil {
			return last, ok, err
		}
		next, err := decodeBatches(answer.batches, from, func(w wireRecord) error {
			if position, op, has := w.position(); has {
				last, ok = Last{Position: position, Op: op}, true
			}
			return nil
		})
		if err != nil {
			return last, ok, err
		}
		if next == from {
			// Nothing there although the end lies behind: compaction took the rest.
			return last, ok, nil
		}
		from = next
	}
	return last, ok, nil
}

// isPassing tells a broker's answer that a moment later may be another one.
func isPassing(err error) bool {
	code, ok := err.(kafka.Error) //nolint:errorlint // exchange gives the broker's own answers unwrapped
	return ok && code.Temporary()
}
