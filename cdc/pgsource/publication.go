package pgsource

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// tableFacts is a table that matches the configuration.
type tableFacts struct {
	cdc.CapturedTable
	partitioned, published, owned, selectable bool
	usable                                    bool // its schema is
	rowSecurity                               bool // the role would see a part of the rows
	identified                                bool // updates and deletes can be published
	estimate                                  int64
}

// name quotes the table for SQL.
func (t tableFacts) name() string { return pgx.Identifier{t.Schema, t.Table}.Sanitize() }

// unidentified says why the source refuses updates and deletes of the table's rows once it is published, and the SQL that mends it.
func (t tableFacts) unidentified() (why, sql string) {
	if t.Identity == "f" {
		return "has replica identity full and a generated column that is not published", "alter table " + t.name() + " replica identity default"
	}
	return "has no replica identity", "alter table " + t.name() + " replica identity full"
}

// matches tells whether a table is captured by the patterns.
func (c Config) matches(schema, table string) bool {
	in := func(patterns []string) bool {
		return slices.Contains(patterns, schema+".*") || slices.Contains(patterns, schema+"."+table)
	}
	return in(c.Tables) && !in(c.Exclude)
}

// tables lists the tables that match, without partitions, whose changes go through their root.
func (a *admin) tables(ctx context.Context) ([]tableFacts, error) {
	rows, err := a.conn.Query(ctx, `
		select c.oid, n.nspname, c.relname, c.relreplident::text, c.relkind = 'p', `+a.membersSQL()+`, `+a.restrictionSQL()+`,
		       pg_has_role(current_user, c.relowner, 'usage'), has_table_privilege(c.oid, 'select'), has_schema_privilege(n.oid, 'usage'),
		       c.relrowsecurity and not (r.rolsuper or r.rolbypassrls or not c.relforcerowsecurity and pg_has_role(current_user, c.relowner, 'usage')),
		       case c.relreplident when 'f' then not `+a.generatedSQL()+` when 'n' then false when 'd' then exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
		           else exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident) end,
		       greatest(c.reltuples, 0)::bigint
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.rolname = current_user
		where (n.nspname || '.*' = any($1) or n.nspname || '.' || c.relname = any($1)) and c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition
		order by n.nspname, c.relname`, a.cfg.Tables, a.cfg.Publication)
	if err != nil {
		return nil, classify("list tables", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tableFacts, error) {
		var t tableFacts
		err := row.Scan(&t.OID, &t.Schema, &t.Table, &t.Identity, &t.partitioned, &t.Members, &t.Restriction, &t.owned, &t.selectable, &t.usable, &t.rowSecurity, &t.identified, &t.estimate)
		t.published = len(t.Members) > 0
		return t, err
	})
	if err != nil {
		return nil, classify("list tables", err)
	}
	return slices.DeleteFunc(all, func(t tableFacts) bool { return !a.cfg.matches(t.Schema, t.Table) }), nil
}

// membersSQL gives by which entries of the catalog a table is in the publication: an entry that was removed and made again is
// another one.
func (a *admin) membersSQL() string {
	sql := `array(select r.oid::bigint from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = $2 and r.prrelid = c.oid
		union all select p.oid::bigint from pg_publication p where p.pubname = $2 and p.puballtables`
	if a.version >= 150000 {
		sql += ` union all select s.oid::bigint from pg_publication_namespace s join pg_publication p on p.oid = s.pnpubid where p.pubname = $2 and s.pnnspid = n.oid`
	}
	return sql + ` order by 1)`
}

// generatedSQL tells whether a table has a generated column that the publication does not carry: with replica identity full the source
// refuses updates and deletes then, from 18 on.
func (a *admin) generatedSQL() string {
	if a.version < 180000 {
		return "false"
	}
	return `exists (select from pg_attribute g where g.attrelid = c.oid and not g.attisdropped and (g.attgenerated = 'v' or g.attgenerated = 's'
		and not exists (select from pg_publication p where p.pubname = $2 and p.pubgencols = 's')))`
}

// restrictionSQL gives the rows and columns to which the publication restricts a table, as text; empty if it does not.
func (a *admin) restrictionSQL() string {
	if a.version < 150000 {
		return "''"
	}
	return `coalesce((select trim(coalesce('columns ' || (select string_agg(quote_ident(t.attname), ', ' order by t.attnum) from pg_attribute t where t.attrelid = c.oid and t.attnum = any(r.prattrs::int2[])), '')
		|| coalesce(' where ' || pg_get_expr(r.prqual, r.prrelid), '')) from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = $2 and r.prrelid = c.oid), '')`
}

// publicationFacts is what is known of the publication.
type publicationFacts struct {
	exists, allTables, viaRoot, owned  bool
	insert, update, delete_, truncates bool
}

// complete tells whether the publication carries all that the feed is made of.
func (p publicationFacts) complete() bool {
	return p.insert && p.update && p.delete_ && p.truncates && p.viaRoot
}

// rowSecurityFault refuses a table of which the role would see a part.
func rowSecurityFault(t tableFacts) error {
	return halt(CodeRowSecurity, "run as a superuser: alter role ... bypassrls; or let the owner run: alter table "+t.name()+" disable row level security",
		"row security hides rows of %s.%s from the role of the capture: its load would miss them", t.Schema, t.Table)
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
	if !first && pub.exists && !pub.complete() {
		return nil, a.incomplete()
	}
	var missing []string
	for i := range tables {
		if t := &tables[i]; t.rowSecurity && a.cfg.Snapshot != SnapshotNever && first {
			return nil, rowSecurityFault(*t)
		}
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
	case !pub.complete():
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
	for _, t := range tables {
		if !t.published && !t.identified {
			why, sql := t.unidentified()
			log.Warn("a table joins the publication and the source refuses updates and deletes of its rows from now on", "table", t.Schema+"."+t.Table, "cause", "it "+why, "sql", sql)
		}
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
	return a.tables(ctx)
}

func (a *admin) incomplete() error {
	return halt(CodePublication, gapHint, "publication %q was changed: it no longer carries inserts, updates, deletes and truncates through the root of partitions; what it left out since then is not in the feed", a.cfg.Publication)
}

// stillCarried refuses when the publication does not carry all that it carried when the capture was recorded. // I8
func (a *admin) stillCarried(ctx context.Context, known []cdc.CapturedTable) error {
	if err := a.stillPublished(ctx, known); err != nil {
		return err
	}
	pub, err := a.publication(ctx)
	if err == nil && pub.exists && !pub.complete() {
		return a.incomplete()
	}
	return err
}

// stillPublished refuses when a table that was captured is no longer in the publication, or was out of it for a while: its
// changes of that time are missing. // I8
func (a *admin) stillPublished(ctx context.Context, known []cdc.CapturedTable) error {
	tables, err := a.tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		at := slices.IndexFunc(known, func(k cdc.CapturedTable) bool { return k.OID == t.OID })
		switch {
		case at < 0:
		case !t.published:
			return halt(CodeTableLeft, gapHint, "%s.%s was captured and is no longer in publication %q: changes since then are not in the feed", t.Schema, t.Table, a.cfg.Publication)
		case len(known[at].Members) > 0 && !slices.ContainsFunc(known[at].Members, func(m int64) bool { return slices.Contains(t.Members, m) }):
			return halt(CodeTableLeft, gapHint, "%s.%s was taken out of publication %q and put in again: changes in between are not in the feed", t.Schema, t.Table, a.cfg.Publication)
		}
	}
	return nil
}
