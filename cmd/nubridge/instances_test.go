package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// TestStatusShowsAllInstances asks one of two, and then the ledger alone when that one is gone.
func TestStatusShowsAllInstances(t *testing.T) {
	t.Parallel()
	w := startPortal(t, pgtest.Server(t, postgres.Config{}), sandbox.Config{}, [2]string{})
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(filepath.Dir(w.config), "second.yaml")
	if err := os.WriteFile(second, []byte(strings.Replace(string(text), w.listen, "off", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := w.run()
	w.inStep()
	w.runWith(second)
	status := func() (r statusReport) {
		out, _ := w.exec("status", "--json")
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r
	}
	w.eventually("both are shown", func() bool { r := status(); return len(r.Instances) == 2 && r.Instance.Reached })
	before := status()
	if got := before.Environments[0].NuORDER; got == nil || got.Calls < 28 {
		t.Errorf("the portal as both have it: %+v", got)
	}
	stop()
	w.eventually("the other one is shown alone, and in step", func() bool {
		r := status()
		return len(r.Instances) == 1 && !r.Instance.Reached && r.Verdict == verdictInStep && r.Environments[0].NuORDER != nil
	})
}

// TestStockIsRightWithinFiveSecondsOfThePoll places an order that is gone before the next poll, at a portal that gives nothing back.
func TestStockIsRightWithinFiveSecondsOfThePoll(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	for name, leave := range map[string]func(n *nuorder.Server, id string) error{
		"cancelled": func(n *nuorder.Server, id string) error { return n.CancelOrder("", id) },
		"rejected":  func(n *nuorder.Server, id string) error { return n.RejectOrder("", id) },
		"set back": func(n *nuorder.Server, id string) error {
			_, err := n.EditOrder("", id, map[string]any{"notes": "wait", "to_pending": true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switches := nuorder.DefaultSwitches()
			switches.GiveBackOnCancel = false
			w := startPortal(t, server, sandbox.Config{Switches: &switches}, [2]string{})
			w.run()
			w.inStep()
			w.eventually("the first poll is over", func() bool {
				var n int
				err := w.world.Pool.QueryRow(t.Context(), "select count(*) from nubridge.order_sighted_statuses").Scan(&n)
				return err == nil && n == 4
			})
			right := w.stock()
			id := w.order()
			if w.stock() == right {
				t.Fatal("the order took no stock")
			}
			if err := leave(w.world.NuORDER, id); err != nil {
				t.Fatal(err)
			}
			w.must("orders", "poll")
			var polled time.Time
			w.eventually("the poll begins", func() bool {
				err := w.world.Pool.QueryRow(t.Context(), "select polled_at from nubridge.order_pollers where asked_at is null or polled_at > asked_at").Scan(&polled)
				return err == nil && time.Since(polled) < 10*time.Second
			})
			w.eventually("the stock is right", func() bool { return w.stock() == right })
			if took := time.Since(polled); took > 5*time.Second {
				t.Errorf("the stock was right %s after the poll began", took)
			}
		})
	}
}

// stock is all stock at NuORDER.
func (l *portalWorld) stock() string {
	l.t.Helper()
	state, err := l.world.NuORDER.State("")
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := json.Marshal(state.Inventory)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// order places an approved order and gives its _id.
func (l *portalWorld) order() string {
	l.t.Helper()
	state, err := l.world.NuORDER.State("")
	if err != nil {
		l.t.Fatal(err)
	}
	product := state.Products[0]
	size := product["sizes"].([]any)[0].(map[string]any)["size"]
	made, err := l.world.NuORDER.PlaceOrder("", map[string]any{
		"status": "approved", "currency_code": "USD", "retailer": map[string]any{"retailer_code": state.Companies[0]["code"], "buyer_email": "b@example.com"},
		"line_items": []any{map[string]any{
			"product": map[string]any{"brand_id": product["brand_id"]}, "warehouse": "default",
			"sizes": []any{map[string]any{"size": size, "quantity": 1, "price": 41.5}},
		}},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprint(made[0]["_id"])
}

// eventually waits until something holds.
func (l *portalWorld) eventually(what string, holds func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			l.t.Fatalf("never: %s", what)
		}
		pauseFor(l.t.Context(), 50*time.Millisecond)
	}
}
