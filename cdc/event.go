package cdc

import "time"

// Op is what happened to a row, in Debezium's letters.
type Op byte

// The operations of the feed.
const (
	OpCreate   Op = 'c'
	OpUpdate   Op = 'u'
	OpDelete   Op = 'd'
	OpRead     Op = 'r' // a row of a snapshot
	OpTruncate Op = 't'
	OpMessage  Op = 'm' // a logical message
	// OpTombstone marks the record with an empty value that follows a delete, so that compaction forgets the key.
	OpTombstone Op = 'x'
)

// Names of the Kafka record headers; values are UTF-8 text. A reader must take the operation from the header, because
// kafka-go gives nil for an empty value as well as for a tombstone.
const (
	HeaderPosition   = "nubridge.position"  // Position.String
	HeaderOp         = "nubridge.op"        // one letter
	HeaderXID        = "nubridge.xid"       // the source's top-level xid, widened to xid8, decimal; absent on snapshot rows
	HeaderCommitTime = "nubridge.commit_us" // microseconds since the Unix epoch, decimal
	HeaderTxSize     = "nubridge.tx_size"   // on the last change of a transaction: how many were published
	HeaderOversize   = "nubridge.oversize"  // names of columns whose values were too large to be published, comma-separated
	HeaderTrace      = "traceparent"        // W3C trace context
)

// Event is one change on its way to Kafka: what Debezium would have written, and our headers. Key and Value belong to the
// Batch that holds the event and are valid until the batch is released.
type Event struct {
	// Topic is <prefix>.<schema>.<table>.
	Topic string
	Op    Op
	// Key is the JSON object of the key columns; nil for a table without a key.
	Key []byte
	// Value is the JSON envelope; nil for a tombstone.
	Value      []byte
	Position   Position
	XID        uint64 // xid8; zero for snapshot rows
	CommitTime int64  // microseconds since the Unix epoch; zero for snapshot rows
	TxSize     uint64 // on the last change of a transaction: how many were published; else zero
	Trace      string // traceparent, or empty
	Oversize   string // names of columns whose values were too large to be published, comma-separated; or empty
}

// Batch is a run of events in commit order. The source fills it, the publisher only reads it.
type Batch struct {
	Events []Event
	// Through is the end LSN of the last transaction that is complete with this batch; zero while a large transaction goes
	// on. Once the batch and all before it are acknowledged, this LSN may be confirmed. // I2
	Through LSN
	// Last is the position of the last event, also kept when Events is empty.
	Last Position
}

// Partition names one partition of one topic.
type Partition struct {
	Topic string
	ID    int
}

// Record is one event as read back from Kafka.
type Record struct {
	Partition Partition
	Offset    int64
	Time      time.Time // the broker's timestamp
	Key       []byte
	Value     []byte
	Position  Position
	Op        Op
	XID       uint64
	// CommitTime is when the source committed; zero for snapshot rows.
	CommitTime time.Time
	Trace      string
}

// Fetch is what one Poll found.
type Fetch struct {
	// Revoked partitions belong to others now: in-flight work may finish, nothing of them may be committed.
	Revoked []Partition
	// Assigned partitions are new to this instance.
	Assigned []Assignment
	Records  []Record
	// Passed are offsets below which no records are left, where the log goes on behind the last one: markers, or what compaction took.
	// What expires there was never a record.
	Passed map[Partition]int64
}

// Assignment says where reading of a partition starts and what the broker still holds.
type Assignment struct {
	Partition Partition
	// Committed is the group's stored offset, -1 when there is none; Start and End bound what the broker holds.
	Committed, Start, End int64
}
