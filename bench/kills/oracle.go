package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc"
	"nubridge/cdc/pgsource"
)

// event is a change as the feed has it, or as it should have it.
type event struct {
	at                 cdc.Position
	topic, op          string
	key, before, after any
}

func (e event) String() string {
	text, _ := json.Marshal([]any{e.key, e.before, e.after})
	return fmt.Sprintf("%s %s %.1500s", e.topic, e.op, text)
}

func parsed(text []byte) any {
	var v any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	_ = d.Decode(&v)
	return v
}

// note keeps a record for the comparison with what another slot tells.
func (v *verdict) note(r *kgo.Record, at cdc.Position, op string) {
	e := event{at: at, topic: r.Topic, op: op, key: parsed(r.Key)}
	if row, ok := parsed(r.Value).(map[string]any); ok {
		e.before, e.after = row["before"], row["after"]
	}
	v.events = append(v.events, e)
}

// oracle is what a second slot, pglogrepl and the catalog say.
type oracle struct {
	w         *world
	keys      map[uint32]int // how many columns, the first ones of the table
	types     map[uint32]pgType
	relations map[uint32]*pglogrepl.RelationMessage
	tx        []event
	commit    cdc.LSN
	told      map[cdc.LSN][]event
	gone      map[string]bool // topics of tables that are dropped in the end
}

type pgType struct {
	kind       string
	base, elem uint32
}

// tell reads the second slot from its beginning.
func (w *world) tell(ctx context.Context, conn *pgx.Conn) (*oracle, error) {
	o := &oracle{w: w, keys: map[uint32]int{}, types: map[uint32]pgType{}, relations: map[uint32]*pglogrepl.RelationMessage{}, told: map[cdc.LSN][]event{}, gone: map[string]bool{}}
	rows, err := conn.Query(ctx, "select id, columns from oracle.keys")
	if err != nil {
		return nil, err
	}
	var id uint32
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { o.keys[id] = n; return nil }); err != nil {
		return nil, err
	}
	if rows, err = conn.Query(ctx, "select oid, typtype::text, typbasetype, case when typcategory = 'A' then typelem else 0 end from pg_type"); err != nil {
		return nil, err
	}
	var t pgType
	if _, err := pgx.ForEachRow(rows, []any{&id, &t.kind, &t.base, &t.elem}, func() error { o.types[id] = t; return nil }); err != nil {
		return nil, err
	}
	if err := conn.QueryRow(ctx, "select 'work.last'::regclass::oid").Scan(&id); err != nil {
		return nil, err
	}
	o.keys[id] = 1
	if rows, err = conn.Query(ctx, `select data from pg_logical_slot_peek_binary_changes('oracle_' || current_database(), null, null, 'proto_version', '1', 'publication_names', 'nubridge_' || current_database())`); err != nil {
		return nil, err
	}
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&data}, func() error {
		if data[0] == 'A' { // 18 tells of aborts too
			return nil
		}
		m, err := pglogrepl.Parse(data)
		if err != nil {
			return fmt.Errorf("message %q: %w", data[:1], err)
		}
		o.handle(m)
		return nil
	})
	for id, r := range o.relations {
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_class where oid = $1)", id).Scan(&there); err != nil {
			return nil, err
		}
		o.gone[pgsource.Topic(w.id, r.Namespace+"."+r.RelationName)] = !there
	}
	return o, err
}

func (o *oracle) handle(m pglogrepl.Message) {
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		o.tx, o.commit = nil, cdc.LSN(m.FinalLSN)
	case *pglogrepl.CommitMessage:
		if len(o.tx) > 0 {
			o.told[o.commit] = o.tx
		}
	case *pglogrepl.RelationMessage:
		o.relations[m.RelationID] = m
	case *pglogrepl.InsertMessage:
		o.add(m.RelationID, "c", nil, m.Tuple, 0)
	case *pglogrepl.DeleteMessage:
		o.add(m.RelationID, "d", m.OldTuple, nil, m.OldTupleType)
		o.add(m.RelationID, "x", m.OldTuple, nil, m.OldTupleType)
	case *pglogrepl.UpdateMessage:
		r, moved := o.relations[m.RelationID], false
		if m.OldTuple != nil {
			for i, c := range m.NewTuple.Columns {
				old := m.OldTuple.Columns[i]
				if c.DataType == 'u' && old.DataType == 't' {
					m.NewTuple.Columns[i] = old
				}
				if i < o.keys[m.RelationID] && (m.OldTupleType == 'O' || r.Columns[i].Flags == 1) && c.DataType != 'u' {
					moved = moved || string(old.Data) != string(c.Data)
				}
			}
		}
		if moved {
			o.handle(&pglogrepl.DeleteMessage{RelationID: m.RelationID, OldTupleType: m.OldTupleType, OldTuple: m.OldTuple})
			o.add(m.RelationID, "c", nil, m.NewTuple, 0)
			return
		}
		o.add(m.RelationID, "u", m.OldTuple, m.NewTuple, m.OldTupleType)
	case *pglogrepl.TruncateMessage:
		for _, id := range m.RelationIDs {
			o.add(id, "t", nil, nil, 0)
		}
	}
}

// add forms the event of one row.
func (o *oracle) add(id uint32, op string, before, after *pglogrepl.TupleData, mark uint8) {
	r := o.relations[id]
	e := event{topic: pgsource.Topic(o.w.id, r.Namespace+"."+r.RelationName), op: op}
	row := func(t *pglogrepl.TupleData) any {
		if t == nil || op == "x" {
			return nil
		}
		out := map[string]any{}
		for i, c := range r.Columns {
			out[c.Name] = o.value(c.DataType, t.Columns[i])
		}
		return out
	}
	e.before, e.after = row(before), row(after)
	if of := cmpTuple(after, before); of != nil && o.keys[id] > 0 {
		key := map[string]any{}
		for i, c := range r.Columns[:o.keys[id]] {
			key[c.Name] = o.value(c.DataType, of.Columns[i])
		}
		e.key = key
	}
	o.tx = append(o.tx, e)
}

func cmpTuple(a, b *pglogrepl.TupleData) *pglogrepl.TupleData {
	if a != nil {
		return a
	}
	return b
}

func (o *oracle) base(oid uint32) uint32 {
	for o.types[oid].base != 0 {
		oid = o.types[oid].base
	}
	return oid
}

func (o *oracle) value(oid uint32, c *pglogrepl.TupleDataColumn) any {
	oid = o.base(oid)
	switch {
	case c.DataType == 'n':
		return nil
	case c.DataType != 'u':
		return o.text(oid, string(c.Data))
	case o.types[oid].elem != 0:
		return []any{cdc.UnavailableValue}
	case oid == 17:
		return base64.StdEncoding.EncodeToString([]byte(cdc.UnavailableValue))
	}
	return cdc.UnavailableValue
}

// text gives a value's form in the feed.
func (o *oracle) text(oid uint32, s string) any {
	oid = o.base(oid)
	switch t := o.types[oid]; {
	case oid == 16:
		return s == "t"
	case slices.Contains([]uint32{20, 21, 23, 701}, oid):
		return json.Number(s)
	case oid == 17:
		b, _ := hex.DecodeString(s[2:])
		return base64.StdEncoding.EncodeToString(b)
	case oid == 1082:
		return s + "Z"
	case t.kind == "m" || t.kind == "c":
		return base64.StdEncoding.EncodeToString([]byte(s))
	case t.elem != 0:
		return o.array(t.elem, s)
	}
	return s
}

// array reads an array of one dimension.
func (o *oracle) array(elem uint32, s string) any {
	out := []any{}
	var cur []byte
	quoted, was := false, false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
			cur = append(cur, s[i])
		case c == '"':
			quoted, was = !quoted, true
		case quoted || c != ',' && c != '}':
			cur = append(cur, c)
		case len(s) == 2:
		default:
			if string(cur) == "NULL" && !was {
				out = append(out, nil)
			} else {
				out = append(out, o.text(elem, string(cur)))
			}
			cur, was = nil, false
		}
	}
	return out
}

// compareAll compares the feed with what the second slot tells: every transaction has the very same changes, in their order.
func (w *world) compareAll(ctx context.Context, v *verdict) error {
	conn, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	o, err := w.tell(ctx, conn)
	if err != nil {
		return err
	}
	slices.SortFunc(v.events, func(a, b event) int { return a.at.Compare(b.at) })
	feed := map[cdc.LSN][]event{}
	for _, e := range v.events {
		if e.op != "r" {
			feed[e.at.Commit] = append(feed[e.at.Commit], e)
		}
	}
	for _, lsn := range slices.Sorted(maps.Keys(o.told)) {
		want, got := o.told[lsn], feed[lsn]
		delete(feed, lsn)
		if len(want) != len(got) {
			v.lost++
			i := 0
			for i < min(len(want), len(got)) && want[i].String() == got[i].String() {
				i++
			}
			v.example("transaction %s has %d changes in the feed, want %d; from %d on %.4000s\nwant\n%.4000s\n", lsn, len(got), len(want), i, fmt.Sprint(got[i:]), fmt.Sprint(want[i:]))
			continue
		}
		for i := range want {
			if got[i].key == nil && o.gone[want[i].topic] {
				want[i].key = nil // no log tells the key of a table that was dropped before its rows were read
			}
			if want[i].String() != got[i].String() {
				v.differing++
				v.example("%s is\n%s\nwant\n%s\n", got[i].at, got[i], want[i])
			}
		}
	}
	for lsn, extra := range feed {
		v.repeated += len(extra)
		v.example("transaction %s is not in the log: %s", lsn, extra[0])
	}
	return o.last(ctx, conn, v)
}

// last compares the keys that the feed ends with, of tables whose key's columns bear one name all along, with those of the tables.
func (o *oracle) last(ctx context.Context, conn *pgx.Conn, v *verdict) error {
	state, names := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, e := range v.events {
		if state[e.topic] == nil || e.op == "t" {
			state[e.topic] = map[string]bool{}
		}
		key, ok := e.key.(map[string]any)
		if !ok {
			continue
		}
		if names[e.topic] == nil {
			names[e.topic] = map[string]bool{}
		}
		names[e.topic][strings.Join(slices.Sorted(maps.Keys(key)), "\x00")] = true
		text, _ := json.Marshal(key)
		if e.op == "d" || e.op == "x" {
			delete(state[e.topic], string(text))
		} else {
			state[e.topic][string(text)] = true
		}
	}
	rows, err := conn.Query(ctx, `select 'work.' || relname, 'work.' || quote_ident(relname), array_agg(attname::text order by attnum), array_agg(atttypid order by attnum), k.columns
		from pg_class c join oracle.keys k on k.id = c.oid join pg_attribute on attrelid = c.oid and attnum > 0 and not attisdropped where k.columns > 0 group by 1, 2, 5`)
	if err != nil {
		return err
	}
	type table struct {
		Name, Quoted string
		Columns      []string
		Types        []uint32
		Keys         int
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return err
	}
	for _, t := range tables {
		topic := pgsource.Topic(o.w.id, t.Name)
		if len(names[topic]) > 1 {
			continue
		}
		columns := make([]string, t.Keys)
		for i := range columns {
			columns[i] = pgx.Identifier{t.Columns[i]}.Sanitize() + "::text"
		}
		rows, err := conn.Query(ctx, "select array["+strings.Join(columns, ", ")+"] from "+t.Quoted)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
		if err != nil {
			return err
		}
		for _, k := range keys {
			key := map[string]any{}
			for i := range k {
				key[t.Columns[i]] = o.text(t.Types[i], k[i])
			}
			text, _ := json.Marshal(key)
			if !state[topic][string(text)] {
				v.lost++
				v.example("%s lacks %s in the end", topic, text)
			}
			delete(state[topic], string(text))
		}
		for key := range state[topic] {
			v.differing++
			v.example("%s has %s in the end and the table has not", topic, key)
		}
	}
	if len(o.told) < 10 {
		return fmt.Errorf("the log tells of %d transactions: the load did nothing", len(o.told))
	}
	return nil
}
