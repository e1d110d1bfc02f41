package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/migrations"
)

// An order that a person must decide on is the first thing that status says, and one that is on its way is not in step.
func TestStatusTellsOfOrdersOnTheirWay(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Environments: map[string]*config.Environment{"sandbox": {Flows: map[string]string{string(mapper.OrdersIn): "on"}}}}
	cfg.OMS.URL, cfg.Ledger.URL, cfg.Ledger.Schema = config.NewSecret(url), config.NewSecret(url), "nubridge"
	cfg.Kafka.Brokers, cfg.HTTP.Listen = []string{"127.0.0.1:1"}, "off"
	w, err := newStatusWatcher(t.Context(), cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	for _, want := range []struct{ state, verdict, changed string }{
		{"NUMBERED", verdictInStep, ""},
		{"CREATED", verdictBehind, ""},
		{"MARKED", verdictAttention, "now()"},
		{"QUARANTINED", verdictAttention, ""},
	} {
		t.Run(want.state, func(t *testing.T) {
			sql := "with gone as (delete from order_intents) insert into order_intents (environment, nuorder_id, state, changed_at) values ('sandbox', $1, $2, nullif($3, '')::timestamptz)"
			if _, err := w.store.Pool().Exec(t.Context(), sql, want.state, want.state, want.changed); err != nil {
				t.Fatal(err)
			}
			r := &statusReport{Verdict: verdictInStep}
			e, err := w.environment(t.Context(), "sandbox", environmentState{}, false)
			if err != nil {
				t.Fatal(err)
			}
			r.Environments = append(r.Environments, e)
			r.judge()
			var out bytes.Buffer
			if err := r.print(&out); err != nil || r.Verdict != want.verdict || !strings.Contains(out.String(), want.state+" 1") {
				t.Errorf("%s, %v:\n%s\nwant %s", r.Verdict, err, out.String(), want.verdict)
			}
		})
	}
}

// A frozen broker takes connections and never answers: status waits for it once.
func TestStatusWaitsForAFrozenBrokerOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() })
	cfg := &config.Config{}
	cfg.OMS.URL, cfg.Ledger.URL, cfg.Ledger.Schema = config.NewSecret(url), config.NewSecret(url), "nubridge"
	cfg.Capture.Name, cfg.Capture.TopicPrefix, cfg.Capture.Tables = "oms", "oms", []string{"public.*"}
	cfg.Kafka.Brokers, cfg.HTTP.Listen = []string{frozen.Addr().String()}, "off"
	w, err := newStatusWatcher(t.Context(), cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if err := ledger.NewCaptures(w.store.Pool()).KeepTopics(t.Context(), "oms", []ledger.CapturedTopic{{Name: "oms.public.item", ID: "x", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := w.look(t.Context())
	if err != nil || r.Verdict != verdictStopped {
		t.Fatalf("the report is %+v, %v; want %s", r, err, verdictStopped)
	}
	if took := time.Since(began); took > 18*time.Second { // one ping is 10 s
		t.Errorf("status took %s", took)
	}
}
