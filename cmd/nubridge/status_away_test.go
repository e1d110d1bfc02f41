package main

import (
	"net"
	"testing"
	"time"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/migrations"
)

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
