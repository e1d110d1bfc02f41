package main

import (
	"nubridge/internal/lifecycle"
)

// start hands the environment's flows and its poller to the group.
func (e *environment) start(g *lifecycle.Group) error {
	if e.poller != nil {
		g.Go(e.name+" orders_in", e.poller.Run)
	}
	return nil
}
