//go:build !linux && !darwin

package pgsource

import (
	"net"
	"time"
)

// pace does nothing on this platform: every message is taken as it comes.
type pace struct{}

func newPace(net.Conn) *pace                   { return nil }
func (p *pace) took(int, time.Time)            {}
func (p *pace) wait(net.Conn, time.Time) error { return nil }
