package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// bar shows progress on one line of a terminal, and as a line every few seconds elsewhere.
type bar struct {
	out        io.Writer
	name, unit string
	live       bool

	mu    sync.Mutex
	start time.Time
	shown time.Time
	ended bool
}

func newBar(out io.Writer, name, unit string) *bar {
	f, ok := out.(*os.File)
	return &bar{out: out, name: name, unit: unit, live: ok && term.IsTerminal(int(f.Fd()))}
}

func (b *bar) show64(done, total int64) { b.show(int(done), int(total)) }

// show draws the bar; the last call, with done at total, ends the line.
func (b *bar) show(done, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.start.IsZero() {
		b.start, b.shown = now, now
	}
	finished := total > 0 && done >= total
	pause := 5 * time.Second
	if b.live {
		pause = 100 * time.Millisecond
	}
	if b.ended || (now.Sub(b.shown) < pause && !finished) {
		return
	}
	b.shown, b.ended = now, finished
	rate := float64(done) / max(now.Sub(b.start).Seconds(), 0.001)
	if !b.live {
		fmt.Fprintf(b.out, "%s: %d of %d %s, %.0f/s\n", b.name, done, total, b.unit, rate)
		return
	}
	left := ""
	if total > 0 && rate > 0 {
		left = (time.Duration(float64(total-done)/rate) * time.Second).String()
	}
	const width = 30
	full := 0
	if total > 0 {
		full = min(width, width*done/total)
	}
	fmt.Fprintf(b.out, "\r%s [%s%s] %d/%d %s %.0f/s %s \033[K", b.name, strings.Repeat("#", full), strings.Repeat(".", width-full), done, total, b.unit, rate, left)
	if finished {
		fmt.Fprintln(b.out)
	}
}
