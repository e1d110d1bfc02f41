package pgsource

import (
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestCommitSpanBeginsAtTheCommit(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("capture")
	commit := time.Now().Add(-3 * time.Second).Truncate(time.Microsecond)
	a := &assembler{tracer: tracer, ctx: t.Context()}
	tx := transaction{commitTime: commit.UnixMicro()}
	a.traceOf(&tx)
	s := spans.GetSpans()[0]
	if !s.StartTime.Equal(commit) || s.EndTime.Sub(commit) < 3*time.Second {
		t.Errorf("the span lasts from %s to %s, want from the commit %s until now", s.StartTime, s.EndTime, commit)
	}
	if want := "00-" + s.SpanContext.TraceID().String() + "-" + s.SpanContext.SpanID().String() + "-01"; tx.trace != want {
		t.Errorf("trace is %s, want %s", tx.trace, want)
	}
}
