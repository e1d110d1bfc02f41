package draft

import (
	"fmt"
	"slices"
	"strings"
)

// field is a column of a query's result.
type field struct {
	name   string // as the result calls it
	table  *Table
	column *Column
}

// part is one query of the draft.
type part struct {
	name   string
	table  *Table
	sql    string
	fields []field
}

// selector builds the select list and keeps names apart.
type selector struct {
	list   []string
	fields []field
}

func (s *selector) has(name string) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool { return f.name == name })
}

func (s *selector) add(alias string, t *Table, c *Column, as string) {
	if c.Database == "bytea" || s.has(as) {
		return
	}
	expr := alias + "." + quote(c.Name)
	if as != c.Name {
		expr += " as " + quote(as)
	}
	s.list = append(s.list, expr)
	s.fields = append(s.fields, field{as, t, c})
}

// addAll adds the columns of a joined table; a name that is taken gets the table's name in front, the joining columns are left out.
func (s *selector) addAll(alias string, t *Table, joined []string) {
	for i := range t.Columns {
		c := &t.Columns[i]
		if slices.Contains(joined, c.Name) {
			continue
		}
		as := c.Name
		if s.has(as) {
			as = strings.ToLower(t.Name) + "_" + c.Name
		}
		s.add(alias, t, c, as)
	}
}

// keyed gives the condition that selects documents by key, as a join for a composite key, else as a where clause.
func keyed(alias string, columns []string, t *Table, names []string) (join, where string) {
	if len(names) == 1 {
		return "", fmt.Sprintf("where %s.%s = any($1)", alias, quote(columns[0]))
	}
	var args, ks, on []string
	for i, c := range names {
		args = append(args, fmt.Sprintf("$%d::%s[]", i+1, castName(t.column(c).Database)))
		ks = append(ks, fmt.Sprintf("k%d", i+1))
		on = append(on, fmt.Sprintf("%s.%s = k.k%d", alias, quote(columns[i]), i+1))
	}
	return fmt.Sprintf("join unnest(%s) as k(%s) on %s", strings.Join(args, ", "), strings.Join(ks, ", "), strings.Join(on, " and ")), ""
}

// castName gives the type for a cast; a bare "character" would cut the text to one character.
func castName(database string) string {
	if database == "character" {
		return "bpchar"
	}
	return database
}

func on(a string, here []string, b string, there []string) string {
	var out []string
	for i := range here {
		out = append(out, a+"."+quote(here[i])+" = "+b+"."+quote(there[i]))
	}
	return strings.Join(out, " and ")
}

func nullable(t *Table, columns []string) bool {
	for _, c := range columns {
		if x := t.column(c); x != nil && !x.NotNull {
			return true
		}
	}
	return false
}

// joinUp joins the tables that a row of t has one row of, and adds their columns.
func (g *graph) joinUp(t *Table, alias string, s *selector, from []string, done map[*Table]bool, next *int) []string {
	for _, l := range g.links[t] {
		if !l.up || done[l.to] {
			continue
		}
		done[l.to] = true
		*next++
		other := fmt.Sprintf("t%d", *next)
		kind := "join"
		if nullable(t, l.here) {
			kind = "left join"
		}
		from = append(from, fmt.Sprintf("%s %s %s on %s", kind, l.to.sql(), other, on(other, l.there, alias, l.here)))
		s.addAll(other, l.to, l.there)
		from = g.joinUp(l.to, other, s, from, done, next)
	}
	return from
}

// keyNames gives the names that the key columns have in all queries: their own, or one that tells whose they are.
func keyNames(d *Table) []string {
	out := slices.Clone(d.Key)
	for i, k := range out {
		if generic(k) {
			out[i] = strings.ToLower(d.Name) + "_" + strings.ToLower(k)
		}
	}
	return out
}

// root drafts the root query: the document's table and all that it points to.
func (g *graph) root(d *Table) part {
	s := &selector{}
	for i, k := range d.Key {
		s.add("d", d, d.column(k), keyNames(d)[i])
	}
	s.addAll("d", d, d.Key)
	next := 0
	from := g.joinUp(d, "d", s, []string{"from " + d.sql() + " d"}, map[*Table]bool{d: true}, &next)
	join, where := keyed("d", d.Key, d, d.Key)
	return part{name: "root", table: d, fields: s.fields, sql: statement(s.list, from, join, where, "")}
}

func statement(list, from []string, join, where, order string) string {
	lines := []string{"select " + strings.Join(list, ", ")}
	for _, f := range append(append([]string{}, from...), join, where, order) {
		if f != "" {
			lines = append(lines, f)
		}
	}
	return strings.Join(lines, "\n")
}

// child drafts the query of a part: the rows of a table that belong to the document, with what they point to.
func (g *graph) child(d, t *Table, above map[*Table]bool) part {
	path := g.path(t, d)
	s := &selector{}
	from := []string{"from " + t.sql() + " x"}
	last, keyColumns := "x", []string(nil)
	if len(path) == 1 && path[0].up && sameSet(path[0].there, d.Key) {
		for _, k := range d.Key {
			keyColumns = append(keyColumns, path[0].here[slices.Index(path[0].there, k)])
		}
	} else {
		previous := "x"
		for i, l := range path {
			last = fmt.Sprintf("p%d", i+1)
			from = append(from, fmt.Sprintf("join %s %s on %s", l.to.sql(), last, on(last, l.there, previous, l.here)))
			previous = last
		}
		keyColumns = d.Key
	}
	owner := d
	if last == "x" {
		owner = t
	}
	for i := range d.Key {
		s.add(last, owner, owner.column(keyColumns[i]), keyNames(d)[i])
	}
	var taken []string
	if last == "x" {
		taken = keyColumns
	}
	s.addAll("x", t, taken)
	done := map[*Table]bool{t: true}
	for a := range above {
		done[a] = true
	}
	for i, l := range path {
		if !l.up || last == "x" {
			break
		}
		if !done[l.to] {
			s.addAll(fmt.Sprintf("p%d", i+1), l.to, l.there)
		}
		done[l.to] = true
	}
	for _, l := range path {
		done[l.to] = true
	}
	next := 0
	from = g.joinUp(t, "x", s, from, done, &next)
	join, where := keyed(last, keyColumns, d, d.Key)
	return part{name: strings.ToLower(t.Name), table: t, fields: s.fields, sql: statement(s.list, from, join, where, orderBy(t))}
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}

// orderBy orders the rows of a part by a position, else by the key.
func orderBy(t *Table) string {
	for _, c := range t.Columns {
		if slices.Contains([]string{"position", "sequence", "seq", "sortorder", "sort", "lineno", "line"}, plain(c.Name)) {
			return "order by x." + quote(c.Name)
		}
	}
	if len(t.Key) == 0 {
		return ""
	}
	var out []string
	for _, k := range t.Key {
		out = append(out, "x."+quote(k))
	}
	return "order by " + strings.Join(out, ", ")
}
