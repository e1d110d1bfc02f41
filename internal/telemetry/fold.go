package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// foldFor is how long a failure that repeats itself is not told again.
	foldFor = 30 * time.Second
	// foldMost bounds how many failures are remembered.
	foldMost = 1024
)

// folds remembers the failures that were told lately.
type folds struct {
	now func() time.Time

	mu   sync.Mutex
	told map[string]*fold
}

type fold struct {
	at       time.Time
	repeated int
}

// pass tells whether a failure is told, and how often it was not since the last time.
func (f *folds) pass(key string) (repeated int, ok bool) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.told[key]; old != nil {
		if now.Sub(old.at) < foldFor {
			old.repeated++
			return 0, false
		}
		repeated = old.repeated
		old.at, old.repeated = now, 0
		return repeated, true
	}
	if len(f.told) >= foldMost {
		f.forget(now)
	}
	f.told[key] = &fold{at: now}
	return 0, true
}

// forget drops what is over, and everything if nothing is.
func (f *folds) forget(now time.Time) {
	for key, old := range f.told {
		if now.Sub(old.at) >= foldFor {
			delete(f.told, key)
		}
	}
	if len(f.told) >= foldMost {
		clear(f.told)
	}
}

// folding tells a failure when it changes and then every 30 seconds with the number of repetitions. Failures are records of at
// least level warn with an attribute error; all else passes. An attribute that is given twice is written once: the last one counts.
type folding struct {
	next  slog.Handler
	folds *folds
	own   []slog.Attr // of With, outside groups
	group bool        // inside a group attributes are passed on as they are
}

// Enabled implements slog.Handler.
func (h folding) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h folding) Handle(ctx context.Context, r slog.Record) error {
	attrs := append([]slog.Attr(nil), h.own...)
	r.Attrs(func(a slog.Attr) bool {
		attrs = put(attrs, a)
		return true
	})
	if r.Level >= slog.LevelWarn {
		if key, ok := failureKey(r.Message, attrs); ok {
			repeated, pass := h.folds.pass(key)
			if !pass {
				return nil
			}
			if repeated > 0 {
				attrs = append(attrs, slog.Int("repeated", repeated))
			}
		}
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	out.AddAttrs(attrs...)
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h folding) WithAttrs(attrs []slog.Attr) slog.Handler {
	if h.group {
		h.next = h.next.WithAttrs(attrs)
		return h
	}
	own := append([]slog.Attr(nil), h.own...)
	for _, a := range attrs {
		own = put(own, a)
	}
	h.own = own
	return h
}

// WithGroup implements slog.Handler.
func (h folding) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return folding{next: h.next.WithAttrs(h.own).WithGroup(name), folds: h.folds, group: true}
}

func put(attrs []slog.Attr, a slog.Attr) []slog.Attr {
	for i := range attrs {
		if attrs[i].Key == a.Key && a.Key != "" {
			attrs[i] = a
			return attrs
		}
	}
	return append(attrs, a)
}

// failureKey is the same for the same failure, however often and when it happens.
func failureKey(message string, attrs []slog.Attr) (string, bool) {
	var b strings.Builder
	b.WriteString(message)
	failure := false
	for _, a := range attrs {
		switch {
		case a.Key == "error":
			failure = true
			b.WriteString("\x00" + withoutDigits(a.Value.String()))
		case a.Key == "attempt" || a.Key == "failures" || a.Value.Kind() == slog.KindDuration || a.Value.Kind() == slog.KindTime:
		default:
			b.WriteString("\x00" + a.Key + "=" + a.Value.String())
		}
	}
	return b.String(), failure
}

// withoutDigits makes ports, positions and times of a text equal.
func withoutDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '#'
		}
		return r
	}, s)
}
