package nuorder

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/fault"
)

// Measures are the metrics that calls leave behind. One set serves all clients of a process; a nil set measures nothing.
type Measures struct {
	calls     metric.Int64Counter
	took      metric.Float64Histogram
	waited    metric.Float64Histogram
	withdrawn metric.Int64Counter
}

// NewMeasures makes the metrics.
func NewMeasures(meter metric.Meter) (*Measures, error) {
	calls, err1 := meter.Int64Counter("nubridge_remote_requests_total",
		metric.WithDescription("attempts at NuORDER, by endpoint class, first digit of the status (none: no answer) and code (ok: done) [environment, class, status, code]"))
	took, err2 := meter.Float64Histogram("nubridge_remote_seconds",
		metric.WithDescription("time of one attempt at NuORDER, its waits apart [environment, class]"),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60))
	waited, err3 := meter.Float64Histogram("nubridge_remote_wait_seconds",
		metric.WithDescription("time an attempt waited for its turn: rate, concurrency, pauses [environment, class]"),
		metric.WithExplicitBucketBoundaries(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60))
	withdrawn, err4 := meter.Int64Counter("nubridge_remote_not_sent_total",
		metric.WithDescription("attempts that were not sent: breaker open, calls suspended, queue full, deadline close [environment, class, code]"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return &Measures{calls, took, waited, withdrawn}, nil
}

func (c *Client) labels(class Class) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("environment", c.config.Environment), attribute.String("class", string(class))}
}

// usual holds the labels of what happens all the time.
type usual struct{ class, done metric.MeasurementOption }

func (c *Client) usualOf(class Class) usual {
	labels := c.labels(class)
	return usual{
		metric.WithAttributeSet(attribute.NewSet(labels...)),
		metric.WithAttributeSet(attribute.NewSet(append(labels, attribute.String("status", "2xx"), attribute.String("code", "ok"))...)),
	}
}

// turned notes how long an attempt waited, or that it was not sent.
func (c *Client) turned(ctx context.Context, class Class, waited time.Duration, err error) {
	if waited > 10*time.Millisecond {
		trace.SpanFromContext(ctx).AddEvent("waited for a turn", trace.WithAttributes(attribute.Float64("nubridge.seconds", waited.Seconds())))
	}
	if err != nil {
		trace.SpanFromContext(ctx).AddEvent("not sent", trace.WithAttributes(attribute.String("error.type", fault.CodeOf(err))))
	}
	m := c.measures
	switch {
	case m == nil:
	case err != nil:
		m.withdrawn.Add(ctx, 1, metric.WithAttributes(append(c.labels(class), attribute.String("code", fault.CodeOf(err)))...))
	default:
		m.waited.Record(ctx, waited.Seconds(), c.usual[class].class)
	}
}

// called notes how an attempt ended; ctx holds its span.
func (c *Client) called(ctx context.Context, class Class, took time.Duration, a *answer, err error) {
	m := c.measures
	if m == nil {
		return
	}
	m.took.Record(ctx, took.Seconds(), c.usual[class].class)
	if err == nil && a != nil && a.status/100 == 2 {
		m.calls.Add(ctx, 1, c.usual[class].done)
		return
	}
	status, code := "none", "ok"
	if a != nil {
		status = strconv.Itoa(a.status/100) + "xx"
	}
	if err != nil {
		code = fault.CodeOf(err)
	}
	m.calls.Add(ctx, 1, metric.WithAttributes(append(c.labels(class), attribute.String("status", status), attribute.String("code", code))...))
}
