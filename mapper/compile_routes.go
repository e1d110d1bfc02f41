package mapper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (f *fileCompiler) compileRoutes() {
	f.out.routes = map[tableName][]compiledRoute{}
	f.out.hops = map[int]HopPlan{}
	for i, r := range f.routes {
		cr := compiledRoute{index: i, columns: r.key}
		if r.hop != nil {
			cr.columns, cr.hop = r.from, true
			f.hop(i, r)
		} else if len(r.key) != len(f.key) {
			f.add(r.keyNode.Finding(Error, fmt.Sprintf("the route gives %d key columns", len(r.key)),
				fmt.Sprintf("%d, as the document has: %s", len(f.key), strings.Join(f.key, ", ")), ""))
		}
		cr.dates = f.routeTable(i, r, cr.columns)
		schema, table, _ := strings.Cut(r.table, ".")
		name := tableName{schema, table}
		f.out.routes[name] = append(f.out.routes[name], cr)
		f.out.tables = append(f.out.tables, r.table)
	}
	slices.Sort(f.out.tables)
	f.out.tables = slices.Compact(f.out.tables)
}

func (f *fileCompiler) hop(i int, r route) {
	info, ok := f.prepared(hopName(i), *r.hop, len(r.from))
	if !ok {
		return
	}
	p := HopPlan{QueryPlan: QueryPlan{Name: hopName(i), SQL: r.hop.sql, Params: info.Params, Columns: info.Columns}}
	for _, k := range f.key {
		at := columnIndex(info.Columns, k)
		if at < 0 {
			f.add(r.hop.node.Finding(Error, fmt.Sprintf("the hop does not give the key column %q", k),
				"the columns that it comes from and the key columns of the document", suggest(k, columnNames(info.Columns))))
			return
		}
		p.Key = append(p.Key, at)
	}
	for _, k := range r.from {
		at := columnIndex(info.Columns, k)
		if at < 0 {
			f.add(r.hop.node.Finding(Error, fmt.Sprintf("the hop does not give the column %q, which it comes from", k),
				"a column of that name in the select list, so that many rows can be asked for at once", suggest(k, columnNames(info.Columns))))
			return
		}
		p.From = append(p.From, at)
	}
	f.out.hops[i] = p
}

// routeTable checks the table of a route: it exists, has the columns, its deletes carry them, and the publication holds it.
// It tells which of the columns are dates, whose text in the feed has a zone.
func (f *fileCompiler) routeTable(index int, r route, columns []string) (dates []bool) {
	t, ok := f.schema.Tables[r.table]
	if !ok {
		var known []string
		for k := range f.schema.Tables {
			known = append(known, k)
		}
		slices.Sort(known)
		f.add(r.tnode.Finding(Error, fmt.Sprintf("there is no table %s", r.table), "schema.table as the database spells it, without quotes", suggest(r.table, known)))
		return nil
	}
	var missing []string
	for i, col := range columns {
		at := columnIndex(t.Columns, col)
		if at < 0 {
			f.add(r.keyNode.Finding(Error, fmt.Sprintf("table %s has no column %q", r.table, col), "a column of the table", suggest(col, columnNames(t.Columns))))
			return nil
		}
		f.sameText(index, r, i, t.Columns[at])
		dates = append(dates, t.Columns[at].Type == Date)
		if !slices.Contains(t.Identity, col) {
			missing = append(missing, col)
		}
	}
	if len(missing) > 0 {
		severity := Error
		if r.ignoreDeletes {
			severity = Warning
		}
		f.add(r.tnode.Finding(severity,
			fmt.Sprintf("a deleted row of %s does not carry %s, so a delete, or a row that moves to another document, would not be noticed", r.table, strings.Join(missing, ", ")),
			"a replica identity with "+strings.Join(columns, ", "), identityStatement(r.table, t, columns)))
	}
	if f.schema.Publication != "" && !t.Published {
		f.add(r.tnode.Finding(Error, fmt.Sprintf("publication %q does not hold %s: its changes never arrive", f.schema.Publication, r.table),
			"the table in the publication", fmt.Sprintf("run: alter publication %s add table %s", quoteName(f.schema.Publication), quoteTable(r.table))))
	}
	return dates
}

// sameText checks that a value reads the same in the feed and in the query that it is compared with.
func (f *fileCompiler) sameText(index int, r route, i int, column Column) {
	if unstable(column) {
		f.add(r.keyNode.Finding(Error, fmt.Sprintf("column %q of %s is of type %s, whose text in the feed is another than in a query", column.Name, r.table, column.Database),
			"a number, text, date, uuid or boolean", "name the document by another column, such as the row's own key, with a hop"))
		return
	}
	var other Column
	if r.hop != nil {
		h, ok := f.out.hops[index]
		if !ok {
			return
		}
		other = h.Columns[h.From[i]]
	} else if i < len(f.out.root.Key) {
		other = f.out.root.Columns[f.out.root.Key[i]]
	} else {
		return
	}
	if (column.Database == "character") != (other.Database == "character") || (column.Database == "numeric") != (other.Database == "numeric") {
		f.add(r.keyNode.Finding(Error, fmt.Sprintf("column %q of %s is %s, but the query gives %q as %s: the texts differ, so the row would not be found",
			column.Name, r.table, column.Database, other.Name, other.Database), "the same type on both sides", "leave the column as it is in the query, without a cast"))
	}
}

// unstable tells whether values of the column have more than one text.
func unstable(c Column) bool {
	switch c.Database {
	case "real", "double precision", "bytea", "interval", "money":
		return true
	}
	return c.Type == Timestamp || c.Type == Any || c.Type == TextList || strings.HasPrefix(c.Database, "time ")
}

// identityStatement gives the statement that makes deletes carry the columns: by a unique index if one serves, else FULL.
// A partitioned table needs it at its root and at each partition.
func identityStatement(table string, t TableInfo, columns []string) string {
	if t.Partitioned {
		run := fmt.Sprintf("run: alter table %s replica identity full", quoteTable(table))
		for _, leaf := range slices.Sorted(maps.Keys(t.Partitions)) {
			if slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(t.Partitions[leaf], c) }) {
				run += fmt.Sprintf("; alter table %s replica identity full", quoteTable(leaf))
			}
		}
		return run + "; and the same for each partition that is added"
	}
	var names []string
	for name, cols := range t.Indexes {
		serves := true
		for _, c := range columns {
			serves = serves && slices.Contains(cols, c)
		}
		for _, k := range t.Key {
			// The event's key stays the primary key; an index identity must not lose it.
			serves = serves && (slices.Contains(cols, k) || len(t.Key) == 0)
		}
		if serves {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		return fmt.Sprintf("run: alter table %s replica identity using index %s", quoteTable(table), quoteName(names[0]))
	}
	return fmt.Sprintf("run: alter table %s replica identity full", quoteTable(table))
}

func quoteName(s string) string {
	plain := s != ""
	for i, r := range s {
		plain = plain && (r == '_' || r >= 'a' && r <= 'z' || i > 0 && r >= '0' && r <= '9')
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func quoteTable(s string) string {
	schema, table, _ := strings.Cut(s, ".")
	return quoteName(schema) + "." + quoteName(table)
}

// unwatched reports tables that a query of the document reads and no route watches: their changes would go unnoticed.
func (f *fileCompiler) unwatched() {
	queries := []struct {
		name string
		q    query
	}{{"root", f.root}}
	for _, p := range f.flowFile.parts {
		queries = append(queries, struct {
			name string
			q    query
		}{p.name, p.query})
	}
	reported := map[string]bool{}
	for _, x := range queries {
		for _, table := range f.schema.Queries[QueryID{f.file, x.name}].Tables {
			if slices.Contains(f.out.tables, table) || slices.Contains(f.static, table) || reported[table] {
				continue
			}
			reported[table] = true
			if _, logged := f.schema.Tables[table]; !logged {
				f.add(x.q.node.Finding(Error, fmt.Sprintf("query %s reads %s, which is no table: the changes of a materialized view or a foreign table never show in the log", x.name, table),
					"tables, and views over tables", "read the tables behind it; or name it in document: static: and add a route for a table that changes whenever it does"))
				continue
			}
			f.add(x.q.node.Finding(Error, fmt.Sprintf("query %s reads %s, which no route watches: when it changes, the document would go stale", x.name, table),
				fmt.Sprintf("a route for %s", table), fmt.Sprintf("add to routes: - {table: %s, key: ... or hop: ...}; if it never changes, name it in document: static:", table)))
		}
	}
}
