package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// bridge is one running process of the program under test.
type bridge struct {
	w     *world
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
	log   string
	dead  atomic.Bool
}

// start starts an instance on the world's one configuration.
func (w *world) start() (*bridge, error) {
	w.started++
	b := &bridge{w: w, name: fmt.Sprintf("bridge-%d", w.started), ended: make(chan struct{})}
	b.log = filepath.Join(w.dir, b.name+".log")
	out, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	b.cmd = exec.Command(w.run.binary, "run", "--config", filepath.Join(w.dir, "nubridge.yaml"))
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		b.err = b.cmd.Wait()
		b.dead.Store(true)
		_ = out.Close()
		close(b.ended)
	}()
	w.running = append(w.running, b)
	return b, nil
}

// command runs one of an operator's commands.
func (w *world) command(ctx context.Context, args ...string) error {
	args = append(args, "--config", filepath.Join(w.dir, "nubridge.yaml"))
	if out, err := exec.CommandContext(ctx, w.run.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("nubridge %v: %w: %s", args, err, out)
	}
	return nil
}

func (b *bridge) signal(s syscall.Signal) { _ = syscall.Kill(b.cmd.Process.Pid, s) }

// kill ends it as a loss of power does.
func (b *bridge) kill() {
	if b.dead.Load() {
		return
	}
	b.w.run.noteMemory(b.rss())
	b.signal(syscall.SIGKILL)
	<-b.ended
}

// stop asks it to end and waits; it tells whether it ended in order and how long it took.
func (b *bridge) stop(patience time.Duration) (time.Duration, error) {
	begin := time.Now()
	b.w.run.noteMemory(b.rss())
	b.signal(syscall.SIGTERM)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-b.ended:
		return time.Since(begin), b.err
	case <-t.C:
		b.kill()
		return time.Since(begin), errors.New("it did not end in time")
	}
}

// rss is the most memory that the process ever held, in MiB; zero if it is gone.
func (b *bridge) rss() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, _ := strconv.Atoi(f[1])
			return kb >> 10
		}
	}
	return 0
}

var personal = regexp.MustCompile(`@example\.com|panic:|goroutine \d+ \[|DATA RACE`)

// readLogs looks through all logs of the world for what must never be there, and for panics.
func (w *world) readLogs() (bad []string) {
	secrets := []string{w.Portal.ConsumerKey, w.Portal.ConsumerSecret, w.Portal.Token, w.Portal.TokenSecret}
	for _, b := range w.running {
		f, err := os.Open(b.log)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if personal.MatchString(line) {
				bad = append(bad, b.name+": "+line)
			}
			for _, s := range secrets {
				if strings.Contains(line, s) {
					bad = append(bad, b.name+": a secret in the log") // I11
				}
			}
		}
		_ = f.Close()
	}
	return bad
}
