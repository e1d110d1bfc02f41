package pgsource

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// admin is the ordinary SQL connection beside the replication connection. One goroutine uses it at a time.
type admin struct {
	conn *pgx.Conn
	cfg  Config
}

// serverFacts is what the server says of itself and of the role.
type serverFacts struct {
	version                    int // such as 170004
	walLevel, database, system string
	timeline                   uint32
	superuser, replication     bool
	createOnDatabase           bool
	user                       string
	recovery                   bool
}

// connectAdmin opens an SQL connection whose session prints values in the forms the encoders expect.
func connectAdmin(ctx context.Context, cfg Config) (*admin, error) {
	cc, err := pgx.ParseConfig(cfg.DatabaseURL)
	if err != nil {
		// The parser's own text may repeat parts of the URL. // I11
		return nil, halt(CodeConfig, "expected a URL such as postgres://user@host:5432/db", "the database URL of the source cannot be parsed")
	}
	for k, v := range sessionSettings() {
		cc.RuntimeParams[k] = v
	}
	cc.RuntimeParams["application_name"] = "nubridge " + cfg.Capture
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, classify("connect to the source", err)
	}
	return &admin{conn: conn, cfg: cfg}, nil
}

// sessionSettings fix how the server prints values.
func sessionSettings() map[string]string {
	return map[string]string{
		"client_encoding": "UTF8", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "TimeZone": "UTC",
		"extra_float_digits": "1", "bytea_output": "hex", "lc_monetary": "C",
	}
}

func (a *admin) close(ctx context.Context) { _ = a.conn.Close(ctx) }

// facts asks the server about itself.
func (a *admin) facts(ctx context.Context) (serverFacts, error) {
	var f serverFacts
	err := a.conn.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('wal_level'), current_database(), r.rolsuper,
		       r.rolreplication, has_database_privilege(current_database(), 'create'), current_user, pg_is_in_recovery()
		from pg_roles r where r.rolname = current_user`).
		Scan(&f.version, &f.walLevel, &f.database, &f.superuser, &f.replication, &f.createOnDatabase, &f.user, &f.recovery)
	if err != nil {
		return f, classify("ask the source about itself", err)
	}
	return f, nil
}

// tableFacts is a table that matches the configuration.
type tableFacts struct {
	cdc.CapturedTable
	partitioned, published, owned, selectable bool
	keyed                                     bool
	estimate                                  int64
}

// name quotes the table for SQL.
func (t tableFacts) name() string { return pgx.Identifier{t.Schema, t.Table}.Sanitize() }

// matches tells whether a table is captured by the patterns.
func (c Config) matches(schema, table string) bool {
	in := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			s, t, _ := strings.Cut(p, ".")
			return s == schema && (t == "*" || t == table)
		})
	}
	return in(c.Tables) && !in(c.Exclude)
}

// tables lists the tables that match, without partitions, whose changes go through their root.
func (a *admin) tables(ctx context.Context) ([]tableFacts, error) {
	var schemas []string
	for _, p := range a.cfg.Tables {
		s, _, _ := strings.Cut(p, ".")
		schemas = append(schemas, s)
	}
	rows, err := a.conn.Query(ctx, `
		select c.oid, n.nspname, c.relname, c.relreplident::text, c.relkind = 'p',
		       exists (select from pg_publication_tables p where p.pubname = $2 and p.schemaname = n.nspname and p.tablename = c.relname)
		       or exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = $2 and r.prrelid = c.oid),
		       pg_has_role(current_user, c.relowner, 'usage'), has_table_privilege(c.oid, 'select'),
		       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary),
		       greatest(c.reltuples, 0)::bigint
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = any($1) and c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition
		order by n.nspname, c.relname`, schemas, a.cfg.Publication)
	if err != nil {
		return nil, classify("list tables", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tableFacts, error) {
		var t tableFacts
		err := row.Scan(&t.OID, &t.Schema, &t.Table, &t.Identity, &t.partitioned, &t.published, &t.owned, &t.selectable, &t.keyed, &t.estimate)
		return t, err
	})
	if err != nil {
		return nil, classify("list tables", err)
	}
	return slices.DeleteFunc(all, func(t tableFacts) bool { return !a.cfg.matches(t.Schema, t.Table) }), nil
}

// publicationFacts is what is known of the publication.
type publicationFacts struct {
	exists, allTables, viaRoot, owned  bool
	insert, update, delete_, truncates bool
}

func (a *admin) publication(ctx context.Context) (publicationFacts, error) {
	var p publicationFacts
	rows, err := a.conn.Query(ctx, `
		select true, puballtables, pubviaroot, pg_has_role(current_user, pubowner, 'usage'), pubinsert, pubupdate, pubdelete, pubtruncate
		from pg_publication where pubname = $1`, a.cfg.Publication)
	if err != nil {
		return p, classify("look up publication", err)
	}
	for rows.Next() {
		if err := rows.Scan(&p.exists, &p.allTables, &p.viaRoot, &p.owned, &p.insert, &p.update, &p.delete_, &p.truncates); err != nil {
			rows.Close()
			return p, classify("look up publication", err)
		}
	}
	return p, classify("look up publication", rows.Err())
}

// ensurePublication makes the publication hold all tables; it gives what is captured then. Where the role may not add a table,
// it refuses at the first start; later on the table is left out, since nothing of it was ever captured.
func (a *admin) ensurePublication(ctx context.Context, first bool, log *slog.Logger) ([]tableFacts, error) {
	tables, err := a.tables(ctx)
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, halt(CodeTablesMissing, "check the tables of the capture, and that the role may use their schema",
			"no table of the source matches %s", strings.Join(a.cfg.Tables, ", "))
	}
	pub, err := a.publication(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	for i := range tables {
		if !tables[i].selectable && a.cfg.Snapshot != SnapshotNever && first {
			return nil, halt(CodeSelect, "let its owner run: grant select on "+tables[i].name()+" to the role of the capture",
				"the role may not read %s.%s, which the first load needs", tables[i].Schema, tables[i].Table)
		}
		if !tables[i].published {
			missing = append(missing, tables[i].name())
		}
	}
	name := pgx.Identifier{a.cfg.Publication}.Sanitize()
	var sql, code string
	switch {
	case !pub.exists:
		code = CodePublicationRights
		sql = "create publication " + name + " for table " + strings.Join(missing, ", ") + " with (publish_via_partition_root = true)"
	case !pub.insert || !pub.update || !pub.delete_ || !pub.truncates || !pub.viaRoot:
		code = CodePublication
		sql = "alter publication " + name + " set (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)"
		if len(missing) > 0 {
			sql += "; alter publication " + name + " add table " + strings.Join(missing, ", ")
		}
	case len(missing) > 0:
		code = CodePublicationTable
		sql = "alter publication " + name + " add table " + strings.Join(missing, ", ")
	default:
		return tables, nil
	}
	if _, err := a.conn.Exec(ctx, sql); err != nil {
		if code == CodePublicationTable && !first {
			log.Warn("new tables are left out: the role may not add them to the publication", "sql", sql)
			return slices.DeleteFunc(tables, func(t tableFacts) bool { return !t.published }), nil
		}
		e := fault.New(fault.Halt, code, "publication %q cannot be made to hold the tables of the capture: %w", a.cfg.Publication, err)
		e.Hint = "let the owner of the tables run: " + sql
		return nil, e
	}
	return tables, nil
}

// stillPublished refuses when a table that was captured is no longer in the publication: its changes are missing since. // I8
func (a *admin) stillPublished(ctx context.Context, known []cdc.CapturedTable) error {
	tables, err := a.tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if !t.published && slices.ContainsFunc(known, func(k cdc.CapturedTable) bool { return k.OID == t.OID }) {
			return halt(CodeTableLeft, gapHint, "%s.%s was captured and is no longer in publication %q: changes since then are not in the feed", t.Schema, t.Table, a.cfg.Publication)
		}
	}
	return nil
}

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
