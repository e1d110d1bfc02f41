package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"nubridge/internal/lifecycle"
)

type statusCmd struct {
	configured
	JSON  bool          `help:"Print JSON."`
	Watch bool          `help:"Print again and again until interrupted."`
	Every time.Duration `help:"Pause of --watch." default:"2s"`
	// Check is for scripts and probes.
	Check  bool   `help:"Exit 1 unless everything is in step or catching up."`
	Server string `help:"The running instance's console; by default http.listen." placeholder:"URL"`
}

// Example implements exampled.
func (statusCmd) Example() string {
	return "nubridge status --config nubridge.yaml\nnubridge status --watch\nnubridge status --json --check"
}

// Run prints how the bridge stands, once or until the context ends. It changes nothing.
func (c statusCmd) Run(ctx context.Context, s std) error {
	if c.Every < 100*time.Millisecond {
		return usageError{fmt.Errorf("--every is %s; expected at least 100ms", c.Every)}
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	w, err := newStatusWatcher(ctx, cfg, c.Server)
	if err != nil {
		return err
	}
	defer w.close()
	for {
		report, err := w.look(ctx)
		if err != nil {
			if c.Watch && ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := c.print(s.out, report); err != nil {
			return err
		}
		if !c.Watch {
			if c.Check && report.Verdict != verdictInStep && report.Verdict != verdictBehind {
				return reported{exitError{lifecycle.ExitFailed}}
			}
			return nil
		}
		if !pauseFor(ctx, c.Every) {
			return nil
		}
	}
}

func (c statusCmd) print(out io.Writer, r *statusReport) error {
	if c.JSON {
		return printJSON(out, r)
	}
	if f, ok := out.(*os.File); c.Watch && ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(out, "\x1b[H\x1b[2J")
	}
	return r.print(out)
}

// pauseFor waits; it tells false when the context ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// The verdicts, from good to bad.
const (
	verdictInStep    = "in_step"   // nothing is left to do
	verdictBehind    = "behind"    // working through a backlog
	verdictAttention = "attention" // a person should look: parked keys, doubled orders, little room for WAL
	verdictStopped   = "stopped"   // something does not run: a flow is paused or halted, capture is away
)

// worse gives the worse of two verdicts.
func worse(a, b string) string {
	order := map[string]int{verdictInStep: 0, verdictBehind: 1, verdictAttention: 2, verdictStopped: 3}
	if order[b] > order[a] {
		return b
	}
	return a
}

// statusReport is how the bridge stands at a moment.
type statusReport struct {
	Verdict  string         `json:"verdict"`
	Why      []string       `json:"why"`
	At       time.Time      `json:"at"`
	Instance instanceReport `json:"instance"`
	// Instances are all that live and share the ledger.
	Instances    []liveInstance      `json:"instances"`
	Capture      *captureReport      `json:"capture,omitempty"`
	Environments []environmentReport `json:"environments"`
	// parts are those of all instances, held tells that one of them holds a changed mapping.
	parts []partReport
	held  bool
}

// instanceReport is the running instance that was asked.
type instanceReport struct {
	Address string `json:"address,omitempty"`
	Reached bool   `json:"reached"`
	Version string `json:"version,omitempty"`
	Name    string `json:"name,omitempty"`
	Trouble string `json:"trouble,omitempty"`
	// Parts are what the instance runs and may halt alone: capture, each flow, each poller.
	Parts []partReport `json:"parts,omitempty"`
	// HeldReload tells that a changed mapping waits for nubridge reload --confirm.
	HeldReload bool `json:"held_reload,omitempty"`
}

// captureReport is where capture stands. LSNs are in PostgreSQL's form, sizes in bytes.
type captureReport struct {
	Name             string           `json:"name"`
	Slot             string           `json:"slot"`
	SlotExists       bool             `json:"slot_exists"`
	Active           bool             `json:"active"`
	WALStatus        string           `json:"wal_status,omitempty"`
	ConfirmedLSN     string           `json:"confirmed_lsn,omitempty"`
	ServerLSN        string           `json:"server_lsn,omitempty"`
	AcknowledgedLSN  string           `json:"acknowledged_lsn,omitempty"`
	Epoch            uint32           `json:"epoch"`
	BehindBytes      int64            `json:"behind_bytes"`
	RetainedBytes    int64            `json:"retained_bytes"`
	RunwayBytes      *int64           `json:"runway_bytes,omitempty"`
	RunwayS          *float64         `json:"runway_s,omitempty"`
	WALBytesPerS     float64          `json:"wal_bytes_per_s"`
	GapAccepted      string           `json:"gap_accepted,omitempty"`
	Snapshots        []snapshotReport `json:"snapshots"`
	SourceError      string           `json:"source_error,omitempty"`
	recorded, unread bool
}

// snapshotReport is how far the snapshot of a table is.
type snapshotReport struct {
	ID        int64    `json:"id"`
	Table     string   `json:"table"`
	Where     string   `json:"where,omitempty"`
	Status    string   `json:"status"`
	Rows      int64    `json:"rows"`
	Estimated int64    `json:"estimated"`
	RowsPerS  float64  `json:"rows_per_s"`
	LeftS     *float64 `json:"left_s,omitempty"`
}

// environmentReport is one portal.
type environmentReport struct {
	Name    string        `json:"name"`
	NuORDER *portalState  `json:"nuorder,omitempty"`
	Flows   []flowReport  `json:"flows"`
	Orders  *ordersReport `json:"orders,omitempty"`
}

// flowReport is one flow: what the ledger and Kafka say for all instances, and how they work together.
type flowReport struct {
	Flow    string        `json:"flow"`
	Mode    string        `json:"mode"`
	State   string        `json:"state"`
	Code    string        `json:"code,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Since   *time.Time    `json:"since,omitempty"`
	By      string        `json:"by,omitempty"`
	Lag     int64         `json:"lag_records"`
	LagOf   bool          `json:"lag_known"`
	Asked   int64         `json:"requested_keys"`
	Waiting int64         `json:"waiting_keys"`
	Parked  int64         `json:"parked_keys"`
	Reasons []reasonCount `json:"parked_reasons"`
	// FreshnessS is the age of the oldest change that is read and not settled, in any instance.
	FreshnessS    *float64    `json:"freshness_s,omitempty"`
	WaitingSinceS float64     `json:"oldest_waiting_s"`
	SettledAt     *time.Time  `json:"settled_at,omitempty"`
	Counts        countReport `json:"counts"`
	loop          *loopState
}

type reasonCount struct {
	Code    string  `json:"code"`
	Keys    int64   `json:"keys"`
	OldestS float64 `json:"oldest_s"`
}

// countReport is the account of touches: read = delivered + unchanged + superseded + filtered + waiting + parked. // I1
type countReport struct {
	Read       int64 `json:"read"`
	Delivered  int64 `json:"delivered"`
	Unchanged  int64 `json:"unchanged"`
	Superseded int64 `json:"superseded"`
	Filtered   int64 `json:"filtered"`
	Waiting    int64 `json:"waiting"`
	Parked     int64 `json:"parked"`
	Repeats    int64 `json:"repeats"`
	Calls      int64 `json:"calls"`
	// Missing is read less the sum of the others: anything but zero is a fault of the bridge.
	Missing int64 `json:"missing"`
}

// ordersReport is the way of NuORDER's orders into the OMS.
type ordersReport struct {
	Mode    string       `json:"mode"`
	States  []orderCount `json:"states"`
	Changed int          `json:"changed_after_create"`
	Doubled int          `json:"doubled"`
	PolledS *float64     `json:"polled_s_ago,omitempty"`
}

type orderCount struct {
	State   string  `json:"state"`
	Orders  int64   `json:"orders"`
	OldestS float64 `json:"oldest_s"`
}
