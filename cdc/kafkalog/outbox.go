package kafkalog

import (
	"errors"
	"math"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

const (
	// maxOnWire is how many batches of one partition may be on their way: as many as a broker remembers of a producer, so
	// that each of them is recognised when it comes again.
	maxOnWire = 5
	// idleAfter is how long a partition may be quiet before its next batch goes out alone.
	idleAfter = time.Minute
)

// batch is a run of records of one partition that is sent, repeated and acknowledged as a whole.
type batch struct {
	part     *outPartition
	enc      encoder
	wire     []byte // the sealed bytes; the same on every repeat
	sequence int32
	count    int
	raw      int // bytes of events, for the account
	tickets  []*ticket
	onWire   bool
	stored   bool // acknowledged while an earlier one is not
	tooLarge bool
	tries    int
}

// outPartition is one partition that is being written. Its fields are under the publisher's lock.
type outPartition struct {
	id     cdc.Partition
	leader int32
	// queue holds batches that were never sent, the last of which is still open; flight holds those sent and not yet
	// acknowledged, in the order of their sequences.
	queue  []*batch
	flight []*batch
	onWire int
	next   int32 // the next sequence
	// stale: something failed; nothing new goes out until the leader is looked up and all of flight is answered.
	stale bool
	// proven: the leader knows our sequence, so that it refuses a gap. Until then one batch at a time goes out: a leader
	// that knows nothing of a producer accepts any sequence, and the second of two batches could pass a failed first.
	proven   bool
	lastAck  time.Time
	queuedIn *lane // the lane in whose list it stands
}

// add writes an event into the open batch. The caller holds the lock.
func (o *outPartition) add(p *Publisher, t *ticket, e *cdc.Event) {
	var b *batch
	size := len(e.Key) + len(e.Value)
	if n := len(o.queue); n > 0 && len(o.queue[n-1].enc.buf)+size <= p.cfg.BatchBytes {
		b = o.queue[n-1]
	} else {
		b = &batch{part: o}
		b.enc.start(p.building.get(), p.now().UnixMilli())
		o.queue = append(o.queue, b)
	}
	b.enc.add(e)
	b.count++
	b.raw += size
	p.buffered += size
	if n := len(b.tickets); n == 0 || b.tickets[n-1] != t {
		b.tickets = append(b.tickets, t)
		t.pending++
	}
	p.offer(o)
}

// sendable gives the batch that may go out now, or nil.
func (o *outPartition) sendable(now time.Time) *batch {
	if o.stale || o.leader < 0 {
		return nil
	}
	for _, b := range o.flight {
		if !b.onWire && !b.stored { // a repeat: alone, and before anything new
			if o.onWire > 0 {
				return nil
			}
			return b
		}
	}
	if len(o.queue) == 0 {
		return nil
	}
	if o.onWire == 0 && now.Sub(o.lastAck) > idleAfter {
		o.proven = false
	}
	limit := maxOnWire
	if !o.proven {
		limit = 1
	}
	if len(o.flight) >= limit { // those stored behind a failed head count: the broker must still know the head
		return nil
	}
	return o.queue[0]
}

// depart marks a batch as being on its way. The caller holds the lock.
func (o *outPartition) depart(p *Publisher, b *batch) {
	if len(o.queue) > 0 && o.queue[0] == b {
		o.queue[0] = nil
		o.queue = o.queue[1:]
		o.flight = append(o.flight, b)
		b.sequence = o.next
		o.next = after(o.next, b.count)
	} else {
		p.stats.Retries++
	}
	b.onWire = true
	b.tries++
	o.onWire++
}

// after is the sequence count records later; sequences start again from zero behind the largest.
func after(sequence int32, count int) int32 {
	return int32((int64(sequence) + int64(count)) & math.MaxInt32)
}

// offer puts a partition that has something to send into the list of its leader's lane. The caller holds the lock.
func (p *Publisher) offer(o *outPartition) {
	if o.queuedIn != nil || o.stale || o.leader < 0 {
		return
	}
	l := p.lanes[o.leader]
	if l == nil {
		l = newLane(p, o.leader)
		p.lanes[o.leader] = l
		p.newLanes <- l
	}
	o.queuedIn = l
	l.list = append(l.list, o)
	token(l.wake)
}

// answered settles one batch by the broker's code; a nil err is an acknowledgement.
func (p *Publisher) answered(b *batch, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := b.part
	b.onWire = false
	o.onWire--
	if p.err != nil {
		return
	}
	head := len(o.flight) > 0 && o.flight[0] == b
	code, _ := errors.AsType[kafka.Error](err)
	switch {
	case err == nil, code == kafka.DuplicateSequenceNumber:
		// An earlier one may be stored although its answer said that its replicas were too slow; its repeat will tell.
		b.stored = true
		if head {
			o.accepted(p)
		} else if o.stale && o.onWire == 0 {
			token(p.repair)
		}
	case code == kafka.MessageSizeTooLarge, code == kafka.RecordListTooLarge:
		b.tooLarge = true
		o.stumble(p)
	case code == kafka.OutOfOrderSequenceNumber && !head:
		o.stumble(p) // what went before it failed, so this was to come
	case code == kafka.OutOfOrderSequenceNumber && o.holed():
		if p.err == nil {
			p.holed = o.id.Topic
		}
		p.killLocked(holeHalt(stopped(o.id, errors.New("the broker stored a later batch and refuses an earlier one"))))
	case code == kafka.OutOfOrderSequenceNumber, code == kafka.UnknownProducerId:
		p.killLocked(broken(o.id, err))
	case code == kafka.InvalidProducerEpoch, code == kafka.ProducerFenced:
		p.killLocked(&fault.Error{
			Kind: fault.Halt, Code: codeFenced,
			Hint: "another process publishes for the same capture: an instance that has taken over, and this one soon stands by; or another bridge with the same topic prefix, of which only one may run",
			Err:  stopped(o.id, err),
		})
	default:
		if failed := wrap("publish", err); fault.KindOf(failed) == fault.Halt || code == kafka.InvalidRecord {
			p.killLocked(&fault.Error{Kind: fault.Halt, Code: fault.CodeOf(failed), Err: stopped(o.id, err)})
			return
		}
		p.note(o, err)
		o.stumble(p)
	}
}

// broken is the end of a producer id: the broker's idea of our sequence is not ours.
func broken(id cdc.Partition, err error) error {
	return &fault.Error{Kind: fault.Retry, Code: codeSequence, Err: stopped(id, err)}
}

func holeHalt(what error) error {
	return &fault.Error{Kind: fault.Halt, Code: codeHole, Hint: "accept the gap and load the tables again with: nubridge accept-gap --reason TEXT", Err: what}
}

// holed tells whether a later batch is stored while the head is not. Going on would lose the head: the next publisher takes
// the last position for proof of all before it. // I8
func (o *outPartition) holed() bool {
	for _, b := range o.flight[1:] {
		if b.stored {
			return true
		}
	}
	return false
}

// accepted removes what is stored from the head of flight. The caller holds the lock.
func (o *outPartition) accepted(p *Publisher) {
	o.proven, o.lastAck = true, p.now()
	for len(o.flight) > 0 && o.flight[0].stored {
		b := o.flight[0]
		o.flight[0] = nil
		o.flight = o.flight[1:]
		for _, t := range b.tickets {
			t.pending--
		}
		p.buffered -= b.raw
		p.stats.Batches++
		p.stats.Records += int64(b.count)
		p.stats.Bytes += int64(len(b.wire))
		p.recycle(b)
	}
	token(p.settled)
	token(p.room)
	if o.stale && o.onWire == 0 {
		token(p.repair)
	}
	if len(o.queue)+len(o.flight) > 0 {
		p.offer(o)
	}
}

// stumble stops the partition until it is mended. The caller holds the lock.
func (o *outPartition) stumble(p *Publisher) {
	o.stale = true
	if o.onWire == 0 {
		token(p.repair)
	}
}

// noteEvery is how often a failure that goes on is logged.
const noteEvery = 30 * time.Second

// note logs a passing failure when it changes, and then now and again. The caller holds the lock.
func (p *Publisher) note(o *outPartition, err error) {
	text := err.Error()
	if text == p.noted && p.now().Sub(p.notedAt) < noteEvery {
		return
	}
	p.noted, p.notedAt = text, p.now()
	p.log.Warn("kafka publish failed, trying again", "topic", o.id.Topic, "partition", o.id.ID, "error", err)
}

// recycle keeps the buffers of an acknowledged batch. The caller holds the lock.
func (p *Publisher) recycle(b *batch) {
	if p.codec == compress.None {
		p.building.put(b.wire)
	} else {
		p.packed.put(b.wire)
	}
	b.wire = nil
}
