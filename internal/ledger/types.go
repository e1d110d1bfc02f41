// Package ledger is the bridge's own tables in PostgreSQL: per remote object what was last delivered, leases, doubt and the
// identity map; waiting and parked keys; order intents; capture positions; the counts of I1.
package ledger

import (
	"time"

	"nubridge/cdc"
	"nubridge/mapper"
)

// Disposition is how a touch was settled.
type Disposition string

// The dispositions. read = delivered + unchanged + superseded + filtered + waiting + parked + in flight. // I1
const (
	Delivered  Disposition = "delivered"
	Unchanged  Disposition = "unchanged"
	Superseded Disposition = "superseded"
	Filtered   Disposition = "filtered"
	Waiting    Disposition = "waiting"
	Parked     Disposition = "parked"
)

// ObjectID names one remote object: the unit of lease, lane and order.
type ObjectID struct {
	Environment string
	Kind        mapper.Kind
	Key         mapper.Key
}

// Object is what the ledger knows of one remote object.
type Object struct {
	ObjectID
	// Token fences the lease: a settlement with an older token is refused.
	Token int64
	// InDoubt tells that what NuORDER holds is not known: a lost answer, a kill, a stock movement. Such an object is sent
	// even when its body equals the last one.
	InDoubt bool
	// Known tells that the object is at NuORDER; children may refer to it.
	Known bool
	// doubtSeq is the count of foreign marks of doubt at the time of the lease; a settlement clears no later one.
	doubtSeq int64
	// RemoteID is NuORDER's _id, empty while the object is not known to exist there.
	RemoteID string
	// RemoteKey is brand_id, code or order number as sent; StoredKey as NuORDER returned it (it may fold case).
	RemoteKey, StoredKey string
	// Identity holds what else the flow must remember, such as size ids or both order numbers.
	Identity map[string]string
	// Parts holds, per part of the object (body, stock, shipments, status, number), what was last delivered.
	Parts map[string]Part
	// Position is the newest change that is contained in what was delivered.
	Position cdc.Position
}

// Part is the last delivered state of one part of an object.
type Part struct {
	Hash [32]byte
	// Body is the canonical JSON as sent; empty if only the hash is kept.
	Body []byte
	At   time.Time
}
