package cdc

import "context"

// Source yields committed changes in commit order. One goroutine calls Next; Confirm may be called from another.
type Source interface {
	// Next blocks for the next batch. The batch is the caller's until Release, which comes before the next call of Next.
	Next(ctx context.Context) (*Batch, error)
	// Release gives a batch back for reuse, once the publisher has taken it over.
	Release(b *Batch)
	// Confirm says that everything through this LSN is durable downstream and recorded; it does not block.
	Confirm(through LSN)
}

// Publisher makes batches durable in order.
type Publisher interface {
	// Publish copies what it needs of a batch, so that the batch is the caller's again when it returns; it may return before the
	// batch is durable, and blocks while too much is in flight. acked is called
	// exactly once per batch, in the order of the calls, from another goroutine: with nil when all events are acknowledged
	// by all in-sync replicas, else with the error, after which the publisher refuses everything and the caller starts again
	// from the last recorded position.
	Publish(ctx context.Context, b *Batch, acked func(error)) error
}

// Checkpoints records the acknowledged position before it is confirmed to the server. // I8
type Checkpoints interface {
	Acknowledged(ctx context.Context, capture string, last Position, through LSN) error
}
