package oms

import (
	"context"
	"time"
)

// Order is a NuORDER order on its way into the OMS.
type Order struct {
	Environment string
	// Reference is what the OMS shall store as the other system's reference.
	Reference string
	// JSON is the order as NuORDER sent it.
	JSON []byte
}

// Draft is an order translated to the OMS's words.
type Draft struct {
	Order
	// Body is the body of the create; equal orders give equal bytes.
	Body []byte
	Hash [32]byte
	// names are what expressions see.
	names map[string]any
}

// Outcome is what a create came to.
type Outcome string

// The outcomes. Created, Duplicate, Refused and Again are definite; Lost is not.
const (
	Created   Outcome = "created"
	Duplicate Outcome = "duplicate" // the OMS enforces the reference and has it
	Refused   Outcome = "refused"   // the OMS took nothing and says why
	Again     Outcome = "again"     // nothing was sent, or the OMS says that it did nothing
	Lost      Outcome = "lost"      // the OMS may have created the order
)

// Answer is the answer of a create.
type Answer struct {
	Outcome Outcome
	// Number is the OMS's order number: always with Created, with Duplicate if the OMS tells it.
	Number string
	// Reason is in words for the OMS administrator.
	Reason string
	// After is how long the OMS asks us to wait.
	After time.Duration
	// Everyone tells that the failure is not this order's: all creates wait.
	Everyone bool
	// Status of the answer, zero if there was none.
	Status int
}

// Found is an OMS order that a search by reference found.
type Found struct {
	Number string
	// Differs tells that it is not the order that the draft describes.
	Differs bool
	// Order is what the OMS showed of it.
	Order any
}

// Problem is a reason why the OMS would refuse an order.
type Problem struct {
	// Code is the rule's name in the mapping, Text a sentence for the OMS administrator.
	Code, Text string
}

// Database answers the questions that a mapping's checks ask the OMS's database. Nothing is written.
type Database interface {
	// Rows runs a query; every value is given as text, nil for NULL.
	Rows(ctx context.Context, sql string, args ...any) ([]map[string]any, error)
}
