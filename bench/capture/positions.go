package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc"
)

// positions checks the header that nubridge gives every record: within a partition positions rise, and a transaction's indexes
// have no hole.
type positions struct {
	on    bool
	last  map[partition]cdc.Position
	wrong int
	first string
}

type partition struct {
	topic string
	id    int32
}

func newPositions(on bool) *positions { return &positions{on: on, last: map[partition]cdc.Position{}} }

func (p *positions) take(r *kgo.Record) {
	if !p.on {
		return
	}
	var at cdc.Position
	var err error
	found := false
	for _, h := range r.Headers {
		if h.Key == cdc.HeaderPosition {
			at, err = cdc.ParsePosition(string(h.Value))
			found = true
		}
	}
	part := partition{r.Topic, r.Partition}
	if !found || err != nil || at.Compare(p.last[part]) <= 0 {
		p.wrong++
		if p.first == "" {
			p.first = fmt.Sprintf("%s/%d/%d: position %s after %s", r.Topic, r.Partition, r.Offset, at, p.last[part])
		}
	}
	p.last[part] = at
}
