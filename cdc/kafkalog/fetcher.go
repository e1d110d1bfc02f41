package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// partition is one assigned partition: a fetcher and what it read ahead.
type partition struct {
	group *Group
	id    cdc.Partition
	room  chan struct{} // one token: take made room

	// Under the group's lock.
	handed    bool // Poll has reported the assignment
	committed int64
	ready     []cdc.Record
	bytes     int
	through   int64 // all below is in ready or was handed out; told is what Poll has said of it
	told      int64
	missing   error  // why nothing can be read; set at assignment
	stop      func() // ends the fetcher, nil before it runs

	// The fetcher's own.
	next   int64 // the next offset to fetch
	unpack unpacker
}

func newPartition(g *Group, a cdc.Assignment) *partition {
	p := &partition{group: g, id: a.Partition, room: make(chan struct{}, 1), committed: a.Committed, next: a.Committed}
	if p.next < 0 {
		p.next = a.Start
	}
	p.through, p.told = p.next, p.next
	p.missing = outside(a.Partition, p.next, a.Start, a.End)
	return p
}

// outside is the halt for an offset that the broker does not hold: never a jump over what is gone. // I8
func outside(id cdc.Partition, next, start, end int64) error {
	if next >= start && next <= end {
		return nil
	}
	failed := &fault.Error{Kind: fault.Halt, Code: codeOutOfRange}
	if next < start {
		failed.Err = fmt.Errorf("partition %s/%d: %d records from offset %d to %d expired before they were read", id.Topic, id.ID,
			start-next, next, start-1)
		failed.Hint = "raise the topic's retention; take a snapshot of the table and then reset the group's offset to the first that is left"
		return failed
	}
	failed.Err = fmt.Errorf("partition %s/%d: the group's offset %d lies behind the end %d; the topic was cut or made anew", id.Topic,
		id.ID, next, end)
	failed.Hint = "find out what happened to the topic; take a snapshot and then reset the group's offset"
	return failed
}

// run fetches until ctx ends. Everything but a halt is tried again.
func (p *partition) run(ctx context.Context) {
	if p.missing != nil {
		p.group.fail(p.missing)
		return
	}
	for ctx.Err() == nil {
		stalled := p.watch(ctx)
		if !stalled {
			return
		}
		p.group.mu.Lock()
		p.group.stalls++
		p.group.mu.Unlock()
		p.group.log.Warn("kafka fetcher stood still, started anew", "topic", p.id.Topic, "partition", p.id.ID)
	}
}

// watch runs one fetcher and tells whether it was ended because it stood still before records to read.
func (p *partition) watch(ctx context.Context) (stalled bool) {
	fetching, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	beat := make(chan struct{}, 1)
	go func() {
		defer close(done)
		p.fetch(fetching, beat)
	}()
	timer := time.NewTimer(p.group.cfg.StallAfter)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return false
		case <-beat:
			timer.Reset(p.group.cfg.StallAfter)
		case <-timer.C:
			cancel()
			<-done
			return ctx.Err() == nil
		}
	}
}

// fetch reads ahead. It beats whenever it made progress, found nothing to read, or waits for room.
func (p *partition) fetch(ctx context.Context, beat chan struct{}) {
	progress := func() {
		select {
		case beat <- struct{}{}:
		default:
		}
	}
	var pause backoff
	for p.hasRoom(ctx, 0, progress) {
		next := p.next // only this goroutine writes it
		answer, err := p.group.client.fetch(ctx, p.id, next, p.group.cfg.FetchBytes, p.group.cfg.FetchWait)
		if err == nil {
			next, err = p.store(ctx, answer, next, progress)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, kafka.OffsetOutOfRange):
			if p.expired(ctx, next) {
				return
			}
		case fault.KindOf(err) == fault.Halt || fault.KindOf(wrap("fetch", err)) == fault.Halt:
			p.group.fail(wrap("fetch "+p.id.Topic, err))
			return
		case err == nil:
			pause.reset()
			if next > p.next || next >= answer.end {
				progress()
			}
			p.next = next
			continue
		}
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// store decodes what was fetched and hands it to Poll. It is unpacked only once there is room for it: the fetchers of all partitions
// may have an answer at once, but packed answers are small. // I6
func (p *partition) store(ctx context.Context, answer fetched, from int64, progress func()) (int64, error) {
	if len(answer.batches) == 0 {
		return from, nil
	}
	guess := p.unpack.guess(len(answer.batches))
	if !p.hasRoom(ctx, guess, progress) {
		return from, ctx.Err()
	}
	var records []cdc.Record
	bytes := 0
	next, err := p.unpack.batches(answer.batches, from, func(n int) { records = slices.Grow(records, n) }, func(w wireRecord) error {
		record, err := w.record(p.id)
		if err != nil {
			return err
		}
		records = append(records, record)
		bytes += len(record.Key) + len(record.Value)
		return nil
	})
	if len(records) > 0 && err != nil {
		// What is good before a broken record is handed out; the broken one is met again and then stands first.
		next = records[len(records)-1].Offset + 1
	}
	p.group.mu.Lock()
	defer p.group.mu.Unlock()
	if p.group.parts[p.id] != p {
		return from, ctx.Err()
	}
	p.bytes -= guess
	p.group.bytes -= guess
	defer p.group.madeRoom() // the guess may have been too high
	if ctx.Err() != nil {
		return from, ctx.Err()
	}
	if len(records) > 0 || err == nil {
		p.through = next
	}
	if len(p.ready) == 0 {
		p.ready = records
	} else {
		p.ready = append(p.ready, records...)
	}
	p.bytes += bytes
	p.group.bytes += bytes
	p.group.signal()
	if len(records) == 0 {
		return next, err
	}
	return next, nil
}

// expired finds out whether an out-of-range answer is final, and if so stops the group. // I8
func (p *partition) expired(ctx context.Context, next int64) bool {
	bounds, err := p.group.client.bounds(ctx, []cdc.Partition{p.id})
	if err != nil {
		return false
	}
	if failed := outside(p.id, next, bounds[p.id][0], bounds[p.id][1]); failed != nil {
		p.group.fail(failed)
		return true
	}
	return false
}

// hasRoom waits until there is room to read ahead, and takes as many bytes of it; false means ctx ended. // I6 I9
func (p *partition) hasRoom(ctx context.Context, take int, progress func()) bool {
	tick := time.NewTicker(max(p.group.cfg.StallAfter/3, time.Millisecond))
	defer tick.Stop()
	for {
		p.group.mu.Lock()
		full := len(p.ready) >= p.group.cfg.MaxRecords || p.bytes >= p.group.cfg.MaxBytes || p.group.bytes >= p.group.cfg.TotalBytes
		mine := ctx.Err() == nil && p.group.parts[p.id] == p
		if !full && mine {
			p.bytes += take
			p.group.bytes += take
		}
		p.group.mu.Unlock()
		if !full || !mine {
			return mine
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.room:
		case <-tick.C: // a full buffer is the caller's doing and no stall
			progress()
		}
	}
}

// passed tells of what holds no records behind the last one that was handed out. The caller holds the group's lock.
func (p *partition) passed() (int64, bool) {
	if len(p.ready) > 0 || p.through <= p.told {
		return 0, false
	}
	p.told = p.through
	return p.through, true
}

// take moves up to room records to dst. The caller holds the group's lock.
func (p *partition) take(dst []cdc.Record, room int) []cdc.Record {
	n := min(room, len(p.ready))
	if n <= 0 {
		return dst
	}
	taken := 0
	for _, record := range p.ready[:n] {
		taken += len(record.Key) + len(record.Value)
	}
	p.bytes -= taken
	p.group.bytes -= taken
	dst = append(dst, p.ready[:n]...)
	p.told = p.ready[n-1].Offset + 1
	clear(p.ready[:n])
	if p.ready = p.ready[n:]; len(p.ready) == 0 {
		p.ready = nil
	}
	p.group.madeRoom()
	return dst
}

// madeRoom lets the fetchers that wait for room look again. The caller holds the lock.
func (g *Group) madeRoom() {
	for _, waiting := range g.turn {
		token(waiting.room)
	}
}
