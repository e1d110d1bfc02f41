package pgsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pglogrepl"
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
	return s.compare(ctx, conn, &b, false), nil
}

// DropLost drops the slot if the server has invalidated it, so that the next start makes a new one. A slot that still keeps its log
// is left alone.
func DropLost(ctx context.Context, cfg Config) error {
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
	if err != nil || !slot.exists || !slot.dropped() {
		return err
	}
	_, err = adm.conn.Exec(ctx, "select pg_drop_replication_slot($1)", cfg.Slot)
	return classify("drop the lost slot", err)
}

// dropped tells that the server no longer keeps the slot's log.
func (f slotFacts) dropped() bool { return f.walStatus == "lost" || f.cause != "" }
