// Package orders is the way back: it polls NuORDER for approved orders, creates each in the OMS exactly once, marks it Processed
// and sees to it that it gets the OMS's number. Every foreign call has a row before it in the intent log; a create whose answer
// was lost is never repeated before a search has shown that the OMS does not have it. // I4, I5
//
// The package knows the OMS only through the client that a mapping describes (orders/oms), and NuORDER through the Portal port. It
// does not deliver edits, shipments or OMS-born orders: the sink does.
package orders
