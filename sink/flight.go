package sink

import (
	"sync"
	"time"
)

// flight adapts how many keys are owned and read ahead: what waits long in its lane was read too early.
type flight struct {
	mu    sync.Mutex
	limit int
	// last is when a delivery last succeeded.
	last time.Time
}

const (
	flightShort = 300 * time.Millisecond
	flightLong  = 600 * time.Millisecond
)

func (f *flight) get() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limit
}

// adapt learns from the time that a key waited between its lease and its delivery.
func (f *flight) adapt(waited time.Duration, c Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case waited < flightShort:
		f.limit = min(f.limit+1, c.InFlight)
	case waited > flightLong:
		f.limit = max(f.limit-1, min(2*c.Lanes, c.InFlight))
	}
}

const (
	// attemptsMost is after how many failures in a row a key makes room for others.
	attemptsMost = 8
	lastMost     = time.Minute
)

func (f *flight) succeeded(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = now
}

// alone tells whether a key fails again and again while others succeed. It would hold up the offset and in the end the whole
// flow, so it waits in the ledger instead. // I7
// While nothing succeeds it is not the key's fault, and nothing is parked.
func (f *flight) alone(attempts int, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return attempts+1 >= attemptsMost && now.Sub(f.last) < lastMost
}
