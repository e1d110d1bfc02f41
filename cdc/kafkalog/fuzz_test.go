package kafkalog

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"testing"

	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
)

func checksum(wire []byte) uint32 { return crc32.Checksum(wire[atAttributes:], castagnoli) }

func seedBatch(codec compress.Compression) []byte {
	e := cdc.Event{Op: 'u', Key: []byte("k"), Value: []byte(`{"after":{"a":"b"}}`), XID: 1, Trace: "t"}
	var enc encoder
	enc.start(nil, 1)
	for range 3 {
		enc.add(&e)
	}
	wire, _ := enc.seal(newPacker(codec), producer{id: 1}, 0, nil)
	return wire
}

// FuzzRecordBatches: whatever comes, no panic, no offset that goes back, no memory beyond the bound.
func FuzzRecordBatches(f *testing.F) {
	for codec := range compress.Compression(5) {
		f.Add(seedBatch(codec), int64(0))
	}
	f.Fuzz(func(t *testing.T, wire []byte, from int64) {
		if from < 0 {
			return
		}
		if len(wire) >= batchOverhead {
			fix(wire) // else nothing passes the checksum
		}
		next, err := decodeBatches(wire, from, func(w wireRecord) error {
			w.position()
			_, err := w.record(cdc.Partition{Topic: "t"})
			return err
		})
		if err == nil && next < from {
			t.Fatalf("the offset goes back from %d to %d", from, next)
		}
	})
}

// FuzzAnswers feeds every hand-written decoder of a broker's answer.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1}, int16(11))
	f.Add(bytes.Repeat([]byte{1}, 80), int16(5))
	f.Fuzz(func(_ *testing.T, answer []byte, version int16) {
		_, _ = decodeMetadata(bytes.Clone(answer))
		_, _ = decodeFetch(answer, version)
		_, _ = decodeProduce(answer, version)
		_ = decodeListOffsets(answer, version, map[cdc.Partition]int64{})
	})
}

// FuzzShrink: what was JSON stays JSON.
func FuzzShrink(f *testing.F) {
	f.Add([]byte(`{"before":null,"after":{"a":"` + string(bytes.Repeat([]byte("x"), 200)) + `","b":1},"op":"u"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if !json.Valid(value) {
			return
		}
		if smaller, err := shrink(wireRecord{value: value}); err == nil && !json.Valid(smaller.value) {
			t.Fatalf("%q became %q", value, smaller.value)
		}
	})
}
