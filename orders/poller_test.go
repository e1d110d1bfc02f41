package orders_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	sandbox "nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/orders"
)

func TestApprovedOrderIsCreatedOnceAndMarked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	p := w.poller(nil)
	for range 3 {
		if err := p.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	i := w.intent(id)
	if i == nil || i.State != ledger.Marked {
		t.Fatalf("intent %+v", i)
	}
	if got := w.omsOrders(id); len(got) != 1 || got[0] != i.OMSNumber {
		t.Errorf("OMS orders %v, row says %q", got, i.OMSNumber)
	}
	if got := w.portal.get(id, "status"); got != "processed" {
		t.Errorf("status at NuORDER is %s", got)
	}
	steps, err := w.intents.History(t.Context(), "sandbox", id)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"seen", "intent", "created", "marked"} {
		if n >= len(steps) || steps[n].Step != want || steps[n].Trace != i.Trace {
			t.Fatalf("step %d: want %s in one trace, got %+v", n, want, steps)
		}
	}
}

func TestLostAnswersMakeNoSecondOrder(t *testing.T) {
	t.Parallel()
	for kind, wantOrders := range map[sandbox.FaultKind]int{
		sandbox.LostAfterCommit: 1, sandbox.LostBeforeCommit: 1, sandbox.AppliedLate: 1,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.approve()
			w.api.SetSearchLag(100 * time.Millisecond)
			must(t, w.api.AddFault(sandbox.Fault{Kind: kind, Route: "POST /sales-orders", Count: 1, Delay: 100 * time.Millisecond}))
			w.until(w.poller(nil), id, ledger.Marked)
			if got := w.omsOrders(id); len(got) != wantOrders {
				t.Errorf("OMS orders %v, want %d", got, wantOrders)
			}
		})
	}
}

func TestDuplicateAnswerOfTheOMSIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.SetUniqueReference(true)
	w.api.SetSearchLag(time.Hour)
	id := w.approve()
	must(t, w.api.AddFault(sandbox.Fault{Kind: sandbox.LostAfterCommit, Route: "POST /sales-orders", Count: 1}))
	i := w.until(w.poller(nil), id, ledger.Marked)
	if got := w.omsOrders(id); len(got) != 1 || got[0] != i.OMSNumber || i.Attempts != 2 {
		t.Errorf("OMS orders %v after %d attempts, row says %q", got, i.Attempts, i.OMSNumber)
	}
}

func TestCreatesThatStayUnansweredWaitForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	must(t, w.api.AddFault(sandbox.Fault{Kind: sandbox.LostBeforeCommit, Route: "POST /sales-orders"}))
	i := w.until(w.poller(func(_ *orders.Deps, c *orders.Config) { c.Attempts = 2; c.Settle = 50 * time.Millisecond }), id, ledger.Quarantined)
	if i.Code != "attempts_used" || i.Attempts != 2 || len(w.omsOrders(id)) != 0 {
		t.Errorf("intent %+v", i)
	}
}

func TestInterruptedIntentIsSearchedBeforeItIsCreatedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	// An owner that wrote INTENT and died: its create had come through.
	stop := errorPoint("stop")
	func() {
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := w.poller(func(_ *orders.Deps, c *orders.Config) {
			c.Workers = 1
			c.At = func(at orders.Point) {
				if at == orders.IntentWritten {
					cancel()
				}
			}
		})
		_ = p.Once(ctx)
		_ = stop
	}()
	if i := w.intent(id); i.State != ledger.Intended {
		t.Fatalf("state %s", i.State)
	}
	i := w.until(w.poller(nil), id, ledger.Marked)
	steps, err := w.intents.History(t.Context(), "sandbox", id)
	must(t, err)
	names := map[string]int{}
	for _, s := range steps {
		names[s.Step]++
	}
	if names["taken over"] != 1 || names["searched"] < 1 || names["not there"] != 1 || i.Attempts != 2 {
		t.Errorf("steps %v, attempts %d", names, i.Attempts)
	}
	if got := w.omsOrders(id); len(got) != 1 {
		t.Errorf("OMS orders %v", got)
	}
}

type errorPoint string

func TestWithdrawnOrderIsNotCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	cancelled := false
	p := w.poller(func(_ *orders.Deps, c *orders.Config) {
		c.At = func(at orders.Point) {
			if at == orders.RowSeen && !cancelled {
				cancelled = true
				w.portal.set(id, "status", "cancelled")
			}
		}
	})
	must(t, p.Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Withdrawn || len(w.omsOrders(id)) != 0 {
		t.Errorf("intent %+v", i)
	}
	w.portal.set(id, "status", "approved")
	must(t, p.Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Marked {
		t.Errorf("approved again: %+v", i)
	}
}

func TestOrderThatWouldBeRefusedIsHeldUntilTheRecordAppears(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.portal.place(w.skus[:1], "", "NEW01")
	p := w.poller(nil)
	must(t, p.Once(t.Context()))
	i := w.intent(id)
	if i.State != ledger.Held || i.Code != "customer_unknown" || i.Reason != "customer NEW01 is not in the OMS" {
		t.Fatalf("intent %+v", i)
	}
	_, err := w.pool.Exec(t.Context(), `insert into oms.customers (customer_id, name) values ('NEW01', 'New')`)
	must(t, err)
	w.until(p, id, ledger.Marked)
	if got := w.omsOrders(id); len(got) != 1 {
		t.Errorf("OMS orders %v", got)
	}
}

func TestOrderWithSeveralMistakesIsHeldNamingEachInOneSentence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.portal.place([]string{w.skus[0], "000", ""}, "", w.customer())
	w.portal.set(id, "currency_code", "XXX")
	must(t, w.poller(nil).Once(t.Context()))
	i := w.intent(id)
	want := []string{"item 000 is not in the OMS", "item S is not in the OMS", "has no price in XXX in the OMS"}
	for _, text := range want {
		if i.State != ledger.Held || !strings.Contains(i.Reason, text) {
			t.Errorf("%s %q lacks %q", i.State, i.Reason, text)
		}
	}
	if len(w.omsOrders(id)) != 0 {
		t.Error("a part of it was created")
	}
}

func TestWhatABuyerOrderedIsForgottenOnceTheOrderIsAtRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, moving := w.approve(), w.approve()
	must(t, w.poller(nil).Once(t.Context()))
	_, err := w.pool.Exec(t.Context(), `update order_intents set state = 'NUMBERED', due_at = null where nuorder_id = $1`, id)
	must(t, err)
	must(t, w.poller(func(_ *orders.Deps, c *orders.Config) { c.Keep = time.Nanosecond }).Once(t.Context()))
	if w.intent(id).Order != "" || w.intent(moving).Order == "" {
		t.Error("forgotten too early or not at all")
	}
}

func TestRefusedMarkLeavesTheOrderCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	w.portal.fail = func(call, _ string) error {
		if call == "mark" {
			return fault.New(fault.Reject, "bad_request", "no")
		}
		return nil
	}
	p := w.poller(nil)
	for range 3 {
		must(t, p.Once(t.Context()))
	}
	i := w.intent(id)
	if i.State != ledger.Created || i.Code != "mark_refused" || len(w.omsOrders(id)) != 1 {
		t.Errorf("intent %+v", i)
	}
}

// TestRefusedMarkIsTriedAgainSoon counts the tries of a mark that is refused for two seconds: the first ones follow each other at once,
// and the order is marked soon after the portal takes it.
func TestRefusedMarkIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	var tries atomic.Int64
	w.portal.fail = func(call, _ string) error {
		if call == "mark" && tries.Add(1) < 5 {
			return fault.New(fault.Reject, "bad_request", "no")
		}
		return nil
	}
	began := time.Now()
	p := w.poller(func(_ *orders.Deps, c *orders.Config) { c.HeldEvery, c.RetryMax = time.Minute, time.Hour })
	w.until(p, id, ledger.Marked)
	if took := time.Since(began); tries.Load() != 5 || took > 10*time.Second {
		t.Errorf("marked after %d tries and %s", tries.Load(), took)
	}
	var steps int
	if err := w.pool.QueryRow(t.Context(), "select count(*) from order_intent_steps where nuorder_id = $1 and step = 'mark refused'", id).Scan(&steps); err != nil || steps != 1 {
		t.Errorf("%d lines of history, %v; want one for the refusal", steps, err)
	}
}

// TestAFailedPollIsLoggedOnce leaves the words to whoever is told of it.
func TestAFailedPollIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.portal.fail = func(string, string) error { return fault.New(fault.Throttle, "unauthorized", "status 401") }
	var log bytes.Buffer
	heard := make(chan error, 1)
	p := w.poller(func(d *orders.Deps, _ *orders.Config) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		d.Polled = func(err error) {
			select {
			case heard <- err:
			default:
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	err := <-heard
	cancel()
	<-ended
	if fault.CodeOf(err) != "unauthorized" || strings.Contains(log.String(), "listed") {
		t.Errorf("told %v, and logged %s", err, log.String())
	}
}

func TestEventBeforeTheAnswerProvesTheCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	must(t, w.api.AddFault(sandbox.Fault{Kind: sandbox.LostBeforeCommit, Route: "POST /sales-orders"}))
	p := w.poller(func(_ *orders.Deps, c *orders.Config) { c.Settle = time.Minute })
	w.until(p, id, ledger.Ambiguous)
	i, err := w.intents.Prove(t.Context(), ledger.Proof{Environment: "sandbox", NuORDERID: id, OMSNumber: "42", By: "the change stream"})
	must(t, err)
	if i.State != ledger.Created || i.OMSNumber != "42" {
		t.Fatalf("intent %+v", i)
	}
	if i, err = w.intents.Prove(t.Context(), ledger.Proof{Environment: "sandbox", NuORDERID: id, OMSNumber: "43", By: "the change stream"}); err != nil || i.OMSNumber != "42" {
		t.Fatalf("second number: %+v %v", i, err)
	}
	doubles, err := w.intents.Doubles(t.Context(), "sandbox")
	must(t, err)
	if len(doubles) != 1 || doubles[0].OMSNumber != "43" || doubles[0].First != "42" {
		t.Errorf("doubles %+v", doubles)
	}
	w.until(p, id, ledger.Marked)
}

func TestOrderChangedAfterTheCreateIsShownWithBothVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	p := w.poller(func(_ *orders.Deps, c *orders.Config) {
		c.At = func(at orders.Point) {
			if at == orders.CreatedRow {
				w.portal.set(id, "customer_po_number", "changed")
			}
		}
	})
	must(t, p.Once(t.Context()))
	i := w.intent(id)
	if i.State != ledger.Marked || i.ChangedAt.IsZero() || i.Code != "changed_after_create" || i.Order == i.Changed {
		t.Errorf("intent %+v", i)
	}
}

func TestOrderCancelledAtNuORDERAfterItsImportIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, ours := w.approve(), w.approve()
	p := w.poller(nil)
	must(t, p.Once(t.Context()))
	must(t, w.intents.CancelledByOMS(t.Context(), "sandbox", ours))
	w.portal.set(id, "status", "cancelled")
	w.portal.set(ours, "status", "cancelled")
	must(t, p.Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Marked || i.Code != "cancelled_after_create" || i.ChangedAt.IsZero() {
		t.Errorf("intent %+v", i)
	}
	if i := w.intent(ours); !i.ChangedAt.IsZero() {
		t.Errorf("our own cancel was taken for a buyer's: %+v", i)
	}
	_, err := orders.NewDesk(w.intents, "sandbox", "ann").Release(t.Context(), id, "the OMS is right")
	must(t, err)
	must(t, p.Once(t.Context()))
	if i := w.intent(id); !i.ChangedAt.IsZero() || i.Code != ledger.CodeReleased {
		t.Errorf("after the release: %+v", i)
	}
}

func TestHeldOrderThatIsNoLongerListedIsWithdrawnByTheNextPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.portal.place(w.skus[:1], "", "NEW01")
	stock := &stockDoubts{}
	p := w.poller(func(d *orders.Deps, c *orders.Config) { d.Stock, c.HeldEvery, c.Every = stock, time.Hour, time.Hour })
	must(t, p.Once(t.Context()))
	w.portal.set(id, "status", "draft")
	must(t, p.Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Withdrawn {
		t.Errorf("intent %+v", i)
	}
	must(t, p.Once(t.Context()))
	if stock.times() != 2 {
		t.Errorf("stock was put in doubt %d times, want when seen and when gone", stock.times())
	}
	w.portal.set(id, "status", "cancelled")
	must(t, p.Once(t.Context()))
	must(t, p.Once(t.Context()))
	if stock.times() != 3 {
		t.Errorf("stock was put in doubt %d times, want again when the draft is cancelled", stock.times())
	}
}

// TestStockOfAnOrderThatCameAndWentBetweenTwoPollsIsInDoubt places orders that no poll ever sees approved: NuORDER moved their stock all
// the same. What was there before the first poll is older than the stock that was sent.
func TestStockOfAnOrderThatCameAndWentBetweenTwoPollsIsInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.approve()
	w.portal.set(old, "status", "cancelled")
	stock := &stockDoubts{}
	p := w.poller(func(d *orders.Deps, _ *orders.Config) { d.Stock = stock })
	must(t, p.Once(t.Context()))
	if stock.times() != 0 || w.portal.calls["read"] != 0 {
		t.Fatalf("at the first poll %d doubts and %d reads", stock.times(), w.portal.calls["read"])
	}
	for n, status := range []string{"cancelled", "pending", "draft"} {
		id := w.approve()
		w.portal.set(id, "status", status)
		w.portal.fail = func(call, _ string) error {
			if call == "read" {
				return fault.New(fault.Retry, "server_error", "once")
			}
			return nil
		}
		if err := p.Once(t.Context()); err == nil {
			t.Errorf("%s: an order that cannot be read is no failure of the poll", status)
		}
		w.portal.fail = nil
		must(t, p.Once(t.Context()))
		must(t, p.Once(t.Context()))
		if stock.times() != int64(n+1) {
			t.Errorf("%s: stock was put in doubt %d times, want %d", status, stock.times(), n+1)
		}
		if w.intent(id) != nil {
			t.Errorf("%s: an order that was never approved has a row", status)
		}
	}
}

// TestStockOfAnOrderThatIsDeletedIsInDoubt deletes orders that were never imported: NuORDER may give their stock back, and nothing shows
// their lines any more. One that goes on to be approved is followed by its own row.
func TestStockOfAnOrderThatIsDeletedIsInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stock := &stockDoubts{}
	p := w.poller(func(d *orders.Deps, _ *orders.Config) { d.Stock = stock })
	must(t, p.Once(t.Context()))
	pending, draft := w.approve(), w.approve()
	w.portal.set(pending, "status", "pending")
	w.portal.set(draft, "status", "draft")
	must(t, p.Once(t.Context()))
	if stock.times() != 2 {
		t.Fatalf("stock was put in doubt %d times, want once for each new order", stock.times())
	}
	w.portal.remove(draft)
	w.portal.fail = func(call, _ string) error {
		if call == "list" {
			return fault.New(fault.Retry, "server_error", "once")
		}
		return nil
	}
	if err := p.Once(t.Context()); err == nil || stock.times() != 2 {
		t.Errorf("%v, %d doubts: lists that cannot be read tell of nothing that is gone", err, stock.times())
	}
	w.portal.fail = nil
	must(t, p.Once(t.Context()))
	must(t, p.Once(t.Context()))
	if last := *stock.last.Load(); stock.times() != 3 || len(last) != 1 || last[0].BrandID != "b" {
		t.Errorf("stock was put in doubt %d times, last of %+v, want once more when the draft is gone", stock.times(), last)
	}
	w.portal.set(pending, "status", "approved")
	must(t, p.Once(t.Context()))
	must(t, p.Once(t.Context()))
	if stock.times() != 4 {
		t.Errorf("stock was put in doubt %d times, want once for the approved order", stock.times())
	}
}

func TestStockIsLookedAtAgainOnceTheOMSHasTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	stock := &stockDoubts{}
	must(t, w.poller(func(d *orders.Deps, _ *orders.Config) { d.Stock = stock }).Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Marked || stock.woken.Load() != 1 {
		t.Errorf("intent %s, woken %d times, want once when it is marked", i.State, stock.woken.Load())
	}
}

// stockDoubts counts doubts and wakes.
type stockDoubts struct {
	n, woken atomic.Int64
	last     atomic.Pointer[[]orders.Line]
}

func (s *stockDoubts) DoubtStock(_ context.Context, _ string, lines []orders.Line) error {
	s.n.Add(1)
	s.last.Store(&lines)
	return nil
}

func (s *stockDoubts) WakeStock(context.Context, string, []orders.Line) error {
	s.woken.Add(1)
	return nil
}
func (s *stockDoubts) times() int64 { return s.n.Load() }

func TestPollerGoesOnAfterItsDatabaseCrashed(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	w := newWorldOn(t, pgtest.PoolOf(t, pgtest.NewDatabase(t, server, "crash")))
	first := w.approve()
	p := w.poller(func(_ *orders.Deps, c *orders.Config) { c.Every = 100 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	marked := func(id string) bool {
		i, err := w.intents.Get(ctx, "sandbox", id)
		return err == nil && i != nil && i.State == ledger.Marked
	}
	await := func(id string) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for !marked(id) {
			select {
			case <-ctx.Done():
				t.Fatalf("order %s was not marked", id)
			case <-tick.C:
			}
		}
	}
	await(first)
	must(t, server.Crash(ctx))
	must(t, server.Launch(ctx))
	second := w.portal.place(w.skus[:1], "", w.customer())
	await(second)
	if len(w.omsOrders(first)) != 1 || len(w.omsOrders(second)) != 1 {
		t.Errorf("OMS orders %v and %v", w.omsOrders(first), w.omsOrders(second))
	}
}

func TestOnlyOnePollerIsActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := ledger.NewPollerLock(w.pool, "a"), ledger.NewPollerLock(w.pool, "b")
	must(t, first.Hold(t.Context(), "sandbox", func(ctx context.Context, fence int64) error {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		err := second.Hold(short, "sandbox", func(context.Context, int64) error { t.Error("two at once"); return nil })
		if err == nil {
			t.Error("the second did not wait")
		}
		return nil
	}))
	must(t, second.Hold(t.Context(), "sandbox", func(ctx context.Context, fence int64) error {
		if fence != 2 {
			t.Errorf("fence %d", fence)
		}
		fresh, err := w.intents.See(ctx, "sandbox", 1, "a", []ledger.Sighting{{NuORDERID: "x"}})
		if err != nil || len(fresh) != 0 {
			t.Errorf("a former owner wrote %v, %v", fresh, err)
		}
		return nil
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
