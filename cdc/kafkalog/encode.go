package kafkalog

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
)

// encoder writes the records of one batch. What it wrote lies behind room for the batch's head, so that an uncompressed
// batch needs no copy. Reused, it does not allocate.
type encoder struct {
	buf   []byte // batchOverhead bytes of room, then the records
	count int
	time  int64 // of all records, milliseconds since the Unix epoch
	extra []byte
}

// start empties the encoder for a batch whose records are written at a time.
func (e *encoder) start(buf []byte, milliseconds int64) {
	if cap(buf) < batchOverhead {
		buf = make([]byte, batchOverhead, 1<<10) // a batch of a wide feed is often a record or two
	}
	e.buf, e.count, e.time = buf[:batchOverhead], 0, milliseconds
}

// add writes one event.
func (e *encoder) add(event *cdc.Event) {
	headers := e.headers(event)
	length := 1 + 1 + varintLen(int64(e.count)) + bytesLen(event.Key) + bytesLen(event.Value) + len(headers)
	b := binary.AppendVarint(e.room(length), int64(length))
	b = append(b, 0, 0) // attributes, and no difference in time
	b = binary.AppendVarint(b, int64(e.count))
	b = appendBytes(b, event.Key)
	b = appendBytes(b, event.Value)
	e.buf = append(b, headers...)
	e.count++
}

// copy writes a record taken from another batch.
func (e *encoder) copy(w wireRecord) {
	length := 1 + 1 + varintLen(int64(e.count)) + bytesLen(w.key) + bytesLen(w.value) + varintLen(int64(w.count)) + len(w.headers)
	b := binary.AppendVarint(e.room(length), int64(length))
	b = append(b, 0, 0)
	b = binary.AppendVarint(b, int64(e.count))
	b = appendBytes(b, w.key)
	b = appendBytes(b, w.value)
	b = binary.AppendVarint(b, int64(w.count))
	e.buf = append(b, w.headers...)
	e.count++
}

// largeRecord is from where a record gets exactly the room that it needs: growing by parts holds it twice. // I6
const largeRecord = 1 << 20

// room gives the buffer with room for a record of a length.
func (e *encoder) room(length int) []byte {
	if length < largeRecord {
		return e.buf
	}
	return slices.Grow(e.buf, length+binary.MaxVarintLen64)
}

// headers encodes the headers of an event with their number in front.
func (e *encoder) headers(event *cdc.Event) []byte {
	n := int64(2)
	b := append(e.extra[:0], 0) // room for the number, which is below 64
	var scratch [80]byte
	b = appendHeader(b, cdc.HeaderPosition, appendPosition(scratch[:0], event.Position))
	b = appendHeader(b, cdc.HeaderOp, append(scratch[:0], byte(event.Op)))
	if event.XID != 0 {
		b = appendHeader(b, cdc.HeaderXID, strconv.AppendUint(scratch[:0], event.XID, 10))
		n++
	}
	if event.CommitTime != 0 {
		b = appendHeader(b, cdc.HeaderCommitTime, strconv.AppendInt(scratch[:0], event.CommitTime, 10))
		n++
	}
	if event.TxSize != 0 {
		b = appendHeader(b, cdc.HeaderTxSize, strconv.AppendUint(scratch[:0], event.TxSize, 10))
		n++
	}
	if event.Trace != "" {
		b = appendHeader(b, cdc.HeaderTrace, append(scratch[:0], event.Trace...))
		n++
	}
	if event.Oversize != "" {
		b = appendHeader(b, cdc.HeaderOversize, []byte(event.Oversize))
		n++
	}
	b[0] = byte(n << 1)
	e.extra = b
	return b
}

// seal gives the finished batch. The encoder must be started anew afterwards; spare is a buffer for the compressed bytes.
func (e *encoder) seal(pack *packer, producer producer, sequence int32, spare []byte) ([]byte, error) {
	batch := e.buf
	if pack.codec != compress.None {
		var err error
		if batch, err = pack.pack(append(spare[:0], e.buf[:batchOverhead]...), e.buf[batchOverhead:]); err != nil {
			return nil, err
		}
	}
	be := binary.BigEndian
	be.PutUint64(batch, 0)
	be.PutUint32(batch[atLength:], uint32(len(batch)-12))
	be.PutUint32(batch[12:], ^uint32(0)) // leader epoch, the broker's to fill
	batch[atMagic] = 2
	be.PutUint16(batch[atAttributes:], uint16(pack.codec))
	be.PutUint32(batch[atLastDelta:], uint32(e.count-1))
	be.PutUint64(batch[atFirstTime:], uint64(e.time))
	be.PutUint64(batch[atMaxTime:], uint64(e.time))
	be.PutUint64(batch[atProducer:], uint64(producer.id))
	be.PutUint16(batch[atEpoch:], uint16(producer.epoch))
	be.PutUint32(batch[atSequence:], uint32(sequence))
	be.PutUint32(batch[atCount:], uint32(e.count))
	be.PutUint32(batch[atCRC:], crc32.Checksum(batch[atAttributes:], castagnoli))
	return batch, nil
}

// producer is what a broker knows a publisher by.
type producer struct {
	id    int64
	epoch int16
}

func appendHeader(dst []byte, key string, value []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// appendPosition writes what Position.String gives.
func appendPosition(dst []byte, p cdc.Position) []byte {
	dst = strconv.AppendUint(dst, uint64(p.Epoch), 10)
	dst = append(dst, ':')
	dst = strconv.AppendUint(dst, uint64(p.Commit)>>32, 16)
	dst = append(dst, '/')
	low := len(dst)
	dst = strconv.AppendUint(dst, uint64(p.Commit)&0xFFFFFFFF, 16)
	for i := low; i < len(dst); i++ {
		if dst[i] >= 'a' {
			dst[i] -= 'a' - 'A'
		}
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, p.Index, 10)
}

func varintLen(v int64) int { return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7 }

// bytesLen is the length of bytes with their varint length in front; nil is null.
func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // length -1
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}
