package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// verdict is what a reading of all records found.
type verdict struct {
	Records    int `json:"records"`
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	Altered    int `json:"altered"` // content, order or operation is not as written
	Bytes      int `json:"bytes_per_record"`
	// First is an example of what was altered.
	First string `json:"first_altered,omitempty"`
}

// verifier compares every record with the workload: each row must arrive with its history, in order, with its content.
type verifier struct {
	topics    []string
	snapshot  bool // all rows are in the first table, at revision 0
	baseline  bool
	next      []byte // by row: how much of its history arrived
	tombs     []byte
	repeats   int
	altered   int
	firstBad  string
	records   int
	bytes     int64
	rows      int
	positions *positions
}

// newVerifier expects the first rows of the workload.
func newVerifier(f *feed, rows int) *verifier {
	return &verifier{
		topics: f.topics(), snapshot: f.mode == "snapshot", baseline: f.target == "baseline", rows: rows,
		next: make([]byte, rows+1), tombs: make([]byte, rows+1), positions: newPositions(f.target == "nubridge"),
	}
}

func (v *verifier) bad(r *kgo.Record, format string, args ...any) {
	v.altered++
	if v.firstBad == "" {
		v.firstBad = fmt.Sprintf("%s/%d/%d: ", r.Topic, r.Partition, r.Offset) + fmt.Sprintf(format, args...) + ": " + string(r.Value)
	}
}

// take checks one record.
func (v *verifier) take(r *kgo.Record) {
	v.records++
	v.bytes += int64(len(r.Key) + len(r.Value))
	v.positions.take(r)
	id := lastNumber(r.Key)
	if id < 1 || id > v.rows {
		v.bad(r, "unknown row %d", id)
		return
	}
	side := 0
	if !v.snapshot {
		side = tableOf(id)
	}
	if r.Topic != v.topics[side] {
		v.bad(r, "row %d is in the wrong topic", id)
		return
	}
	e := event{}
	switch {
	case v.baseline:
		e = plainEvent(r.Value)
	case len(r.Value) == 0:
		e.op = 'x'
	default:
		e = envelope(r.Value)
	}
	if e.op == 'x' {
		v.tombstone(r, id)
		return
	}
	v.event(r, id, side, e)
}

func (v *verifier) event(r *kgo.Record, id, side int, e event) {
	history := changesOf(id)
	if v.snapshot {
		history = []kind{'r'}
	}
	at := -1
	for i, k := range history {
		if k == e.op || v.baseline && e.op == 'c' && k == kind("cu"[min(1, e.rev())]) || v.baseline && k == 'r' && e.op == 'c' {
			at = i
		}
	}
	switch n := int(v.next[id]); {
	case at < 0:
		v.bad(r, "row %d has no change %c", id, e.op)
		return
	case at < n:
		v.repeats++
		return
	case at > n:
		v.bad(r, "row %d: change %c came before the one before it", id, e.op)
	}
	v.next[id] = byte(at + 1)
	rev := 0
	if history[at] == 'u' {
		rev = 1
	}
	if history[at] != 'd' {
		if why := differs(e.after, id, rev); why != "" {
			v.bad(r, "after of row %d: %s", id, why)
		}
	} else if e.after != nil {
		v.bad(r, "after of a deleted row %d", id)
	}
	if v.baseline || v.snapshot {
		return
	}
	switch {
	case side == 1 && history[at] != 'c':
		if why := differs(e.before, id, 0); why != "" {
			v.bad(r, "before of row %d: %s", id, why)
		}
	case history[at] == 'd':
		if field(e.before, "id") != strconv.Itoa(id) {
			v.bad(r, "before of row %d has no key", id)
		}
	case e.before != nil:
		v.bad(r, "before of row %d", id)
	}
}

func (v *verifier) tombstone(r *kgo.Record, id int) {
	history := changesOf(id)
	switch {
	case history[len(history)-1] != 'd' || v.snapshot:
		v.bad(r, "tombstone of a living row %d", id)
	case v.baseline && v.next[id] < 2: // its tombstone is its delete
		if v.next[id] == 0 {
			v.bad(r, "tombstone of row %d before its insert", id)
		}
		v.next[id] = 2
	case v.tombs[id] > 0 || v.baseline:
		v.repeats++
	case v.next[id] < 2:
		v.bad(r, "tombstone of row %d before its delete", id)
		v.tombs[id] = 1
	default:
		v.tombs[id] = 1
	}
}

// verdict sums up after the last record.
func (v *verifier) verdict() verdict {
	out := verdict{Records: v.records, Duplicated: v.repeats, Altered: v.altered + v.positions.wrong, First: v.firstBad}
	for id := 1; id <= v.rows; id++ {
		history := changesOf(id)
		if v.snapshot {
			history = []kind{'r'}
		}
		out.Lost += len(history) - int(v.next[id])
		if history[len(history)-1] == 'd' && v.tombs[id] == 0 && !v.baseline {
			out.Lost++
		}
	}
	if out.First == "" {
		out.First = v.positions.first
	}
	out.Bytes = int(v.bytes / int64(max(1, v.records)))
	return out
}

// event is what a record says.
type event struct {
	op            kind
	before, after []byte // JSON objects, nil for null
}

func (e event) rev() int {
	n, _ := strconv.Atoi(field(e.after, "rev"))
	return n
}

// envelope reads Debezium's envelope.
func envelope(value []byte) event {
	var e event
	members(value, func(key, v []byte) {
		object := v
		if len(v) == 0 || v[0] != '{' {
			object = nil
		}
		switch string(key) {
		case "before":
			e.before = object
		case "after":
			e.after = object
		case "op":
			if len(v) == 3 {
				e.op = kind(v[1])
			}
		}
	})
	return e
}

// plainEvent reads the baseline's value: the columns alone, nothing for a delete.
func plainEvent(value []byte) event {
	if len(value) == 0 {
		return event{op: 'x'}
	}
	return event{op: 'c', after: value}
}

// differs compares a row with what was written and says how it differs.
func differs(object []byte, id, rev int) string {
	want := contentOf(id, rev)
	seen, why := 0, ""
	members(object, func(key, value []byte) {
		text := string(bytes.Trim(value, `"`))
		seen++
		var ok bool
		switch string(key) {
		case "id":
			ok = text == strconv.Itoa(id)
		case "rev":
			ok = text == strconv.Itoa(rev)
		case "sku":
			ok = text == want.sku
		case "qty":
			ok = text == strconv.Itoa(want.qty)
		case "price":
			ok = cents(value) == want.cents
		case "note":
			ok = text == want.note
		case "updated_at":
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil { // the server's own form
				at, err = time.Parse("2006-01-02 15:04:05.999999-07", text)
			}
			ok = err == nil && at.Equal(want.at)
		default:
			ok = false
		}
		if !ok {
			why = string(key)
		}
	})
	if seen != 7 && why == "" {
		why = fmt.Sprintf("%d columns", seen)
	}
	return why
}

// cents reads a price: a text, a number, or Debezium's bytes of the unscaled value.
func cents(value []byte) int {
	text := string(bytes.Trim(value, `"`))
	if whole, part, ok := bytes.Cut([]byte(text), []byte(".")); ok && len(part) == 2 {
		n, _ := strconv.Atoi(string(whole) + string(part))
		return n
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return -1
	}
	return int(new(big.Int).SetBytes(raw).Int64()) // never negative in this workload
}

// field gives one member of an object, unquoted.
func field(object []byte, name string) string {
	out := ""
	members(object, func(key, value []byte) {
		if string(key) == name {
			out = string(bytes.Trim(value, `"`))
		}
	})
	return out
}

// members calls f for each member of a JSON object. It expects well-formed JSON without escapes in keys.
func members(object []byte, f func(key, value []byte)) {
	i := bytes.IndexByte(object, '{') + 1
	for i > 0 && i < len(object) {
		start := bytes.IndexByte(object[i:], '"')
		if start < 0 {
			return
		}
		i += start + 1
		end := bytes.IndexByte(object[i:], '"')
		if end < 0 {
			return
		}
		key := object[i : i+end]
		i += end + 1
		for i < len(object) && (object[i] == ':' || object[i] == ' ') {
			i++
		}
		from := i
		for depth, quoted := 0, false; i < len(object); i++ {
			c := object[i]
			switch {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				depth++
			case (c == '}' || c == ']') && depth > 0:
				depth--
			case (c == ',' || c == '}') && depth == 0:
				goto value
			}
		}
	value:
		if i > len(object) {
			return
		}
		f(key, object[from:i])
		if i < len(object) && object[i] == '}' {
			return
		}
		i++
	}
}

// lastNumber takes the last number of a key.
func lastNumber(key []byte) int {
	end := bytes.LastIndexAny(key, "0123456789")
	if end < 0 {
		return 0
	}
	start := end
	for start > 0 && key[start-1] >= '0' && key[start-1] <= '9' {
		start--
	}
	n, _ := strconv.Atoi(string(key[start : end+1]))
	return n
}
