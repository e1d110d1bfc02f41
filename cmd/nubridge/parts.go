package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
)

// parts are what may halt alone, while the others go on.
type parts struct {
	mu   sync.Mutex // the console asks while they are started
	list []*lifecycle.Part
}

func (p *parts) add(part *lifecycle.Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, part)
}

func (p *parts) all() []*lifecycle.Part {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// part hands a part to the group that may halt alone.
func (b *bridge) part(g *lifecycle.Group, name string, life lifecycle.Life, mend func(error) string) *lifecycle.Part {
	p := lifecycle.NewPart(lifecycle.PartConfig{Name: name, Life: life, Mend: mend, Log: b.log})
	b.parts.add(p)
	g.Go(name, p.Run)
	return p
}

// hearMended lets what stands still try again whenever a person says that something is mended, by a command of any instance.
func (b *bridge) hearMended(ctx context.Context) error {
	wakes, end := b.store.Wakes("", "")
	defer end()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wakes:
			b.mended()
			b.goBehindGap(ctx)
		}
	}
}

// goBehindGap begins capture anew when a person has accepted a gap that capture itself has not met yet, such as a topic that is gone.
func (b *bridge) goBehindGap(ctx context.Context) {
	state, err := ledger.NewCaptures(b.store.Pool()).LoadCapture(ctx, b.cfg.Capture.Name)
	if err != nil || state == nil || state.AcceptGap == "" {
		return // what cannot be read now is accepted at the next session
	}
	for _, p := range b.parts.all() {
		if p.Name() == "capture" && p.Standing().State == lifecycle.Working {
			p.Anew()
		}
	}
}

func (b *bridge) mended() {
	for _, p := range b.parts.all() {
		p.Mended()
	}
}

// standing lists the parts that stand still, each in one line with its cause and what to do.
func (b *bridge) standing() []string {
	var out []string
	for _, p := range b.parts.all() {
		if s := p.Standing(); s.State == lifecycle.Halted || s.State == lifecycle.Failing {
			out = append(out, partLine(p.Name(), string(s.State), s.Code, s.Cause, s.Mend))
		}
	}
	return out
}

// partLine says in one line how a part stands.
func partLine(name, state, code, cause, mend string) string {
	word := "is halted"
	if state == string(lifecycle.Failing) {
		word = "fails and is tried again"
	}
	line := fmt.Sprintf("%s %s (%s): %s", name, word, code, cause)
	if mend != "" {
		line += "; mend: " + mend
	}
	return line
}

// isGap tells that the group's offsets and what is settled do not meet.
func isGap(err error) bool {
	return slices.Contains([]string{
		"records_expired", "offset_expired", "offset_ahead", "topic_recreated", "checkpoint_missing", "offset_out_of_range", "topic_changed",
	}, fault.CodeOf(err))
}

func hint(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Hint
	}
	return ""
}
