package nuorder

import (
	"time"

	"nubridge/internal/ledger"
)

// SharesOf lets a client use the share that the ledger gives this instance. Whoever made it runs it; until then it is nothing.
func SharesOf(s *ledger.Shares) Shares { return ledgerShares{s} }

type ledgerShares struct{ from *ledger.Shares }

// Share puts the ledger's share into the gate's words.
func (l ledgerShares) Share() Share {
	s := l.from.Share()
	if s.InFlight <= 0 || s.Rate <= 0 {
		return Share{Concurrency: -1, NotBefore: s.NotBefore, Instances: s.Instances}
	}
	return Share{Rate: s.Rate, Concurrency: s.InFlight, NotBefore: s.NotBefore, Instances: s.Instances}
}

// Throttled passes on what the portal asked.
func (l ledgerShares) Throttled(until time.Time) { l.from.Throttled(until) }
