package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"nubridge/internal/fault"
)

// PartState says whether a part works.
type PartState string

// The states of a part.
const (
	// Starting until the part says for the first time that it works.
	Starting PartState = "starting"
	// Working as it should.
	Working PartState = "working"
	// StandingBy while another process does the work.
	StandingBy PartState = "standing_by"
	// Failing and tried again soon, by itself.
	Failing PartState = "failing"
	// Halted: going on would lose or corrupt something, or a person must change something. It is tried again slowly.
	Halted PartState = "halted"
)

// Standing is how a part stands.
type Standing struct {
	State PartState
	// Code is stable, Cause says what happened, Mend what a person is to do; all are empty unless the part fails or is halted.
	Code, Cause, Mend string
	Since             time.Time
}

// Life is one life of a part. An error that it tells while it goes on makes the part a failing one.
type Life func(ctx context.Context, tell func(PartState, error)) error

// PartConfig says how a part is run. The zero value of a duration means its default.
type PartConfig struct {
	// Name is what the part is called in logs and reports, such as "capture".
	Name string
	// Life is one life of the part, with everything made anew. It blocks until its context ends or it fails, and may tell how it
	// stands. Until it does, what the life before it failed with still stands, at most as long as Proof.
	Life Life
	// Proof is how long a life that tells nothing must last to count as working, 5 s by default.
	Proof time.Duration
	// Mend gives what a person is to do about a halt; by default the hint of the fault.
	Mend func(error) string
	Log  *slog.Logger
	// Slow is how long a halted part stands still before it is tried again, 30 s by default.
	Slow time.Duration
	// MinBackoff and MaxBackoff bound the pause after other failures, 200 ms and 15 s by default.
	MinBackoff, MaxBackoff time.Duration
}

// Part is a service that may fail or halt without ending the process: it stops alone, stays in Run, says why, and goes on once
// what stopped it is mended. A Part is run once.
type Part struct {
	cfg    PartConfig
	mended chan struct{} // one token: somebody says that it may be tried again
	anew   chan struct{} // one token: the present life shall end and another one begin

	mu       sync.Mutex
	standing Standing
}

// NewPart makes a part that starts nothing.
func NewPart(cfg PartConfig) *Part {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&cfg.Slow, 30 * time.Second}, {&cfg.Proof, 5 * time.Second}, {&cfg.MinBackoff, 200 * time.Millisecond}, {&cfg.MaxBackoff, 15 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if cfg.Mend == nil {
		cfg.Mend = hintOf
	}
	return &Part{cfg: cfg, mended: make(chan struct{}, 1), anew: make(chan struct{}, 1), standing: Standing{State: Starting, Since: time.Now()}}
}

// Name is what the part is called.
func (p *Part) Name() string { return p.cfg.Name }

// Standing tells how the part stands.
func (p *Part) Standing() Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

// Mended lets a part that stands still try again at once. It does not block.
func (p *Part) Mended() {
	select {
	case p.mended <- struct{}{}:
	default:
	}
}

// Anew ends the present life, if there is one, and begins another one at once. It does not block.
func (p *Part) Anew() {
	select {
	case p.anew <- struct{}{}:
	default:
	}
	p.Mended()
}

// Run lives until the context ends, which gives nil.
func (p *Part) Run(ctx context.Context) error {
	backoff := p.cfg.MinBackoff
	for {
		began := time.Now()
		select {
		case <-p.anew: // this is a new one
		default:
		}
		again, err := p.live(ctx)
		if again && ctx.Err() == nil {
			continue
		}
		select {
		case <-p.mended: // said of what was before this failure
		default:
		}
		if time.Since(began) > p.cfg.Proof {
			backoff = p.cfg.MinBackoff
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("it ended without a cause")
		}
		wait := backoff
		if p.failed(err); p.Standing().State == Halted {
			wait = p.cfg.Slow
		} else {
			backoff = min(2*backoff, p.cfg.MaxBackoff)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-p.mended:
		case <-timer.C:
		}
		if timer.Stop(); ctx.Err() != nil {
			return nil
		}
	}
}

// live is one life, and tells whether it was ended for another one.
func (p *Part) live(ctx context.Context) (again bool, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan bool, 1)
	stop := make(chan struct{})
	go func() {
		select {
		case <-p.anew:
			cancel()
			ended <- true
		case <-stop:
			ended <- false
		}
	}()
	var told sync.Once
	proof := time.AfterFunc(p.cfg.Proof, func() { told.Do(func() { p.now(Working) }) })
	defer proof.Stop()
	err := p.cfg.Life(ctx, func(s PartState, err error) {
		if told.Do(func() {}); err != nil {
			p.failed(err)
			return
		}
		p.now(s)
	})
	close(stop)
	return <-ended, err
}

// now notes how the part stands, and logs if it did not work before.
func (p *Part) now(s PartState) {
	p.mu.Lock()
	before := p.standing
	if before.State != s {
		p.standing = Standing{State: s, Since: time.Now()}
	}
	p.mu.Unlock()
	if before.State == Halted || before.State == Failing {
		p.cfg.Log.Info("part goes on", "part", p.cfg.Name, "code", before.Code, "stood_s", int(time.Since(before.Since).Seconds()))
	}
}

// failed notes a failure and tells of it when it is another one than before.
func (p *Part) failed(err error) {
	s := Standing{State: Failing, Code: fault.CodeOf(err), Mend: hintOf(err), Since: time.Now()}
	s.Cause, _, _ = strings.Cut(err.Error(), "; hint: ")
	if fault.KindOf(err) == fault.Halt {
		s.State, s.Mend = Halted, p.cfg.Mend(err)
	}
	p.mu.Lock()
	before := p.standing
	same := before.State == s.State && before.Code == s.Code
	if same {
		s.Since = before.Since
	}
	p.standing = s
	p.mu.Unlock()
	switch {
	case same:
	case s.State == Halted:
		p.cfg.Log.Error("part halted, the others go on", "part", p.cfg.Name, "code", s.Code, "cause", s.Cause, "mend", s.Mend)
	default:
		p.cfg.Log.Warn("part failed, tried again", "part", p.cfg.Name, "code", s.Code, "error", err)
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Hint
	}
	return ""
}
