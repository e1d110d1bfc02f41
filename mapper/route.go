package mapper

import (
	"fmt"
	"slices"
	"strings"

	"nubridge/cdc"
)

// RouteError says that a row does not carry the columns that name its documents; the sink must not pass over it silently.
type RouteError struct {
	Table, Column string
	// Hint says what to do.
	Hint string
}

// Error gives the sentence for the operator.
func (e *RouteError) Error() string {
	return fmt.Sprintf("route a row of %s: it does not carry column %q; hint: %s", e.Table, e.Column, e.Hint)
}

// Route names the documents that a change touches, by the new row and by the old one. A change of a table that the flow does
// not watch, or a message, touches nothing; nor does a truncate, which the sink takes for a change of everything.
func (m *Mapping) Route(flow Flow, c *cdc.Change) (Touches, error) {
	x := m.flows[flow]
	if x == nil {
		return Touches{}, fmt.Errorf("flow %q is not mapped", flow)
	}
	routes := x.routes[tableName{c.Schema, c.Table}]
	var t Touches
	for i := range routes {
		r := &routes[i]
		if err := r.side(flow, c, c.After, c.Op != cdc.OpDelete, &t); err != nil {
			return t, err
		}
		if err := r.side(flow, c, c.Before, c.Op == cdc.OpDelete, &t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// side routes one side of a change. The old row of an update may carry its key alone: what it lacks is then no error.
func (r *compiledRoute) side(flow Flow, c *cdc.Change, row cdc.Row, must bool, t *Touches) error {
	if row == nil {
		return nil
	}
	var few [4]string
	values := few[:0]
	for i, col := range r.columns {
		v := row.Column(col)
		switch v.State {
		case cdc.Present:
			if r.dates[i] {
				v.Text = strings.TrimSuffix(v.Text, "Z")
			}
			values = append(values, v.Text)
		case cdc.Null:
			return nil
		default:
			if !must {
				return nil
			}
			return &RouteError{
				Table: c.Schema + "." + c.Table, Column: col,
				Hint: "give the table a replica identity that carries the column; nubridge check prints the statement",
			}
		}
	}
	if r.hop {
		t.addHop(HopID{flow, r.index}, values)
		return nil
	}
	t.addKey(KeyOf(values...))
	return nil
}

func (t *Touches) addKey(k Key) {
	if !slices.Contains(t.Keys, k) {
		t.Keys = append(t.Keys, k)
	}
}

func (t *Touches) addHop(id HopID, values []string) {
	for _, h := range t.Hops {
		if h.ID == id && slices.Equal(h.Values, values) {
			return
		}
	}
	t.Hops = append(t.Hops, Hop{ID: id, Values: slices.Clone(values)})
}

// Parts takes a key apart; it is the inverse of KeyOf.
func (k Key) Parts() []string {
	s := string(k)
	if !strings.ContainsAny(s, `|\`) {
		return []string{s}
	}
	var out []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '|':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(out, b.String())
}
