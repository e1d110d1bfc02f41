package pgsource

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// prepare checks the server and makes publication and slot, in this order.
func (s *Source) prepare(ctx context.Context, adm *admin) (begin, error) {
	var b begin
	var err error
	if b.facts, err = adm.facts(ctx); err != nil {
		return b, err
	}
	if wrong := serverFaults(b.facts); len(wrong) > 0 {
		return b, wrong[0]
	}
	stored, err := s.deps.Store.LoadCapture(ctx, s.cfg.Capture)
	if err != nil {
		return b, fmt.Errorf("load the state of capture %q: %w", s.cfg.Capture, err)
	}
	if stored != nil {
		b.accept = stored.AcceptGap
		if s.cfg.AcceptGap != stored.GapReason { // a reason serves once
			b.accept = cmp.Or(b.accept, s.cfg.AcceptGap)
		}
	}
	if stored != nil && b.accept == "" {
		if err := adm.stillPublished(ctx, stored.Tables); err != nil {
			return b, err
		}
	}
	before, err := adm.publication(ctx)
	if err != nil {
		return b, err
	}
	if b.tables, err = adm.ensurePublication(ctx, stored == nil || b.accept != "", s.deps.Log); err != nil {
		return b, err
	}
	if b.slot, err = adm.slot(ctx, b.facts.version); err != nil {
		return b, err
	}
	if b.slot.active {
		if err := s.takeOver(ctx, adm, readerOf(stored)); err != nil {
			return b, err
		}
		if b.slot, err = adm.slot(ctx, b.facts.version); err != nil { // it may have moved before it ended
			return b, err
		}
	}
	b.fresh = stored == nil
	if stored != nil {
		b.state = *stored
	}
	switch {
	case !b.slot.exists && stored != nil && b.accept == "":
		return b, halt(CodeSlotMissing, gapHint, "slot %q is gone although position %s was recorded: changes since then are not in the feed",
			s.cfg.Slot, stored.Last)
	case b.slot.exists && b.slot.plugin != "pgoutput":
		return b, halt(CodeSlotPlugin, "choose another slot name", "slot %q uses the plugin %q, expected pgoutput", s.cfg.Slot, b.slot.plugin)
	case b.slot.exists && b.slot.database != b.facts.database:
		return b, halt(CodeSlotDatabase, "choose another slot name", "slot %q belongs to database %q, not to %q", s.cfg.Slot, b.slot.database, b.facts.database)
	case b.slot.exists && b.accept != "" && stored != nil && (b.slot.dropped() || !before.exists): // the log before a publication knows nothing of it
		if _, err := adm.conn.Exec(ctx, "select pg_drop_replication_slot($1)", s.cfg.Slot); err != nil {
			return b, classify("drop the slot", err)
		}
		b.slot.exists = false
	case b.slot.exists && b.slot.dropped():
		return b, halt(CodeSlotLost, gapHint, "slot %q was invalidated by the server (%s)", s.cfg.Slot,
			strings.TrimSpace(b.slot.walStatus+" "+b.slot.cause))
	}
	if b.slot.exists {
		return b, nil
	}
	s.deps.Log.Info("making slot", "slot", s.cfg.Slot, "note", "waits for transactions that run now")
	if b.slot.confirmed, err = adm.createSlot(ctx, b.facts.version); err != nil {
		return b, err
	}
	b.slot.exists, b.slot.failover = true, s.cfg.FailoverSlot
	return b, nil
}

func readerOf(stored *cdc.CaptureState) string {
	if stored == nil {
		return ""
	}
	return stored.Reader
}

// gapHint names the command that resolves a gap.
const gapHint = "accept the gap and load the tables again with: nubridge accept-gap --reason TEXT"

// serverFaults lists why a server or a role cannot do.
func serverFaults(f serverFacts) []error {
	var wrong []error
	if f.recovery {
		e := fault.New(fault.Retry, CodeStandby, "the source is a standby: the capture reads a primary and waits until it is one")
		e.Hint = "point the source at the primary"
		wrong = append(wrong, e)
	}
	if f.version < 140000 {
		wrong = append(wrong, halt(CodeVersion, "use PostgreSQL 14 or newer", "the source is PostgreSQL %d", f.version/10000))
	}
	if f.walLevel != "logical" {
		wrong = append(wrong, halt(CodeWALLevel, "run: alter system set wal_level = logical; then restart the server",
			"the source has wal_level=%s, expected logical", f.walLevel))
	}
	if !f.replication && !f.superuser {
		wrong = append(wrong, halt(CodeReplicationRole, "run as a superuser: alter role "+f.user+" replication",
			"role %q lacks the attribute REPLICATION", f.user))
	}
	return wrong
}

// verify compares what was recorded with what the server says, decides on the epoch, and stores the result. // I8
func (s *Source) verify(ctx context.Context, adm *admin, conn *pgconn.PgConn, b begin, sys pglogrepl.IdentifySystemResult) (begin, error) {
	b.facts.system, b.facts.timeline = sys.SystemID, uint32(sys.Timeline)
	st := &b.state
	accepted := b.accept != "" && !b.fresh
	if b.fresh {
		// Topics may hold what another ledger or another server published: its LSNs say nothing about ours. // I8
		st.Epoch, st.Through = s.deps.Published.Epoch+1, b.slot.confirmed
	} else {
		if err := s.compare(ctx, conn, &b, accepted); err != nil {
			return b, err
		}
		s.tellChanged(&b)
	}
	if accepted {
		st.Epoch = max(st.Epoch, s.deps.Published.Epoch) + 1
		st.Through, st.GapReason, st.AcceptGap = b.slot.confirmed, b.accept, ""
		b.fresh = true // every table is loaded again
		s.deps.Log.Warn("gap accepted", "capture", s.cfg.Capture, "reason", b.accept, "epoch", st.Epoch)
	}
	st.SystemID, st.Timeline, st.Slot, st.Publication = sys.SystemID, uint32(sys.Timeline), s.cfg.Slot, s.cfg.Publication
	st.Reader = s.reader // before the slot is read, and after nobody else did
	known := st.Tables
	st.Tables = nil
	for _, t := range b.tables {
		st.Tables = append(st.Tables, t.CapturedTable)
	}
	if err := s.planSnapshots(ctx, b, known); err != nil {
		return b, err
	}
	if err := s.deps.Store.SaveCapture(ctx, s.cfg.Capture, *st); err != nil {
		return b, fmt.Errorf("store the state of capture %q: %w", s.cfg.Capture, err)
	}
	return b, nil
}

// compare finds discontinuities between the recorded state and the server.
func (s *Source) compare(ctx context.Context, conn *pgconn.PgConn, b *begin, accepted bool) error {
	st, sys := &b.state, b.facts
	if accepted {
		return nil
	}
	if st.SystemID != sys.system {
		return halt(CodeOtherSystem, "point the capture at the server it was made for; or "+gapHint,
			"the source's system identifier is %s, recorded was %s: this is another server", sys.system, st.SystemID)
	}
	if b.slot.confirmed > st.Through {
		return halt(CodeSlotAhead, gapHint, "slot %q stands at %s, ahead of the recorded position %s: changes in between are lost to the feed",
			s.cfg.Slot, b.slot.confirmed, st.Through)
	}
	if st.Timeline != sys.timeline {
		if err := s.crossTimeline(ctx, conn, b); err != nil {
			return err
		}
		st.Epoch++
	}
	return nil
}

// tellChanged warns of tables that are gone or have another replica identity.
func (s *Source) tellChanged(b *begin) {
	st := &b.state
	for _, k := range st.Tables {
		if !s.cfg.matches(k.Schema, k.Table) {
			continue
		}
		found := false
		for _, t := range b.tables {
			found = found || t.Schema == k.Schema && t.Table == k.Table
		}
		if !found {
			s.deps.Log.Warn("table is gone from the source", "table", k.Schema+"."+k.Table)
		}
	}
	for _, t := range b.tables {
		for _, k := range st.Tables {
			if k.OID == t.OID && k.Identity != t.Identity {
				s.deps.Log.Warn("replica identity changed", "table", t.Schema+"."+t.Table, "from", k.Identity, "to", t.Identity)
			}
		}
	}
}

// crossTimeline decides whether the feed may go on over a failover: only with a slot that was synced, and only when the
// switch is not before what was published. // I8
func (s *Source) crossTimeline(ctx context.Context, conn *pgconn.PgConn, b *begin) error {
	var highest cdc.LSN // of what is in the feed; what was confirmed behind it held nothing
	for _, p := range []cdc.Position{b.state.Last, s.deps.Published} {
		if p.Epoch == b.state.Epoch {
			highest = max(highest, p.Commit)
		}
	}
	history, err := pglogrepl.TimelineHistory(ctx, conn, int32(b.facts.timeline))
	if err != nil {
		return classify("read the timeline history", err)
	}
	at, ok := switchPoint(history.Content, b.state.Timeline)
	switch {
	case !ok:
		return halt(CodeTimeline, gapHint, "the source is on timeline %d, which does not descend from the recorded timeline %d", b.facts.timeline, b.state.Timeline)
	case at <= highest && highest > 0: // the commit record of the last begins there
		return halt(CodeTimeline, gapHint, "the source left timeline %d at %s, before the published position %s: the feed holds changes that the source no longer has",
			b.state.Timeline, at, highest)
	case !b.slot.synced && !b.slot.failover:
		return halt(CodeTimeline, gapHint, "the source went from timeline %d to %d and slot %q was not a failover slot: changes around the switch may be missing",
			b.state.Timeline, b.facts.timeline, s.cfg.Slot)
	}
	b.state.Through = min(b.state.Through, at) // the new timeline writes these places anew
	s.deps.Log.Warn("the source failed over", "from_timeline", b.state.Timeline, "to_timeline", b.facts.timeline, "switch", at.String())
	return nil
}

// switchPoint finds where a timeline was left, in the text of a timeline history file.
func switchPoint(history []byte, timeline uint32) (cdc.LSN, bool) {
	for line := range bytes.Lines(history) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		id, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil || uint32(id) != timeline {
			continue
		}
		lsn, err := cdc.ParseLSN(fields[1])
		return lsn, err == nil
	}
	return 0, false
}
