package pgsource

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// errShort tells that a message ended too early.
var errShort = errors.New("pgoutput message is cut short")

// reader takes a pgoutput message apart in place. The first read past its end sets bad and gives zeros from then on.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.data) {
		r.bad = true
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// text reads up to a zero byte.
func (r *reader) text() string {
	for i, c := range r.data {
		if c == 0 {
			s := string(r.data[:i])
			r.data = r.data[i+1:]
			return s
		}
	}
	r.bad = true
	return ""
}

// cell is one value of a tuple as it lies in the message.
type cell struct {
	kind byte // n null, u unchanged TOAST, t text
	text []byte
}

// tuple reads a TupleData into cells, which are reused; it gives what it read.
func (r *reader) tuple(cells []cell) []cell {
	n := int(r.u16())
	cells = cells[:0]
	for range n {
		kind := r.u8()
		var text []byte
		switch kind {
		case 'n', 'u':
		case 't':
			text = r.take(int(r.u32()))
		default:
			r.bad = true
		}
		if r.bad {
			return cells[:0]
		}
		cells = append(cells, cell{kind, text})
	}
	return cells
}

// postgresEpoch is where PostgreSQL counts time from, in microseconds since the Unix epoch.
const postgresEpoch = 946684800 * int64(time.Second/time.Microsecond)

// wireColumn is one column as a Relation message describes it.
type wireColumn struct {
	name   string
	key    bool
	typeID uint32
	mod    int32
}

// wireRelation is a Relation message.
type wireRelation struct {
	id            uint32
	schema, table string
	identity      byte // d, n, f or i
	columns       []wireColumn
}

// parseRelation reads the body of a Relation message.
func parseRelation(body []byte) (wireRelation, error) {
	r := reader{data: body}
	rel := wireRelation{id: r.u32(), schema: r.text(), table: r.text(), identity: r.u8()}
	n := int(r.u16())
	for range n {
		c := wireColumn{key: r.u8()&1 != 0, name: r.text(), typeID: r.u32(), mod: int32(r.u32())}
		if r.bad {
			break
		}
		rel.columns = append(rel.columns, c)
	}
	if r.bad {
		return rel, fmt.Errorf("relation: %w", errShort)
	}
	if rel.schema == "" {
		rel.schema = "pg_catalog"
	}
	return rel, nil
}

// rowMessage is an Insert, Update or Delete; its cells lie in the message.
type rowMessage struct {
	relation uint32
	oldKind  byte // K key columns, O whole row, 0 none
	old, new []cell
}

// parseRow reads the body of an Insert, Update or Delete into m, whose slices are reused.
func parseRow(kind byte, body []byte, m *rowMessage) error {
	r := reader{data: body}
	m.relation = r.u32()
	m.oldKind, m.old, m.new = 0, m.old[:0], m.new[:0]
	mark := r.u8()
	if kind != 'I' && (mark == 'K' || mark == 'O') {
		m.oldKind = mark
		m.old = r.tuple(m.old)
		mark = 0
		if kind == 'U' {
			mark = r.u8()
		}
	}
	if mark == 'N' && kind != 'D' {
		m.new = r.tuple(m.new)
	} else if kind != 'D' || m.oldKind == 0 {
		r.bad = true
	}
	if r.bad {
		return fmt.Errorf("message %q: %w", kind, errShort)
	}
	return nil
}
