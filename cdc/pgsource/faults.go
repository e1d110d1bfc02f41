package pgsource

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/internal/fault"
)

// Codes of the failures that the source names.
const (
	CodeUnreachable       = "source_unreachable"
	CodeAuth              = "source_auth_failed"
	CodeWALLevel          = "wal_level_not_logical"
	CodeReplicationRole   = "role_lacks_replication"
	CodeSelect            = "role_lacks_select"
	CodePublication       = "publication_missing"
	CodePublicationTable  = "publication_lacks_table"
	CodePublicationRights = "role_cannot_make_publication"
	CodeTablesMissing     = "tables_not_found"
	CodeVersion           = "server_too_old"
	CodeNoSlotsLeft       = "no_free_replication_slot"
	CodeSlotMissing       = "slot_missing"
	CodeSlotLost          = "slot_lost"
	CodeSlotAhead         = "slot_ahead"
	CodeSlotPlugin        = "slot_not_pgoutput"
	CodeSlotDatabase      = "slot_of_other_database"
	CodeSlotActive        = "slot_in_use"
	CodeOtherSystem       = "system_identifier_changed"
	CodeTimeline          = "timeline_changed"
	CodeTableLeft         = "table_left_publication"
	CodeSpillFull         = "spill_full"
	CodeSpillUnwritable   = "spill_unwritable"
	CodeRowTooLarge       = "row_too_large"
	CodeConfig            = "capture_config"
	CodeFailoverTooOld    = "failover_slot_unsupported"
	CodeStreamInterrupted = "stream_interrupted"
	CodeTableChanged      = "table_changed_while_loaded"
	CodeStreamSilent      = "stream_silent"
	CodeRowSecurity       = "row_security_hides_rows"
	CodeStandby           = "source_in_recovery"
)

// halt makes a failure that stops the capture, with what resolves it.
func halt(code, hint, format string, args ...any) *fault.Error {
	e := fault.New(fault.Halt, code, format, args...)
	e.Hint = hint
	return e
}

// tooLarge is a row that the server can never send, whoever asks. The context of the server's error tells where in the log it is.
func tooLarge(what string, pg *pgconn.PgError) error {
	where := ""
	if pg.Where != "" {
		where = " (" + strings.ReplaceAll(pg.Where, "\n", "; ") + ")"
	}
	return halt(CodeRowTooLarge, "go on behind the row and load the tables again with: nubridge accept-gap --reason TEXT",
		"%s: a row is larger than the server can send: %w%s", what, pg, where)
}

// unwritable is a spill folder that does not take what must be kept there, as on a full disk. The next session begins at the confirmed
// position and goes on once there is room.
func unwritable(what string, err error) error {
	e := fault.New(fault.Retry, CodeSpillUnwritable, "%s: %w", what, err)
	e.Hint = "make room in the folder capture.spill_dir, or set it to another one; the source keeps its log until then"
	return e
}

// classify turns an error of the server or the network into a fault.
func classify(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	wrap := func(kind fault.Kind, code, hint string) error {
		e := fault.New(kind, code, "%s: %w", what, err)
		e.Hint = hint
		return e
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "28000", "28P01", "3D000":
			return wrap(fault.Halt, CodeAuth, "check user, password and database of the source, and pg_hba.conf for this host")
		case "55006":
			return wrap(fault.Retry, CodeSlotActive, "another process reads this slot: stop it, or give each capture a slot of its own")
		case "53400":
			return wrap(fault.Halt, CodeNoSlotsLeft, "raise max_replication_slots and max_wal_senders on the source, or drop a slot that nobody uses")
		case "42501":
			return wrap(fault.Halt, CodeReplicationRole, "grant what the script in deploy/sql grants")
		case "42704":
			if strings.Contains(pg.Message, "publication") { // the log tells of a time when there was none
				return wrap(fault.Halt, CodePublication, gapHint)
			}
		case "54000":
			return tooLarge(what, pg)
		case "XX000":
			if strings.Contains(pg.Message, "memory alloc request size") {
				return tooLarge(what, pg)
			}
		case "57P01", "57P02", "57P03", "57014", "53300":
			return wrap(fault.Retry, CodeStreamInterrupted, "")
		}
		return wrap(fault.Retry, CodeStreamInterrupted, "")
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return wrap(fault.Retry, CodeUnreachable, "check host and port of the source and that the server runs")
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return wrap(fault.Retry, CodeStreamInterrupted, "")
	}
	return wrap(fault.Retry, CodeStreamInterrupted, "")
}
