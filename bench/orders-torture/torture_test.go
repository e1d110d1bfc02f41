package main

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"nubridge/internal/sandbox/postgres"
	"nubridge/internal/sandbox/postgres/pgtest"
)

// TestMain makes the test program a child when it is started as one.
func TestMain(m *testing.M) {
	if plan := os.Getenv(childVariable); plan != "" {
		if err := child(plan); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestNoOrderIsLostOrDoubledWhereverTheProcessDies(t *testing.T) {
	if testing.Short() {
		t.Skip("eleven processes are killed; left out of short runs")
	}
	o := options{count: 44, kills: 1, seed: uint64(time.Now().UnixNano()) % 1_000_000, settle: 500 * time.Millisecond}
	t.Logf("seed %d", o.seed)
	ok, err := run(t.Context(), o, pgtest.Server(t, postgres.Config{}), slog.New(slog.DiscardHandler))
	if err != nil || !ok {
		t.Fatalf("it did not hold: %v", err)
	}
}
