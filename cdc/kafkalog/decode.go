package kafkalog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"
	"unsafe"

	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// Layout of a record batch of format 2; offsets are in bytes from its start.
const (
	atLength       = 8
	atMagic        = 16
	atCRC          = 17
	atAttributes   = 21
	atLastDelta    = 23
	atFirstTime    = 27
	atMaxTime      = 35
	atProducer     = 43
	atEpoch        = 51
	atSequence     = 53
	atCount        = 57
	batchOverhead  = 61
	compressionSet = 0x07
	controlSet     = 0x20
	// maxInflated bounds a decompressed batch. // I6
	maxInflated = 256 << 20
	// recordLeast is the fewest bytes that a record can have.
	recordLeast = 7
)

// castagnoli is the table of the checksum's polynomial, a constant that the language cannot express.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// wireRecord is one record as it lies in a batch. Its slices point into the batch and are not copied.
type wireRecord struct {
	offset  int64
	time    int64 // milliseconds since the Unix epoch
	key     []byte
	value   []byte
	headers []byte // count headers, still encoded
	count   int
}

// decodeBatches gives emit each data record at or after from, in order, and returns the offset to fetch next. A batch cut at
// the end, as brokers send them, is left for the next fetch. Batches without records move the offset too.
func decodeBatches(buf []byte, from int64, emit func(wireRecord) error) (int64, error) {
	return new(unpacker).batches(buf, from, func(int) {}, emit)
}

// unpacker decodes batches of one source. It remembers how well the last one was compressed, so that the next is unpacked into
// memory of the right size. It is not safe for use by several goroutines.
type unpacker struct {
	ratio float64 // bytes unpacked for each packed one; 0 if unknown
}

// guess is how many bytes so many packed ones are unpacked, as far as that is known beforehand.
func (u *unpacker) guess(packed int) int {
	if u.ratio == 0 {
		return 4 * packed
	}
	return int(u.ratio * float64(packed))
}

// batches is decodeBatches; expect is told how many records a batch claims before they come.
func (u *unpacker) batches(buf []byte, from int64, expect func(records int), emit func(wireRecord) error) (int64, error) {
	next := from
	for len(buf) >= batchOverhead {
		base := int64(binary.BigEndian.Uint64(buf))
		length := int64(binary.BigEndian.Uint32(buf[atLength:])) + 12
		if buf[atMagic] != 2 {
			return next, malformed("record batch at offset %d has format %d; expected 2", base, buf[atMagic])
		}
		if length < batchOverhead {
			return next, malformed("record batch at offset %d claims %d bytes", base, length)
		}
		if length > int64(len(buf)) {
			break
		}
		batch := buf[:length]
		buf = buf[length:]
		last := base + int64(int32(binary.BigEndian.Uint32(batch[atLastDelta:])))
		if last < base || base < 0 {
			return next, malformed("record batch at offset %d ends at %d", base, last)
		}
		if last < next {
			continue
		}
		if err := u.batch(batch, base, next, expect, emit); err != nil {
			return next, err
		}
		next = last + 1
	}
	return next, nil
}

func (u *unpacker) batch(batch []byte, base, from int64, expect func(records int), emit func(wireRecord) error) error {
	if crc32.Checksum(batch[atAttributes:], castagnoli) != binary.BigEndian.Uint32(batch[atCRC:]) {
		return malformed("record batch at offset %d has a wrong checksum", base)
	}
	attributes := binary.BigEndian.Uint16(batch[atAttributes:])
	count := int(int32(binary.BigEndian.Uint32(batch[atCount:])))
	if attributes&controlSet != 0 || count <= 0 {
		return nil
	}
	first := int64(binary.BigEndian.Uint64(batch[atFirstTime:]))
	payload, err := u.inflate(batch[batchOverhead:], compress.Compression(attributes&compressionSet))
	if err != nil {
		return malformed("record batch at offset %d does not decompress: %v", base, err)
	}
	expect(min(count, len(payload)/recordLeast))
	r := &reader{buf: payload}
	for range count {
		record, ok := decodeRecord(r, base, first)
		if !ok {
			return malformed("record batch at offset %d is malformed inside", base)
		}
		if record.offset < from {
			continue
		}
		if err := emit(record); err != nil {
			return err
		}
	}
	return nil
}

func decodeRecord(r *reader, base, first int64) (wireRecord, bool) {
	body := reader{buf: r.take(r.fit(uint64(max(r.varint(), 0))))}
	if r.bad {
		return wireRecord{}, false
	}
	body.int8() // attributes, unused
	record := wireRecord{time: first + body.varint(), offset: base + body.varint()}
	record.key = body.varbytes()
	record.value = body.varbytes()
	record.count = int(max(body.varint(), 0))
	record.headers = body.buf
	return record, !body.bad && record.count <= len(body.buf)/2
}

// varbytes reads bytes with a varint length; null is nil, empty is not.
func (r *reader) varbytes() []byte {
	n := r.varint()
	if n < 0 {
		return nil
	}
	b := r.take(r.fit(uint64(n)))
	if b == nil && !r.bad {
		return []byte{}
	}
	return b
}

// eachHeader gives the headers of a record until see returns false.
func (w wireRecord) eachHeader(see func(key, value []byte) bool) bool {
	r := reader{buf: w.headers}
	for range w.count {
		key := r.varbytes()
		value := r.varbytes()
		if r.bad {
			return false
		}
		if !see(key, value) {
			return true
		}
	}
	return true
}

// inflate gives the records of a batch; without compression it is the input itself.
func (u *unpacker) inflate(data []byte, codec compress.Compression) ([]byte, error) {
	if codec == compress.None {
		return data, nil
	}
	if codec.Codec() == nil {
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
	in := codec.Codec().NewReader(bytes.NewReader(data))
	defer in.Close()
	var out bytes.Buffer
	// An eighth is left for batches that pack better; a reader of a buffer also wants some room to find the end in.
	out.Grow(min(u.guess(len(data))*9/8+2*bytes.MinRead, maxInflated))
	n, err := out.ReadFrom(io.LimitReader(in, maxInflated+1))
	if err != nil {
		return nil, err
	}
	if n > maxInflated {
		return nil, fmt.Errorf("more than %d bytes", maxInflated)
	}
	if len(data) > 0 {
		u.ratio = min(float64(n)/float64(len(data)), 64)
	}
	return out.Bytes(), nil
}

func malformed(format string, args ...any) error {
	return &fault.Error{Kind: fault.Halt, Code: codeFormat, Err: fmt.Errorf(format, args...)}
}

// record turns a wire record into the record that the sink reads. Headers that are missing leave zero fields: the topic may
// hold records of other programs. Malformed ones fail.
func (w wireRecord) record(partition cdc.Partition) (cdc.Record, error) {
	record := cdc.Record{
		Partition: partition, Offset: w.offset, Time: time.UnixMilli(w.time),
		Key: w.key, Value: w.value,
	}
	var failed error
	ok := w.eachHeader(func(key, value []byte) bool {
		failed = setHeader(&record, view(key), value)
		return failed == nil
	})
	if !ok {
		failed = fmt.Errorf("headers are cut")
	}
	if failed != nil {
		return record, malformed("record %s/%d@%d: %v", partition.Topic, partition.ID, w.offset, failed)
	}
	return record, nil
}

func setHeader(record *cdc.Record, key string, value []byte) (err error) {
	switch key {
	case cdc.HeaderPosition:
		record.Position, err = cdc.ParsePosition(view(value))
	case cdc.HeaderOp:
		if len(value) != 1 {
			return fmt.Errorf("header %s holds %d bytes; expected one letter", cdc.HeaderOp, len(value))
		}
		record.Op = cdc.Op(value[0])
	case cdc.HeaderXID:
		if record.XID, err = strconv.ParseUint(view(value), 10, 64); err != nil {
			return fmt.Errorf("header %s is no number", cdc.HeaderXID)
		}
	case cdc.HeaderCommitTime:
		us, err := strconv.ParseInt(view(value), 10, 64)
		if err != nil {
			return fmt.Errorf("header %s is no number", cdc.HeaderCommitTime)
		}
		record.CommitTime = time.UnixMicro(us)
	case cdc.HeaderTrace:
		record.Trace = string(value)
	}
	return err
}

// position finds the position of a record; ok is false for a record without one.
func (w wireRecord) position() (position cdc.Position, op cdc.Op, ok bool) {
	w.eachHeader(func(key, value []byte) bool {
		switch view(key) {
		case cdc.HeaderPosition:
			parsed, err := cdc.ParsePosition(view(value))
			position, ok = parsed, err == nil
		case cdc.HeaderOp:
			if len(value) == 1 {
				op = cdc.Op(value[0])
			}
		}
		return true
	})
	return position, op, ok
}

// view reads bytes as a string without copying; it lives as long as the bytes stay unchanged.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
