package pgsource

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/fault"
)

// Finding is one thing that a check found.
type Finding struct {
	// OK tells that it is as it should be; otherwise Fatal tells whether the capture cannot run so.
	OK, Fatal bool
	// Kind is that of the failure which a fatal finding stands for: Retry passes by itself.
	Kind fault.Kind
	Code string
	// Text says what was found, Hint what to do.
	Text, Hint string
}

// Preflight looks at the source without changing it and gives the first reason why the capture cannot run, nil if there is
// none. Reasons of kind Retry pass by themselves: the source was not reached, or is a standby.
func Preflight(ctx context.Context, cfg Config) error {
	findings, err := Check(ctx, cfg)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if !f.OK && f.Fatal {
			e := fault.New(f.Kind, f.Code, "%s", f.Text)
			e.Hint = f.Hint
			return e
		}
	}
	return nil
}

// Check looks at the source without changing it and lists what it finds. The error tells that it could not look.
func Check(ctx context.Context, cfg Config) ([]Finding, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, halt(CodeConfig, "correct the capture section of the configuration", "capture: %w", err)
	}
	adm, err := connectAdmin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer adm.close(context.WithoutCancel(ctx))
	facts, err := adm.facts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	good := func(format string, args ...any) {
		out = append(out, Finding{OK: true, Text: fmt.Sprintf(format, args...)})
	}
	bad := func(err error) {
		f := Finding{Fatal: true, Kind: fault.KindOf(err), Code: fault.CodeOf(err), Text: err.Error()}
		if e, ok := errors.AsType[*fault.Error](err); ok {
			f.Text, f.Hint = e.Err.Error(), e.Hint
		}
		out = append(out, f)
	}
	for _, wrong := range serverFaults(facts) {
		bad(wrong)
	}
	if len(out) == 0 {
		good("PostgreSQL %d.%d, wal_level=logical, role %s may replicate", facts.version/10000, facts.version%10000, facts.user)
	}
	if err := adm.checkTables(ctx, facts, good, bad); err != nil {
		return out, err
	}
	slot, err := adm.slot(ctx, facts.version)
	if err != nil {
		return out, err
	}
	switch {
	case !slot.exists:
		var used, most int
		if err := adm.conn.QueryRow(ctx, "select (select count(*) from pg_replication_slots)::int, current_setting('max_replication_slots')::int").Scan(&used, &most); err != nil {
			return out, classify("count slots", err)
		}
		if used >= most {
			bad(halt(CodeNoSlotsLeft, "raise max_replication_slots, or drop a slot that nobody uses", "all %d replication slots are taken", most))
		} else {
			good("slot %s will be made (%d of %d taken)", cfg.Slot, used, most)
		}
	case slot.walStatus == "lost" || slot.cause != "":
		bad(halt(CodeSlotLost, "accept the gap and load the tables again with: nubridge accept-gap --reason TEXT", "slot %q was invalidated (%s %s)", cfg.Slot, slot.walStatus, slot.cause))
	default:
		good("slot %s at %s, wal_status %s", cfg.Slot, slot.confirmed, slot.walStatus)
	}
	return append(append(out, adm.advice(ctx)...), adm.identities(ctx)...), nil
}

// checkTables looks at tables, publication and rights.
func (a *admin) checkTables(ctx context.Context, facts serverFacts, good func(string, ...any), bad func(error)) error {
	tables, err := a.tables(ctx)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		bad(halt(CodeTablesMissing, "check the tables of the capture, and that the role may use their schema", "no table of the source matches"))
		return nil
	}
	pub, err := a.publication(ctx)
	if err != nil {
		return err
	}
	schemas := map[string]bool{}
	for _, t := range tables {
		if !t.usable && !schemas[t.Schema] {
			schemas[t.Schema] = true
			bad(halt(CodeSelect, "let its owner run: grant usage on schema "+pgx.Identifier{t.Schema}.Sanitize()+" to "+facts.user, "role %q may not use schema %s", facts.user, t.Schema))
		}
		if t.rowSecurity {
			bad(rowSecurityFault(t))
		}
		if !t.selectable {
			bad(halt(CodeSelect, "let its owner run: grant select on "+t.name()+" to "+facts.user, "role %q may not read %s.%s", facts.user, t.Schema, t.Table))
		}
		if !t.published && !t.owned {
			bad(halt(CodePublicationTable, "let its owner run: alter publication "+a.cfg.Publication+" add table "+t.name(),
				"%s.%s is not in publication %q and role %q does not own it", t.Schema, t.Table, a.cfg.Publication, facts.user))
		}
	}
	if !pub.exists && !facts.createOnDatabase && !facts.superuser {
		bad(halt(CodePublicationRights, "let an administrator make it: see the script in deploy/sql", "publication %q does not exist and role %q may not make it", a.cfg.Publication, facts.user))
	}
	good("%d tables match", len(tables))
	if pub.exists && !pub.complete() && !pub.owned {
		bad(halt(CodePublication, "let its owner run: alter publication "+a.cfg.Publication+" set (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)",
			"publication %q leaves changes out", a.cfg.Publication))
	}
	return nil
}

// advice lists settings that are allowed and unwise.
func (a *admin) advice(ctx context.Context) []Finding {
	var keep, timeout string
	if err := a.conn.QueryRow(ctx, "select current_setting('max_slot_wal_keep_size'), current_setting('wal_sender_timeout')").Scan(&keep, &timeout); err != nil {
		return nil
	}
	var out []Finding
	if keep == "-1" {
		out = append(out, Finding{
			Code: "wal_keep_unlimited", Text: "max_slot_wal_keep_size is not limited: a capture that stands still can fill the source's disk",
			Hint: "set max_slot_wal_keep_size to what the disk can spare",
		})
	}
	return out
}

// identities lists tables whose updates and deletes the source refuses once they are published, or of which the feed cannot
// tell the old key.
func (a *admin) identities(ctx context.Context) []Finding {
	tables, err := a.tables(ctx)
	if err != nil {
		return nil
	}
	var out []Finding
	for _, t := range tables {
		if !t.identified {
			why, sql := t.unidentified()
			out = append(out, Finding{
				Code: "no_replica_identity", Text: fmt.Sprintf("%s.%s %s: once it is published the source refuses updates and deletes of its rows", t.Schema, t.Table, why),
				Hint: "give it a primary key, or run: " + sql,
			})
		}
	}
	return out
}

// Table is a captured table and its topic.
type Table struct{ Schema, Table, Topic string }

// Tables lists what the capture would read now, with the topics that hold it.
func Tables(ctx context.Context, cfg Config) ([]Table, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, halt(CodeConfig, "correct the capture section of the configuration", "capture: %w", err)
	}
	adm, err := connectAdmin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer adm.close(context.WithoutCancel(ctx))
	found, err := adm.tables(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Table, 0, len(found))
	for _, t := range found {
		out = append(out, Table{t.Schema, t.Table, topicName(cfg.TopicPrefix, t.Schema, t.Table)})
	}
	return out, nil
}
