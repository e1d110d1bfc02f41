package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/cdc"
)

const (
	// linger is the longest time for which a small request waits while another is on its way.
	linger = 5 * time.Millisecond
	// enough is how much must be ready for another request to follow at once while one is on its way: many small ones cost
	// the broker more than they gain.
	enough = 32 << 10
	// maxRequest closes a request; a single batch may be larger.
	maxRequest = 4 << 20
	// maxBatch is the largest batch that is sent at all: a broker hangs up on a request of 100 MiB.
	maxBatch = 90 << 20
	// brokerWait is how long a broker may wait for its replicas.
	brokerWait = 30 * time.Second
)

// lane is the way to one broker: one connection, on which requests follow each other in order and up to five wait for
// their answers. Order on one connection is what keeps sequences in order at the broker.
type lane struct {
	publisher *Publisher
	broker    int32
	wake      chan struct{} // one token: the list has something
	pack      *packer

	list []*outPartition // under the publisher's lock: partitions with something to send
}

func newLane(p *Publisher, broker int32) *lane {
	return &lane{publisher: p, broker: broker, wake: make(chan struct{}, 1), pack: newPacker(p.codec)}
}

// shipment is one request on its way.
type shipment struct {
	batches     []*batch
	correlation int32
}

// run connects whenever there is something to send, until ctx ends.
func (l *lane) run(ctx context.Context) {
	var pause backoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		before := l.publisher.Stats().Records
		err := l.publisher.client.hold(ctx, l.broker, func(conn net.Conn, version int16) error {
			return l.converse(ctx, conn, version)
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.publisher.log.Warn("kafka connection lost, trying again", "broker", l.broker, "error", err)
			l.strand()
		}
		if err == nil || l.publisher.Stats().Records > before {
			pause.reset()
		}
		if err == nil {
			continue
		}
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// strand lets the partitions in the list look up their leader again: this broker may be gone for good.
func (l *lane) strand() {
	p := l.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range l.list {
		o.queuedIn = nil
		o.stumble(p)
	}
	l.list = nil
}

// converse sends and receives on one connection until it fails, ctx ends, or it has been idle for a while.
func (l *lane) converse(ctx context.Context, conn net.Conn, version int16) error {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	flying := make(chan shipment, maxOnWire-1) // with the one being received: five
	slots := make(chan struct{}, maxOnWire)
	failed := make(chan struct{})
	var once sync.Once
	var cause error
	fail := func(err error) {
		once.Do(func() {
			cause = err
			close(failed)
			_ = conn.SetDeadline(time.Unix(1, 0))
		})
	}
	var receiving sync.WaitGroup
	over := func() bool {
		select {
		case <-failed:
			return true
		default:
			return ctx.Err() != nil
		}
	}
	receiving.Go(func() {
		for s := range flying {
			if err := l.receive(conn, version, s, over); err != nil {
				fail(err)
			}
			<-slots
		}
	})
	token(l.wake)
	fail(l.send(ctx, conn, version, flying, slots, failed, over))
	close(flying)
	receiving.Wait()
	if errors.Is(cause, errIdle) {
		return nil
	}
	return cause
}

var errIdle = errors.New("nothing to send")

// idleConnection is how long a connection stays open with nothing to send; brokers close theirs after ten minutes.
const idleConnection = 4 * time.Minute

// send writes requests while there is something to send. It returns the failure, or errIdle.
func (l *lane) send(
	ctx context.Context, conn net.Conn, version int16, flying chan<- shipment, slots chan struct{}, failed <-chan struct{},
	over func() bool,
) error {
	var correlation int32
	idle := time.NewTimer(idleConnection)
	defer idle.Stop()
	w := requestWriter{clientID: l.publisher.client.cfg.ClientID}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-failed:
			return net.ErrClosed
		case <-idle.C:
			if len(slots) == 0 {
				return errIdle
			}
		case <-l.wake:
		}
		idle.Reset(idleConnection)
		for {
			if err := l.await(ctx, slots, failed); err != nil {
				return err
			}
			batches := l.load()
			if len(batches) == 0 {
				<-slots
				break
			}
			correlation++
			flying <- shipment{batches, correlation} // before the write: whatever happens, it is answered for
			_ = conn.SetWriteDeadline(time.Now().Add(brokerWait))
			if over() { // the end sets a past deadline, which the line above may have undone
				return net.ErrClosed
			}
			if err := w.write(conn, version, correlation, batches); err != nil {
				return err
			}
		}
	}
}

// await takes a slot; while another request is on its way it first lets a little more gather.
func (l *lane) await(ctx context.Context, slots chan struct{}, failed <-chan struct{}) error {
	if len(slots) > 0 && !l.worthIt() {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		for waiting := true; waiting && len(slots) > 0 && !l.worthIt(); {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-failed:
				return net.ErrClosed
			case <-timer.C:
				waiting = false
			case <-l.wake:
			}
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-failed:
		return net.ErrClosed
	case slots <- struct{}{}:
		return nil
	}
}

// worthIt tells whether enough is ready for another request.
func (l *lane) worthIt() bool {
	p := l.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := 0
	for _, o := range l.list {
		for _, b := range o.queue {
			ready += len(b.enc.buf)
		}
		if ready >= enough {
			return true
		}
	}
	return false
}

// load takes the batches of the next request, at most one of each partition, and seals those that go out for the first time.
func (l *lane) load() []*batch {
	p := l.publisher
	p.mu.Lock()
	var batches []*batch
	var again []*outPartition
	size := 0
	now := p.now()
	for len(l.list) > 0 && size < maxRequest {
		o := l.list[0]
		l.list = l.list[1:]
		o.queuedIn = nil
		if o.leader != l.broker {
			p.offer(o)
			continue
		}
		b := o.sendable(now)
		if b == nil {
			continue // its next answer offers it again
		}
		o.depart(p, b)
		size += max(len(b.wire), len(b.enc.buf))
		batches = append(batches, b)
		if len(o.queue) > 0 {
			again = append(again, o)
		}
	}
	for _, o := range again {
		p.offer(o)
	}
	p.stats.Requests++
	spare := make([][]byte, len(batches))
	for i, b := range batches {
		if b.wire == nil {
			spare[i] = p.packed.get()
		}
	}
	p.mu.Unlock()
	small := batches[:0]
	for i, b := range batches {
		l.seal(b, spare[i])
		if len(b.wire) > maxBatch {
			p.answered(b, kafka.MessageSizeTooLarge)
			continue
		}
		small = append(small, b)
	}
	return small
}

// seal finishes a batch that nobody writes to any more.
func (l *lane) seal(b *batch, spare []byte) {
	if b.wire != nil {
		return
	}
	p := l.publisher
	wire, err := b.enc.seal(l.pack, p.producer, b.sequence, spare)
	if err != nil {
		p.kill(fmt.Errorf("compress: %w", err)) // writing to memory: only a broken library fails
		wire = b.enc.buf
	}
	b.wire = wire
	if &wire[0] != &b.enc.buf[0] {
		p.mu.Lock()
		p.building.put(b.enc.buf)
		p.mu.Unlock()
	}
	b.enc.buf = nil
}

// receive reads the answer to one request and settles its batches. After a failure all of them are settled as unanswered.
func (l *lane) receive(conn net.Conn, version int16, s shipment, over func() bool) error {
	_ = conn.SetReadDeadline(time.Now().Add(brokerWait + l.publisher.client.cfg.Timeout))
	var answers map[cdc.Partition]error
	err := net.ErrClosed
	if !over() {
		answers, err = readProduce(conn, version, s.correlation)
	}
	for _, b := range s.batches {
		answer, ok := answers[b.part.id]
		switch {
		case err != nil:
			l.publisher.answered(b, err)
		case !ok:
			l.publisher.answered(b, errors.New("the broker did not answer for the partition"))
		default:
			l.publisher.answered(b, answer)
		}
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer in %v: %w", brokerWait+l.publisher.client.cfg.Timeout, err)
	}
	return err
}
