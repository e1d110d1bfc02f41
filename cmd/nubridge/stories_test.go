package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// TestMain lets the test's own binary be the program, so that stories run the real command line in processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nubridge": main})
}

// TestStories plays the scripts in testdata/script. Besides testscript's own commands they know:
//
//	world [SETTING=VALUE ...]   a small OMS, a Kafka and a NuORDER sandbox, and nubridge.yaml that fits them; with settings on a server of its own
//	exits CODE COMMAND ...      runs a command that must end with the exit code
//	await PATTERN COMMAND ...   runs a command until its output matches
//	shows KIND PATTERN          waits until NuORDER's products, companies, orders ... as JSON match
//	sql STATEMENT               runs a statement in the OMS database; its rows are the output
//	buyer                       places an approved order at NuORDER; its _id is in $ORDER
//	fault JSON                  switches a fault of the NuORDER sandbox on
//	hangup                      sends SIGHUP to what runs in the background
//	edit FILE OLD NEW           replaces text in a file; \n is a new line
//	topic delete NAME           deletes a topic, as an administrator may by mistake
//	flip FILE                   makes the first byte of a file another one
func TestStories(t *testing.T) {
	t.Parallel()
	s := &stories{t: t, shared: pgtest.Server(t, postgres.Config{Settings: map[string]string{"max_connections": "400"}})}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("USER", "operator")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world": s.world, "exits": exits, "await": await, "shows": s.shows, "sql": s.sql, "buyer": s.buyer, "fault": s.fault, "hangup": hangup, "edit": edit, "flip": flip, "topic": s.topic,
		},
	})
}

// stories is what the scripts share: one PostgreSQL server.
type stories struct {
	t      *testing.T
	shared *postgres.Server
	made   atomic.Int64
	worlds sync.Map // by script
}

func (s *stories) worldOf(ts *testscript.TestScript) *sandbox.World {
	w, ok := s.worlds.Load(ts)
	if !ok {
		ts.Fatalf("expected the command world first")
	}
	return w.(*sandbox.World)
}

func (s *stories) world(ts *testscript.TestScript, _ bool, args []string) {
	server := s.shared
	if len(args) > 0 {
		settings := map[string]string{}
		for _, a := range args {
			name, value, _ := strings.Cut(a, "=")
			settings[name] = value
		}
		var err error
		server, err = postgres.Start(s.t.Context(), postgres.Config{Settings: settings})
		ts.Check(err)
		ts.Defer(func() { ts.Check(server.Stop(context.Background())) })
	}
	name := fmt.Sprintf("story_%d", s.made.Add(1))
	w, err := sandbox.Start(s.t.Context(), sandbox.Config{
		Server: server, Database: name,
		Sizes: oms.Sizes{Seed: 5, Styles: 4, Colors: 1, SizesPerRun: 2, Customers: 3, PurchaseOrders: 2, OldOrders: -1, RecentOrders: -1},
	})
	ts.Check(err)
	ts.Defer(func() {
		if err := w.Stop(context.Background()); err != nil {
			ts.Logf("stop the world: %v", err)
		}
	})
	s.worlds.Store(ts, w)
	dir := ts.MkAbs(".")
	ts.Check(writeSandboxConfig(dir, w, std{out: new(bytes.Buffer), err: new(bytes.Buffer)}))
	path := filepath.Join(dir, "nubridge.yaml")
	text, err := os.ReadFile(path)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	ts.Check(l.Close())
	slot := "nubridge_" + name // slots are the server's, which other stories share
	config := strings.Replace(string(text), "kafka:\n", "kafka:\n  partitions: 2\n", 1) + "http:\n  listen: " + address + "\ncapture:\n  slot: " + slot + "\n"
	ts.Check(os.WriteFile(path, []byte(config), 0o600))
	for key, value := range map[string]string{"DATABASE": w.DatabaseURL, "BROKER": w.Brokers[0], "NUORDER": w.NuORDERURL, "CONSOLE": "http://" + address, "SLOT": slot} {
		ts.Setenv(key, value)
	}
}

// exits runs a command whose exit code is part of the story.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// await runs a command until its output matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: await PATTERN COMMAND ...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	deadline := time.NewTimer(40 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		_ = ts.Exec(args[1], args[2:]...) // it may fail until what is waited for is there
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("the output never matched %q", args[0])
		case <-tick.C:
		}
	}
}

// shows waits until what NuORDER holds of a kind matches a pattern.
func (s *stories) shows(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: shows KIND PATTERN")
	}
	pattern := regexp.MustCompile(args[1])
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := s.worldOf(ts).NuORDER.State("")
		ts.Check(err)
		all, err := json.Marshal(state)
		ts.Check(err)
		kinds := map[string]json.RawMessage{}
		ts.Check(json.Unmarshal(all, &kinds))
		if pattern.Match(kinds[args[0]]) {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("%s never matched %q: %.2000s", args[0], args[1], kinds[args[0]])
		case <-tick.C:
		}
	}
}

func (s *stories) sql(ts *testscript.TestScript, _ bool, args []string) {
	w := s.worldOf(ts)
	rows, err := w.Pool.Query(s.t.Context(), strings.Join(args, " "))
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), values...)
	}
	ts.Check(rows.Err())
}

// buyer places an approved order for the first product and the first customer.
func (s *stories) buyer(ts *testscript.TestScript, _ bool, _ []string) {
	w := s.worldOf(ts)
	state, err := w.NuORDER.State("")
	ts.Check(err)
	text, err := json.Marshal(state)
	ts.Check(err)
	var seen struct {
		Products []struct {
			BrandID string `json:"brand_id"`
			Sizes   []struct {
				Size string `json:"size"`
			} `json:"sizes"`
		} `json:"products"`
		Companies []struct {
			Code string `json:"code"`
		} `json:"companies"`
	}
	ts.Check(json.Unmarshal(text, &seen))
	if len(seen.Products) == 0 || len(seen.Companies) == 0 {
		ts.Fatalf("NuORDER has no product or no company yet")
	}
	product := seen.Products[0]
	orders, err := w.NuORDER.PlaceOrder("", map[string]any{
		"status": "approved", "currency_code": "USD", "customer_po_number": "PO-1",
		"retailer": map[string]any{"retailer_code": seen.Companies[0].Code, "buyer_email": "buyer@example.com"},
		"line_items": []any{map[string]any{
			"product": map[string]any{"brand_id": product.BrandID}, "warehouse": "default",
			"sizes": []any{map[string]any{"size": product.Sizes[0].Size, "quantity": 2, "price": 41.5}},
		}},
	})
	ts.Check(err)
	ts.Setenv("ORDER", fmt.Sprint(orders[0]["_id"]))
}

func (s *stories) fault(ts *testscript.TestScript, _ bool, args []string) {
	var f nuorder.Fault
	ts.Check(json.Unmarshal([]byte(strings.Join(args, " ")), &f))
	_, err := s.worldOf(ts).NuORDER.AddFault(f)
	ts.Check(err)
}

// hangup sends SIGHUP to what runs in the background; testscript's own kill knows other signals.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

func (s *stories) topic(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 || args[0] != "delete" {
		ts.Fatalf("usage: topic delete NAME")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.worldOf(ts).Brokers...))
	ts.Check(err)
	defer client.Close()
	_, err = kadm.NewClient(client).DeleteTopic(s.t.Context(), args[1])
	ts.Check(err)
}

// edit replaces text in a file; the text must be there.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], strings.ReplaceAll(args[2], `\n`, "\n"), 1)), 0o600))
}

// flip makes the first byte of a file another one.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	text[0] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}
