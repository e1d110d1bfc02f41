package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	prom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry holds the providers of traces and metrics. A process may hold several.
type Telemetry struct {
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider
	registry *prometheus.Registry
	made     *catalogue
	log      *slog.Logger
}

// Config says where traces go.
type Config struct {
	// OTLP is the base address of a collector, OTLP over HTTP; empty sends none.
	OTLP string
	// Sample is the share of traces that are kept.
	Sample float64
	// Version of the program.
	Version string
	// Exporter takes the spans too, if set: tests look at them this way.
	Exporter sdktrace.SpanExporter
	// Log is told when spans cannot be sent or metrics cannot be read; default none.
	Log *slog.Logger
}

// New sets the providers up. Nothing is sent before the first span ends; a collector that is away costs spans, never work.
func New(ctx context.Context, c Config) (*Telemetry, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	res := resource.NewSchemaless(attribute.String("service.name", "nubridge"), attribute.String("service.version", c.Version))
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
	}
	if c.OTLP != "" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.OTLP+"/v1/traces"))
		if err != nil {
			return nil, fmt.Errorf("set up traces to the collector: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(sending{exporter, c.Log}))
	}
	if c.Exporter != nil {
		options = append(options, sdktrace.WithSyncer(c.Exporter))
	}
	if c.OTLP == "" && c.Exporter == nil {
		options[1] = sdktrace.WithSampler(sdktrace.NeverSample())
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := prom.New(prom.WithRegisterer(registry), prom.WithoutScopeInfo(), prom.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("set up metrics: %w", err)
	}
	return &Telemetry{
		traces:   sdktrace.NewTracerProvider(options...),
		metrics:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res)),
		registry: registry,
		made:     &catalogue{made: map[string]Instrument{}},
		log:      c.Log,
	}, nil
}

// Tracer gives the tracer of a part.
func (t *Telemetry) Tracer(part string) trace.Tracer { return t.traces.Tracer("nubridge/" + part) }

// Meter gives the meter of a part. The description of an instrument ends with its labels in brackets, separated by a comma and a blank.
func (t *Telemetry) Meter(part string) metric.Meter {
	return meter{t.metrics.Meter("nubridge/" + part), t.made, t.log}
}

// Metrics serves the metrics in Prometheus's form.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// sending tells of spans that cannot be sent; they are lost, and nothing else is.
type sending struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (s sending) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := s.SpanExporter.ExportSpans(ctx, spans); err != nil {
		s.log.Warn("traces cannot be sent", "error", err)
	}
	return nil
}

// Close sends what is left and stops.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx))
}
