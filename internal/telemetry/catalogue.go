package telemetry

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/metric"
)

// Instrument is one registered metric, as docs/METRICS.md lists it.
type Instrument struct {
	Name string
	// Kind is counter, gauge or histogram.
	Kind string
	// Help is the description, Labels the names that stand in brackets at its end.
	Help   string
	Labels []string
}

// catalogue notes every instrument that is made.
type catalogue struct {
	mu   sync.Mutex
	made map[string]Instrument
}

func (c *catalogue) note(name, kind, description string) {
	i := Instrument{Name: name, Kind: kind, Help: description}
	if help, labels, ok := strings.Cut(description, " ["); ok {
		i.Help, i.Labels = help, strings.Split(strings.TrimSuffix(labels, "]"), ", ")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[name] = i
}

// Instruments lists the metrics that were registered so far, by name.
func (t *Telemetry) Instruments() []Instrument {
	t.made.mu.Lock()
	defer t.made.mu.Unlock()
	list := make([]Instrument, 0, len(t.made.made))
	for _, i := range t.made.made {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Instrument) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// meter notes what is made with it. A callback that fails is logged and costs its own metrics only.
type meter struct {
	metric.Meter
	made *catalogue
	log  *slog.Logger
}

// Int64Counter implements metric.Meter.
func (m meter) Int64Counter(name string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	m.made.note(name, "counter", metric.NewInt64CounterConfig(o...).Description())
	return m.Meter.Int64Counter(name, o...)
}

// Float64Histogram implements metric.Meter.
func (m meter) Float64Histogram(name string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.made.note(name, "histogram", metric.NewFloat64HistogramConfig(o...).Description())
	return m.Meter.Float64Histogram(name, o...)
}

// Int64ObservableCounter implements metric.Meter.
func (m meter) Int64ObservableCounter(name string, o ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	m.made.note(name, "counter", metric.NewInt64ObservableCounterConfig(o...).Description())
	return m.Meter.Int64ObservableCounter(name, o...)
}

// Float64ObservableCounter implements metric.Meter.
func (m meter) Float64ObservableCounter(name string, o ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	m.made.note(name, "counter", metric.NewFloat64ObservableCounterConfig(o...).Description())
	return m.Meter.Float64ObservableCounter(name, o...)
}

// Int64ObservableGauge implements metric.Meter.
func (m meter) Int64ObservableGauge(name string, o ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	m.made.note(name, "gauge", metric.NewInt64ObservableGaugeConfig(o...).Description())
	return m.Meter.Int64ObservableGauge(name, o...)
}

// Float64ObservableGauge implements metric.Meter.
func (m meter) Float64ObservableGauge(name string, o ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	m.made.note(name, "gauge", metric.NewFloat64ObservableGaugeConfig(o...).Description())
	return m.Meter.Float64ObservableGauge(name, o...)
}

// RegisterCallback implements metric.Meter.
func (m meter) RegisterCallback(f metric.Callback, of ...metric.Observable) (metric.Registration, error) {
	return m.Meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		if err := f(ctx, o); err != nil {
			m.log.Warn("metrics cannot be read", "error", err)
		}
		return nil
	}, of...)
}
