package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Session is what one run of the capture works with, from connecting until the first failure.
type Session struct {
	Source    RunningSource
	Publisher Publisher
	// RunPublisher is the life of the publisher: it blocks until its context ends, after the last acknowledgement was
	// settled, or until it fails. It may be nil.
	RunPublisher func(ctx context.Context) error
	// Close releases what the session holds; it may be nil.
	Close func() error
}

// RunningSource is a source with a life of its own. Run owns its connections, blocks until the context ends or the source
// fails, and tells the server the last confirmed LSN before it returns.
type RunningSource interface {
	Source
	Run(ctx context.Context) error
}

// CaptureConfig says how the loop behaves. The zero value of a duration means its default.
type CaptureConfig struct {
	// Capture is the name under which positions are recorded.
	Capture string
	// CheckpointEvery is the shortest time between two records of the acknowledged position, 250 ms by default.
	CheckpointEvery time.Duration
	// DrainTimeout bounds how long a stop waits for acknowledgements, 5 s by default.
	DrainTimeout time.Duration
	// MinBackoff and MaxBackoff bound the pause between two sessions, 200 ms and 15 s by default.
	MinBackoff, MaxBackoff time.Duration
	// Halts tells failures that no new session can mend; Run returns them. Nil means that none is.
	Halts func(error) bool
	// Interrupted is told why a session ended that is followed by another one; it may be nil.
	Interrupted func(error)
	// Acked is told of each batch when it is acknowledged; it must not block. It may be nil.
	Acked func(Acked)
}

// Capture moves batches from a source to a publisher and confirms what was acknowledged: Source, Publisher, Checkpoints,
// Confirm. A failure ends the session; the next one starts from the last recorded position.
type Capture struct {
	cfg         CaptureConfig
	open        func(ctx context.Context) (Session, error)
	checkpoints Checkpoints
	log         *slog.Logger
}

// NewCapture makes a loop that starts nothing. open makes a fresh session each time one is needed.
func NewCapture(open func(ctx context.Context) (Session, error), checkpoints Checkpoints, log *slog.Logger, cfg CaptureConfig) (*Capture, error) {
	if cfg.Capture == "" {
		return nil, errors.New("capture: expected a capture name")
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&cfg.CheckpointEvery, 250 * time.Millisecond},
		{&cfg.DrainTimeout, 5 * time.Second},
		{&cfg.MinBackoff, 200 * time.Millisecond},
		{&cfg.MaxBackoff, 15 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if cfg.Halts == nil {
		cfg.Halts = func(error) bool { return false }
	}
	return &Capture{cfg: cfg, open: open, checkpoints: checkpoints, log: log}, nil
}

// Run captures until the context ends, which gives nil, or until a failure that halts, which it returns. It blocks.
func (c *Capture) Run(ctx context.Context) error {
	backoff := c.cfg.MinBackoff
	for {
		started := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("capture: the source ended without a cause")
		}
		if c.cfg.Halts(err) {
			return err
		}
		if time.Since(started) > time.Minute {
			backoff = c.cfg.MinBackoff
		}
		if c.cfg.Interrupted != nil {
			c.cfg.Interrupted(err)
		}
		c.log.Warn("capture interrupted", "capture", c.cfg.Capture, "error", err, "retry_in", backoff)
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		backoff = min(2*backoff, c.cfg.MaxBackoff)
	}
}

// Acked is what Kafka has acknowledged with one batch.
type Acked struct {
	// Events is how many there were.
	Events int
	// Ends are the transactions whose last change was among them.
	Ends []End
}

// End is the last change of a transaction.
type End struct {
	CommitTime int64  // microseconds since the Unix epoch
	Trace      string // traceparent, or empty
}

// acknowledged is one answer of the publisher.
type acknowledged struct {
	last    Position
	through LSN
	acked   Acked
	err     error
}

// answer is what is remembered of a batch until its acknowledgement; the batch itself is used again by then.
func (c *Capture) answer(b *Batch) acknowledged {
	a := acknowledged{last: b.Last, through: b.Through, acked: Acked{Events: len(b.Events)}}
	if c.cfg.Acked == nil {
		return a
	}
	for i := range b.Events {
		if e := &b.Events[i]; e.TxSize != 0 && e.CommitTime != 0 {
			a.acked.Ends = append(a.acked.Ends, End{e.CommitTime, e.Trace})
		}
	}
	return a
}

// session runs until the first failure or the end of ctx. On the latter it takes nothing new, waits for the
// acknowledgements of what is under way, records and confirms them. // I10
func (c *Capture) session(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if s.Close != nil {
		defer func() {
			if err := s.Close(); err != nil {
				c.log.Warn("publisher closed with an error", "error", err)
			}
		}()
	}
	// The source outlives ctx: its last status carries what the drain confirmed.
	sourceCtx, stopSource := context.WithCancel(context.WithoutCancel(ctx))
	sourceDone := make(chan error, 1)
	go func() { sourceDone <- s.Source.Run(sourceCtx) }()

	publisherDone := make(chan error, 1)
	go func() {
		if s.RunPublisher == nil {
			<-sourceCtx.Done()
			publisherDone <- nil
			return
		}
		publisherDone <- s.RunPublisher(sourceCtx)
	}()

	acks := make(chan acknowledged, 64) // more than any publisher keeps in flight, so that it never waits for a checkpoint
	pumpCtx, stopPump := context.WithCancel(ctx)
	pumpDone := make(chan pumped, 1)
	gone := make(chan struct{})
	go func() { pumpDone <- c.pump(pumpCtx, s, acks, gone) }()

	err = c.settle(ctx, s.Source, acks, ends{sourceDone, publisherDone}, pumpDone, stopPump)
	close(gone)
	stopPump()
	stopSource()
	for _, done := range []chan error{sourceDone, publisherDone} {
		if end := <-done; end != nil && err == nil && ctx.Err() == nil {
			err = end
		}
	}
	return err
}

// ends tell when the long-lived parts of a session ended; each has room for one error, which is put back.
type ends struct{ source, publisher chan error }

// pumped is how the pump ended: how many batches it handed over, and why it stopped.
type pumped struct {
	handed uint64
	err    error
}

// pump hands batches to the publisher, which blocks while too many are in flight. // I9
func (c *Capture) pump(ctx context.Context, s Session, acks chan<- acknowledged, gone <-chan struct{}) pumped {
	var handed uint64
	for {
		b, err := s.Source.Next(ctx)
		if err != nil {
			return pumped{handed, err}
		}
		a := c.answer(b)
		err = s.Publisher.Publish(ctx, b, func(err error) {
			a.err = err
			select {
			case acks <- a:
			case <-gone:
			}
		})
		s.Source.Release(b)
		if err != nil {
			return pumped{handed, fmt.Errorf("publish: %w", err)}
		}
		handed++
	}
}

// settle records acknowledged positions and then confirms them; it is the only one that does.
func (c *Capture) settle(ctx context.Context, src Source, acks <-chan acknowledged, end ends, pumpDone <-chan pumped, stopPump func()) error {
	var (
		settled                   uint64
		handed                    uint64
		stopped                   bool
		cause                     error
		newest                    acknowledged
		dirty                     bool
		drain                     <-chan time.Time
		done                      = ctx.Done()
		sourceDone, publisherDone = end.source, end.publisher
		tick                      = time.NewTicker(c.cfg.CheckpointEvery)
	)
	defer tick.Stop()
	record := func() error {
		if !dirty {
			return nil
		}
		recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.DrainTimeout)
		defer cancel()
		if err := c.checkpoints.Acknowledged(recordCtx, c.cfg.Capture, newest.last, newest.through); err != nil {
			return fmt.Errorf("record acknowledged position: %w", err)
		}
		dirty = false
		src.Confirm(newest.through) // I2: only after the record, which is only after the acknowledgement // I8
		return nil
	}
	for !stopped || settled < handed {
		select {
		case a := <-acks:
			settled++
			if a.err != nil {
				return fmt.Errorf("publish: %w", a.err)
			}
			if a.through != 0 {
				newest.through, newest.last, dirty = a.through, a.last, true
			}
			if c.cfg.Acked != nil {
				c.cfg.Acked(a.acked)
			}
		case <-tick.C:
			if err := record(); err != nil {
				return err
			}
		case p := <-pumpDone:
			handed, stopped = p.handed, true
			if ctx.Err() == nil && cause == nil {
				cause = p.err
			}
			timer := time.NewTimer(c.cfg.DrainTimeout)
			defer timer.Stop()
			drain = timer.C
		case <-done:
			done = nil
			stopPump()
		case err := <-sourceDone:
			end.source <- err
			sourceDone = nil
			if cause == nil {
				cause = err
			}
			// What was received before the end goes out: the next session may not come past what ended this one.
			late := time.AfterFunc(c.cfg.DrainTimeout, stopPump)
			defer late.Stop()
		case err := <-publisherDone:
			end.publisher <- err
			return errors.Join(err, record())
		case <-drain:
			return errors.Join(cause, record())
		}
	}
	return errors.Join(cause, record())
}
