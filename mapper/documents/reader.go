package documents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/fault"
	"nubridge/mapper"
)

// Config sets how documents are read. The zero value is usable.
type Config struct {
	// BatchKeys is how many keys one query is given at most; 500 if zero.
	BatchKeys int
	// Now gives the present epoch of the capture and its timeline, zero if not known. Wants of an older epoch need no proof.
	// Nil: every want is of the present epoch and the timeline is not compared.
	Now func() (epoch uint32, timeline int32)
}

// Reader reads documents by key. It is safe for concurrent use.
type Reader struct {
	db      *pgxpool.Pool
	mapping func() *mapper.Mapping
	config  Config
}

// NewReader makes a reader over a database, which may be a streaming replica. The mapping is asked for at each read, so that a
// new one takes over without a restart. It touches no network.
func NewReader(db *pgxpool.Pool, mapping func() *mapper.Mapping, config Config) (*Reader, error) {
	if db == nil || mapping == nil {
		return nil, errors.New("make document reader: database and mapping are needed")
	}
	if config.BatchKeys <= 0 {
		config.BatchKeys = 500
	}
	return &Reader{db: db, mapping: mapping, config: config}, nil
}

// Read reads documents of one flow, aligned with wants, in one REPEATABLE READ transaction that is proven not to be older than
// each want; a want that cannot be proven is given back as not yet visible. It blocks for the queries; its errors are faults of
// kind retry, or halt when the mapping and the database no longer fit.
func (r *Reader) Read(ctx context.Context, flow mapper.Flow, wants []mapper.Want) ([]mapper.Read, error) {
	m := r.mapping()
	plan, ok := m.Plan(flow)
	if !ok {
		return nil, fault.New(fault.Halt, "flow_not_mapped", "read documents: flow %q is not mapped", flow)
	}
	conn, err := r.db.Acquire(ctx)
	if err != nil {
		return nil, readFault("connect", err)
	}
	defer conn.Release()
	s := &session{conn: conn.Conn(), mapping: m}
	out := make([]mapper.Read, len(wants))
	for i, w := range wants {
		out[i].Key = w.Key
	}
	if err := s.run(ctx, r, plan, wants, out); err != nil {
		return nil, err
	}
	return out, nil
}

func readFault(what string, err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pg.Code, "42"):
			return &fault.Error{
				Kind: fault.Halt, Code: "mapping_database_mismatch", Hint: "run nubridge check: the tables changed under the mapping",
				Err: fmt.Errorf("read documents: %s: SQLSTATE %s", what, pg.Code),
			}
		case strings.HasPrefix(pg.Code, "22"):
			return &fault.Error{
				Kind: fault.Reject, Code: "document_query_failed", Hint: "a query of the mapping cannot take a value; run nubridge mapping try for the key",
				Err: fmt.Errorf("read documents: %s: SQLSTATE %s", what, pg.Code),
			}
		}
		return &fault.Error{Kind: fault.Retry, Code: "oms_database", Err: fmt.Errorf("read documents: %s: SQLSTATE %s", what, pg.Code)}
	}
	return &fault.Error{Kind: fault.Retry, Code: "oms_database", Err: fmt.Errorf("read documents: %s: %w", what, err)}
}

// session is one read on one connection.
type session struct {
	conn    *pgx.Conn
	mapping *mapper.Mapping
}

func (s *session) run(ctx context.Context, r *Reader, plan mapper.DocumentPlan, wants []mapper.Want, out []mapper.Read) (err error) {
	proof := newProof(r.config, wants)
	if err := proof.beforeTransaction(ctx, s.conn); err != nil {
		return readFault("prove", err)
	}
	if _, err := s.conn.Exec(ctx, "begin isolation level repeatable read read only", pgx.QueryExecModeSimpleProtocol); err != nil {
		return readFault("begin", err)
	}
	defer func() {
		if err != nil {
			// A failed or cancelled pipeline leaves the connection unusable: the pool throws it away.
			_ = s.conn.Close(context.WithoutCancel(ctx))
			return
		}
		if _, cerr := s.conn.Exec(ctx, "commit", pgx.QueryExecModeSimpleProtocol); cerr != nil {
			err = readFault("commit", cerr)
		}
	}()
	if err := proof.inTransaction(ctx, s.conn); err != nil {
		return readFault("prove", err)
	}
	var visible []int
	for i := range wants {
		if proof.epoch != 0 {
			out[i].Epoch, out[i].At = proof.epoch, proof.at
		}
		if out[i].NotYetVisible = !proof.visible(i); !out[i].NotYetVisible {
			visible = append(visible, i)
		}
	}
	for len(visible) > 0 {
		n := min(len(visible), r.config.BatchKeys)
		if err := s.batch(ctx, plan, wants, visible[:n], out); err != nil {
			return err
		}
		visible = visible[n:]
	}
	return nil
}

// batch reads one batch of keys, all queries sent at once.
func (s *session) batch(ctx context.Context, plan mapper.DocumentPlan, wants []mapper.Want, at []int, out []mapper.Read) error {
	ordinals := make(map[mapper.Key]int, len(at))
	keys := make([]mapper.Key, 0, len(at))
	for _, i := range at {
		if _, twice := ordinals[wants[i].Key]; !twice {
			ordinals[wants[i].Key] = len(keys)
			keys = append(keys, wants[i].Key)
		}
	}
	args, err := keyArrays(keys, len(plan.Root.Key))
	if err != nil {
		return &fault.Error{Kind: fault.Reject, Code: "document_key", Err: err}
	}
	queries := append([]mapper.QueryPlan{plan.Root}, plan.Parts...)
	names := make([]string, len(queries))
	for i, q := range queries {
		if names[i], err = s.prepare(ctx, q); err != nil {
			return err
		}
	}
	p := s.conn.PgConn().StartPipeline(ctx)
	for _, name := range names {
		p.SendQueryPrepared(name, args, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return readFault("send", errors.Join(err, p.Close()))
	}
	slices, err := collect(p, queries, ordinals)
	if cerr := p.Close(); err == nil && cerr != nil {
		err = readFault("read", cerr)
	}
	if err != nil {
		return err
	}
	for _, i := range at {
		o := ordinals[wants[i].Key]
		if len(slices[0][o].Index) == 0 {
			continue
		}
		parts := make([]mapper.Slice, len(plan.Parts))
		for j := range parts {
			parts[j] = slices[j+1][o]
		}
		out[i].Document = mapper.NewDocument(slices[0][o], parts).ReadBy(s.mapping)
	}
	return nil
}

func collect(p *pgconn.Pipeline, queries []mapper.QueryPlan, ordinals map[mapper.Key]int) ([][]mapper.Slice, error) {
	out := make([][]mapper.Slice, 0, len(queries))
	for _, q := range queries {
		res, err := p.GetResults()
		if err != nil {
			return nil, readFault("query "+q.Name, err)
		}
		rr, ok := res.(*pgconn.ResultReader)
		if !ok {
			return nil, readFault("query "+q.Name, errors.New("unexpected answer of the server"))
		}
		rows := mapper.NewRows(q.Columns)
		owner := make([]int32, 0, len(ordinals))
		var key []byte
		for rr.NextRow() {
			values := rr.Values()
			key = rowKey(key[:0], values, q.Key, q.Columns)
			o, ok := ordinals[mapper.Key(key)]
			if !ok {
				continue
			}
			rows.Append(values)
			owner = append(owner, int32(o))
		}
		if _, err := rr.Close(); err != nil {
			return nil, readFault("query "+q.Name, err)
		}
		out = append(out, group(rows, owner, len(ordinals)))
	}
	return out, nil
}

// group gives each document its rows, in the order in which the query gave them.
func group(rows *mapper.Rows, owner []int32, documents int) []mapper.Slice {
	starts := make([]int32, documents+1)
	for _, o := range owner {
		starts[o+1]++
	}
	for i := range documents {
		starts[i+1] += starts[i]
	}
	index := make([]int32, len(owner))
	next := append([]int32(nil), starts[:documents]...)
	for row, o := range owner {
		index[next[o]] = int32(row)
		next[o]++
	}
	out := make([]mapper.Slice, documents)
	for i := range out {
		out[i] = mapper.Slice{Rows: rows, Index: index[starts[i]:starts[i+1]:starts[i+1]]}
	}
	return out
}

// rowKey writes a row's key as mapper.KeyOf does.
func rowKey(buf []byte, values [][]byte, key []int, columns []mapper.Column) []byte {
	for i, k := range key {
		if i > 0 {
			buf = append(buf, '|')
		}
		v := values[k]
		if columns[k].Type == mapper.Bool && len(v) == 1 {
			if v[0] == 't' {
				v = []byte("true")
			} else {
				v = []byte("false")
			}
		}
		for _, c := range v {
			if c == '|' || c == '\\' {
				buf = append(buf, '\\')
			}
			buf = append(buf, c)
		}
	}
	return buf
}

// keyArrays turns keys into one array literal per key column.
func keyArrays(keys []mapper.Key, columns int) ([][]byte, error) {
	values := make([][]string, len(keys))
	for i, k := range keys {
		values[i] = k.Parts()
		if len(values[i]) != columns {
			return nil, fmt.Errorf("read documents: a key has %d parts, the mapping's key has %d columns", len(values[i]), columns)
		}
	}
	return arrays(values, columns), nil
}

func arrays(values [][]string, columns int) [][]byte {
	out := make([][]byte, columns)
	for c := range columns {
		b := []byte{'{'}
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendElement(b, v[c])
		}
		out[c] = append(b, '}')
	}
	return out
}

func appendElement(b []byte, v string) []byte {
	b = append(b, '"')
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, v[i])
	}
	return append(b, '"')
}

// prepare prepares a query once per connection. Columns that are not those that the mapping was compiled with are a halt: the rows
// would be read as something else.
func (s *session) prepare(ctx context.Context, q mapper.QueryPlan) (string, error) {
	name := "nubridge_" + strconv.FormatUint(hash(q.SQL), 36)
	desc, err := s.conn.Prepare(ctx, name, q.SQL)
	if err != nil {
		return "", readFault("prepare "+q.Name, err)
	}
	same := len(desc.Fields) == len(q.Columns)
	for i := 0; same && i < len(q.Columns); i++ {
		same = desc.Fields[i].Name == q.Columns[i].Name && desc.Fields[i].DataTypeOID == q.Columns[i].OID
	}
	if !same {
		return "", &fault.Error{
			Kind: fault.Halt, Code: "mapping_database_mismatch", Hint: "the columns of a query changed; run nubridge check, then nubridge reload",
			Err: fmt.Errorf("read documents: query %s gives other columns than when the mapping was loaded", q.Name),
		}
	}
	return name, nil
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Hop resolves routes that need SQL: the values of the hop's columns to the keys of the documents, aligned with values.
func (r *Reader) Hop(ctx context.Context, id mapper.HopID, values [][]string) ([][]mapper.Key, error) {
	plan, ok := r.mapping().HopPlan(id)
	if !ok {
		return nil, fault.New(fault.Halt, "hop_not_mapped", "resolve route: flow %q has no hop %d", id.Flow, id.Index)
	}
	conn, err := r.db.Acquire(ctx)
	if err != nil {
		return nil, readFault("connect", err)
	}
	defer conn.Release()
	s := &session{conn: conn.Conn()}
	name, err := s.prepare(ctx, plan.QueryPlan)
	if err != nil {
		return nil, err
	}
	out := make([][]mapper.Key, len(values))
	for from := 0; from < len(values); from += r.config.BatchKeys {
		part := values[from:min(from+r.config.BatchKeys, len(values))]
		if err := s.hop(ctx, name, plan, part, out[from:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *session) hop(ctx context.Context, name string, plan mapper.HopPlan, values [][]string, out [][]mapper.Key) error {
	at := make(map[string][]int, len(values))
	for i, v := range values {
		if len(v) != len(plan.From) {
			return fault.New(fault.Halt, "hop_values", "resolve route: %s takes %d values, got %d", plan.Name, len(plan.From), len(v))
		}
		k := string(mapper.KeyOf(append([]string(nil), v...)...))
		at[k] = append(at[k], i)
	}
	rr := s.conn.PgConn().ExecPrepared(ctx, name, arrays(values, len(plan.From)), nil, nil)
	var buf []byte
	for rr.NextRow() {
		row := rr.Values()
		buf = rowKey(buf[:0], row, plan.From, plan.Columns)
		targets := at[string(buf)]
		if len(targets) == 0 || row[plan.Key[0]] == nil {
			continue
		}
		key := mapper.Key(rowKey(nil, row, plan.Key, plan.Columns))
		for _, i := range targets {
			out[i] = append(out[i], key)
		}
	}
	if _, err := rr.Close(); err != nil {
		// A statement that was prepared before its tables changed fails again and again: the next call gets a new connection.
		return errors.Join(readFault("hop", err), s.conn.Close(context.WithoutCancel(ctx)))
	}
	return nil
}
