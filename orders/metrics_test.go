package orders_test

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"nubridge/orders"
)

func TestOrdersAreShownAsMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.approve()
	must(t, w.poller(nil).Once(t.Context()))
	reader := sdkmetric.NewManualReader()
	registration, err := orders.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"), w.intents, "sandbox")
	must(t, err)
	defer func() { must(t, registration.Unregister()) }()
	var got metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &got))
	seen := map[string]bool{}
	for _, m := range got.ScopeMetrics[0].Metrics {
		seen[m.Name] = true
		if gauge, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "nubridge_orders" {
			for _, p := range gauge.DataPoints {
				state, _ := p.Attributes.Value("state")
				if want := map[string]int64{"MARKED": 1}[state.AsString()]; p.Value != want {
					t.Errorf("%s: %d, want %d", state.AsString(), p.Value, want)
				}
			}
		}
	}
	for _, name := range []string{"nubridge_orders", "nubridge_orders_oldest_seconds", "nubridge_orders_doubled", "nubridge_orders_changed", "nubridge_orders_polled_seconds"} {
		if !seen[name] {
			t.Errorf("no metric %s in %v", name, seen)
		}
	}
}
