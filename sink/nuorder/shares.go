package nuorder

import "time"

// Shares divides the portal's limits between the live instances of the bridge. Both methods are called often and from many
// goroutines; neither may block, so an implementation answers from memory and talks to the ledger by itself.
type Shares interface {
	// Share is what this instance may use now.
	Share() Share
	// Throttled tells the other instances that the portal asked to be left alone until a time; each binds itself within a second.
	Throttled(until time.Time)
}

// Share is one instance's part of the portal's limits.
type Share struct {
	// Rate is calls per second; zero leaves the configured rate.
	Rate float64
	// Concurrency caps the calls in flight; zero leaves the configured cap, negative allows none for the moment.
	Concurrency int
	// NotBefore is the time before which no instance may call.
	NotBefore time.Time
	// Instances is how many share the limits; zero is this one alone.
	Instances int
}

// Alone is the Shares of a single instance: all of the limits.
type Alone struct{}

// Share gives the configured limits.
func (Alone) Share() Share { return Share{} }

// Throttled has nobody to tell.
func (Alone) Throttled(time.Time) {}
