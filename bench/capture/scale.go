package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sys/unix"
)

// The sizes of the scenario scale. Small backlogs are repeated until their sum is scaleSum, so that what is read of the clocks is
// small beside what is measured; scaleWarm is the backlog that a fresh process drains before, uncounted.
const (
	scaleFirst = 10_000
	scaleSum   = 300_000
	scaleWarm  = 50_000
	scaleTx    = 100
)

// scaleSizes are the backlogs up to a largest one, each ten times the one before.
func scaleSizes(largest int) []int {
	var sizes []int
	for n := scaleFirst; n <= largest; n *= 10 {
		sizes = append(sizes, n)
	}
	return sizes
}

// scale measures the cost of a row by the size of the backlog that it is part of. Start-up does not count: a process that streams already
// is held by SIGSTOP while the backlog is written, and its processor time is read before it goes on and after the last record.
func (b *bench) scale(ctx context.Context) error {
	// A server takes a client that is held for dead after a minute.
	if _, err := b.pool.Exec(ctx, "alter database "+database+" set wal_sender_timeout = 0"); err != nil {
		return err
	}
	for _, n := range scaleSizes(b.s.scaleRows) {
		rounds := max(1, scaleSum/n)
		f := b.newFeed("nubridge", "scale", "stream", scaleWarm+rounds*n)
		err := b.scaleOnce(ctx, f, n, rounds)
		b.clean(ctx, f)
		if err != nil {
			return fmt.Errorf("%d rows: %w", n, err)
		}
	}
	return nil
}

func (b *bench) scaleOnce(ctx context.Context, f *feed, n, rounds int) error {
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	if err := makeSchema(ctx, b.pool, f.schema); err != nil {
		return err
	}
	if _, err := b.pool.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", f.slot); err != nil {
		return err
	}
	stamped := "LogAppendTime" // so that the broker itself tells when it had the last record
	made, err := b.admin.CreateTopics(ctx, int32(b.s.partitions), 1, map[string]*string{"message.timestamp.type": &stamped}, f.topics()...)
	if err = errors.Join(err, made.Error()); err != nil {
		return fmt.Errorf("make topics: %w", err)
	}
	if err := makeTopics(ctx, b.admin, b.s.partitions, f.topics()...); err != nil {
		return err
	}
	awaitQuiet(ctx, b.s.quiet)
	t, err := f.start()
	if err != nil {
		return err
	}
	defer t.stop()
	pid := t.cmd.Process.Pid
	r := sample{Target: f.target, Scenario: scaleName(n), Rows: rounds * n, Rounds: rounds}
	written := 0
	drain := func(n int) (cost, error) {
		return b.held(ctx, f, t, pid, written, n, func() { written += n })
	}
	if _, err := drain(scaleWarm); err != nil {
		return err
	}
	machine := readMachine(b.s.cache)
	var sum cost
	for range rounds {
		one, err := drain(n)
		if err != nil {
			return err
		}
		sum.cpu, sum.seconds = sum.cpu+one.cpu, sum.seconds+one.seconds
	}
	used := readMachine(b.s.cache).since(machine)
	r.Seconds, r.AfterFirst = sum.seconds, float64(rounds*n)/sum.seconds
	r.Usage = usageOf(usage{cpu: sum.cpu, rss: t.usage().rss}, used)
	t.stop()
	if r.Verdict, err = b.check(ctx, f); err != nil {
		return err
	}
	return b.record(r)
}

// cost is what the draining of a backlog took.
type cost struct{ cpu, seconds float64 }

// held writes n changes behind those written so far while the target is held, lets it go on, and waits for the last record.
func (b *bench) held(ctx context.Context, f *feed, t *process, pid, written, n int, done func()) (cost, error) {
	if written > 0 {
		if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
			return cost{}, err
		}
		defer syscall.Kill(-pid, syscall.SIGCONT) //nolint:errcheck // whatever fails, it must be able to end
	}
	if err := loadMore(ctx, b.pool, f.schema, written, n, scaleTx); err != nil {
		return cost{}, err
	}
	done()
	wait(ctx, 300*time.Millisecond) // the server's backends end their writing
	before, err := processTime(pid)
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := syscall.Kill(-pid, syscall.SIGCONT); err != nil {
		return cost{}, err
	}
	p := watchTopics(ctx, b.admin, pollEvery, f.wantOf(written+n)+int64(len(f.topics())*b.s.partitions), f.topics()...) // and a marker of the fence in each
	defer p.close()
	if err := p.await(ctx, t, standstill); err != nil {
		return cost{}, fmt.Errorf("%w; its log is %s", err, f.log())
	}
	after, err := processTime(pid)
	if err != nil {
		return cost{}, err
	}
	last, err := b.lastAppend(ctx, f.topics())
	return cost{cpu: after - before, seconds: last.Sub(began).Seconds()}, err
}

// lastAppend is when the broker took the newest record of the topics.
func (b *bench) lastAppend(ctx context.Context, topics []string) (time.Time, error) {
	newest, err := b.admin.ListMaxTimestampOffsets(ctx, topics...)
	if err = errors.Join(err, newest.Error()); err != nil {
		return time.Time{}, err
	}
	var last int64
	newest.Each(func(o kadm.ListedOffset) { last = max(last, o.Timestamp) })
	return time.UnixMilli(last), nil
}

func scaleName(n int) string { return "scale-" + strconv.Itoa(n) }

// processTime is the processor time of a process in seconds, to the nanosecond where /proc counts in hundredths of a second.
func processTime(pid int) (float64, error) {
	const sched = 2 // clock_getcpuclockid: the time that the scheduler accounts to the process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return float64(t.Nano()) / 1e9, nil
}
