package orders_test

import (
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	sandbox "nubridge/internal/sandbox/oms"
	"nubridge/orders"
)

func TestPersonDecidesWithAReasonThatIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, other := w.approve(), w.approve()
	must(t, w.api.AddFault(sandbox.Fault{Kind: sandbox.LostBeforeCommit, Route: "POST /sales-orders"}))
	p := w.poller(func(_ *orders.Deps, c *orders.Config) { c.Attempts = 1; c.Settle = 50 * time.Millisecond })
	w.until(p, id, ledger.Quarantined)
	w.until(p, other, ledger.Quarantined)
	w.api.ClearFaults()
	desk := orders.NewDesk(w.intents, "sandbox", "ann")
	if _, err := desk.Release(t.Context(), id, ""); fault.CodeOf(err) != "reason_missing" {
		t.Errorf("released without a reason: %v", err)
	}
	if _, err := desk.Release(t.Context(), ledger.Reference("sandbox", id), "looked in the OMS, it is not there"); err != nil {
		t.Fatal(err)
	}
	w.until(p, id, ledger.Marked)
	if _, err := desk.Adopt(t.Context(), other, "777", "typed in by hand"); err != nil {
		t.Fatal(err)
	}
	w.until(p, other, ledger.Marked)
	story, err := desk.Show(t.Context(), "777")
	must(t, err)
	found := false
	for _, s := range story.Steps {
		found = found || s.Step == "adopted by hand" && s.Detail == "OMS order 777 by ann: typed in by hand"
	}
	if story.Order.NuORDERID != other || !found {
		t.Errorf("story %+v", story)
	}
	if _, err := desk.Release(t.Context(), id, "again"); fault.CodeOf(err) != "wrong_state" {
		t.Errorf("released a marked order: %v", err)
	}
	if _, err := desk.Show(t.Context(), "nothing"); fault.CodeOf(err) != "no_such_order" {
		t.Errorf("showed nothing: %v", err)
	}
	sum, err := desk.Summary(t.Context())
	must(t, err)
	if len(sum.Counts) != 1 || sum.Counts[0].Count != 2 {
		t.Errorf("summary %+v", sum)
	}
}

func TestOrderWithdrawnByHandStaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.portal.place(w.skus[:1], "", "NOBODY")
	p := w.poller(nil)
	must(t, p.Once(t.Context()))
	desk := orders.NewDesk(w.intents, "sandbox", "ann")
	_, err := desk.Withdraw(t.Context(), id, "a test order")
	must(t, err)
	_, err = w.pool.Exec(t.Context(), `insert into oms.customers (customer_id, name) values ('NOBODY', 'x')`)
	must(t, err)
	must(t, p.Once(t.Context()))
	must(t, p.Once(t.Context()))
	if i := w.intent(id); i.State != ledger.Withdrawn || len(w.omsOrders(id)) != 0 {
		t.Errorf("intent %+v", i)
	}
}

func TestAuditFindsWhatDiffersAndRepairsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, doubled, missing, lostRow := w.approve(), w.approve(), w.approve(), w.approve()
	p := w.poller(nil)
	must(t, p.Once(t.Context()))
	sql := func(text string, args ...any) {
		t.Helper()
		_, err := w.pool.Exec(t.Context(), text, args...)
		must(t, err)
	}
	sql(`insert into oms.sales_orders (external_ref, customer_id, ship_start, ship_end) values ($1, $2, now(), now())`,
		ledger.Reference("sandbox", doubled), w.customer())
	sql(`update oms.sales_orders set external_ref = null where external_ref = $1`, ledger.Reference("sandbox", missing))
	sql(`delete from order_intents where nuorder_id = $1`, lostRow)
	fresh := w.approve()
	audit, err := p.Audit(t.Context(), 0)
	must(t, err)
	got := map[string]orders.FindingKind{}
	for _, f := range audit.Findings {
		got[f.NuORDERID] = f.Kind
	}
	want := map[string]orders.FindingKind{
		doubled: orders.DoubledInOMS, missing: orders.MissingInOMS, lostRow: orders.Unlogged, fresh: orders.NotSeen,
	}
	for id, kind := range want {
		if got[id] != kind {
			t.Errorf("order %s: found %q, want %q", id, got[id], kind)
		}
	}
	if len(got) != len(want) || audit.Doubled != 1 || got[good] != "" {
		t.Errorf("findings %v", audit.Findings)
	}
	for n := range audit.Findings {
		if f := &audit.Findings[n]; f.Repair != "" {
			must(t, f.Apply(t.Context()))
		} else if f.Apply(t.Context()) == nil {
			t.Errorf("%s has no repair and took one", f.Kind)
		}
	}
	if i := w.intent(lostRow); i == nil || i.State != ledger.Created {
		t.Errorf("repaired row %+v", i)
	}
	if asked, err := w.intents.PollAsked(t.Context(), "sandbox"); err != nil || !asked {
		t.Errorf("no poll was asked for: %v", err)
	}
}

func TestSandboxAndProductionShareOneOMS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	production := newPortal()
	id := w.approve()
	same := production.place(w.skus[:1], "", w.customer()) // the very same _id in the other portal
	if id != same {
		t.Fatalf("ids %s and %s", id, same)
	}
	must(t, w.poller(nil).Once(t.Context()))
	must(t, w.poller(func(d *orders.Deps, c *orders.Config) { d.Portal, c.Environment = production, "production" }).Once(t.Context()))
	var references []string
	must(t, w.pool.QueryRow(t.Context(), `select array_agg(external_ref order by external_ref) from oms.sales_orders`).Scan(&references))
	if len(references) != 2 || references[0] != "production:"+id || references[1] != "sandbox:"+id {
		t.Errorf("references %v", references)
	}
	for _, environment := range []string{"sandbox", "production"} {
		i, err := w.intents.Get(t.Context(), environment, id)
		must(t, err)
		if found, err := w.intents.ByOMSNumber(t.Context(), environment, i.OMSNumber); err != nil || found.Environment != environment {
			t.Errorf("%s: %+v %v", environment, found, err)
		}
	}
	if w.portal.get(id, "status") != "processed" || production.get(same, "status") != "processed" {
		t.Error("not both are processed")
	}
}

func TestMarkReleasesWhatWaitsForTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.approve()
	_, err := w.pool.Exec(t.Context(), `insert into waiting (environment, flow, key, parents, touches)
		values ('sandbox', 'order_edits', '500001', array['orders_in:' || $1], 1), ('sandbox', 'order_edits', '9', array['orders_in:other'], 1)`, id)
	must(t, err)
	must(t, w.poller(nil).Once(t.Context()))
	var keys []string
	must(t, w.pool.QueryRow(t.Context(), `select coalesce(array_agg(key), '{}') from requests where environment = 'sandbox'`).Scan(&keys))
	if len(keys) != 1 || keys[0] != "500001" {
		t.Errorf("released %v", keys)
	}
}
