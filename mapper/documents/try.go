package documents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"nubridge/internal/fault"
	"nubridge/mapper"
)

// Trial is what the mapping makes of one real document, for nubridge mapping try.
type Trial struct {
	Flow mapper.Flow
	Key  mapper.Key
	// Parts are the rows as read: the root first, then the parts in the order of the mapping.
	Parts []TrialPart
	Body  mapper.Body
	// Known tells that a last sent body was given; Differences are where the new one differs from it.
	Known       bool
	Differences []mapper.Difference
}

// TrialPart is the rows of one query.
type TrialPart struct {
	Name    string
	Columns []string
	// Rows hold the values as text; NULL is nil.
	Rows [][]*string
}

// Try reads one document as it stands now and translates it. Last is the body that was last delivered, nil if it is not known.
// Nothing is sent and nothing written.
func (r *Reader) Try(ctx context.Context, flow mapper.Flow, key mapper.Key, last []byte) (Trial, error) {
	m := r.mapping()
	plan, ok := m.Plan(flow)
	if !ok {
		return Trial{}, fault.New(fault.Halt, "flow_not_mapped", "try: flow %q is not mapped", flow)
	}
	t := Trial{Flow: flow, Key: key, Known: last != nil}
	if n := len(key.Parts()); n != len(plan.Root.Key) {
		return t, fault.New(fault.Reject, "document_key", "try: the key has %d parts, the mapping's key has %d columns, joined by |", n, len(plan.Root.Key))
	}
	reads, err := r.Read(ctx, flow, []mapper.Want{{Key: key}})
	if err != nil {
		return t, err
	}
	d := reads[0].Document
	if d != nil {
		t.Parts = append(t.Parts, trialPart(plan.Root.Name, d.Root()))
		for i, p := range d.Parts() {
			t.Parts = append(t.Parts, trialPart(plan.Parts[i].Name, p))
		}
	}
	if t.Body, err = m.Body(flow, key, d); err != nil {
		return t, err
	}
	if t.Known {
		if t.Differences, err = mapper.Diff(last, t.Body.JSON); err != nil {
			return t, fmt.Errorf("compare with the last body: %w", err)
		}
	}
	return t, nil
}

// Spell gives a key that a person typed in the text that the database gives it: char(n) is padded, an uuid in lower case, a number
// without leading zeros. A key that names no document stays as it is.
func (r *Reader) Spell(ctx context.Context, flow mapper.Flow, key mapper.Key) (mapper.Key, error) {
	plan, ok := r.mapping().Plan(flow)
	if !ok {
		return key, nil
	}
	columns := make([]string, len(plan.Root.Key))
	for i, at := range plan.Root.Key {
		columns[i] = plan.Root.Columns[at].Name + " (" + plan.Root.Columns[at].Database + ")"
	}
	wrong := &fault.Error{
		Kind: fault.Reject, Code: "document_key", Err: fmt.Errorf("the key %q is none of flow %s; expected %s", string(key), flow, strings.Join(columns, "|")),
		Hint: "several columns are joined by |, and a | inside a value is written \\|",
	}
	args, err := keyArrays([]mapper.Key{key}, len(plan.Root.Key))
	if err != nil {
		return key, wrong
	}
	conn, err := r.db.Acquire(ctx)
	if err != nil {
		return key, readFault("connect", err)
	}
	defer conn.Release()
	s := &session{conn: conn.Conn()}
	name, err := s.prepare(ctx, plan.Root)
	if err != nil {
		return key, err
	}
	rr := conn.Conn().PgConn().ExecPrepared(ctx, name, args, nil, nil)
	var found []mapper.Key
	for rr.NextRow() {
		if k := mapper.Key(rowKey(nil, rr.Values(), plan.Root.Key, plan.Root.Columns)); !slices.Contains(found, k) {
			found = append(found, k)
		}
	}
	if _, err := rr.Close(); err != nil {
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pg.Code, "22") {
			return key, wrong
		}
		return key, readFault("key", err)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return key, nil
}

func trialPart(name string, s mapper.Slice) TrialPart {
	p := TrialPart{Name: name}
	for _, c := range s.Rows.Columns() {
		p.Columns = append(p.Columns, c.Name)
	}
	for _, row := range s.Index {
		values := make([]*string, len(p.Columns))
		for i := range p.Columns {
			if v, ok := s.Rows.Value(int(row), i); ok {
				text := string(v)
				values[i] = &text
			}
		}
		p.Rows = append(p.Rows, values)
	}
	return p
}

// Print writes the trial for a person: rows, body, parents, rule violations and differences.
func (t Trial) Print(w io.Writer) error {
	var b strings.Builder
	if len(t.Parts) == 0 {
		fmt.Fprintf(&b, "%s %s: there is no such row; what is at NuORDER would be archived or cancelled\n", t.Flow, t.Key)
	}
	for _, p := range t.Parts {
		fmt.Fprintf(&b, "%s (%d rows)\n", p.Name, len(p.Rows))
		for _, row := range p.Rows {
			for i, v := range row {
				if v != nil {
					fmt.Fprintf(&b, "  %s=%s", p.Columns[i], *v)
				}
			}
			b.WriteByte('\n')
		}
	}
	if t.Body.RemoteKey != "" {
		fmt.Fprintf(&b, "id %s\n", t.Body.RemoteKey)
	}
	for k, v := range sorted(t.Body.Facts) {
		fmt.Fprintf(&b, "fact %s=%s\n", k, v)
	}
	for _, p := range t.Body.Parents {
		fmt.Fprintf(&b, "needs %s %s at NuORDER\n", p.Flow, p.Key)
	}
	switch {
	case t.Body.Filtered && len(t.Parts) > 0:
		b.WriteString("filtered: the filter does not select it\n")
	case len(t.Body.JSON) > 0:
		fmt.Fprintf(&b, "body %s\n", t.Body.JSON)
	}
	for _, v := range t.Body.Violations {
		fmt.Fprintf(&b, "parked: %s (%s): %s\n", v.Field, v.Rule, v.Text)
	}
	switch {
	case t.Known && len(t.Differences) == 0:
		b.WriteString("unchanged: equal to what was last sent, nothing would be called\n")
	case t.Known:
		b.WriteString("differs from what was last sent:\n")
		for _, d := range t.Differences {
			fmt.Fprintf(&b, "  %s\n", d)
		}
	default:
		b.WriteString("nothing is known to have been sent before\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
