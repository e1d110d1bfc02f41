package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/internal/fault"
)

// Gap compares what was recorded of a capture with its source and changes nothing. It gives the discontinuity that stops the
// capture, nil if there is none; the second error tells that it could not look. // I8
func Gap(ctx context.Context, cfg Config, deps Deps) (gap, failed error) {
	s, err := New(cfg, deps)
	if err != nil {
		return nil, err
	}
	adm, err := connectAdmin(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	defer adm.close(context.WithoutCancel(ctx))
	var b begin
	if b.facts, err = adm.facts(ctx); err != nil {
		return nil, err
	}
	stored, err := deps.Store.LoadCapture(ctx, s.cfg.Capture)
	if err != nil {
		return nil, fmt.Errorf("load the state of capture %q: %w", s.cfg.Capture, err)
	}
	if b.slot, err = adm.slot(ctx, b.facts.version); err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, nil
	}
	b.state = *stored
	conn, _, err := s.connectReplication(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	system, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		return nil, classify("identify the source", err)
	}
	b.facts.system, b.facts.timeline = system.SystemID, uint32(system.Timeline)
	switch {
	case stored.SystemID != system.SystemID: // on another server, all else is otherwise too
	case !b.slot.exists:
		return halt(CodeSlotMissing, "", "slot %q is gone although position %s was recorded", s.cfg.Slot, stored.Last), nil
	case b.slot.dropped():
		return halt(CodeSlotLost, "", "slot %q was invalidated by the server (%s)", s.cfg.Slot, strings.TrimSpace(b.slot.walStatus+" "+b.slot.cause)), nil
	}
	if gap := s.compare(ctx, conn, &b, false); gap != nil {
		return gap, nil
	}
	return carried(adm.stillCarried(ctx, stored.Tables))
}

// carried tells a gap from a look at the publication that failed.
func carried(err error) (gap, failed error) {
	if fault.KindOf(err) == fault.Halt && slices.Contains([]string{CodeTableLeft, CodePublication}, fault.CodeOf(err)) {
		return err, nil
	}
	return nil, err
}

// DropLost drops the slot if the server has invalidated it, so that the next start makes a new one. A slot that still keeps its log
// is left alone.
func DropLost(ctx context.Context, cfg Config) error {
	return drop(ctx, cfg, slotFacts.dropped)
}

// DropSlot drops the slot with all that it keeps, so that the next start makes a new one where the log ends then. It is for a place
// in the log that cannot be passed; a slot that is being read stays. A session that has just ended may read it for a moment longer: that
// is waited for, ten seconds at most.
func DropSlot(ctx context.Context, cfg Config) error {
	return drop(ctx, cfg, func(slotFacts) bool { return true })
}

func drop(ctx context.Context, cfg Config, which func(slotFacts) bool) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return halt(CodeConfig, "correct the capture section of the configuration", "capture: %w", err)
	}
	adm, err := connectAdmin(ctx, cfg)
	if err != nil {
		return err
	}
	defer adm.close(context.WithoutCancel(ctx))
	facts, err := adm.facts(ctx)
	if err != nil {
		return err
	}
	slot, err := adm.slot(ctx, facts.version)
	if err != nil || !slot.exists || !which(slot) {
		return err
	}
	return classify("drop the slot", adm.dropIdle(ctx, cfg.Slot))
}

// dropWait is how long a slot may still be read before it is dropped, dropAgain how soon it is looked again.
const (
	dropWait  = 10 * time.Second
	dropAgain = 50 * time.Millisecond
)

// dropIdle drops a slot once nobody reads it.
func (a *admin) dropIdle(ctx context.Context, slot string) error {
	for until := time.Now().Add(dropWait); ; {
		_, err := a.conn.Exec(ctx, "select pg_drop_replication_slot($1)", slot)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "55006" || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(dropAgain):
		}
	}
}

// dropped tells that the server no longer keeps the slot's log.
func (f slotFacts) dropped() bool { return f.walStatus == "lost" || f.cause != "" }
