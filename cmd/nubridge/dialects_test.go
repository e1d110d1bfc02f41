package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/day"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/internal/telemetry"
)

// TestTheDayPassesInEveryDialect plays the whole day with the sandbox in each position of what is not known of NuORDER, with the
// bridge configured to match, and compares both ends.
func TestTheDayPassesInEveryDialect(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, postgres.Config{})
	for _, d := range []struct {
		name string
		set  func(s *nuorder.Switches, e *config.Environment)
	}{
		{"as assumed", func(*nuorder.Switches, *config.Environment) {}},
		{"arrays merged", func(s *nuorder.Switches, e *config.Environment) {
			s.Arrays, e.NuORDER.Unsure.Arrays = "merge", "merge"
		}},
		{"other verbs", func(s *nuorder.Switches, e *config.Environment) {
			s.StatusVerbs, s.UpdateVerbs = []string{"PUT"}, []string{"PUT", "POST"}
			e.NuORDER.Unsure.StatusVerb, e.NuORDER.Unsure.NumberVerb = "PUT", "PUT"
		}},
		{"other words", func(s *nuorder.Switches, e *config.Environment) {
			s.StatusWords, e.NuORDER.Unsure.StatusWord = "action", "process"
			s.NumberPath, e.NuORDER.Unsure.NumberPath = "bare", "plain"
			s.SameStatus = 200
		}},
		{"status in the body", func(s *nuorder.Switches, e *config.Environment) {
			s.StatusForms, e.NuORDER.Unsure.StatusForm = "body", "body"
		}},
		{"shipments by their own call", func(s *nuorder.Switches, e *config.Environment) {
			s.Shipments, e.NuORDER.Unsure.Shipments = "own", "own"
		}},
		{"case folded", func(s *nuorder.Switches, _ *config.Environment) { s.Case = "fold" }},
		{"lists late", func(s *nuorder.Switches, e *config.Environment) {
			s.ListLag, e.Orders.Every = nuorder.Duration(300*time.Millisecond), time.Second
		}},
		{"replenishments", func(s *nuorder.Switches, e *config.Environment) {
			s.Inventory, e.NuORDER.Inventory = "v3", "replenishments"
		}},
		{"older signature", func(s *nuorder.Switches, e *config.Environment) {
			s.Signatures, e.NuORDER.Signature = "L", "hex"
		}},
		{"epoch dates, forced pages", func(s *nuorder.Switches, _ *config.Environment) {
			s.DatesOut, s.Pagination, s.PageSize, s.ClassicAnswer = "epoch", "forced", 3, "array"
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			switches := nuorder.DefaultSwitches()
			// What the reference mapping sends is all known, and NuORDER may move its stock for our orders too.
			switches.UnknownFields, switches.DecrementOnAPI = "refuse", true
			d.set(&switches, &config.Environment{})
			playDialect(t, server, switches, func(e *config.Environment) { d.set(new(nuorder.Switches), e) })
		})
	}
}

func playDialect(t *testing.T, server *postgres.Server, switches nuorder.Switches, set func(*config.Environment)) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	name := "d" + strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return '_'
		}
		return r
	}, strings.ToLower(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]))
	w, err := sandbox.Start(ctx, sandbox.Config{
		Server: server, Database: name, Switches: &switches,
		Sizes: oms.Sizes{Seed: 7, Styles: 6, Colors: 2, SizesPerRun: 3, Customers: 8, PurchaseOrders: 6, OldOrders: 4, RecentOrders: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	cfg, err := demoConfig(w)
	if err != nil {
		t.Fatal(err)
	}
	e := cfg.Environments["sandbox"]
	set(e)
	cfg.Capture.Slot, cfg.Capture.Publication = "nubridge_"+name, "nubridge_"+name
	out := &testWriter{t}
	log := telemetry.NewLogger(out, "text", "warn")
	tel, err := telemetry.New(ctx, telemetry.Config{Sample: 1})
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
		World: w, Out: out, Patience: 30 * time.Second, Waiting: b.waiting,
		PollOrders: func(context.Context) error { b.envs[0].poller.Poll(); return nil },
	}
	if err := p.Play(ctx); err != nil {
		t.Error(err)
	}
	result, err := compareWhenStill(ctx, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range result.Differences {
		if switches.Case != "fold" || !strings.EqualFold(difference.OMS, difference.NuORDER) {
			t.Error(difference)
		}
	}
	if t.Failed() {
		if err := listParked(ctx, std{out: out}, b); err != nil {
			t.Error(err)
		}
	}
}

type testWriter struct{ t *testing.T }

func (w *testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
