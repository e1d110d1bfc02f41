package documents

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/mapper"
)

func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// Altered counts what a change of the mapping would do to the documents of one flow.
type Altered struct {
	Flow mapper.Flow
	// Documents were looked at; Changed give another body, Filtered are selected no more, Selected are selected newly, and Parked
	// break a rule newly.
	Documents, Changed, Filtered, Selected, Parked int
}

// Total counts the documents that the change would alter.
func (a Altered) Total() int { return a.Changed + a.Filtered + a.Selected + a.Parked }

// String gives the counts as they are printed.
func (a Altered) String() string {
	return fmt.Sprintf("%s: %d of %d documents altered (%d changed, %d no longer selected, %d newly selected, %d newly parked)",
		a.Flow, a.Total(), a.Documents, a.Changed, a.Filtered, a.Selected, a.Parked)
}

// Plan compares what two mappings make of the documents that keys names, batch by batch, so that memory does not grow with their
// number. Nothing is sent. The keys may come from the ledger or from Keys.
func Plan(ctx context.Context, db *pgxpool.Pool, before, after *mapper.Mapping, flow mapper.Flow, keys iter.Seq2[mapper.Key, error]) (Altered, error) {
	a := Altered{Flow: flow}
	readers := make([]*Reader, 2)
	for i, m := range []*mapper.Mapping{before, after} {
		r, err := NewReader(db, func() *mapper.Mapping { return m }, Config{})
		if err != nil {
			return a, err
		}
		readers[i] = r
	}
	var batch []mapper.Key
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		var bodies [2][]mapper.Body
		for i, r := range readers {
			var err error
			if bodies[i], err = r.Bodies(ctx, flow, batch, nil); err != nil {
				return err
			}
		}
		for i := range batch {
			a.count(bodies[0][i], bodies[1][i])
		}
		batch = batch[:0]
		return nil
	}
	for k, err := range keys {
		if err != nil {
			return a, fmt.Errorf("list documents of %s: %w", flow, err)
		}
		if batch = append(batch, k); len(batch) == 500 {
			if err := flush(); err != nil {
				return a, err
			}
		}
	}
	return a, flush()
}

func (a *Altered) count(before, after mapper.Body) {
	a.Documents++
	switch {
	case before.Filtered && after.Filtered:
	case after.Filtered:
		a.Filtered++
	case before.Filtered:
		a.Selected++
	case len(after.Violations) > 0 && len(before.Violations) == 0:
		a.Parked++
	case !bytes.Equal(before.JSON, after.JSON) || before.RemoteKey != after.RemoteKey:
		a.Changed++
	}
}

// Keys lists the keys of all documents of a flow that the database has now: those that the rows of the tables with a direct route
// name, in the very text that the feed gives them. It reads by cursor and holds one connection until the caller stops.
func Keys(ctx context.Context, db *pgxpool.Pool, m *mapper.Mapping, flow mapper.Flow) iter.Seq2[mapper.Key, error] {
	return func(yield func(mapper.Key, error) bool) {
		table, columns, ok := m.KeyTable(flow)
		if !ok {
			yield("", fmt.Errorf("no route of flow %s names its documents by key:, so they cannot be listed; hint: give the table of the root query such a route", flow))
			return
		}
		quoted := make([]string, len(columns))
		for i, c := range columns {
			quoted[i] = pgx.Identifier{c}.Sanitize()
		}
		schema, name, _ := strings.Cut(table, ".")
		sql := "select distinct " + strings.Join(quoted, ", ") + " from " + pgx.Identifier{schema, name}.Sanitize()
		rows, err := db.Query(ctx, sql, pgx.QueryResultFormats{pgx.TextFormatCode})
		if err != nil {
			yield("", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			if k, named := keyOf(rows); named && !yield(k, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", err)
		}
	}
}

// keyOf makes a key of a row in text; a row with a NULL names no document.
func keyOf(rows pgx.Rows) (mapper.Key, bool) {
	values := rows.RawValues()
	parts := make([]string, len(values))
	for i, v := range values {
		if v == nil {
			return "", false
		}
		if parts[i] = string(v); rows.FieldDescriptions()[i].DataTypeOID == pgtype.BoolOID {
			parts[i] = map[string]string{"t": "true", "f": "false"}[parts[i]]
		}
	}
	return mapper.KeyOf(parts...), true
}
