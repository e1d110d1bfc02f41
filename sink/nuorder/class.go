package nuorder

import "context"

// Class groups the endpoints that fail together: each has a breaker of its own.
type Class string

// The endpoint classes.
const (
	ClassOrderReads  Class = "order_reads"
	ClassOrderWrites Class = "order_writes"
	ClassProducts    Class = "products"
	ClassCompanies   Class = "companies"
	ClassInventory   Class = "inventory"
	ClassPrices      Class = "prices"
	ClassMeta        Class = "meta" // schemas and handshake
)

func classes() []Class {
	return []Class{ClassOrderReads, ClassOrderWrites, ClassProducts, ClassCompanies, ClassInventory, ClassPrices, ClassMeta}
}

// Rank is the order of service: of the calls that wait for the gate, the lowest rank goes first.
type Rank int

// The ranks.
const (
	RankOrders Rank = iota + 1
	// RankParents is for parents that a waiting order needs.
	RankParents
	RankProducts
	RankInventory
	RankBulk
)

type rankKey struct{}

// WithRank gives the calls made with the context a rank other than that of their endpoint class.
func WithRank(ctx context.Context, r Rank) context.Context {
	return context.WithValue(ctx, rankKey{}, r)
}

type urgentKey struct{}

// withUrgent lets the calls made with the context rise to the rank of parents when the channel is closed, also while they wait.
func withUrgent(ctx context.Context, urgent <-chan struct{}) context.Context {
	if urgent == nil {
		return ctx
	}
	return context.WithValue(ctx, urgentKey{}, urgent)
}

// urgentOf is nil where nothing can become urgent.
func urgentOf(ctx context.Context) <-chan struct{} {
	urgent, _ := ctx.Value(urgentKey{}).(<-chan struct{})
	return urgent
}

func rankOf(ctx context.Context, c Class) Rank {
	if r, ok := ctx.Value(rankKey{}).(Rank); ok {
		return r
	}
	switch c {
	case ClassOrderReads, ClassOrderWrites:
		return RankOrders
	case ClassProducts, ClassCompanies:
		return RankProducts
	case ClassInventory:
		return RankInventory
	default:
		return RankBulk
	}
}
