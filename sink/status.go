package sink

import (
	"time"

	"nubridge/mapper"
)

// Status is what a loop is doing at a moment.
type Status struct {
	Environment string
	Flow        mapper.Flow
	Mode        Mode
	Standing
	// Freshness is the age of the oldest change that is read and not settled; zero when there is none.
	Freshness time.Duration
	// Touches, Keys and InFlight are what is held in memory; Delayed keys back off or are not yet visible, Hidden of them.
	Touches, Keys, InFlight, Delayed, Hidden int
	// Partitions are those assigned to this instance.
	Partitions int
}

// Status tells what the loop is doing. It does not block for I/O and may be called at any time.
func (l *Loop) Status() Status {
	now := l.Now()
	standing, _ := l.gate.standing(now)
	s := Status{Environment: l.config.Environment, Flow: l.config.Flow, Mode: l.config.Mode, Standing: standing}
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Touches, s.Keys, s.InFlight, s.Delayed, s.Partitions = b.touches, len(b.entries), b.busy, len(b.heap), len(b.tracks)
	var oldest time.Time
	for _, e := range b.entries {
		if e.hidden > 0 {
			s.Hidden++
		}
		if !e.since.IsZero() && (oldest.IsZero() || e.since.Before(oldest)) {
			oldest = e.since
		}
	}
	if !oldest.IsZero() {
		s.Freshness = max(now.Sub(oldest), 0)
	}
	return s
}
