package orders

import (
	"context"
	"net/http/httptrace"
)

// Point is a named moment on an order's way at which the process may die.
type Point string

// The points.
const (
	PageRead      Point = "R1"  // an order was read, nothing written of it
	RowSeen       Point = "R2"  // its row is in SEEN
	IntentWritten Point = "R3"  // INTENT is committed, nothing sent
	CreateSent    Point = "R4"  // the create left, no answer
	CreateAnswer  Point = "R5"  // the answer is read, CREATED not written
	CreatedRow    Point = "R6"  // CREATED is committed, not marked
	MarkSent      Point = "R7"  // the mark left, no answer
	MarkedRow     Point = "R8"  // MARKED is committed, not renumbered
	RenumberSent  Point = "R9"  // the renumbering left, no answer
	NumberedRow   Point = "R10" // NUMBERED is committed
	IDsListed     Point = "R11" // ids are listed, rows not written
)

// Points lists all of them.
func Points() []Point {
	return []Point{
		PageRead, RowSeen, IntentWritten, CreateSent, CreateAnswer, CreatedRow, MarkSent, MarkedRow, RenumberSent, NumberedRow, IDsListed,
	}
}

// at reports a point.
func (p *Poller) at(point Point) {
	if p.cfg.At != nil {
		p.cfg.At(point)
	}
}

// sending gives a context under which a request that has left reports the point.
func (p *Poller) sending(ctx context.Context, point Point) context.Context {
	if p.cfg.At == nil {
		return ctx
	}
	return WithSent(ctx, func() { p.cfg.At(point) })
}

// WithSent calls sent when an HTTP request under the context has been written and its answer is still to come.
func WithSent(ctx context.Context, sent func()) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				sent()
			}
		},
	})
}
