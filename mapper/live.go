package mapper

import (
	"sync/atomic"

	"nubridge/cdc"
)

// Live holds the mapping in force and lets a new one take over while flows run. It is safe for concurrent use. A body that was
// begun with the old mapping ends with it: a document knows the mapping that it was read by and is translated by no other.
type Live struct {
	current atomic.Pointer[Mapping]
}

// NewLive holds a first mapping.
func NewLive(m *Mapping) *Live {
	l := &Live{}
	l.current.Store(m)
	return l
}

// Mapping gives the mapping in force.
func (l *Live) Mapping() *Mapping { return l.current.Load() }

// Take puts a new mapping in force and gives back the old one.
func (l *Live) Take(m *Mapping) *Mapping { return l.current.Swap(m) }

// Tables lists schema.table of every table that routes to the flow.
func (l *Live) Tables(flow Flow) []string { return l.Mapping().Tables(flow) }

// Route names the documents that a change touches.
func (l *Live) Route(flow Flow, c *cdc.Change) (Touches, error) { return l.Mapping().Route(flow, c) }

// Body translates a document with the mapping that it was read by, which during a change-over may still be the old one.
func (l *Live) Body(flow Flow, key Key, d *Document) (Body, error) {
	if d != nil && d.mapping != nil {
		return d.mapping.Body(flow, key, d)
	}
	return l.Mapping().Body(flow, key, d)
}
