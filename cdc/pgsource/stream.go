package pgsource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// stream owns the replication connection: it alone reads, decodes and writes statuses.
type stream struct {
	s       *Source
	w       *wire
	ctx     context.Context
	next    time.Time // when the next tick is due
	sent    time.Time // when a status was last sent
	sentLSN cdc.LSN
	heard   time.Time
	cur     cdc.LSN // how far the log was received
	end     cdc.LSN // the server's end as last heard
	emptied time.Time
	told    time.Time // when the running transactions were last logged
	// patience is after how much silence the server ends the session; zero is never.
	patience time.Duration
}

// tickEvery is how often the owner of the connection looks after statuses.
const tickEvery = time.Second

// tellEvery is how often the progress of running transactions is logged.
const tellEvery = 10 * time.Second

// tickEvery is less where the server is less patient.
func (st *stream) tickEvery() time.Duration {
	if st.patience > 0 {
		return min(tickEvery, st.patience/4)
	}
	return tickEvery
}

// statusEvery is how often the server hears of us at least. While the reader is held back it cannot hear the server ask. // I9
func (st *stream) statusEvery() time.Duration {
	if st.patience > 0 {
		return min(st.s.cfg.StatusInterval, st.patience/3)
	}
	return st.s.cfg.StatusInterval
}

// askMost bounds for how long the owner of the connection may wait for the catalogs and the ledger when a table is met.
const askMost = 20 * time.Second

// askFor is less where the server is less patient: nothing is sent meanwhile. A connection that has fallen silent would else hold the
// capture for as long as TCP does; so the session ends, and the next one has new connections.
func (st *stream) askFor() time.Duration {
	if st.patience > 0 {
		return min(askMost, st.patience/2)
	}
	return askMost
}

// run reads until the context ends or the stream fails. s.mu is held while messages are decoded and released while waiting.
func (st *stream) run() error {
	now := st.s.deps.Now()
	st.next, st.sent, st.heard, st.emptied = now.Add(st.tickEvery()), now, now, now
	if err := st.w.conn.SetReadDeadline(st.next); err != nil {
		return err
	}
	pace := newPace(st.w.conn)
	for {
		if err := pace.wait(st.w.conn, st.next); err != nil {
			return fault.New(fault.Retry, CodeStreamInterrupted, "read the replication stream: %w", err)
		}
		n, err := st.w.fill()
		now := st.s.deps.Now()
		if n > 0 {
			pace.took(n, now)
			st.heard = now
			st.s.stats.lastWire.Store(now.UnixNano())
			st.s.mu.Lock()
			st.s.a.now = now.UnixNano()
			herr := st.drain()
			left := st.w.relax()
			st.s.stats.changes.Store(st.s.a.received)
			st.s.mu.Unlock()
			signal(st.s.ready)
			dropped(left)
			if herr != nil {
				return herr
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if st.ctx.Err() != nil {
				return st.ctx.Err()
			}
			return fault.New(fault.Retry, CodeStreamInterrupted, "read the replication stream: %w", err)
		}
		if err != nil || !now.Before(st.next) {
			if terr := st.tick(now); terr != nil {
				return terr
			}
		}
	}
}

// drain handles every whole frame of the buffer.
func (st *stream) drain() error {
	for {
		kind, body, ok, err := st.w.next()
		if err != nil || !ok {
			return err
		}
		switch kind {
		case 'd':
			err = st.copyData(body)
		case 'E':
			err = classify("replication stream", serverError(body))
		case 'c', 'C', 'Z':
			err = fault.New(fault.Retry, CodeStreamInterrupted, "the server ended the replication stream")
		}
		if err != nil {
			return err
		}
	}
}

func (st *stream) copyData(body []byte) error {
	if len(body) == 0 {
		return errShort
	}
	switch body[0] {
	case 'w':
		if len(body) < 25 {
			return errShort
		}
		start, end := cdc.LSN(binary.BigEndian.Uint64(body[1:])), cdc.LSN(binary.BigEndian.Uint64(body[9:]))
		st.cur, st.end = max(st.cur, start), max(st.end, end)
		if err := st.s.a.handle(start, body[25:]); err != nil {
			if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, context.Canceled) {
				return err
			}
			return fmt.Errorf("at %s: %w", start, err)
		}
	case 'k':
		if len(body) < 18 {
			return errShort
		}
		st.end = max(st.end, cdc.LSN(binary.BigEndian.Uint64(body[1:])))
		if a := st.s.a; !a.tx.open {
			// Everything that committed before this end was sent before. It may be confirmed once what is in flight is. // I2
			a.cur.Through = max(a.cur.Through, st.end)
			st.cur = max(st.cur, st.end)
		}
		if body[17] == 1 {
			return st.status(st.s.deps.Now(), false)
		}
	}
	return nil
}

// tick looks after status, idle confirmation and silence, whether the server asked or not.
func (st *stream) tick(now time.Time) error {
	if err := st.ctx.Err(); err != nil {
		return err
	}
	cfg := &st.s.cfg
	st.next = now.Add(st.tickEvery())
	if err := st.w.conn.SetReadDeadline(st.next); err != nil {
		return err
	}
	confirmed := cdc.LSN(st.s.confirmed.Load())
	if now.Sub(st.sent) >= st.statusEvery() || confirmed > st.sentLSN {
		if err := st.status(now, now.Sub(st.heard) > cfg.StatusInterval/2); err != nil {
			return err
		}
	}
	if now.Sub(st.emptied) >= cfg.StatusInterval {
		st.emptied = now
		st.s.mu.Lock()
		st.s.wantEmpty = true
		st.s.mu.Unlock()
		signal(st.s.ready)
	}
	if now.Sub(st.told) >= tellEvery {
		st.told = now
		st.s.mu.Lock()
		running := st.s.a.spill.progress()
		st.s.mu.Unlock()
		for _, t := range running[:min(3, len(running))] {
			st.s.deps.Log.Info("large transaction is running", "capture", cfg.Capture, "xid", t.XID, "rows", t.Rows, "spilled_bytes", t.Bytes)
		}
	}
	if silence := now.Sub(st.heard); silence > 3*cfg.StatusInterval+tickEvery {
		return fault.New(fault.Retry, CodeStreamSilent, "the server said nothing for %s though it was asked: the connection is taken for dead", silence.Round(time.Second))
	}
	return nil
}

// status reports the positions.
func (st *stream) status(now time.Time, reply bool) error {
	confirmed := cdc.LSN(st.s.confirmed.Load())
	if err := st.w.status(st.cur, confirmed, now, reply); err != nil {
		if st.ctx.Err() != nil {
			return st.ctx.Err()
		}
		if _, ok := errors.AsType[net.Error](err); ok {
			return fault.New(fault.Retry, CodeStreamInterrupted, "send status: %w", err)
		}
		return fault.New(fault.Retry, CodeStreamInterrupted, "send status: %w", err)
	}
	st.sent, st.sentLSN = now, confirmed
	st.s.stats.received.Store(uint64(st.cur))
	st.s.stats.serverEnd.Store(uint64(st.end))
	return nil
}

// full waits while the current batch is full and nobody takes it; statuses go on meanwhile. A batch of one change that must wait for
// the next is never full, however large: nobody could take it. s.mu is held and is released for the time of waiting. // I9
func (st *stream) full() error {
	s := st.s
	for s.a.ripe() > 0 && (len(s.a.cur.Events) >= s.cfg.BatchEvents || len(s.a.cur.arena) >= s.cfg.BatchBytes) {
		cur := s.a.cur
		s.mu.Unlock()
		signal(s.ready)
		err := st.waitFreed()
		s.mu.Lock()
		s.a.now = s.deps.Now().UnixNano()
		if err != nil {
			return err
		}
		if s.a.cur == cur {
			continue
		}
	}
	return nil
}

func (st *stream) waitFreed() error {
	timer := time.NewTimer(max(0, st.next.Sub(st.s.deps.Now())))
	defer timer.Stop()
	select {
	case <-st.s.freed:
		if now := st.s.deps.Now(); !now.Before(st.next) {
			st.heard = now
			return st.tick(now)
		}
		return nil
	case <-st.ctx.Done():
		return st.ctx.Err()
	case <-timer.C:
		now := st.s.deps.Now()
		st.heard = now // a reader that is held back cannot hear
		return st.tick(now)
	}
}
