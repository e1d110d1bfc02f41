package pgsource

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"nubridge/cdc"
)

// framedReader hands on one message of the server at a time, so that whoever takes the connection over finds every byte
// after the last message still unread.
type framedReader struct {
	r    io.Reader
	left int
	head [5]byte
	have int // bytes of head not yet handed on
}

func (f *framedReader) Read(p []byte) (int, error) {
	if f.have > 0 {
		n := copy(p, f.head[5-f.have:])
		f.have -= n
		return n, nil
	}
	if f.left == 0 {
		if _, err := io.ReadFull(f.r, f.head[:]); err != nil {
			return 0, err
		}
		f.left = max(0, int(binary.BigEndian.Uint32(f.head[1:]))-4)
		f.have = 5
		return f.Read(p)
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// wire is the replication connection after START_REPLICATION: frames are read in large gulps and handed out in place.
type wire struct {
	conn       net.Conn
	r          io.Reader
	buf        []byte
	start, end int
	out        [39]byte
}

// gulp is how much is read at once, in bytes. Larger gulps let the server send more per call.
const gulp = 512 << 10

func newWire(conn net.Conn, r io.Reader) *wire {
	return &wire{conn: conn, r: r, buf: make([]byte, gulp)}
}

// next gives the next whole frame of the buffer; its body is valid until fill.
func (w *wire) next() (kind byte, body []byte, ok bool, err error) {
	have := w.buf[w.start:w.end]
	if len(have) < 5 {
		return 0, nil, false, nil
	}
	size := int(binary.BigEndian.Uint32(have[1:]))
	if size < 4 || size > 1<<31 {
		return 0, nil, false, fmt.Errorf("replication stream is damaged: frame of %d bytes", size)
	}
	if len(have) < 1+size {
		return 0, nil, false, nil
	}
	w.start += 1 + size
	return have[0], have[5 : 1+size : 1+size], true, nil
}

// fill reads once, after making room for at least the frame that is half here.
func (w *wire) fill() (int, error) {
	if w.start == w.end {
		w.start, w.end = 0, 0
	} else if w.start > 0 && (len(w.buf)-w.end < gulp/4 || w.start > len(w.buf)/2) {
		w.end = copy(w.buf, w.buf[w.start:w.end])
		w.start = 0
	}
	need := 0
	if w.end-w.start >= 5 {
		need = 1 + int(binary.BigEndian.Uint32(w.buf[w.start+1:]))
	}
	if w.start+need > len(w.buf) {
		grown := make([]byte, max(need+gulp/4, len(w.buf)))
		w.end = copy(grown, w.buf[w.start:w.end])
		w.start, w.buf = 0, grown
	}
	n, err := w.r.Read(w.buf[w.end:])
	w.end += n
	return n, err
}

// relax gives the memory of a large frame back once nothing of it is left, and tells how much that was.
func (w *wire) relax() int {
	n := len(w.buf)
	if w.start != w.end || n <= 4*gulp {
		return 0
	}
	w.start, w.end, w.buf = 0, 0, make([]byte, gulp)
	return n
}

// hugeGarbage is from where memory that was dropped is collected at once: a row of this size is held by one after the other, and the
// collector by itself would look only when there is as much garbage as there was memory in use. // I6
const hugeGarbage = 32 << 20

// dropped collects what was dropped if it was much.
func dropped(bytes int) {
	if bytes >= hugeGarbage {
		runtime.GC()
	}
}

// status tells the server the positions: received is written, confirmed is flushed and applied. All three are always set,
// since a missing flush position would be taken for the written one. // I2
func (w *wire) status(received, confirmed cdc.LSN, now time.Time, reply bool) error {
	b := w.out[:0]
	b = append(b, 'd')
	b = binary.BigEndian.AppendUint32(b, 4+34)
	b = append(b, 'r')
	b = binary.BigEndian.AppendUint64(b, uint64(max(received, confirmed)))
	b = binary.BigEndian.AppendUint64(b, uint64(confirmed))
	b = binary.BigEndian.AppendUint64(b, uint64(confirmed))
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMicro()-postgresEpoch))
	if reply {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if err := w.conn.SetWriteDeadline(now.Add(30 * time.Second)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// finish ends the stream politely.
func (w *wire) finish() error {
	_, err := w.conn.Write([]byte{'c', 0, 0, 0, 4, 'X', 0, 0, 0, 4})
	return err
}

// serverError turns an ErrorResponse into an error.
func serverError(body []byte) error {
	var e pgproto3.ErrorResponse
	if err := e.Decode(body); err != nil {
		return fmt.Errorf("unreadable error of the server: %w", err)
	}
	return pgconn.ErrorResponseToPgError(&e)
}
