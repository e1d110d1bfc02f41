package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/day"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/internal/telemetry"
)

func TestOneTraceFromCommitToCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	server := pgtest.Server(t, postgres.Config{})
	w, err := sandbox.Start(ctx, sandbox.Config{
		Server: server, Database: "traces",
		Sizes: oms.Sizes{Seed: 7, Styles: 3, Colors: 1, SizesPerRun: 2, Customers: 3, PurchaseOrders: 3, OldOrders: -1, RecentOrders: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Stop(context.Background()) })
	cfg, err := demoConfig(w)
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	out := &testWriter{t}
	log := telemetry.NewLogger(out, "text", "warn")
	tel, err := telemetry.New(ctx, telemetry.Config{Sample: 1, Exporter: spans})
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
	p := &day.Player{
		World: w, Out: out, Patience: 30 * time.Second, Waiting: b.waiting, Loaded: b.loaded,
		PollOrders: func(context.Context) error { b.envs[0].poller.Poll(); return nil },
	}
	if err := p.Play(ctx); err != nil {
		t.Error(err)
	}
	g.Stop()
	tree := newTree(spans.GetSpans())
	tree.want(t, "POST /api/product/{id}", "deliver products", "source transaction")
	tree.want(t, "POST /api/company/{id}", "deliver customers", "source transaction")
	tree.want(t, "POST /api/inventory/{id}", "deliver inventory", "source transaction")
	tree.want(t, "orders.create", "orders.seen")
	tree.want(t, "orders.mark", "orders.seen")
	tree.want(t, "POST /api/order/{id}/{status}", "orders.mark", "orders.seen")
	tree.want(t, "POST /api/order/number/{number}", "orders.seen") // the renumbering, in the order's own trace
	for _, e := range w.NuORDER.Journal(nuorder.JournalQuery{}) {
		if e.Trace == "" {
			t.Errorf("%s %s carried no traceparent", e.Method, e.Route)
		}
	}
	for _, s := range spans.GetSpans() { // I11
		for _, a := range s.Attributes {
			for _, personal := range []string{"Harbour", "buyer@example.com", "Larkspur", w.Portal.Token, w.Portal.ConsumerSecret} {
				if strings.Contains(a.Value.String(), personal) {
					t.Errorf("span %s shows %s", s.Name, a.Key)
				}
			}
		}
	}
}

// loaded tells whether every table was read and nothing came of it for a while. A change that is made before can be delivered for
// a row of the load, which has no trace, since documents are read as they are now.
func (b *bridge) loaded(ctx context.Context) (rests bool, err error) {
	err = b.store.Pool().QueryRow(ctx, `select exists (select from capture_snapshots) and not exists (select from capture_snapshots where status <> 'done')
        and (select max(settled_at) from counters) < now() - interval '1 second'`).Scan(&rests)
	return rests, err
}

// tree finds spans by their id.
type tree struct {
	all  tracetest.SpanStubs
	byID map[trace.SpanID]tracetest.SpanStub
}

func newTree(all tracetest.SpanStubs) tree {
	byID := make(map[trace.SpanID]tracetest.SpanStub, len(all))
	for _, s := range all {
		byID[s.SpanContext.SpanID()] = s
	}
	return tree{all, byID}
}

// want looks for a span with these names from itself up to the root.
func (r tree) want(t *testing.T, names ...string) {
	t.Helper()
	for _, s := range r.all {
		if r.isChain(s, names) {
			return
		}
	}
	t.Errorf("no trace has %s", strings.Join(names, " < "))
}

func (r tree) isChain(s tracetest.SpanStub, names []string) bool {
	for i, name := range names {
		if s.Name != name {
			return false
		}
		parent, ok := r.byID[s.Parent.SpanID()]
		if last := i == len(names)-1; last || !ok {
			return last && !s.Parent.IsValid()
		}
		s = parent
	}
	return false
}
