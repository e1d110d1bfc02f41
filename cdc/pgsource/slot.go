package pgsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/internal/fault"
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

// takeOver waits until nobody reads the slot. The session of an earlier run of this capture may outlive it: a process that was frozen,
// or a connection that was cut, holds the slot until the server's own timeout. Such a session is ended; a stranger's never. The capture
// reads alone by the ledger's lock, so that whoever was recorded as the reader before has no right to go on.
func (s *Source) takeOver(ctx context.Context, adm *admin, before string) error {
	const pardon, limit = time.Second, 10 * time.Second
	var pause patience
	ended := false
	for began := time.Now(); ; {
		pid, name, address, err := adm.reader(ctx)
		if err != nil || pid == 0 {
			return err
		}
		waited := time.Since(began)
		switch own := before != "" && name == readerName(s.cfg.Capture, before); {
		case waited < pardon:
		case !own || waited > limit:
			e := fault.New(fault.Retry, CodeSlotActive, "slot %q is read by process %d of the source, %q from %s", s.cfg.Slot, pid, name, address)
			e.Hint = "stop that reader, or give each capture a slot of its own"
			return e
		case !ended:
			s.deps.Log.Warn("the reader of an earlier run still holds the slot and is ended", "capture", s.cfg.Capture, "slot", s.cfg.Slot, "process", pid, "from", address)
			if _, err := adm.conn.Exec(ctx, "select pg_terminate_backend($1)", pid); err != nil {
				return classify("end the reader of an earlier run", err)
			}
			ended = true
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// reader tells who reads the slot; pid is zero if nobody does. Of other roles' sessions it may know the pid alone.
func (a *admin) reader(ctx context.Context) (pid int, name, address string, err error) {
	err = a.conn.QueryRow(ctx, `
		select s.active_pid, coalesce(p.application_name, ''), coalesce(host(p.client_addr), 'an unknown address')
		from pg_replication_slots s left join pg_stat_activity p on p.pid = s.active_pid where s.slot_name = $1 and s.active`, a.cfg.Slot).Scan(&pid, &name, &address)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", "", nil
	}
	return pid, name, address, classify("look up who reads the slot", err)
}

// readerName is how the session that reads the slot is called at the server, which takes 63 bytes.
func readerName(capture, reader string) string {
	return "nubridge " + capture[:min(len(capture), 40)] + " " + reader
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
