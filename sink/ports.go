package sink

import (
	"context"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// Log hands out the records of a consumer group, in order within each partition. One goroutine calls Poll; the group stays
// alive however long the caller takes, so not polling is how a full sink slows its source. // I9
type Log interface {
	// Poll blocks until there are records or the assignment changed.
	Poll(ctx context.Context) (cdc.Fetch, error)
	// Commit stores the offset after the last settled record of each partition. It fails for partitions lost meanwhile. // I2
	Commit(ctx context.Context, next map[cdc.Partition]int64) error
	// Again has Poll hand out a partition once more, from the stored offset, if this instance holds it still.
	Again(ctx context.Context, p cdc.Partition) error
}

// Reader reads documents by key from the OMS database.
type Reader interface {
	// Read reads documents of one flow in one transaction that proves it is not older than asked. // decision 2
	Read(ctx context.Context, flow mapper.Flow, wants []mapper.Want) ([]mapper.Read, error)
	// Visible tells, aligned with wants, which of them every read from now on is proven to see. A hop has no key yet whose read
	// could prove itself, and a key may be touched by more than one transaction.
	Visible(ctx context.Context, wants []mapper.Want) ([]bool, error)
	// Hop resolves routes that need SQL: the values of the hop's columns to the keys of the documents, aligned with values.
	Hop(ctx context.Context, hop mapper.HopID, values [][]string) ([][]mapper.Key, error)
}

// Mapper is the compiled mapping of one environment.
type Mapper interface {
	// Tables lists schema.table of every table that routes to the flow.
	Tables(flow mapper.Flow) []string
	// Route names the documents that a change touches, some at once and some through a hop.
	Route(flow mapper.Flow, c *cdc.Change) (mapper.Touches, error)
	// Body translates a document; a nil document gives a filtered body.
	Body(flow mapper.Flow, key mapper.Key, d *mapper.Document) (mapper.Body, error)
}

// Remote makes one object at NuORDER equal to its body. There is one per flow; calls for one object never overlap. For products,
// customers and inventory the loop asks only when the body's hash differs from that of the part (ledger.PartOf) or the object
// is in doubt; orders compare by themselves.
type Remote interface {
	Deliver(ctx context.Context, w Work) (Delivery, error)
}

// Work is one object to deliver, owned by this instance until Deadline.
type Work struct {
	Environment string
	Body        mapper.Body
	Object      ledger.Object
	Deadline    time.Time
	// Parents are those of the body as the ledger knows them, where the object itself is not known yet. A Remote may ask the
	// ledger for others.
	Parents map[mapper.Ref]ledger.Object
	// Rank is the order of service, lower first; see ledger.RankOrders and those after it.
	Rank int
	// Urgent is closed when an order begins to wait for the object, which from then on is served before all but orders; nil says that none will.
	Urgent <-chan struct{}
	// Yield tells that another document wants the name that this object has at NuORDER: one that is not selected any more gives it up.
	Yield bool
}

// Delivery is how it went. Errors are fault.Errors; an error of kind Reject parks the key.
type Delivery struct {
	// Disposition is delivered, unchanged, filtered or waiting.
	Disposition ledger.Disposition
	// Object is what the ledger shall know from now on: identity, hashes, last body.
	Object ledger.Object
	// WaitFor names what is missing when Disposition is waiting.
	WaitFor []mapper.Ref
	Calls   int
	// Late tells that one of the calls got no answer, so that NuORDER may yet carry it out, after newer ones. It is told beside an error too.
	Late bool
	// Wrote tells that one of the calls may have changed the object at NuORDER, beside an error too: what it holds is not known then.
	Wrote bool
	// Told tells, beside Waiting, that a call told NuORDER something on the way, so that Object is kept; what is in doubt stays so.
	Told bool
}
