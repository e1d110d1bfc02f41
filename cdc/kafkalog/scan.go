package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// scanBytes is what one request of a scan asks for at most.
const scanBytes = 4 << 20

// Scan reads the records of a partition from one offset up to another, without a group and without committing anything, and gives
// each to see, which must not keep its bytes. It blocks until it is through; an offset that the broker no longer holds, or an
// error of see, ends it.
func (c *Client) Scan(ctx context.Context, id cdc.Partition, from, to int64, see func(*cdc.Record) error) error {
	var pause backoff
	for from < to {
		answer, err := c.fetch(ctx, id, from, scanBytes, 500*time.Millisecond)
		switch {
		case errors.Is(err, kafka.OffsetOutOfRange):
			return &fault.Error{
				Kind: fault.Reject, Code: "offset_out_of_range", Hint: "begin later: the broker has dropped what is older than its retention",
				Err: fmt.Errorf("scan %s/%d: the broker does not hold offset %d", id.Topic, id.ID, from),
			}
		case isPassing(err):
			if err := pause.wait(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return wrap("scan "+id.Topic, err)
		}
		pause.reset()
		next, err := decodeBatches(answer.batches, from, func(w wireRecord) error {
			if w.offset >= to {
				return nil
			}
			record, err := w.record(id)
			if err != nil {
				return err
			}
			return see(&record)
		})
		if err != nil {
			return err
		}
		if next == from && from >= answer.end {
			return nil // the end moved back, or compaction took the rest
		}
		if next == from { // holes at the end that hold no batch any more
			if err := pause.wait(ctx); err != nil {
				return err
			}
		}
		from = next
	}
	return nil
}
