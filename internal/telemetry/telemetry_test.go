package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestSpansAreSentToTheCollector(t *testing.T) {
	t.Parallel()
	got := make(chan *collector.ExportTraceServiceRequest, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		got <- &request
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	tel, err := New(t.Context(), Config{OTLP: server.URL, Sample: 1, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	_, span := tel.Tracer("capture").Start(t.Context(), "source transaction", trace.WithTimestamp(at))
	span.End()
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	request := <-got
	r := request.GetResourceSpans()[0]
	sent := r.GetScopeSpans()[0].GetSpans()[0]
	if sent.GetName() != "source transaction" || sent.GetStartTimeUnixNano() != uint64(at.UnixNano()) {
		t.Errorf("sent %v", sent)
	}
	service := map[string]string{}
	for _, a := range r.GetResource().GetAttributes() {
		service[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if service["service.name"] != "nubridge" || service["service.version"] != "1.2.3" {
		t.Errorf("service is %v", service)
	}
}

func TestCollectorThatIsAwayCostsSpansOnly(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer server.Close()
	var out bytes.Buffer
	tel, err := New(t.Context(), Config{OTLP: server.URL, Sample: 1, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Tracer("capture").Start(t.Context(), "source transaction")
	span.End()
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "traces cannot be sent") {
		t.Errorf("nobody is told: %s", out.String())
	}
}

func TestMetricsAreServedWithExemplars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tel, err := New(t.Context(), Config{OTLP: "http://127.0.0.1:1", Sample: 1, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	m := tel.Meter("sink")
	h, err := m.Float64Histogram("nubridge_test_seconds", metric.WithDescription("how long [flow, code]"), metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Int64ObservableGauge("nubridge_test_keys", metric.WithDescription("how many"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fail := range []error{nil, errors.New("no ledger")} {
		if _, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			o.ObserveInt64(g, 7)
			return fail
		}, g); err != nil {
			t.Fatal(err)
		}
	}
	ctx, span := tel.Tracer("sink").Start(t.Context(), "deliver")
	h.Record(ctx, 1.5)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	tel.Metrics().ServeHTTP(w, r)
	for _, want := range []string{
		`nubridge_test_seconds_bucket{le="2.0"} 1 # {`, `trace_id="` + span.SpanContext().TraceID().String() + `"`, "nubridge_test_keys 7", "go_goroutines",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("metrics do not show %s:\n%s", want, w.Body.String())
		}
	}
	if !strings.Contains(out.String(), "metrics cannot be read") {
		t.Error("a callback failed and nobody is told")
	}
	list := tel.Instruments()
	if len(list) != 2 || list[1].Name != "nubridge_test_seconds" || strings.Join(list[1].Labels, "+") != "flow+code" || list[1].Help != "how long" {
		t.Errorf("instruments: %+v", list)
	}
}
