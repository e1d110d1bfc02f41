package pgsource

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A server cannot send a row whose text is longer than 1 GB. A chunk with such a row is read again, lean: of each row that may be too
// long the long values stay behind, and come as values that are not available.
const (
	leanRow   = 512 << 20 // from here on a row may be too long
	leanValue = 1 << 20   // what is left of such a row may be as long as this
	// unpacking is by how much text may be longer than what is stored of a value: the server's compression and the text form together.
	unpacking = 300
)

// widthSQL gives how long a column's text may become, as SQL that reads nothing of a value that is stored apart.
func widthSQL(column string, f pgconn.FieldDescription) string {
	switch {
	case f.DataTypeSize > 0:
		return ""
	case f.DataTypeOID == oidText || f.DataTypeOID == oidVarchar || f.DataTypeOID == oidBPChar:
		return "coalesce(octet_length(" + column + "), 0)::bigint"
	case f.DataTypeOID == oidBytea:
		return "coalesce(octet_length(" + column + ") * 2::bigint, 0)"
	}
	return fmt.Sprintf("coalesce(case when pg_column_size(%[1]s) > %d then pg_column_size(%[1]s) * %d::bigint end, 0)", column, leanValue, unpacking)
}

// lean gives the list of a query that leaves out what may be too long, with a column behind it that tells what it left out, and the
// tables that it reads.
func (p *tablePlan) lean(from string) (list, tables string) {
	var out, total, told []string
	for i, c := range p.columns {
		name := pgx.Identifier{c}.Sanitize()
		if p.widths[i] == "" || p.inKey(i) {
			out = append(out, name)
			continue
		}
		long := fmt.Sprintf("%q.total > %d and %s > %d", leanAlias, leanRow, p.widths[i], leanValue)
		out = append(out, "case when "+long+" then null else "+name+" end")
		told = append(told, fmt.Sprintf("case when %s then ' %d' else '' end", long, i))
		total = append(total, p.widths[i])
	}
	if len(told) == 0 {
		return p.list() + ", ''", from
	}
	return strings.Join(append(out, strings.Join(told, " || ")), ", "), from + fmt.Sprintf(" cross join lateral (select %s) as %q(total)", strings.Join(total, " + "), leanAlias)
}

// leanAlias names what the query of a lean chunk joins; no column or table bears such a name.
const leanAlias = "nubridge row"

func (p *tablePlan) inKey(column int) bool {
	for _, i := range p.rel.key {
		if i == column {
			return true
		}
	}
	return false
}

// leftOut makes the cells of a row those that are published: what the query left out, as told tells, and what is too long for the
// bound is not available. It gives the names of those columns.
func (p *tablePlan) leftOut(cells []cell, told [][]byte, limit int) string {
	var names []string
	for _, t := range told {
		for _, field := range strings.Fields(string(t)) {
			var i int
			if _, err := fmt.Sscan(field, &i); err == nil && i < len(cells) {
				cells[i] = cell{kind: 'u'}
				names = append(names, p.columns[i])
			}
		}
	}
	if textBytes(cells) > limit {
		if more := p.rel.lighten(nil, cells, limit); more != "" {
			names = append(names, more)
		}
	}
	return strings.Join(names, ",")
}

// leftOut notes which columns of a row of the chunk were left out.
func (c *chunk) leftOut(row int, names string) {
	if c.oversize == nil {
		c.oversize = map[int]string{}
	}
	c.oversize[row] = names
}
