package sink

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"nubridge/internal/ledger"
)

// Measures are the metrics that deliveries leave behind. One set serves all loops of a process; a nil set measures nothing.
type Measures struct {
	commit metric.Float64Histogram
	keys   metric.Int64Counter
}

// NewMeasures makes the metrics.
func NewMeasures(meter metric.Meter) (*Measures, error) {
	commit, err1 := meter.Float64Histogram("nubridge_commit_to_nuorder_seconds",
		metric.WithDescription("time from the oldest OMS commit of a delivery to its settlement in the ledger [environment, flow]"),
		metric.WithExplicitBucketBoundaries(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600))
	keys, err2 := meter.Int64Counter("nubridge_settled_keys_total",
		metric.WithDescription("keys settled by this instance, by how [environment, flow, disposition]"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return &Measures{commit, keys}, nil
}

// settled notes one settled turn.
func (m *Measures) settled(ctx context.Context, c *Config, o *outcome, now time.Time) {
	if m == nil || len(o.turn.touches) == 0 && o.turn.request == 0 {
		return
	}
	environment, flow := attribute.String("environment", c.Environment), attribute.String("flow", string(c.Flow))
	m.keys.Add(ctx, 1, metric.WithAttributes(environment, flow, attribute.String("disposition", string(o.settlement.Disposition))))
	if o.settlement.Disposition != ledger.Delivered || o.turn.since.IsZero() {
		return
	}
	if t := o.settlement.Trace; t != "" { // so that the measure leads to a trace
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": t})
	}
	m.commit.Record(ctx, max(now.Sub(o.turn.since).Seconds(), 0), metric.WithAttributes(environment, flow))
}
