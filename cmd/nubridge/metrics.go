package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
	"nubridge/internal/telemetry"
	"nubridge/sink"
	"nubridge/sink/nuorder"
)

// measures are the metrics that the parts leave behind while they work; what can be read at any time is the collector's.
type measures struct {
	sink    *sink.Measures
	nuorder *nuorder.Measures
	capture *captureMeasures
}

func newMeasures(tel *telemetry.Telemetry) (m measures, err error) {
	var err1, err2, err3 error
	m.sink, err1 = sink.NewMeasures(tel.Meter("sink"))
	m.nuorder, err2 = nuorder.NewMeasures(tel.Meter("nuorder"))
	m.capture, err3 = newCaptureMeasures(tel.Meter("capture"))
	return m, errors.Join(err1, err2, err3)
}

// captureMeasures are what capture leaves behind.
type captureMeasures struct {
	delay  metric.Float64Histogram
	events metric.Int64Counter

	sessions atomic.Int64
	acked    atomic.Int64 // Unix nanoseconds of the last acknowledgement
	source   atomic.Pointer[pgsource.Source]
}

func newCaptureMeasures(meter metric.Meter) (*captureMeasures, error) {
	delay, err1 := meter.Float64Histogram("nubridge_capture_commit_to_kafka_seconds",
		metric.WithDescription("time from the commit of a transaction in the OMS to the acknowledgement of its last change by all in-sync replicas [capture]"),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900))
	events, err2 := meter.Int64Counter("nubridge_capture_events_total",
		metric.WithDescription("changes and rows of snapshots that Kafka acknowledged [capture]"))
	return &captureMeasures{delay: delay, events: events}, errors.Join(err1, err2)
}

// session takes over the source of a new session.
func (m *captureMeasures) session(source *pgsource.Source) {
	m.sessions.Add(1)
	m.source.Store(source)
}

// counts gives what is called for each acknowledged batch: one measure for each transaction that ends in it.
func (m *captureMeasures) counts(capture string, now func() time.Time) func(cdc.Acked) {
	of := metric.WithAttributeSet(attribute.NewSet(attribute.String("capture", capture)))
	propagator := propagation.TraceContext{}
	return func(a cdc.Acked) {
		at := now()
		m.acked.Store(at.UnixNano())
		if a.Events == 0 {
			return
		}
		m.events.Add(context.Background(), int64(a.Events), of)
		for _, e := range a.Ends {
			ctx := context.Background()
			if e.Trace != "" { // so that the measure leads to a trace
				ctx = propagator.Extract(ctx, propagation.MapCarrier{cdc.HeaderTrace: e.Trace})
			}
			m.delay.Record(ctx, max(at.Sub(time.UnixMicro(e.CommitTime)).Seconds(), 0), of)
		}
	}
}

// gauges registers what is read at each collection. The first error stays.
type gauges struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (g *gauges) gauge(name, help string) metric.Float64Observable {
	i, err := g.meter.Float64ObservableGauge(name, metric.WithDescription(help))
	g.all, g.err = append(g.all, i), errors.Join(g.err, err)
	return i
}

func (g *gauges) counter(name, help string) metric.Float64Observable {
	i, err := g.meter.Float64ObservableCounter(name, metric.WithDescription(help))
	g.all, g.err = append(g.all, i), errors.Join(g.err, err)
	return i
}

// labelled are the labels of one row of gauges.
func labelled(pairs ...string) metric.ObserveOption {
	attrs := make([]attribute.KeyValue, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attrs = append(attrs, attribute.String(pairs[i], pairs[i+1]))
	}
	return metric.WithAttributes(attrs...)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
