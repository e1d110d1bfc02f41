package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func newTestLogger(w *bytes.Buffer, now func() time.Time) *slog.Logger {
	lines := slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return slog.New(folding{next: traced{lines}, folds: &folds{now: now, told: map[string]*fold{}}})
}

func TestRepeatedFailureIsToldWhenItChangesAndEvery30Seconds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	log := newTestLogger(&out, func() time.Time { return now })
	for i := range 61 {
		log.Warn("kafka publish failed", "topic", "a", "failures", i, "error", errors.New("dial tcp 127.0.0.1:"+strings.Repeat("7", 5)))
		if i == 20 {
			log.Warn("kafka publish failed", "topic", "a", "failures", i, "error", errors.New("broken pipe"))
		}
		log.Info("flow resumed")
		now = now.Add(time.Second)
	}
	got := out.String()
	if n := strings.Count(got, "dial tcp"); n != 3 {
		t.Errorf("told %d times within 61 s, want 3:\n%s", n, got)
	}
	if strings.Count(got, "repeated=29") != 2 || strings.Count(got, "broken pipe") != 1 {
		t.Errorf("repetitions are not counted, or the change is not told:\n%s", got)
	}
	if n := strings.Count(got, "flow resumed"); n != 61 {
		t.Errorf("%d of 61 lines that are no failures", n)
	}
}

func TestStateChangesAreNeverFolded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newTestLogger(&out, time.Now)
	for range 3 {
		log.Warn("flow paused", "code", "guard_create")
	}
	if n := strings.Count(out.String(), "flow paused"); n != 3 {
		t.Errorf("%d of 3 state changes told", n)
	}
}

func TestAttributeIsWrittenOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newTestLogger(&out, time.Now).With("environment", "sandbox", "flow", "products").With("environment", "sandbox")
	log.Info("flow resumed", "flow", "customers")
	if got, want := out.String(), "level=INFO msg=\"flow resumed\" environment=sandbox flow=customers\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	out.Reset()
	log.WithGroup("call").With("code", 1).Info("made", "code", 2)
	if got := out.String(); !strings.Contains(got, "environment=sandbox flow=products call.code=1 call.code=2") {
		t.Errorf("groups are kept as they are, got %s", got)
	}
}

func TestFoldsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &folds{now: func() time.Time { return now }, told: map[string]*fold{}}
	for i := range 5 * foldMost {
		f.pass(strings.Repeat("x", i%97) + string(rune(i+1000)))
	}
	if len(f.told) > foldMost {
		t.Errorf("%d failures are remembered, at most %d may be", len(f.told), foldMost)
	}
}
