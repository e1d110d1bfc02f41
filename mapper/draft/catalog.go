// Package draft writes a first mapping folder from the tables of a database: queries that run, routes for every table they use,
// the fields it is sure of, and a mark where a person must decide. It does no I/O; documents.Inspect makes the catalog.
package draft

import (
	"slices"
	"strings"

	"nubridge/mapper"
)

// Catalog is the tables to draft from.
type Catalog struct {
	Tables []Table
}

// Table is one table with what ties it to others.
type Table struct {
	Schema, Name string
	Columns      []Column
	// Key are the primary key's columns, Identity the columns that a delete carries.
	Key, Identity []string
	ForeignKeys   []ForeignKey
}

// Column is one column. Values are a few distinct values of columns that look like a state, a kind or a currency.
type Column struct {
	Name     string
	Type     mapper.Type
	Database string
	NotNull  bool
	Values   []string
}

// ForeignKey says that Columns of the table are Refs of another.
type ForeignKey struct {
	Columns []string
	Table   string // schema.table
	Refs    []string
}

func (t *Table) full() string { return t.Schema + "." + t.Name }

func (t *Table) column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// find gives a table by schema.table or by its name alone.
func (c *Catalog) find(name string) *Table {
	for i := range c.Tables {
		if t := &c.Tables[i]; t.full() == name || t.Name == name {
			return t
		}
	}
	return nil
}

// link is one step of a path between tables: the columns of the one that equal the columns of the other.
type link struct {
	to          *Table
	here, there []string
	// up tells that the foreign key is on this side: many to one.
	up bool
}

// graph is the tables of one flow and their foreign keys.
type graph struct {
	tables []*Table
	links  map[*Table][]link
	// guessed are the links that no foreign key declares.
	guessed []string
}

func newGraph(tables []*Table) *graph {
	g := &graph{tables: tables, links: map[*Table][]link{}}
	for _, t := range tables {
		for _, fk := range t.ForeignKeys {
			for _, to := range tables {
				if to.full() != fk.Table || to == t {
					continue
				}
				g.links[t] = append(g.links[t], link{to: to, here: fk.Columns, there: fk.Refs, up: true})
				g.links[to] = append(g.links[to], link{to: t, here: fk.Refs, there: fk.Columns})
			}
		}
	}
	g.guess()
	return g
}

// guess links tables that no foreign key ties together where one has the other's whole primary key, by the names and types of its
// columns. Many an OMS declares no foreign keys.
func (g *graph) guess() {
	for i, t := range g.tables {
		for j, to := range g.tables {
			if i == j || len(to.Key) == 0 || g.linked(t, to) || sameSet(t.Key, to.Key) && i < j {
				continue
			}
			if len(to.Key) == 1 && generic(to.Key[0]) || !hasKey(t, to) {
				continue
			}
			g.links[t] = append(g.links[t], link{to: to, here: to.Key, there: to.Key, up: true})
			g.links[to] = append(g.links[to], link{to: t, here: to.Key, there: to.Key})
			g.guessed = append(g.guessed, t.full()+" to "+to.full())
		}
	}
}

func (g *graph) linked(a, b *Table) bool {
	return slices.ContainsFunc(g.links[a], func(l link) bool { return l.to == b })
}

func hasKey(t, to *Table) bool {
	for _, k := range to.Key {
		c := t.column(k)
		if c == nil || c.Database != to.column(k).Database {
			return false
		}
	}
	return true
}

// generic tells whether a column's name says nothing of what it names.
func generic(name string) bool {
	return slices.Contains([]string{"id", "no", "nr", "code", "number", "key"}, plain(name))
}

// path gives the shortest path from one table to another, nil if there is none.
func (g *graph) path(from, to *Table) []link {
	type visit struct {
		table *Table
		path  []link
	}
	seen := map[*Table]bool{from: true}
	queue := []visit{{table: from}}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		if v.table == to {
			return v.path
		}
		for _, l := range g.links[v.table] {
			if !seen[l.to] {
				seen[l.to] = true
				queue = append(queue, visit{l.to, append(slices.Clone(v.path), l)})
			}
		}
	}
	return nil
}

// ancestors gives the tables that a row of t has exactly one or no row of: up the foreign keys.
func (g *graph) ancestors(t *Table, stop map[*Table]bool) []*Table {
	var out []*Table
	for _, l := range g.links[t] {
		if l.up && !stop[l.to] {
			stop[l.to] = true
			out = append(out, l.to)
			out = append(out, g.ancestors(l.to, stop)...)
		}
	}
	return out
}

// quote writes an SQL identifier, in quotes only where it needs them.
func quote(s string) string {
	plain := s != "" && !slices.Contains(reservedWords(), s)
	for i, r := range s {
		plain = plain && (r == '_' || r >= 'a' && r <= 'z' || i > 0 && r >= '0' && r <= '9')
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func (t *Table) sql() string { return quote(t.Schema) + "." + quote(t.Name) }

// reservedWords are those of PostgreSQL's that one meets as names of tables and columns.
func reservedWords() []string {
	return strings.Fields("all and any array as asc case check collate column constraint create current_date default desc distinct do else end except " +
		"false fetch for foreign from grant group having in initially into is join left like limit natural not null offset on only or order outer primary references " +
		"right select session_user similar some symmetric table then to trailing true union unique user using variadic when where window with")
}

// plain strips a name down to its letters and digits, for comparison with known words.
func plain(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "colour", "color")
}
