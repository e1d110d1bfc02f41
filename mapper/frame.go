package mapper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// frame is the row in scope at evaluation time; frames mirror the compile-time scopes.
type frame struct {
	outer *frame
	rows  *Rows
	row   int
	group []int32
	// values are the untyped names of a template's scope.
	values map[string]any
}

// evalContext is what an evaluation may see beside the frame. It belongs to one goroutine.
type evalContext struct {
	document *Document
	today    func() string
	taken    *takenCache
	// pointers is the stack of elements of filter, map and their like.
	pointers []pointer
	vars     []any
	// violations and dropping belong to the encoding of a body.
	violations []Violation
	buf        []byte
	path       []pathStep
	values     [][]byte // of the list whose rule is looked at
	root       *frame
	// steps counts elements that list functions went over.
	steps int
}

// maxSteps bounds the work of one body: an expression always ends, however lists are nested in it.
const maxSteps = 1_000_000

func (c *evalContext) work(steps int) error {
	if c.steps += steps; c.steps > maxSteps {
		return fmt.Errorf("the expressions go over more than %d elements", maxSteps)
	}
	return nil
}

type pointer struct {
	element any
	index   int
	acc     any
}

// rowRef is one row of a part as a value.
type rowRef struct {
	rows *Rows
	row  int
}

func (r rowRef) get(name string) (any, error) {
	i := columnIndex(r.rows.columns, name)
	if i < 0 {
		return nil, nil
	}
	return boxed(r.rows, r.row, i)
}

// boxed decodes one value into what expressions compute with.
func boxed(r *Rows, row, column int) (any, error) {
	text, ok := r.Value(row, column)
	if !ok {
		return nil, nil
	}
	return decodeText(r.columns[column], string(text))
}

func decodeText(col Column, s string) (any, error) {
	switch col.Type {
	case Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("column %q holds no integer", col.Name)
		}
		return n, nil
	case Decimal:
		d, err := parseDecimal(s)
		if err != nil {
			return nil, fmt.Errorf("column %q holds NaN, infinity or another value that is no amount", col.Name)
		}
		return d, nil
	case Bool:
		return s == "true", nil
	case Any:
		return decodeJSON([]byte(s))
	case TextList:
		return parseArray(s)
	default:
		return s, nil
	}
}

// decodeJSON decodes JSON with exact numbers: integers as int, all others as decimals.
func decodeJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode JSON column: %w", err)
	}
	return exact(v), nil
}

func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		d, err := parseDecimal(v.String())
		if err != nil {
			return v.String()
		}
		return d
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}

// parseArray reads PostgreSQL's text form of a one-dimensional array; NULL elements are left out.
func parseArray(s string) ([]string, error) {
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, fmt.Errorf("read array value: expected {...}")
	}
	s = s[1 : len(s)-1]
	var out []string
	for len(s) > 0 {
		if s[0] == '{' {
			return nil, fmt.Errorf("read array value: arrays of several dimensions are not supported; unnest them in the query")
		}
		var item strings.Builder
		quoted := s[0] == '"'
		i := 0
		if quoted {
			for i = 1; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				item.WriteByte(s[i])
			}
			i++
		} else {
			for ; i < len(s) && s[i] != ','; i++ {
				item.WriteByte(s[i])
			}
		}
		if quoted || item.String() != "NULL" {
			out = append(out, item.String())
		}
		if i >= len(s) {
			break
		}
		s = s[i+1:]
	}
	return out, nil
}

// rowsOf gives the rows of a part as values.
func rowsOf(s Slice) []any {
	out := make([]any, len(s.Index))
	for i, row := range s.Index {
		out[i] = rowRef{s.Rows, int(row)}
	}
	return out
}

func openOrderRows(orders []OpenOrder) []any {
	out := make([]any, len(orders))
	for i, o := range orders {
		out[i] = map[string]any{"upc": o.UPC, "size": o.Size, "warehouse": o.Warehouse, "quantity": o.Quantity}
	}
	return out
}
