package pgsource

import (
	"context"
	"fmt"
	"time"

	"nubridge/cdc"
)

// SlotHealth is what the slot holds back on the source.
type SlotHealth struct {
	// Exists is false when there is no slot; the rest is zero then.
	Exists, Active bool
	// WALStatus is reserved, extended, unreserved or lost.
	WALStatus string
	// Retained is how much WAL the slot holds, Lag how much of it is not confirmed, both in bytes.
	Retained, Lag int64
	// Safe is how many bytes may still be written before the slot is lost, -1 without a limit.
	Safe int64
	// Runway is how long that lasts at the rate of writing between two calls; zero when unknown.
	Runway time.Duration
	// At and End serve the next call: when this was measured and where the log ended.
	At  time.Time
	End cdc.LSN
}

// Health measures the slot. before is the measure of an earlier call, from which the rate is taken; it may be zero.
func Health(ctx context.Context, cfg Config, before SlotHealth) (SlotHealth, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return SlotHealth{}, halt(CodeConfig, "correct the capture section of the configuration", "capture: %w", err)
	}
	adm, err := connectAdmin(ctx, cfg)
	if err != nil {
		return SlotHealth{}, err
	}
	defer adm.close(context.WithoutCancel(ctx))
	var h SlotHealth
	rows, err := adm.conn.Query(ctx, `
		select true, active, coalesce(wal_status, ''), coalesce(e - restart_lsn, 0)::bigint, coalesce(e - confirmed_flush_lsn, 0)::bigint,
		       coalesce(safe_wal_size, -1), clock_timestamp(), (e - '0/0')::bigint
		from pg_replication_slots, (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) as c(e)
		where slot_name = $1`, cfg.Slot)
	if err != nil {
		return h, classify("measure slot", err)
	}
	for rows.Next() {
		var end int64
		if err := rows.Scan(&h.Exists, &h.Active, &h.WALStatus, &h.Retained, &h.Lag, &h.Safe, &h.At, &end); err != nil {
			rows.Close()
			return h, classify("measure slot", err)
		}
		h.End = cdc.LSN(end)
	}
	if err := rows.Err(); err != nil {
		return h, classify("measure slot", err)
	}
	if passed := h.At.Sub(before.At); h.Safe > 0 && before.End > 0 && passed > 0 && h.End > before.End {
		rate := float64(h.End-before.End) / passed.Seconds()
		h.Runway = time.Duration(float64(h.Safe) / rate * float64(time.Second))
	}
	return h, nil
}

// slotFacts is what is known of the slot.
type slotFacts struct {
	exists                             bool
	plugin, database, walStatus, cause string
	confirmed, restart                 cdc.LSN
	active, failover, synced           bool
	safeWAL                            int64
}

// slot looks the slot up; columns that a server is too old for are read as their defaults.
func (a *admin) slot(ctx context.Context, version int) (slotFacts, error) {
	var s slotFacts
	extra := "false, false, ''"
	if version >= 170000 {
		extra = "failover, synced, coalesce(invalidation_reason, '')"
	} else if version >= 160000 {
		extra = "false, false, case when conflicting then 'conflicting' else '' end"
	}
	rows, err := a.conn.Query(ctx, `
		select true, coalesce(plugin, ''), coalesce(database, ''), coalesce(wal_status, ''), coalesce(confirmed_flush_lsn, '0/0') - '0/0',
		       coalesce(restart_lsn, '0/0') - '0/0', active, coalesce(safe_wal_size, -1), `+extra+`
		from pg_replication_slots where slot_name = $1`, a.cfg.Slot)
	if err != nil {
		return s, classify("look up slot", err)
	}
	for rows.Next() {
		if err := rows.Scan(&s.exists, &s.plugin, &s.database, &s.walStatus, &s.confirmed, &s.restart, &s.active, &s.safeWAL, &s.failover, &s.synced, &s.cause); err != nil {
			rows.Close()
			return s, classify("look up slot", err)
		}
	}
	return s, classify("look up slot", rows.Err())
}

// createSlot makes the slot; it blocks until transactions that run now have ended. It gives where the stream begins.
func (a *admin) createSlot(ctx context.Context, version int) (cdc.LSN, error) {
	sql := "select lsn - '0/0' from pg_create_logical_replication_slot($1, 'pgoutput', false)"
	if a.cfg.FailoverSlot {
		if version < 170000 {
			return 0, halt(CodeFailoverTooOld, "turn the failover slot off, or use PostgreSQL 17 or newer", "the server cannot make failover slots")
		}
		sql = "select lsn - '0/0' from pg_create_logical_replication_slot($1, 'pgoutput', false, false, true)"
	}
	var lsn cdc.LSN
	if err := a.conn.QueryRow(ctx, sql, a.cfg.Slot).Scan(&lsn); err != nil {
		return 0, classify(fmt.Sprintf("create slot %q", a.cfg.Slot), err)
	}
	return lsn, nil
}
