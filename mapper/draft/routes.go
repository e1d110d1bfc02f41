package draft

import (
	"fmt"
	"slices"
	"strings"
)

// route is one route of the draft.
type route struct {
	table *Table
	key   []string
	from  []string
	sql   string
	// deletesLost tells that a delete does not carry the columns.
	deletesLost bool
}

// routeOf drafts how a row of a table names its documents.
func (g *graph) routeOf(d, t *Table) route {
	if t == d {
		return route{table: t, key: d.Key}
	}
	path := g.path(t, d)
	first := path[0]
	if len(path) == 1 && first.up && sameSet(first.there, d.Key) {
		var key []string
		for _, k := range d.Key {
			key = append(key, first.here[slices.Index(first.there, k)])
		}
		return route{table: t, key: key, deletesLost: !carries(t, key)}
	}
	// By the foreign key where the row has one, so that the hop works for a deleted row too; else by the row's own key.
	r := route{table: t, from: first.here}
	start, rest, columns := first.to, path[1:], first.there
	r.deletesLost = !carries(t, r.from)
	s := []string{}
	for i, c := range columns {
		s = append(s, as("a", c, r.from[i]))
	}
	from := []string{"from " + start.sql() + " a"}
	previous := "a"
	for i, l := range rest {
		alias := fmt.Sprintf("b%d", i+1)
		from = append(from, fmt.Sprintf("join %s %s on %s", l.to.sql(), alias, on(alias, l.there, previous, l.here)))
		previous = alias
	}
	for i, k := range d.Key {
		if name := keyNames(d)[i]; !slices.Contains(r.from, name) {
			s = append(s, as(previous, k, name))
		}
	}
	join, where := keyed("a", columns, start, columns)
	r.sql = "select distinct " + strings.Join(s, ", ") + "\n" + strings.Join(append(append(from, nonEmpty(join)...), nonEmpty(where)...), "\n")
	return r
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func as(alias, column, name string) string {
	if column == name {
		return alias + "." + quote(column)
	}
	return alias + "." + quote(column) + " as " + quote(name)
}

func carries(t *Table, columns []string) bool {
	for _, c := range columns {
		if !slices.Contains(t.Identity, c) {
			return false
		}
	}
	return true
}
