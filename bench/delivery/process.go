package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var errEnded = errors.New("it was not told to")

// bridge is one running program under test.
type bridge struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	err  error
	log  logFile
	mu   sync.Mutex
	use  []use
	most int64 // KiB, by the kernel's own mark
}

// use is what a process has used until a moment.
type use struct {
	at  time.Time
	cpu time.Duration // user and system
	rss int64         // KiB
}

// logFile keeps the end of what a process writes.
type logFile struct {
	mu   sync.Mutex
	text bytes.Buffer
	also *os.File
}

// Write keeps the last part of a long log.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.also != nil {
		_, _ = l.also.Write(p)
	}
	if l.text.Len() > 256<<10 {
		l.text.Next(128 << 10)
	}
	return l.text.Write(p)
}

func (l *logFile) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.text.Bytes()
	return string(b[max(0, len(b)-4<<10):])
}

// launch starts one more bridge on a configuration.
func (w *world) launch(file string) (*bridge, error) {
	b := &bridge{done: make(chan struct{})}
	if w.s.verbose {
		b.log.also = os.Stderr
	}
	args := []string{"run", "--config", filepath.Join(w.dir, file)}
	if w.s.profile != "" {
		args = append(args, "--cpu-profile", filepath.Join(w.s.profile, fmt.Sprintf("bridge-%d.prof", len(w.bridges)+len(w.ended))))
	}
	b.cmd = exec.Command(w.s.program, args...)
	b.cmd.Env = w.environ()
	b.cmd.Stderr, b.cmd.Stdout = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	w.tasks.Go(func() {
		b.err = b.cmd.Wait()
		close(b.done)
	})
	w.tasks.Go(b.watch)
	w.bridges = append(w.bridges, b)
	return b, nil
}

// watch reads what the process uses until it ends.
func (b *bridge) watch() {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		b.look()
		select {
		case <-b.done:
			return
		case <-tick.C:
		}
	}
}

// look reads processor time and memory from the kernel.
func (b *bridge) look() use {
	u := use{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(f) < 13 {
		return u
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond
	u.rss = b.status("VmRSS:")
	most := b.status("VmHWM:")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.use = append(b.use, u)
	b.most = max(b.most, most)
	return u
}

func (b *bridge) status(field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib
		}
	}
	return 0
}

// drift compares the memory in the second quarter of a time with that in its last quarter, in MiB.
func (b *bridge) drift(from time.Time) (second, last float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	span := time.Since(from)
	mean := func(from, to time.Time) float64 {
		sum, n := 0.0, 0
		for _, u := range b.use {
			if u.at.After(from) && !u.at.After(to) && u.rss > 0 {
				sum, n = sum+float64(u.rss)/1024, n+1
			}
		}
		return sum / float64(max(n, 1))
	}
	return mean(from.Add(span/4), from.Add(span/2)), mean(from.Add(span*3/4), from.Add(span))
}

// cpuSince is the processor time that a bridge has used since an earlier look.
func (b *bridge) cpuSince(before use) time.Duration { return b.look().cpu - before.cpu }

// stop ends a bridge in order.
func (b *bridge) stop() error {
	b.look()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop a bridge: %w", err)
	}
	limit := time.NewTimer(40 * time.Second)
	defer limit.Stop()
	select {
	case <-b.done:
		if b.err != nil {
			return fmt.Errorf("a bridge ended: %w", b.err)
		}
		return nil
	case <-limit.C:
		b.kill()
		return errors.New("a bridge did not end within 40 s")
	}
}

// kill ends a bridge as a loss of power does.
func (b *bridge) kill() {
	b.look()
	_ = b.cmd.Process.Kill()
	<-b.done
}

// stopAll ends all bridges in order.
func (w *world) stopAll() error {
	var errs []error
	for _, b := range w.bridges {
		errs = append(errs, b.stop())
	}
	w.ended = append(w.ended, w.bridges...)
	w.bridges = nil
	return errors.Join(errs...)
}

// peak is the most memory that any bridge ever held, in KiB.
func (w *world) peak() (most int64) {
	for _, b := range append(w.ended[:len(w.ended):len(w.ended)], w.bridges...) {
		b.mu.Lock()
		most = max(most, b.most)
		b.mu.Unlock()
	}
	return most
}

func (w *world) logs() string {
	var all strings.Builder
	for _, b := range w.bridges {
		all.WriteString(b.log.tail())
	}
	return all.String()
}

// command runs the bridge's own command to its end.
func (w *world) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, w.s.program, args...)
	cmd.Env = w.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("nubridge %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
