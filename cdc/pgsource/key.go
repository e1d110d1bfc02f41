package pgsource

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
)

// keyAt gives the key of a relation that the log describes at a place. The log alone does not tell it under every replica identity, and
// the catalog is of now: a key's column may have another name by now, and the table may be gone. Then the key is the one that the schema
// history knows of these very columns, or its columns are found by their places.
func (c *catalog) keyAt(ctx context.Context, w wireRelation, at cdc.LSN) ([]string, error) {
	names, err := c.keyOf(ctx, w.id)
	if err != nil || w.has(names) && len(names) > 0 {
		return names, err
	}
	live, err := c.columnsOf(ctx, w.id)
	if err != nil || len(names) == 0 && len(live) > 0 {
		return nil, err // it has no key
	}
	if c.pastKey != nil {
		known, err := c.pastKey(ctx, w, at)
		if err != nil || len(known) > 0 && w.has(known) {
			return known, err
		}
	}
	for i, n := range names {
		names[i] = w.formerly(n, live)
	}
	return names, nil
}

// catalogColumn is a column as the catalog has it now.
type catalogColumn struct {
	Name   string
	Type   uint32
	Always bool // it was in the log for as long as it is there: it is neither dropped nor generated
}

// formerly gives the name that a column had when the log described the relation: a column keeps its place among the others. Where it is
// not certain, the name stays.
func (w wireRelation) formerly(name string, live []catalogColumn) string {
	at := slices.IndexFunc(live, func(c catalogColumn) bool { return c.Name == name })
	if at < 0 || w.has([]string{name}) {
		return name
	}
	first := 0
	for _, c := range live[:at] {
		if c.Always {
			first++
		}
	}
	var found []string
	for i := first; i <= at && i < len(w.columns); i++ {
		c := w.columns[i]
		if c.typeID == live[at].Type && !slices.ContainsFunc(live, func(l catalogColumn) bool { return l.Name == c.name }) {
			found = append(found, c.name)
		}
	}
	if len(found) != 1 {
		return name
	}
	return found[0]
}

// names gives the names of the relation's columns.
func (w wireRelation) names() []string {
	names := make([]string, len(w.columns))
	for i, c := range w.columns {
		names[i] = c.name
	}
	return names
}

// has tells whether the relation has all these columns.
func (w wireRelation) has(names []string) bool {
	have := w.names()
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(have, n) })
}

// columnsOf lists the columns of a table, dropped ones too; none if it is gone.
func (c *catalog) columnsOf(ctx context.Context, relation uint32) ([]catalogColumn, error) {
	rows, err := c.adm.conn.Query(ctx, "select attname, atttypid, not attisdropped and attgenerated = '' from pg_attribute where attrelid = $1 and attnum > 0 order by attnum", relation)
	if err != nil {
		return nil, classify("look up columns", err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[catalogColumn])
	return columns, classify("look up columns", err)
}
