package kafkalog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"nubridge/cdc"
)

// drawEvent makes an event as the source could.
func drawEvent(t *rapid.T) cdc.Event {
	bytesOrNone := rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.SliceOfN(rapid.Byte(), 1, 300))
	return cdc.Event{
		Topic: "t", Key: bytesOrNone.Draw(t, "key"), Value: bytesOrNone.Draw(t, "value"),
		Op: rapid.SampledFrom([]cdc.Op{cdc.OpCreate, cdc.OpUpdate, cdc.OpDelete, cdc.OpRead, cdc.OpTruncate, cdc.OpTombstone}).Draw(t, "op"),
		Position: cdc.Position{
			Epoch: rapid.Uint32().Draw(t, "epoch"), Commit: cdc.LSN(rapid.Uint64().Draw(t, "commit")), Index: rapid.Uint64().Draw(t, "index"),
		},
		XID: rapid.Uint64().Draw(t, "xid"), CommitTime: rapid.Int64().Draw(t, "commit time"),
		TxSize: rapid.Uint64Range(0, 3).Draw(t, "size"),
		Trace:  rapid.SampledFrom([]string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).Draw(t, "trace"),
	}
}

// TestEncoderWritesWhatKafkaGoWrites compares bytes, but for the producer's fields and the checksum over them.
func TestEncoderWritesWhatKafkaGoWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 70).Draw(t, "events")
		now := time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, "time"))
		var enc encoder
		enc.start(nil, now.UnixMilli())
		var records []kafka.Record
		for i := range events {
			enc.add(&events[i])
			records = append(records, plainRecord(&events[i], now))
		}
		got, err := enc.seal(newPacker(compress.None), producer{id: -1, epoch: -1}, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		set := protocol.RecordSet{Version: 2, Records: protocol.NewRecordReader(records...)}
		if _, err := set.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		want := out.Bytes()[4:]
		binary.BigEndian.PutUint32(want[12:], ^uint32(0)) // kafka-go writes leader epoch -1 or 0; a broker overwrites it
		if !bytes.Equal(got, want) {
			t.Fatalf("got\n%x\nwant\n%x", got, want)
		}
	})
}

// TestEncoderIsReadByFranzGoAndByOurDecoder takes every compression.
func TestEncoderIsReadByFranzGoAndByOurDecoder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 40).Draw(t, "events")
		codec := compress.Compression(rapid.IntRange(0, 4).Draw(t, "codec"))
		var enc encoder
		enc.start(nil, 1_700_000_000_123)
		for i := range events {
			enc.add(&events[i])
		}
		wire, err := enc.seal(newPacker(codec), producer{id: 77, epoch: 3}, 2147483600, nil)
		if err != nil {
			t.Fatal(err)
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(wire); err != nil {
			t.Fatal(err)
		}
		if batch.Magic != 2 || batch.ProducerID != 77 || batch.ProducerEpoch != 3 || batch.FirstSequence != 2147483600 ||
			int(batch.NumRecords) != len(events) || int(batch.LastOffsetDelta) != len(events)-1 || int(batch.Length) != len(wire)-12 {
			t.Fatalf("franz-go reads %+v", batch)
		}
		var got []cdc.Record
		next, err := decodeBatches(wire, 0, func(w wireRecord) error {
			r, err := w.record(cdc.Partition{Topic: "t"})
			got = append(got, r)
			return err
		})
		if err != nil || int(next) != len(events) {
			t.Fatalf("next %d, %v", next, err)
		}
		for i, e := range events {
			want := cdc.Record{
				Partition: cdc.Partition{Topic: "t"}, Offset: int64(i), Time: time.UnixMilli(1_700_000_000_123),
				Key: e.Key, Value: e.Value, Position: e.Position, Op: e.Op, XID: e.XID, Trace: e.Trace,
			}
			if e.CommitTime != 0 {
				want.CommitTime = time.UnixMicro(e.CommitTime)
			}
			if diff := cmp.Diff(want, got[i]); diff != "" {
				t.Fatal(diff)
			}
			if (e.Value == nil) != (got[i].Value == nil) || (e.Key == nil) != (got[i].Key == nil) {
				t.Fatal("empty and null are mixed up")
			}
		}
	})
}

func TestEncoderDoesNotAllocatePerRecord(t *testing.T) {
	e := cdc.Event{
		Op: 'u', Key: []byte(`{"id":1}`), Value: bytes.Repeat([]byte("x"), 300), XID: 7, CommitTime: 99,
		Position: cdc.Position{Epoch: 1, Commit: 0x1_0000_00AF, Index: 3},
	}
	var enc encoder
	buf := make([]byte, 0, 1<<20)
	allocs := testing.AllocsPerRun(20, func() {
		enc.start(buf, 1)
		for range 1000 {
			enc.add(&e)
		}
	})
	if allocs > 0 {
		t.Fatalf("%v allocations for 1,000 records", allocs)
	}
}

func TestPositionIsWrittenAsItsString(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := cdc.Position{
			Epoch: rapid.Uint32().Draw(t, "epoch"), Commit: cdc.LSN(rapid.Uint64().Draw(t, "commit")), Index: rapid.Uint64().Draw(t, "index"),
		}
		if got := string(appendPosition(nil, p)); got != p.String() {
			t.Fatalf("got %s, want %s", got, p)
		}
	})
}

func TestKeysLieWhereJavaPutsThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		if key == nil {
			key = []byte{}
		}
		n := rapid.IntRange(1, 50).Draw(t, "partitions")
		ids := make([]int, n)
		for i := range ids {
			ids[i] = i
		}
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, ids...)
		if got := partitionOf("t", key, n); got != want {
			t.Fatalf("key %x of %d: got %d, want %d", key, n, got, want)
		}
	})
	if got := partitionOf("oms.public.audit", nil, 7); got != partitionOf("t", []byte("oms.public.audit"), 7) {
		t.Fatalf("a record without a key lies in %d", got)
	}
}

func TestBatchEmptiedByCompactionMovesTheOffset(t *testing.T) {
	t.Parallel()
	var enc encoder
	enc.start(nil, 1)
	wire, err := enc.seal(newPacker(compress.None), producer{id: 1}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(wire, 100)
	binary.BigEndian.PutUint32(wire[atLastDelta:], 9)
	fix(wire)
	next, err := decodeBatches(wire, 105, func(wireRecord) error { return io.ErrUnexpectedEOF })
	if err != nil || next != 110 {
		t.Fatalf("got %d, %v", next, err)
	}
}

func TestCutBatchIsLeftForTheNextFetch(t *testing.T) {
	t.Parallel()
	e := cdc.Event{Op: 'u', Value: []byte("v")}
	var enc encoder
	enc.start(nil, 1)
	enc.add(&e)
	wire, _ := enc.seal(newPacker(compress.None), producer{}, 0, nil)
	second := bytes.Clone(wire)
	binary.BigEndian.PutUint64(second, 1)
	both := append(bytes.Clone(wire), second...)
	for cut := range both {
		n := 0
		next, err := decodeBatches(both[:cut], 0, func(wireRecord) error { n++; return nil })
		if want := cut / len(wire); err != nil || n != want || next != int64(want) {
			t.Fatalf("cut at %d: %d records, next %d, %v", cut, n, next, err)
		}
	}
	wire[len(wire)-1] ^= 1
	if _, err := decodeBatches(wire, 0, func(wireRecord) error { return nil }); err == nil {
		t.Fatal("a wrong checksum passes")
	}
}

func fix(wire []byte) {
	binary.BigEndian.PutUint32(wire[atCRC:], checksum(wire))
}

func TestShrinkLeavesOutTheLargestColumnsOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row := map[string]any{}
		for i := range rapid.IntRange(1, 6).Draw(t, "columns") {
			row[fmt.Sprintf("c%d", i)] = rapid.OneOf(
				rapid.Just[any](nil), rapid.Just[any](json.Number("12.50")),
				rapid.Map(rapid.StringN(0, 400, -1), func(s string) any { return s }),
			).Draw(t, "value")
		}
		value, err := json.Marshal(map[string]any{"before": nil, "after": row, "source": map[string]any{"table": "t"}, "op": "c"})
		if err != nil {
			t.Fatal(err)
		}
		w := wireRecord{value: value, headers: appendHeader(nil, cdc.HeaderOp, []byte("c")), count: 1}
		smaller, err := shrink(w)
		if err != nil {
			return // nothing large enough
		}
		var got struct{ After map[string]any }
		if err := json.Unmarshal(smaller.value, &got); err != nil {
			t.Fatalf("%s: %v", smaller.value, err)
		}
		if len(smaller.value) >= len(value) || len(got.After) != len(row) {
			t.Fatalf("from %s\nto %s", value, smaller.value)
		}
		named := ""
		smaller.eachHeader(func(key, value []byte) bool {
			if string(key) == cdc.HeaderOversize {
				named = "," + string(value) + ","
			}
			return true
		})
		for column, v := range row {
			left := got.After[column] == "__debezium_unavailable_value"
			if left != bytes.Contains([]byte(named), []byte(","+column+",")) {
				t.Fatalf("header names %q, column %s is %v", named, column, got.After[column])
			}
			if text, ok := v.(string); ok && !left && got.After[column] != text {
				t.Fatalf("column %s changed", column)
			}
		}
	})
}

func TestColumnsAreFoundAsTheStandardLibraryReadsThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		leaf := rapid.OneOf(rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](json.Number("-1.5e3")), rapid.Map(rapid.String(), func(s string) any { return s }))
		inner := rapid.OneOf(leaf, rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(s []any) any { return s }), rapid.Map(rapid.MapOfN(rapid.String(), leaf, 0, 3), func(m map[string]any) any { return m }))
		row := rapid.MapOfN(rapid.String(), inner, 0, 5).Draw(t, "row")
		envelope := map[string]any{"before": nil, "after": row, "source": map[string]any{"after": "}"}, "op": "c"}
		text, err := json.Marshal(envelope)
		if rapid.Bool().Draw(t, "blanks") {
			text, err = json.MarshalIndent(envelope, " ", "\t")
		}
		if err != nil {
			t.Fatal(err)
		}
		spans, err := columns(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var want struct{ After map[string]json.RawMessage }
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if len(spans) != len(want.After) {
			t.Fatalf("%d columns in %s, want %d", len(spans), text, len(want.After))
		}
		for _, s := range spans {
			if got := text[s.from:s.to]; !bytes.Equal(got, want.After[s.column]) {
				t.Fatalf("column %q is %s, want %s", s.column, got, want.After[s.column])
			}
		}
	})
}

func TestWhatIsTooLargeForAReaderIsPublishedLighter(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 800)
	e := cdc.Event{Topic: "t", Op: 'u', Key: []byte(`{"id":1}`), Oversize: "before_it", Value: []byte(`{"before":null,"after":{"id":1,"a":"` + large + `","b":2},"op":"u"}`)}
	same, err := lighten(&e, 2000)
	if err != nil || same != &e {
		t.Fatalf("got %v, %v, want the event itself", same, err)
	}
	lighter, err := lighten(&e, 500)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(lighter.Value), `{"before":null,"after":{"id":1,"a":"__debezium_unavailable_value","b":2},"op":"u"}`; got != want || lighter.Oversize != "before_it,a" {
		t.Errorf("got %s without %s, want %s", got, lighter.Oversize, want)
	}
	if !strings.Contains(string(e.Value), large) || e.Oversize != "before_it" {
		t.Error("the event itself was changed, which its batch still holds")
	}
	e.Key = []byte(strings.Repeat("k", 501))
	if _, err := lighten(&e, 500); err == nil {
		t.Error("a key beyond the limit passes")
	}
	m := cdc.Event{Op: cdc.OpMessage, Key: []byte(`{"prefix":"p"}`), Value: []byte(`{"op":"m","message":{"prefix":"p","content":"` + large + `"}}`)}
	if lighter, err = lighten(&m, 500); err != nil || string(lighter.Value) != `{"op":"m","message":{"prefix":"p","content":"__debezium_unavailable_value"}}` || lighter.Oversize != "content" {
		t.Errorf("a message became %v, %v", lighter, err)
	}
}
