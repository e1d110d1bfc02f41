package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"nubridge/internal/config"
	"nubridge/internal/console"
	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/day"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/internal/telemetry"
	"nubridge/orders"
)

var update = flag.Bool("update", false, "write docs/METRICS.md") //nolint:gochecknoglobals // A flag of the test.

// registered are all metrics of the program, without a database or a broker behind them.
func registered(t *testing.T) []telemetry.Instrument {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newMeasures(tel); err != nil {
		t.Fatal(err)
	}
	if _, _, err := newCollector(tel, &bridge{cfg: &config.Config{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.Observe(tel.Meter("orders"), nil, "sandbox"); err != nil {
		t.Fatal(err)
	}
	return tel.Instruments()
}

func TestMetricsPage(t *testing.T) {
	t.Parallel()
	const path = "../../docs/METRICS.md"
	list := registered(t)
	for _, i := range list {
		if !strings.HasPrefix(i.Name, "nubridge_") || i.Help == "" || i.Kind == "counter" != strings.HasSuffix(i.Name, "_total") {
			t.Errorf("%s %s %q: expected a name that begins with nubridge_, _total on counters only, and a description", i.Kind, i.Name, i.Help)
		}
	}
	want := metricsPage(list)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/METRICS.md is not what is registered; run: go test ./cmd/nubridge -run TestMetricsPage -update")
	}
}

func TestParkedCodesAreBounded(t *testing.T) {
	t.Parallel()
	var many []reasonCount
	for i := range 50 {
		many = append(many, reasonCount{Code: fmt.Sprintf("code_%d", i), Keys: 1, OldestS: float64(i)})
	}
	got := folded(many)
	if last := got[len(got)-1]; len(got) != parkedCodes+1 || last.Code != "other" || last.Keys != 30 || last.OldestS != 49 {
		t.Errorf("%d codes, the last %+v", len(got), got[len(got)-1])
	}
}

// syncBuffer takes lines of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestADayLeavesMetricsAndNoSecrets plays the day with personal data and secrets that are easy to find, and with answers that quote
// them, and looks for them in everything that operators see. // I11
func TestADayLeavesMetricsAndNoSecrets(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	server := pgtest.Server(t, postgres.Config{})
	w, err := sandbox.Start(ctx, sandbox.Config{
		Server: server, Database: "canaries",
		Sizes: oms.Sizes{Seed: 7, Styles: 3, Colors: 1, SizesPerRun: 2, Customers: 4, PurchaseOrders: 3, OldOrders: 2, RecentOrders: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Stop(context.Background()) })
	for _, plant := range []string{
		"update oms.customers set name = 'Zebrafish ' || customer_id, email = 'zebrafish' || customer_id || '@example.com', phone = '+1 555 7654321'",
		"update oms.customer_addresses set line_1 = 'Zebrafish Lane ' || address_id, line_2 = 'Zebrafish Suite'",
		"update oms.sales_orders set bill_line_1 = 'Zebrafish Lane', ship_line_1 = 'Zebrafish Lane', notes = 'Zebrafish rings twice'",
	} {
		if _, err := w.Pool.Exec(ctx, plant); err != nil {
			t.Fatal(err)
		}
	}
	quote := "no zebrafish1@example.com +15557654321 under " + w.Portal.ConsumerKey + " " + w.Portal.Token + " " + w.Portal.TokenSecret
	spoil := func(status int) {
		f := nuorder.Fault{Kind: "status", Status: status, Text: quote, Path: "/api/company/**", Count: 2}
		if _, err := w.NuORDER.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	spoil(500)
	cfg, err := demoConfig(w)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Capture.Slot, cfg.Capture.Publication = "nubridge_canaries", "nubridge_canaries"
	spans, lines := tracetest.NewInMemoryExporter(), &syncBuffer{}
	log := telemetry.NewLogger(lines, "text", "debug")
	tel, err := telemetry.New(ctx, telemetry.Config{Sample: 1, Exporter: spans, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b, err := assemble(ctx, cfg, tel, log)
	if err != nil {
		t.Fatal(err)
	}
	g := lifecycle.NewGroup(log, grace)
	if err := b.start(g); err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	p := &day.Player{
		World: w, Out: &testWriter{t}, Patience: 30 * time.Second, Waiting: b.waiting,
		PollOrders: func(context.Context) error { b.envs[0].poller.Poll(); return nil },
	}
	if err := p.Play(ctx); err != nil {
		t.Error(err)
	}
	spoil(422)
	if _, err := w.Pool.Exec(ctx, "update oms.customers set name = name || ' moved'"); err != nil {
		t.Fatal(err)
	}
	for n := 0; n == 0; {
		if err := b.store.Pool().QueryRow(ctx, "select count(*) from parked").Scan(&n); err != nil || !pauseFor(ctx, 50*time.Millisecond) {
			t.Fatal("nothing was parked", err)
		}
	}
	h := console.Handler(console.Deps{Metrics: tel.Metrics(), NotReady: b.notReady, State: b.state})
	page := ask(h, "/metrics")
	checkMetrics(t, page)
	seen := map[string]string{"metrics": page, "state": ask(h, "/api/state"), "readiness": ask(h, "/readyz")}
	checkBlocked(ctx, t, b, h)
	var parked bytes.Buffer
	if err := listParked(ctx, std{out: &parked}, b); err != nil {
		t.Error(err)
	}
	seen["parked"] = parked.String()
	g.Stop()
	seen["log"] = lines.String()
	for _, s := range spans.GetSpans() {
		seen["spans"] += fmt.Sprintf("%s %v %v %v %v\n", s.Name, s.Attributes, s.Events, s.Status, s.Links)
	}
	if !strings.Contains(seen["spans"], "deliver customers") || seen["log"] == "" {
		t.Error("nothing was traced or logged, so nothing was looked at")
	}
	secrets := []string{
		"zebrafish", "7654321", "buyer@example.com", "larkspur", w.Portal.ConsumerKey, w.Portal.ConsumerSecret, w.Portal.Token, w.Portal.TokenSecret,
	}
	for where, text := range seen {
		for _, secret := range secrets {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(secret)); at >= 0 {
				t.Errorf("%s show %q: …%s…", where, secret, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	for line := range strings.Lines(seen["log"]) {
		if twice := duplicate(line); twice != "" {
			t.Errorf("attribute %s is written twice: %s", twice, line)
		}
	}
}

// checkBlocked asks for metrics while the ledger does not answer: they come soon, and say so.
func checkBlocked(ctx context.Context, t *testing.T, b *bridge, h http.Handler) {
	t.Helper()
	tx, err := b.store.Pool().Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "lock table parked in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	pauseFor(ctx, lookEvery+100*time.Millisecond)
	began := time.Now()
	page := ask(h, "/metrics")
	if took := time.Since(began); took > 2*lookTimeout+time.Second { // the collector's look and that of the orders
		t.Errorf("metrics took %s while the ledger did not answer", took)
	}
	for _, want := range []string{`nubridge_readable{part="ledger"} 0`, `nubridge_readable{part="kafka"} 1`, "nubridge_remote_in_flight{"} {
		if !strings.Contains(page, want) {
			t.Errorf("metrics do not show %s while the ledger does not answer", want)
		}
	}
	if strings.Contains(page, "nubridge_flow_missing_touches{") {
		t.Error("old readings are shown while the ledger does not answer")
	}
}

func ask(h http.Handler, path string) string {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	h.ServeHTTP(w, r)
	return w.Body.String()
}

var sample = regexp.MustCompile(`^(nubridge_[a-z_]+?)(_bucket|_sum|_count)?(?:\{([^}]*)\})? ([^ ]+)( # \{.*)?$`) //nolint:gochecknoglobals // A constant.

// checkMetrics holds each sample against the page of metrics, and the identity of I1 against zero.
func checkMetrics(t *testing.T, page string) {
	t.Helper()
	known := map[string]telemetry.Instrument{}
	for _, i := range registered(t) {
		known[i.Name] = i
	}
	shown, exemplars := map[string]bool{}, 0
	for line := range strings.Lines(page) {
		m := sample.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			if strings.HasPrefix(line, "nubridge_") {
				t.Errorf("not understood: %s", line)
			}
			continue
		}
		i, ok := known[m[1]]
		if !ok {
			t.Errorf("%s is served and not in docs/METRICS.md", m[1])
		}
		shown[m[1]] = true
		if m[5] != "" {
			exemplars++
		}
		for pair := range strings.SplitSeq(m[3], ",") {
			if name, _, _ := strings.Cut(pair, "="); name != "" && name != "le" && !slices.Contains(i.Labels, name) {
				t.Errorf("%s has the label %s, which its description does not name", m[1], name)
			}
		}
		if m[1] == "nubridge_flow_missing_touches" && m[4] != "0" && m[4] != "0.0" { // I1
			t.Error(line)
		}
	}
	for _, name := range []string{
		"nubridge_capture_commit_to_kafka_seconds", "nubridge_commit_to_nuorder_seconds", "nubridge_remote_seconds", "nubridge_remote_requests_total",
		"nubridge_flow_touches_total", "nubridge_flow_missing_touches", "nubridge_flow_lag_records", "nubridge_slot_retained_bytes", "nubridge_orders",
		"nubridge_breaker_state", "nubridge_config_info", "nubridge_remote_retry_budget", "nubridge_flow_freshness_seconds", "nubridge_readable",
	} {
		if !shown[name] {
			t.Errorf("after a day %s is not served", name)
		}
	}
	if exemplars == 0 {
		t.Error("no histogram leads to a trace")
	}
}

// duplicate gives an attribute that a line has twice.
func duplicate(line string) string {
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:^| )([a-z_]+)=`).FindAllStringSubmatch(regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(line, "_"), -1) {
		if seen[m[1]] {
			return m[1]
		}
		seen[m[1]] = true
	}
	return ""
}
