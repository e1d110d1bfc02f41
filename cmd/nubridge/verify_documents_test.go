package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	api "nubridge/sink/nuorder"
)

// TestALostLedgerIsRebuiltInEveryDialect loads a portal, loses what the ledger knew of its objects, and has verify read it back. After
// it a replay of everything writes nothing; of three objects that were changed at NuORDER exactly those three are written.
func TestALostLedgerIsRebuiltInEveryDialect(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	for _, d := range []struct {
		name string
		set  func(s *nuorder.Switches)
		edit [2]string // of nubridge.yaml
	}{
		{"as assumed", func(*nuorder.Switches) {}, [2]string{}},
		{"case folded", func(s *nuorder.Switches) { s.Case = "fold" }, [2]string{}},
		{"replenishments", func(s *nuorder.Switches) { s.Inventory = "v3" }, [2]string{"    nuorder:\n", "    nuorder:\n      inventory: replenishments\n"}},
		{"older signature", func(s *nuorder.Switches) { s.Signatures = "L" }, [2]string{"    nuorder:\n", "    nuorder:\n      signature: hex\n"}},
		{"epoch dates, forced pages", func(s *nuorder.Switches) {
			s.DatesOut, s.Pagination, s.PageSize, s.ClassicAnswer = "epoch", "forced", 3, "array"
		}, [2]string{}},
		{"replaced whole, pages not known", func(s *nuorder.Switches) {
			s.ProductUpdate, s.CompanyUpdate, s.Pagination = "replace", "replace", "off"
		}, [2]string{}},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			switches := nuorder.DefaultSwitches()
			d.set(&switches)
			w := startPortal(t, server, sandbox.Config{Switches: &switches}, d.edit)
			stop := w.run()
			w.inStep()
			stop()
			w.lose()
			for _, r := range w.verify("--apply") {
				if r.Documents == 0 || r.InStep != r.Documents || r.New != r.Documents || r.Calls != 0 {
					t.Errorf("%s: %+v", r.Flow, r)
				}
			}
			before := w.writes()
			w.run()
			for _, flow := range []string{"products", "customers", "inventory"} {
				if out := w.must("replay", flow, "--all", "--apply", "--wait"); !strings.Contains(out, "at most 0 calls") {
					t.Errorf("replay of %s: %s", flow, out)
				}
			}
			w.inStep()
			if now := w.writes(); !maps.Equal(before, now) {
				t.Errorf("writes after a replay of what is in step: %v, before %v", now, before)
			}
			want := w.plant()
			differ := 0
			for _, r := range w.verify("--apply") {
				differ += r.Differ
			}
			if differ != 3 {
				t.Errorf("%d differences were found, 3 were planted", differ)
			}
			w.inStep()
			got := w.since(before)
			if switches.Inventory == "v3" {
				got = slices.Compact(got) // there is a call for each warehouse
			}
			if !slices.Equal(got, want) {
				t.Errorf("written: %v, planted: %v", got, want)
			}
			for _, r := range w.verify() {
				if r.InStep != r.Documents {
					t.Errorf("after the repair %s: %+v", r.Flow, r)
				}
			}
		})
	}
}

// TestLostPriceSheetsAreReadBack reads each sheet by one call, writes nothing that is in step, and finds the row that a person
// has changed.
func TestLostPriceSheetsAreReadBack(t *testing.T) {
	t.Parallel()
	w := startPortal(t, pgtest.Server(t, postgres.Config{}), sandbox.Config{}, [2]string{})
	path := filepath.Join(filepath.Dir(w.config), "mapping", "products.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, `  price_sheets:
    each: prices
    where: price_3 != nil
    fields: {template: '"Gold"', currency_code: currency, wholesale: price_3, retail: price_2}
`...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := w.run()
	w.inStep()
	stop()
	w.lose()
	before := w.world.NuORDER.Counts()
	if r := w.verify("--apply")[0]; r.InStep != r.Documents || r.New != r.Documents || r.Calls != 0 {
		t.Errorf("after the loss: %+v", r)
	}
	const read = "GET /api/pricesheet/{template}"
	if n := w.world.NuORDER.Counts().ByRoute[read] - before.ByRoute[read]; n != 1 {
		t.Errorf("the sheet was read by %d calls, want 1", n)
	}
	stop = w.run()
	if out := w.must("replay", "products", "--all", "--apply", "--wait"); !strings.Contains(out, "at most 0 calls") {
		t.Error(out)
	}
	w.inStep()
	stop()
	if now := w.writes(); !maps.Equal(before.Writes, now) {
		t.Errorf("writes of what is in step: %v, before %v", now, before.Writes)
	}
	var brand string
	if err := w.world.Pool.QueryRow(t.Context(), `select c.style_color_id::text from oms.style_colors c join oms.styles s using (style_id)
		join oms.style_prices p using (style_id) where p.price_type = 3 and s.status = 'Active' and c.status = 'Active' order by 1 limit 1`).Scan(&brand); err != nil {
		t.Fatal(err)
	}
	client, err := api.New(api.Config{Environment: "person", BaseURL: w.world.NuORDERURL, Network: api.Network{AllowPrivate: true, PlainHTTP: true}}, api.Deps{
		Credentials: func() api.Credentials {
			p := w.world.Portal
			return api.Credentials{ConsumerKey: p.ConsumerKey, ConsumerSecret: p.ConsumerSecret, Token: p.Token, TokenSecret: p.TokenSecret}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.RemoveProductPriceSheets(t.Context(), brand); err != nil {
		t.Fatal(err)
	}
	if r := w.verify("--apply")[0]; r.Differ != 1 || r.Differences[0].Key != brand || r.Differences[0].Field != "price_sheets" {
		t.Errorf("a row that a person took out: %+v", r)
	}
}

// portalWorld is a portal, and the bridge's configuration for it.
type portalWorld struct {
	t      *testing.T
	world  *sandbox.World
	config string
	listen string
}

func startPortal(t *testing.T, server *postgres.Server, c sandbox.Config, edit [2]string) *portalWorld {
	t.Helper()
	ctx := t.Context()
	name := "v" + regexp.MustCompile(`[^a-z]`).ReplaceAllString(strings.ToLower(filepath.Base(t.Name())), "_")
	name = name[:min(len(name), 40)]
	c.Server, c.Database = server, name
	c.Sizes = oms.Sizes{Seed: 11, Styles: 5, Colors: 2, SizesPerRun: 3, Customers: 8, PurchaseOrders: 6, OldOrders: -1, RecentOrders: -1}
	w, err := sandbox.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l := &portalWorld{t: t, world: w, config: filepath.Join(t.TempDir(), "nubridge.yaml")}
	if err := writeSandboxConfig(filepath.Dir(l.config), w, std{out: new(bytes.Buffer), err: new(bytes.Buffer)}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.listen = port.Addr().String()
	port.Close()
	config := string(text) + "http:\n  listen: " + l.listen + "\ncapture:\n  slot: nubridge_" + name + "\n"
	if edit[0] != "" && !strings.Contains(config, edit[0]) {
		t.Fatalf("the configuration holds no %q:\n%s", edit[0], config)
	}
	if err := os.WriteFile(l.config, []byte(strings.Replace(config, edit[0], edit[1], 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// lose empties what the ledger knows of objects.
func (l *portalWorld) lose() {
	l.t.Helper()
	if _, err := l.world.Pool.Exec(l.t.Context(), "truncate nubridge.objects, nubridge.bodies, nubridge.requests, nubridge.waiting, nubridge.parked, nubridge.counters, nubridge.mappings"); err != nil {
		l.t.Fatal(err)
	}
}

// run starts the bridge; it is stopped by what is returned, or at the end of the test.
func (l *portalWorld) run() (stop func()) { l.t.Helper(); return l.runWith(l.config) }

// runWith starts it with another configuration.
func (l *portalWorld) runWith(config string) (stop func()) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1) // the exit code
	go func() {
		ended <- execute(ctx, []string{"run", "--config", config}, std{out: &testWriter{l.t}, err: &testWriter{l.t}})
	}()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			<-ended
		}
	}
	l.t.Cleanup(stop)
	return stop
}

func (l *portalWorld) exec(args ...string) (string, int) {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(l.t.Context(), 60*time.Second)
	defer cancel()
	code := execute(ctx, append(args, "--config", l.config), std{out: &out, err: &errs})
	if errs.Len() > 0 {
		l.t.Logf("%v: %s", args, errs.String())
	}
	return out.String(), code
}

func (l *portalWorld) must(args ...string) string {
	l.t.Helper()
	out, code := l.exec(args...)
	if code != 0 {
		l.t.Fatalf("%v: exit %d: %s", args, code, out)
	}
	return out
}

// inStep waits until everything is delivered.
func (l *portalWorld) inStep() {
	l.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		out, _ := l.exec("status")
		state, err := l.world.NuORDER.State("")
		if err != nil {
			l.t.Fatal(err)
		}
		if strings.HasPrefix(out, "in step") && len(state.Products) == 10 && len(state.Companies) == 8 && len(state.Inventory) == 10 {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("never in step: %s", out)
		}
		pauseFor(l.t.Context(), 200*time.Millisecond)
	}
}

func (l *portalWorld) verify(more ...string) []documentsReport {
	l.t.Helper()
	out, code := l.exec(append([]string{"verify", "documents", "--json"}, more...)...)
	var got struct {
		Flows []documentsReport `json:"flows"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Flows) != 3 || code != 0 {
		l.t.Fatalf("verify %v: exit %d, %v: %s", more, code, err, out)
	}
	return got.Flows
}

func (l *portalWorld) writes() map[string]uint64 { return maps.Clone(l.world.NuORDER.Counts().Writes) }

// since lists the objects that were written since, each once for each write.
func (l *portalWorld) since(before map[string]uint64) []string {
	var out []string
	for object, n := range l.writes() {
		for range n - before[object] {
			out = append(out, object)
		}
	}
	slices.Sort(out)
	return out
}

// plant changes a product, a company and a stock at NuORDER, and gives what must be written.
func (l *portalWorld) plant() []string {
	l.t.Helper()
	n := l.world.NuORDER
	state, err := n.State("")
	if err != nil {
		l.t.Fatal(err)
	}
	id := func(list []map[string]any, i int) string { return fmt.Sprint(list[i]["_id"]) }
	product, company, stock := id(state.Products, 0), id(state.Companies, 1), id(state.Products, 2)
	alter := func(kind, id string, set map[string]any) {
		if err := n.Alter("", kind, id, set, nil); err != nil {
			l.t.Fatal(err)
		}
	}
	alter("products", product, map[string]any{"description": "changed by hand"})
	alter("companies", company, map[string]any{"payment_terms": "changed by hand"})
	out := []string{"product:" + product, "company:" + company, "inventory:" + stock}
	alter("inventory", stock, map[string]any{"0.quantity": 987})
	slices.Sort(out)
	return out
}
