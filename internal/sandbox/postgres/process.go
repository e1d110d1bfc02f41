package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// process is one run of the server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
}

func (s *Server) launch(port int) (*process, error) {
	args := []string{"-D", s.data}
	settings := s.config.settings(port)
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.install.program("postgres"), args...)
	s.account.dress(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.install.program("postgres"), err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

// wait ends when the server does: Stop, Shutdown and Crash wait for it.
func (p *process) wait() {
	_ = p.cmd.Wait() // how it ended is in its log
	close(p.done)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
}

// end ends the server by a signal, and by force if that takes longer than ten seconds.
func (p *process) end(s os.Signal) {
	p.signal(s)
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.signal(os.Kill)
		<-p.done
	}
}

// awaitReady waits until the server's own status file says that it accepts connections.
func (p *process) awaitReady(ctx context.Context, data string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if p.isReady(data) {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended while starting")
		case <-ctx.Done():
			return fmt.Errorf("it accepts no connections yet: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// isReady reads postmaster.pid: line 1 is the process, line 8 its status.
func (p *process) isReady(data string) bool {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) >= 8 && lines[0] == fmt.Sprint(p.cmd.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}
