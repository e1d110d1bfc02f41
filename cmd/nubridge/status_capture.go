package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/internal/ledger"
)

// slotSQL reads the slot beside the server's own place in the log. safe_wal_size is what may still be written before the slot
// is lost, null where nothing bounds it; the rate is the server's mean since its statistics began.
const slotSQL = `
select s.active, coalesce(s.wal_status, ''), coalesce(s.confirmed_flush_lsn::text, ''), pg_current_wal_lsn()::text,
    coalesce(pg_current_wal_lsn() - s.confirmed_flush_lsn, 0)::bigint, coalesce(pg_current_wal_lsn() - s.restart_lsn, 0)::bigint,
    s.safe_wal_size, (select coalesce(wal_bytes / greatest(extract(epoch from now() - stats_reset), 1), 0)::float8 from pg_stat_wal)
from pg_replication_slots s where s.slot_name = $1`

// capture reads where capture stands: what the ledger recorded, and what the source says of the slot.
func (w *statusWatcher) capture(ctx context.Context) (*captureReport, error) {
	cfg := w.cfg.Capture
	c := &captureReport{Name: cfg.Name, Slot: cfg.Slot, Snapshots: []snapshotReport{}}
	captures := ledger.NewCaptures(w.store.Pool())
	state, err := captures.LoadCapture(ctx, cfg.Name)
	if err != nil {
		return nil, err
	}
	if state != nil {
		c.recorded, c.Epoch, c.AcknowledgedLSN, c.GapAccepted = true, state.Epoch, state.Last.Commit.String(), state.GapReason
	}
	jobs, err := captures.Snapshots(ctx, cfg.Name)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		c.Snapshots = append(c.Snapshots, snapshotOf(j, time.Now()))
	}
	var safe *int64
	err = w.source.QueryRow(ctx, slotSQL, cfg.Slot).
		Scan(&c.Active, &c.WALStatus, &c.ConfirmedLSN, &c.ServerLSN, &c.BehindBytes, &c.RetainedBytes, &safe, &c.WALBytesPerS)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, nil
	case err != nil:
		c.unread, c.SourceError = true, "the OMS database does not answer about the slot: "+err.Error()
		return c, nil
	}
	c.SlotExists = true
	if safe != nil {
		c.RunwayBytes = safe
		if c.WALBytesPerS >= 1 {
			left := float64(*safe) / c.WALBytesPerS
			c.RunwayS = &left
		}
	}
	return c, nil
}

// snapshotOf shows a snapshot with its rate and what is left, as far as the estimate of the table's rows tells.
func snapshotOf(j cdc.SnapshotJob, now time.Time) snapshotReport {
	r := snapshotReport{ID: j.ID, Table: j.Schema + "." + j.Table, Where: j.Where, Status: string(j.Status), Rows: j.Rows, Estimated: j.Estimated}
	if j.Started.IsZero() {
		return r
	}
	end := j.Completed
	if end.IsZero() {
		end = now
	}
	if took := end.Sub(j.Started).Seconds(); took > 0 {
		r.RowsPerS = float64(int64(float64(j.Rows) / took))
	}
	if j.Status == cdc.SnapshotRunning && r.RowsPerS > 0 && j.Estimated > j.Rows {
		left := float64(int64(float64(j.Estimated-j.Rows) / r.RowsPerS))
		r.LeftS = &left
	}
	return r
}
