package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// makeTopics makes the topics of a run and waits until they have leaders.
func makeTopics(ctx context.Context, admin *kadm.Client, partitions int, topics ...string) error {
	for _, t := range topics {
		if _, err := admin.CreateTopic(ctx, int32(partitions), 1, nil, t); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", t, err)
		}
	}
	for ctx.Err() == nil {
		ends, err := admin.ListEndOffsets(ctx, topics...)
		if err == nil && ends.Error() == nil {
			return nil
		}
		wait(ctx, 50*time.Millisecond)
	}
	return ctx.Err()
}

// progress watches how many records the broker acknowledged. What is measured so needs no consumer, which would take its share
// of the cores; what arrived is read and checked afterwards.
type progress struct {
	started time.Time
	want    int64
	stop    context.CancelFunc
	ended   chan struct{}
	done    chan struct{} // all records are there

	mu         sync.Mutex
	count      int64
	at         time.Time // of the last growth
	first      time.Time
	firstCount int64
	half       time.Time
	halfCount  int64
}

const pollEvery = 20 * time.Millisecond

// watchTopics counts until the context ends, every so often. want is how many records there will be.
func watchTopics(ctx context.Context, admin *kadm.Client, every time.Duration, want int64, topics ...string) *progress {
	return watch(ctx, every, want, func(ctx context.Context) (int64, error) {
		ends, err := admin.ListEndOffsets(ctx, topics...)
		if err = errors.Join(err, ends.Error()); err != nil {
			return 0, err
		}
		var sum int64
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		return sum, nil
	})
}

// watch counts by a question that is asked every so often.
func watch(ctx context.Context, every time.Duration, want int64, ask func(context.Context) (int64, error)) *progress {
	ctx, cancel := context.WithCancel(ctx)
	p := &progress{
		started: time.Now(), want: want, stop: cancel, ended: make(chan struct{}), done: make(chan struct{}),
	}
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			sum, err := ask(ctx)
			now := time.Now()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				p.saw(sum, now)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

func (p *progress) saw(sum int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sum <= p.count {
		return
	}
	before := p.count
	p.count, p.at = sum, now
	if p.first.IsZero() {
		p.first, p.firstCount = now, sum
	}
	if p.half.IsZero() && sum >= p.want/2 {
		p.half, p.halfCount = now, sum
	}
	if before < p.want && sum >= p.want {
		close(p.done)
	}
}

// seen gives the count and when it last grew.
func (p *progress) seen() (int64, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		return p.count, p.started
	}
	return p.count, p.at
}

func (p *progress) close() {
	p.stop()
	<-p.ended
}

// await waits until every record is there. It gives an error when the target ends before, or stands still for too long.
func (p *progress) await(ctx context.Context, t *process, still time.Duration) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-t.exited:
			return fmt.Errorf("the target ended with %d of %d records acknowledged", p.now(), p.want)
		case <-tick.C:
			if n, at := p.seen(); time.Since(at) > still {
				return fmt.Errorf("%d of %d records acknowledged, none for %s", n, p.want, still)
			}
		}
	}
}

// reach waits until n records are there or the target ended.
func (p *progress) reach(ctx context.Context, t *process, n int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.now() < n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.exited:
			return fmt.Errorf("the target ended with %d of %d records acknowledged", p.now(), p.want)
		case <-tick.C:
		}
	}
	return nil
}

func (p *progress) now() int64 {
	n, _ := p.seen()
	return n
}

// settle waits until nothing was added for a while: records that come twice come late.
func (p *progress) settle(ctx context.Context, quiet time.Duration) {
	for ctx.Err() == nil {
		_, at := p.seen()
		if time.Since(at) > quiet {
			return
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// readAll hands every record of the topics to take, in the order of each partition.
func readAll(ctx context.Context, brokers string, admin *kadm.Client, take func(*kgo.Record), topics ...string) error {
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err = errors.Join(err, ends.Error()); err != nil {
		return err
	}
	from := map[string]map[int32]kgo.Offset{}
	left := map[string]map[int32]int64{}
	open := 0
	ends.Each(func(o kadm.ListedOffset) {
		if from[o.Topic] == nil {
			from[o.Topic], left[o.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
		}
		if o.Offset > 0 {
			from[o.Topic][o.Partition] = kgo.NewOffset().At(0)
			left[o.Topic][o.Partition] = o.Offset
			open++
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ConsumePartitions(from), kgo.FetchMaxBytes(8<<20), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	for open > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read the topics: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() { // a fence leaves markers
				take(r)
			}
			if r.Offset+1 == left[r.Topic][r.Partition] {
				open--
			}
		})
	}
	return nil
}
