package main

import (
	"log/slog"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/sink/nuorder"
)

// portalShares gives the client its part of the portal's limits, as the ledger divides them between live instances.
type portalShares struct{ *ledger.Shares }

func newShares(store *ledger.Store, environment, instance string, c *config.Environment, log *slog.Logger) (portalShares, error) {
	limits := ledger.Limits{Rate: c.NuORDER.Rate, InFlight: c.NuORDER.Concurrency}
	s, err := ledger.NewShares(store, environment, instance, limits, log)
	return portalShares{s}, err
}

// Share answers from memory; without a share nothing may be called.
func (p portalShares) Share() nuorder.Share {
	s := p.Shares.Share()
	if s.InFlight <= 0 {
		s.InFlight = -1
	}
	return nuorder.Share{Rate: s.Rate, Concurrency: s.InFlight, NotBefore: s.NotBefore, Instances: s.Instances}
}

// Throttled binds the other instances too.
func (p portalShares) Throttled(until time.Time) { p.Shares.Throttled(until) }
