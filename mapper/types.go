package mapper

import (
	"strings"

	"nubridge/cdc"
)

// Flow names one stream of documents between the OMS and NuORDER.
type Flow string

// The flows.
const (
	Products      Flow = "products"
	Customers     Flow = "customers"
	Inventory     Flow = "inventory"
	OrderEdits    Flow = "order_edits"
	OrderCreation Flow = "order_creation"
	Shipments     Flow = "shipments"
	OrdersIn      Flow = "orders_in"
)

// Kind is the kind of remote object that a flow's documents are. Flows that share a kind share the object, its lease and
// its ledger row.
type Kind string

// The kinds of remote objects.
const (
	Product Kind = "product"
	Company Kind = "company"
	Stock   Kind = "stock" // the inventory of one product
	Order   Kind = "order"
)

// Kind gives the kind of remote object behind the flow.
func (f Flow) Kind() Kind {
	switch f {
	case Products:
		return Product
	case Customers:
		return Company
	case Inventory:
		return Stock
	default:
		return Order
	}
}

// Key names a document within its kind: the text of its key column, or of several joined by "|" with "\" as escape.
type Key string

// KeyOf joins the parts of a key.
func KeyOf(parts ...string) Key {
	if len(parts) == 1 && !strings.ContainsAny(parts[0], `|\`) {
		return Key(parts[0])
	}
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	for i, p := range parts {
		parts[i] = escape.Replace(p)
	}
	return Key(strings.Join(parts, "|"))
}

// Ref names a document of a flow, as a parent that must exist before its child can be sent.
type Ref struct {
	Flow Flow
	Key  Key
}

// Violation is a rule of the remote that a body breaks; such a body is never sent.
type Violation struct {
	Field string // path in the body, such as addresses[0].country
	Rule  string // stable name, such as required
	Value string // what was found; personal data left out
	// Text says in a sentence for the OMS administrator what is wrong and what to do.
	Text string
}

// Body is what the mapping made of one document.
type Body struct {
	Flow Flow
	Key  Key
	// RemoteKey is our name for the object at NuORDER: brand_id, company code or order number.
	RemoteKey string
	// JSON is the NuORDER body; equal documents give equal bytes.
	JSON []byte
	// Facts are named values which the flow's logic needs beside the body. Orders: reference (what the OMS stores as the other
	// system's reference, empty if OMS-born), date (YYYY-MM-DD), cancelled ("true").
	Facts map[string]string
	// Parents are the documents that must be at NuORDER first.
	Parents []Ref
	// Filtered tells that the filter does not select the document, or that its root row is gone: JSON is empty then, and
	// what is at NuORDER is archived or cancelled from the ledger's last body.
	Filtered bool
	// Violations, if any, park the document.
	Violations []Violation
}

// HopID names one SQL hop of the mapping.
type HopID struct {
	Flow  Flow
	Index int
}

// Touches are the documents that one change touches.
type Touches struct {
	Keys []Key
	// Hops need a look-up in the database; Values are the arguments of each.
	Hops []Hop
}

// Hop is one pending look-up.
type Hop struct {
	ID     HopID
	Values []string
}

// Want is a document to read and the newest source transaction that the read must see.
type Want struct {
	Key Key
	// XID is the xid8 of the newest change that touched the key, zero if none needs proof; Commit its commit LSN.
	XID    uint64
	Commit cdc.LSN
	Epoch  uint32
}

// Read is a document as it was read.
type Read struct {
	Key Key
	// Document is nil when its root row is gone.
	Document *Document
	// NotYetVisible tells that the transaction cannot be proven to be seen yet: the key waits, which is no failure.
	NotYetVisible bool
	// At is where the source's log stood, in Epoch, before the document was read; zero if that is not known. What a snapshot
	// read before that place the document shows too.
	At    cdc.LSN
	Epoch uint32
}
