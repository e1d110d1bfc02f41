package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"nubridge/internal/fault"
)

// maxAnswer bounds what one answer may hold, so that a broken length cannot exhaust memory. // I6
const maxAnswer = 512 << 20

// call is one request whose body is encoded here, for messages and versions that kafka-go does not know. kafka-go routes it
// and lends the connection.
type call struct {
	// broker is asked for the broker to send to; nil sends to any.
	route func(protocol.Cluster) (protocol.Broker, error)
	key   protocol.ApiKey
	// versions that this side can speak, highest first; the first that the broker knows is used.
	low, high int16
	// flexible requests carry tag buffers in their headers.
	flexible bool
	clientID string
	encode   func(version int16, dst []byte) []byte

	version int16
	answer  []byte
}

// ApiKey names the request; the spelling is kafka-go's.
func (c *call) ApiKey() protocol.ApiKey { return c.key }

// Broker routes the request.
func (c *call) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	if c.route == nil {
		return protocol.Broker{ID: -1}, nil
	}
	return c.route(cluster)
}

// Required picks the version and says that this message writes itself.
func (c *call) Required(versions map[protocol.ApiKey]int16) bool {
	c.version = c.high
	// kafka-go reports what it and the broker have in common; its own ceiling is below ours for some messages.
	if have, ok := versions[c.key]; ok && have < c.high && have < c.key.MaxVersion() {
		c.version = have
	}
	return true
}

// RawExchange writes the request and reads the answer.
func (c *call) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if c.version < c.low {
		return nil, &fault.Error{
			Kind: fault.Halt, Code: codeTooOld, Hint: "use Kafka 3.1 or newer",
			Err: fmt.Errorf("the broker does not know %s in version %d", c.key, c.low),
		}
	}
	request := make([]byte, 4, 256)
	request = binary.BigEndian.AppendUint16(request, uint16(c.key))
	request = binary.BigEndian.AppendUint16(request, uint16(c.version))
	request = binary.BigEndian.AppendUint32(request, 1)
	request = appendString(request, c.clientID)
	if c.flexible {
		request = append(request, 0)
	}
	request = c.encode(c.version, request)
	binary.BigEndian.PutUint32(request, uint32(len(request)-4))
	if _, err := rw.Write(request); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, unexpected(err)
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < 4 || size > maxAnswer {
		return nil, fmt.Errorf("the broker announced an answer of %d bytes to %s", size, c.key)
	}
	answer := make([]byte, size-4)
	if _, err := io.ReadFull(rw, answer); err != nil {
		return nil, unexpected(err)
	}
	if c.flexible {
		r := reader{buf: answer}
		r.tags()
		answer = r.buf
	}
	c.answer = answer
	return c, nil
}

// unexpected names a connection that the other side closed.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// exchange sends one call within the client's timeout plus extra.
func (c *Client) exchange(ctx context.Context, m *call, extra time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout+extra)
	defer cancel()
	m.clientID = c.cfg.ClientID
	_, err := c.transport.RoundTrip(ctx, c.kafka.Addr, m)
	return err
}

func appendString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendCompactString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)+1))
	return append(dst, s...)
}

// reader takes Kafka's primitives from a buffer. After the first fault all it gives is zero, and bad is set.
type reader struct {
	buf []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.buf) {
		r.bad, r.buf = true, nil
		return nil
	}
	taken := r.buf[:n:n]
	r.buf = r.buf[n:]
	return taken
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.bad, r.buf = true, nil
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.bad, r.buf = true, nil
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// string reads a string with a two-byte length; null is empty.
func (r *reader) string() string {
	if n := r.int16(); n >= 0 {
		return string(r.take(int(n)))
	}
	return ""
}

// compactString reads a string whose length is one less than the varint before it; null is empty.
func (r *reader) compactString() string {
	n := r.uvarint()
	if n == 0 {
		return ""
	}
	return string(r.take(r.fit(n - 1)))
}

// count reads the length of an array whose elements take at least least bytes each; null is zero.
func (r *reader) count(least int) int {
	n := int(r.int32())
	if n <= 0 {
		return 0
	}
	if n > len(r.buf)/least {
		r.bad, r.buf = true, nil
		return 0
	}
	return n
}

// compactCount is count for compact arrays.
func (r *reader) compactCount(least int) int {
	n := r.uvarint()
	if n == 0 {
		return 0
	}
	fits := r.fit(n - 1)
	if fits > len(r.buf)/least {
		r.bad, r.buf = true, nil
		return 0
	}
	return fits
}

// fit turns a length into an int that cannot overflow; what is too large fails in take.
func (r *reader) fit(n uint64) int {
	if n > maxAnswer {
		return -1
	}
	return int(n)
}

// tags skips tagged fields.
func (r *reader) tags() {
	for range r.fit(r.uvarint()) {
		r.uvarint()
		r.take(r.fit(r.uvarint()))
		if r.bad {
			return
		}
	}
}
