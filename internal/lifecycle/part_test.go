package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/lifecycle"
)

// lived runs a part whose lives end as told, one after the other; the last one works until the end.
func lived(t *testing.T, ends ...error) (p *lifecycle.Part, log *bytes.Buffer, lives *atomic.Int32) {
	t.Helper()
	log, lives = new(bytes.Buffer), new(atomic.Int32)
	p = lifecycle.NewPart(lifecycle.PartConfig{
		Name: "capture", Log: slog.New(slog.NewTextHandler(log, nil)), Slow: 30 * time.Second,
		Life: func(ctx context.Context, tell func(lifecycle.PartState, error)) error {
			if n := int(lives.Add(1)); n <= len(ends) {
				return ends[n-1]
			}
			tell(lifecycle.Working, nil)
			<-ctx.Done()
			return ctx.Err()
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("an ordered stop is no failure, got %v", err)
		}
	})
	return p, log, lives
}

func gap() error {
	return &fault.Error{Kind: fault.Halt, Code: "slot_missing", Err: errors.New("the slot is gone"), Hint: "nubridge accept-gap"}
}

func TestAHaltedPartStaysAliveSaysWhyOnceAndIsTriedAgainSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, log, lives := lived(t, gap(), gap())
		synctest.Wait()
		s := p.Standing()
		if s.State != lifecycle.Halted || s.Code != "slot_missing" || s.Cause != "the slot is gone" || s.Mend != "nubridge accept-gap" {
			t.Errorf("got %+v", s)
		}
		<-time.After(29 * time.Second)
		if lives.Load() != 1 {
			t.Errorf("tried again too early")
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if lives.Load() != 2 || p.Standing().State != lifecycle.Halted || p.Standing().Since != s.Since {
			t.Errorf("%d lives, got %+v, want it halted since the first time", lives.Load(), p.Standing())
		}
		<-time.After(31 * time.Second)
		synctest.Wait()
		if p.Standing().State != lifecycle.Working {
			t.Errorf("got %+v, want it working", p.Standing())
		}
		if n := strings.Count(log.String(), "part halted"); n != 1 || strings.Count(log.String(), "part goes on") != 1 {
			t.Errorf("a halt that stays is told once, got\n%s", log)
		}
	})
}

func TestAMendedPartIsTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := lived(t, gap())
		synctest.Wait()
		start := time.Now()
		p.Mended()
		synctest.Wait()
		if p.Standing().State != lifecycle.Working || time.Since(start) != 0 {
			t.Errorf("after %s: got %+v", time.Since(start), p.Standing())
		}
	})
}

func TestALifeCanBeEndedForAnotherOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, log, lives := lived(t)
		synctest.Wait()
		start := time.Now()
		p.Anew()
		synctest.Wait()
		if lives.Load() != 2 || p.Standing().State != lifecycle.Working || time.Since(start) != 0 {
			t.Errorf("%d lives after %s, %+v", lives.Load(), time.Since(start), p.Standing())
		}
		if log.Len() > 0 {
			t.Errorf("nothing failed, got\n%s", log)
		}
	})
}

func TestAMendThatCameBeforeTheHaltIsNoneOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p *lifecycle.Part
		lives := 0
		p = lifecycle.NewPart(lifecycle.PartConfig{Name: "capture", Log: slog.New(slog.DiscardHandler), Life: func(context.Context, func(lifecycle.PartState, error)) error {
			lives++
			p.Mended() // of something else, while this works
			return gap()
		}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		if lives != 1 {
			t.Errorf("tried %d times at once, want the slow pause", lives)
		}
		stop()
		<-done
	})
}

func TestAFailingPartIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := fault.New(fault.Retry, "kafka_unreachable", "no broker answers")
		p, log, lives := lived(t, away, away, nil)
		synctest.Wait()
		if s := p.Standing(); s.State != lifecycle.Failing || s.Code != "kafka_unreachable" {
			t.Errorf("got %+v", s)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if lives.Load() != 4 || p.Standing().State != lifecycle.Working {
			t.Errorf("%d lives, got %+v\n%s", lives.Load(), p.Standing(), log)
		}
	})
}
