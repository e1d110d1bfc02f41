package sink

import (
	"sync"
	"time"
)

// flight adapts how many keys are owned and read ahead: what waits long in its lane was read too early.
type flight struct {
	mu    sync.Mutex
	limit int
}

const (
	flightShort = time.Second
	flightLong  = 2 * time.Second
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
