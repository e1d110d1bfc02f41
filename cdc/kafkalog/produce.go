package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"nubridge/cdc"
)

// requestWriter writes Produce requests of version 3 to 8. Large batches go out as they lie in memory; small ones are
// gathered, because each write is a system call.
type requestWriter struct {
	clientID string
	buf      []byte
}

// gather is the size below which a batch is copied.
const gather = 16 << 10

func (w *requestWriter) write(conn io.Writer, version int16, correlation int32, batches []*batch) error {
	batches = slices.Clone(batches)
	slices.SortStableFunc(batches, func(a, b *batch) int { return strings.Compare(a.part.id.Topic, b.part.id.Topic) })
	same := make([]int, len(batches)) // at the first batch of a topic: how many it has
	topics, size := 0, 2+2+4+2+len(w.clientID)+2+2+4+4
	for i, b := range batches {
		if i == 0 || batches[i-1].part.id.Topic != b.part.id.Topic {
			topics++
			size += 2 + len(b.part.id.Topic) + 4
			same[i] = 1
			for i+same[i] < len(batches) && batches[i+same[i]].part.id.Topic == b.part.id.Topic {
				same[i]++
			}
		}
		size += 4 + 4 + len(b.wire)
	}
	be := binary.BigEndian
	h := be.AppendUint32(w.buf[:0], uint32(size))
	h = be.AppendUint16(h, uint16(protocol.Produce))
	h = be.AppendUint16(h, uint16(version))
	h = be.AppendUint32(h, uint32(correlation))
	h = appendString(h, w.clientID)
	h = be.AppendUint16(h, ^uint16(0)) // no transactional id
	h = be.AppendUint16(h, ^uint16(0)) // acknowledged by all in-sync replicas // I2
	h = be.AppendUint32(h, uint32(brokerWait.Milliseconds()))
	h = be.AppendUint32(h, uint32(topics))
	for i, b := range batches {
		if same[i] > 0 {
			h = appendString(h, b.part.id.Topic)
			h = be.AppendUint32(h, uint32(same[i]))
		}
		h = be.AppendUint32(h, uint32(b.part.id.ID))
		h = be.AppendUint32(h, uint32(len(b.wire)))
		large := len(b.wire) >= gather // once written, a batch may be answered and recycled
		if !large {
			h = append(h, b.wire...)
		}
		if !large && len(h) < 4*gather && i < len(batches)-1 {
			continue
		}
		if _, err := conn.Write(h); err != nil {
			return err
		}
		h = h[:0]
		if large {
			if _, err := conn.Write(b.wire); err != nil {
				return err
			}
		}
	}
	w.buf = h
	return nil
}

// readProduce reads one Produce answer of version 3 to 8: the error of each partition, nil when acknowledged.
func readProduce(conn io.Reader, version int16, correlation int32) (map[cdc.Partition]error, error) {
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, unexpected(err)
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < 4 || size > maxAnswer {
		return nil, fmt.Errorf("the broker announced an answer of %d bytes", size)
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != correlation {
		return nil, fmt.Errorf("the broker answered request %d; expected %d", got, correlation)
	}
	answer := make([]byte, size-4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, unexpected(err)
	}
	return decodeProduce(answer, version)
}

func decodeProduce(answer []byte, version int16) (map[cdc.Partition]error, error) {
	r := &reader{buf: answer}
	answers := map[cdc.Partition]error{}
	for range r.count(6) {
		topic := r.string()
		for range r.count(22) {
			id := cdc.Partition{Topic: topic, ID: int(r.int32())}
			err := codeError(r.int16())
			r.int64() // base offset
			r.int64() // append time
			if version >= 5 {
				r.int64() // log start
			}
			if version >= 8 {
				for range r.count(6) {
					r.int32()
					_ = r.string()
				}
				_ = r.string()
			}
			answers[id] = err
		}
	}
	r.int32() // throttle
	if r.bad {
		return nil, errors.New("the broker's produce answer is cut or malformed")
	}
	return answers, nil
}

// possession borrows a connection to one broker, opened and authenticated by kafka-go, for as long as use runs.
type possession struct {
	broker  int32
	version int16
	use     func(conn net.Conn, version int16) error
	state   atomic.Int32 // 0 waiting, 1 in use, 2 given up
	done    chan struct{}
	err     error
}

// ApiKey names the request; the spelling is kafka-go's.
func (h *possession) ApiKey() protocol.ApiKey { return protocol.Produce }

// Broker routes to the broker.
func (h *possession) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	return brokerByID(h.broker)(cluster)
}

// Required notes the version that both sides know.
func (h *possession) Required(versions map[protocol.ApiKey]int16) bool {
	h.version = min(versions[protocol.Produce], 8)
	return true
}

// RawExchange lends the connection out; it is closed afterwards, because what is on it nobody knows.
func (h *possession) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if !h.state.CompareAndSwap(0, 1) {
		return nil, net.ErrClosed
	}
	defer close(h.done)
	conn, ok := rw.(net.Conn)
	if !ok {
		h.err = fmt.Errorf("kafka-go lends a %T; expected a connection", rw)
		return nil, h.err
	}
	if h.version < 3 {
		h.err = fmt.Errorf("the broker knows Produce in version %d; expected 3 or newer", h.version)
		return nil, h.err
	}
	_ = conn.SetDeadline(time.Time{})
	h.err = h.use(conn, h.version)
	return nil, net.ErrClosed
}

// hold runs use with a connection of its own to a broker. It returns when use has returned.
func (c *Client) hold(ctx context.Context, broker int32, use func(conn net.Conn, version int16) error) error {
	h := &possession{broker: broker, use: use, done: make(chan struct{})}
	_, err := c.transport.RoundTrip(ctx, c.kafka.Addr, h)
	if h.state.CompareAndSwap(0, 2) {
		return err
	}
	<-h.done
	return h.err
}
