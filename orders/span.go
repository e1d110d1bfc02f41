package orders

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
)

// Spans makes the spans of an order's way; a trace.Tracer is one.
type Spans interface {
	Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span)
}

// newTrace gives ids where nobody keeps spans, so that the calls of an order still share a trace.
func newTrace() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// seen begins the one trace of an order with the span in which the poll saw it, and gives its traceparent.
func (p *Poller) seen(ctx context.Context) string {
	if p.Spans == nil {
		return newTrace()
	}
	_, span := p.Spans.Start(ctx, "orders.seen", trace.WithNewRoot())
	span.End()
	if !span.SpanContext().IsValid() {
		return newTrace()
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(ctx, span), carrier)
	return carrier.Get("traceparent")
}

// WithTrace puts a traceparent into the context, so that spans and calls under it belong to its trace.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// span starts a step's span in the order's trace. The returned function ends it with the step's error.
func (p *Poller) span(ctx context.Context, i *ledger.Intent, name string) (context.Context, func(error)) {
	ctx = WithTrace(ctx, i.Trace)
	if p.Spans == nil {
		return ctx, func(error) {}
	}
	ctx, span := p.Spans.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			// The code alone: causes may quote what the far end said. // I11
			span.SetStatus(codes.Error, fault.CodeOf(err))
		}
		span.End()
	}
}
