package orders

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"nubridge/internal/ledger"
)

// Observe shows the orders of an environment as metrics, read from the log at each collection, so that every instance shows the same:
//
//	nubridge_orders{environment,state}                    how many orders stand in a state
//	nubridge_orders_oldest_seconds{environment,state}     how long the oldest of them has
//	nubridge_orders_doubled{environment}                  references with a second OMS order; not zero is an alert
//	nubridge_orders_changed{environment}                  orders changed at NuORDER after their import, for a person
//	nubridge_orders_polled_seconds{environment}           how long ago the last poll began
//
// It starts nothing; the returned registration ends it.
func Observe(meter metric.Meter, l *ledger.Intents, environment string) (metric.Registration, error) {
	counts, err1 := meter.Int64ObservableGauge("nubridge_orders", metric.WithDescription("NuORDER orders on their way into the OMS, by state [environment, state]"))
	oldest, err2 := meter.Float64ObservableGauge("nubridge_orders_oldest_seconds", metric.WithDescription("age of the oldest order in a state [environment, state]"))
	doubled, err3 := meter.Int64ObservableGauge("nubridge_orders_doubled", metric.WithDescription("second OMS orders under one reference that nobody has settled; not zero is an alert [environment]"))
	changed, err4 := meter.Int64ObservableGauge("nubridge_orders_changed", metric.WithDescription("orders changed at NuORDER after their import, for a person [environment]"))
	polled, err5 := meter.Float64ObservableGauge("nubridge_orders_polled_seconds", metric.WithDescription("time since the last poll began [environment]"))
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return nil, fmt.Errorf("make the metrics of orders: %w", err)
		}
	}
	of := attribute.String("environment", environment)
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		states, err := l.CountIntents(ctx, environment)
		if err != nil {
			return err
		}
		found := map[ledger.IntentState]ledger.IntentCount{}
		for _, c := range states {
			found[c.State] = c
		}
		for _, s := range ledger.IntentStates() {
			set := metric.WithAttributes(of, attribute.String("state", string(s)))
			o.ObserveInt64(counts, found[s].Count, set)
			o.ObserveFloat64(oldest, found[s].Oldest.Seconds(), set)
		}
		changes, doubles, err := l.CountOpenQuestions(ctx, environment)
		if err != nil {
			return err
		}
		o.ObserveInt64(doubled, doubles, metric.WithAttributes(of))
		o.ObserveInt64(changed, changes, metric.WithAttributes(of))
		who, err := l.PollerState(ctx, environment)
		if err == nil && who != nil && !who.Polled.IsZero() {
			o.ObserveFloat64(polled, time.Since(who.Polled).Seconds(), metric.WithAttributes(of))
		}
		return err
	}, counts, oldest, doubled, changed, polled)
}
