package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"nubridge/internal/fault"
)

// checkEvery is how often the topics are compared with what they were at the start.
const checkEvery = 30 * time.Second

// mend looks up new leaders, splits what is too large, and watches that topics stay what they are, until ctx ends.
func (p *Publisher) mend(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	var pause backoff
	var progress int64
	missing := map[string]time.Time{}
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-p.repair:
		case <-ticker.C:
			all = true
		}
		if err := p.splitAll(); err != nil {
			p.kill(err)
			return
		}
		names := p.stale(all)
		if len(names) == 0 {
			continue
		}
		if !all {
			if now := p.Stats().Records; now > progress {
				pause.reset()
				progress = now
			}
			if pause.wait(ctx) != nil {
				return
			}
		}
		known, err := p.client.metadata(ctx, names)
		if err != nil {
			if failed := wrap("look up leaders", err); fault.KindOf(failed) == fault.Halt {
				p.kill(failed)
				return
			}
			if !all {
				token(p.repair)
			}
			continue
		}
		for _, name := range names {
			p.relocate(known[name], name, missing)
		}
	}
}

// stale lists the topics whose partitions wait for a leader, or all topics.
func (p *Publisher) stale(all bool) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name, topic := range p.topics {
		wanted := all
		for _, o := range topic.parts {
			wanted = wanted || o.stale && o.onWire == 0
		}
		if wanted {
			names = append(names, name)
		}
	}
	return names
}

// relocate takes new leaders over and lets stale partitions go on. A topic that is another one now ends the publisher. // I8
func (p *Publisher) relocate(meta topicMeta, name string, missing map[string]time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	topic := p.topics[name]
	if meta.err != nil || len(meta.parts) == 0 {
		if errors.Is(meta.err, kafka.UnknownTopicOrPartition) {
			if missing[name].IsZero() {
				missing[name] = p.now()
			} else if p.now().Sub(missing[name]) > p.cfg.TopicWait {
				p.killLocked(missingTopic(name))
				return
			}
		}
		token(p.repair)
		return
	}
	delete(missing, name)
	if meta.id != topic.id || len(meta.parts) != len(topic.parts) {
		p.killLocked(topicChanged(name, len(topic.parts), len(meta.parts)))
		return
	}
	for _, m := range meta.parts {
		o := topic.parts[m.id]
		switch {
		case !o.stale || o.onWire > 0:
		case m.leader < 0:
			token(p.repair)
		default:
			o.stale, o.leader = false, m.leader
			p.offer(o)
		}
	}
}

func topicChanged(name string, before, now int) error {
	what := fmt.Errorf("topic %q was deleted and made anew", name)
	if before != now {
		what = fmt.Errorf("topic %q has %d partitions and had %d", name, now, before)
	}
	return topicHalt(what)
}

func topicHalt(what error) error {
	return &fault.Error{Kind: fault.Halt, Code: codeTopicChanged, Hint: "accept the gap and load the tables again with: nubridge accept-gap --reason TEXT", Err: what}
}

// splitAll splits the batches that a broker refused as too large, once nothing else of their partition is on its way.
func (p *Publisher) splitAll() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range p.topics {
		for _, o := range topic.parts {
			if o.onWire > 0 || len(o.flight) == 0 || !o.flight[0].tooLarge {
				continue
			}
			if err := o.split(p); err != nil {
				return err
			}
			o.stale = false // who refused it is the leader
			p.offer(o)
		}
	}
	return nil
}

// split puts two halves, or a smaller record, in the place of the head of flight; their sequences are the same. A refused
// batch was not stored, so other bytes under the same sequences are no repeat. The caller holds the lock.
func (o *outPartition) split(p *Publisher) error {
	b := o.flight[0]
	var records []wireRecord
	unpack := unpacker{ratio: float64(b.raw) / float64(len(b.wire))}
	if _, err := unpack.batches(b.wire, 0, func(int) {}, func(w wireRecord) error {
		records = append(records, w)
		return nil
	}); err != nil {
		return err
	}
	if len(records) == 1 {
		smaller, err := shrink(records[0])
		if err != nil {
			return tooLarge(o.id, err)
		}
		records[0] = smaller
		p.oversized(o.id)
		o.flight[0] = o.remake(p, b, records, b.sequence, b.raw)
		return p.sealFresh(o.flight[0])
	}
	p.stats.Splits++
	half := len(records) / 2
	first := o.remake(p, b, records[:half], b.sequence, b.raw/2)
	second := o.remake(p, b, records[half:], after(b.sequence, half), b.raw-b.raw/2)
	for _, t := range b.tickets {
		t.pending++ // the ticket waits for both halves now
	}
	o.flight = append([]*batch{first, second}, o.flight[1:]...)
	return errors.Join(p.sealFresh(first), p.sealFresh(second))
}

// remake makes a batch of some of the records of another.
func (o *outPartition) remake(p *Publisher, from *batch, records []wireRecord, sequence int32, raw int) *batch {
	b := &batch{part: o, sequence: sequence, count: len(records), raw: raw, tickets: from.tickets, tries: from.tries}
	b.enc.start(nil, from.enc.time)
	for _, w := range records {
		b.enc.copy(w)
	}
	return b
}

// sealFresh seals a batch that was made from others.
func (p *Publisher) sealFresh(b *batch) error {
	wire, err := b.enc.seal(newPacker(p.codec), p.producer, b.sequence, nil)
	b.wire, b.enc.buf = wire, nil
	return err
}
