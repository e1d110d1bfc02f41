package pgsource

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"nubridge/cdc"
)

// spill keeps the messages of transactions that the server streams while they still run, one file for each, until they
// commit or abort. Only one of them is written at a time, so that they share one buffer. // I6
type spill struct {
	dir     string
	limit   int64
	used    int64
	running map[uint32]*spilled
	cur     *spilled // between a stream's start and stop
	out     *bufio.Writer
	in      *bufio.Reader
	scratch []byte
	head    [16]byte
}

// spilled is one running transaction.
type spilled struct {
	xid     uint32
	file    *os.File
	size    int64
	rows    uint64
	aborted map[uint32]struct{} // subtransactions that were rolled back
}

// spillBuffer is the size of the buffers between messages and files, in bytes.
const spillBuffer = 256 << 10

func newSpill(dir string, limit int64) *spill {
	return &spill{dir: dir, limit: limit, running: map[uint32]*spilled{}, out: bufio.NewWriterSize(nil, spillBuffer), in: bufio.NewReaderSize(nil, spillBuffer)}
}

// open makes the folder and removes what an earlier run left: the server streams those transactions anew.
func (sp *spill) open() error {
	if err := os.MkdirAll(sp.dir, 0o700); err != nil {
		return unwritable("make spill folder", err)
	}
	old, err := filepath.Glob(filepath.Join(sp.dir, "tx-*.spill"))
	if err != nil {
		return fmt.Errorf("clear spill folder: %w", err)
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("clear spill folder: %w", err)
		}
	}
	return nil
}

// close removes all files.
func (sp *spill) close() error {
	var errs []error
	for _, t := range sp.running {
		errs = append(errs, sp.drop(t))
	}
	return errors.Join(errs...)
}

func (sp *spill) drop(t *spilled) error {
	delete(sp.running, t.xid)
	sp.used -= t.size
	if t.file == nil {
		return nil
	}
	return errors.Join(t.file.Close(), os.Remove(t.file.Name()))
}

// start begins or goes on with the stream of a transaction.
func (sp *spill) start(body []byte) error {
	r := reader{data: body}
	xid, first := r.u32(), r.u8() == 1
	if r.bad {
		return fmt.Errorf("stream start: %w", errShort)
	}
	t := sp.running[xid]
	if t != nil && first {
		if err := sp.drop(t); err != nil {
			return fmt.Errorf("drop spilled transaction: %w", err)
		}
		t = nil
	}
	if t == nil {
		if !first {
			return fmt.Errorf("stream of transaction %d goes on without its beginning", xid)
		}
		f, err := os.OpenFile(filepath.Join(sp.dir, "tx-"+strconv.FormatUint(uint64(xid), 10)+".spill"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return unwritable("make spill file", err)
		}
		t = &spilled{xid: xid, file: f}
		sp.running[xid] = t
	}
	sp.cur = t
	sp.out.Reset(t.file)
	return nil
}

// add keeps one message of the current stream: its place, its subtransaction, and the message as protocol 1 has it.
func (sp *spill) add(lsn cdc.LSN, kind byte, body []byte) error {
	if kind == 'O' { // of all messages in a stream, an origin alone has no subtransaction
		body = append(binary.BigEndian.AppendUint32(nil, sp.cur.xid), body...)
	}
	if len(body) < 4 {
		return errShort
	}
	size := 12 + 1 + len(body) - 4
	if sp.used+int64(4+size) > sp.limit {
		return halt(CodeSpillFull, "raise capture.spill_limit_mb; or go on behind the transaction and load the tables again with: nubridge accept-gap --reason TEXT",
			"transaction %d is larger than the spill cap of %d bytes allows", sp.cur.xid, sp.limit)
	}
	binary.BigEndian.PutUint32(sp.head[:], uint32(size))
	binary.BigEndian.PutUint64(sp.head[4:], uint64(lsn))
	copy(sp.head[12:], body[:4])
	_, _ = sp.out.Write(sp.head[:16])
	_ = sp.out.WriteByte(kind)
	if _, err := sp.out.Write(body[4:]); err != nil {
		return unwritable("write spill file", err)
	}
	sp.cur.size += int64(4 + size)
	sp.used += int64(4 + size)
	if kind == 'I' || kind == 'U' || kind == 'D' {
		sp.cur.rows++
	}
	return nil
}

// stop ends one piece of a stream.
func (sp *spill) stop() error {
	sp.cur = nil
	if err := sp.out.Flush(); err != nil {
		return unwritable("write spill file", err)
	}
	return nil
}

// abort drops a transaction, or marks the rows of a subtransaction as rolled back. Servers of version 18 send aborts of
// transactions that were never streamed: those are not known here and need nothing.
func (sp *spill) abort(body []byte) error {
	r := reader{data: body}
	xid, sub := r.u32(), r.u32()
	if r.bad {
		return fmt.Errorf("stream abort: %w", errShort)
	}
	t := sp.running[xid]
	if t == nil {
		return nil
	}
	if xid == sub {
		if err := sp.drop(t); err != nil {
			return fmt.Errorf("drop spilled transaction: %w", err)
		}
		return nil
	}
	if t.aborted == nil {
		t.aborted = map[uint32]struct{}{}
	}
	t.aborted[sub] = struct{}{}
	return nil
}

// replay hands the messages of a committed transaction to handle, in order, without those that were rolled back, and drops
// the transaction.
func (sp *spill) replay(xid uint32, handle func(lsn cdc.LSN, msg []byte) error) error {
	t := sp.running[xid]
	if t == nil {
		return nil // all of its rows were filtered on the server
	}
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read spill file: %w", err)
	}
	sp.in.Reset(t.file)
	for {
		if _, err := io.ReadFull(sp.in, sp.head[:16]); err != nil {
			if err == io.EOF {
				break
			}
			return fmt.Errorf("read spill file: %w", err)
		}
		n := int(binary.BigEndian.Uint32(sp.head[:])) - 12
		if n > cap(sp.scratch) {
			sp.scratch = make([]byte, n+min(n/4, maxArena))
		}
		msg := sp.scratch[:n]
		if _, err := io.ReadFull(sp.in, msg); err != nil {
			return fmt.Errorf("read spill file: %w", err)
		}
		if _, gone := t.aborted[binary.BigEndian.Uint32(sp.head[12:])]; gone && msg[0] != 'R' {
			continue
		}
		lsn := cdc.LSN(binary.BigEndian.Uint64(sp.head[4:]))
		if err := handle(lsn, msg); err != nil {
			return err
		}
	}
	if cap(sp.scratch) > maxArena {
		sp.scratch = nil
	}
	return sp.drop(t)
}

// RunningTransaction is a large transaction that the server streams while it still runs. What it wrote waits for its commit.
type RunningTransaction struct {
	XID   uint32
	Rows  uint64
	Bytes int64
}

// progress lists the running transactions, the largest first.
func (sp *spill) progress() []RunningTransaction {
	out := make([]RunningTransaction, 0, len(sp.running))
	for _, t := range sp.running {
		out = append(out, RunningTransaction{t.xid, t.rows, t.size})
	}
	slices.SortFunc(out, func(a, b RunningTransaction) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.XID, b.XID))
	})
	return out
}
