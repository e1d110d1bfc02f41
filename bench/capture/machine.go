package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of processor times in /proc, a constant of Linux's interface.
const ticksPerSecond = 100

// process is a measured program with its children: one process group.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	once   sync.Once

	mu    sync.Mutex
	procs map[int]usage
}

// usage is what a process group has used.
type usage struct {
	cpu float64 // seconds, user and system
	rss int     // peak, KiB
}

// launch starts a command in a process group of its own, its output in the log file.
func launch(dir, log string, env []string, command ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), procs: map[int]usage{}}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for !p.ended() {
			p.sample()
			<-tick.C
		}
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop ends the group politely, and after 20 s in earnest.
func (p *process) stop() {
	p.once.Do(func() {
		p.sample()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.exited
		}
	})
}

// kill ends the group at once.
func (p *process) kill() {
	p.once.Do(func() {
		p.sample()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
	})
}

// usage of the group so far.
func (p *process) usage() usage {
	if !p.ended() {
		p.sample()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var sum usage
	for _, u := range p.procs {
		sum.cpu += u.cpu
		sum.rss += u.rss
	}
	return sum
}

// sample keeps the newest reading of each process of the group.
func (p *process) sample() {
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		group, cpu, _ := groupAndCPU(d.Name())
		if group != p.cmd.Process.Pid {
			continue
		}
		rss := peakRSS(d.Name())
		p.mu.Lock()
		// A process on its way out reads as empty, and the kernel's peak is not exact.
		p.procs[pid] = usage{cpu: max(cpu, p.procs[pid].cpu), rss: max(rss, p.procs[pid].rss)}
		p.mu.Unlock()
	}
}

func peakRSS(pid string) int {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0
	}
	n, _ := strconv.Atoi(strings.Fields(rest)[0])
	return n
}

// machineTime is processor time, in seconds, by who spent it. What is neither the target's, this program's nor the lab's is
// foreign: other work on the machine, which spoils a figure.
type machineTime struct {
	at                         time.Time
	seconds                    float64 // of a difference
	busy, postgres, broker, me float64
}

func readMachine(cache string) machineTime {
	m := machineTime{at: time.Now()}
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseFloat(f, 64)
		if i != 3 && i != 4 && i < 7 { // idle and iowait; steal and guest time are not ours
			m.busy += n / ticksPerSecond
		}
	}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		exe, _ := os.Readlink("/proc/" + d.Name() + "/exe")
		args, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline")
		_, cpu, reaped := groupAndCPU(d.Name())
		switch {
		case pid == os.Getpid():
			m.me += cpu
		case strings.HasPrefix(exe, cache+"/postgres/"):
			m.postgres += cpu + reaped // a backend that ended is in the postmaster's account
		case bytes.Contains(args, []byte("kafka.Kafka")) && bytes.Contains(args, []byte(cache+"/kafka/")):
			m.broker += cpu
		}
	}
	return m
}

func (m machineTime) since(start machineTime) machineTime {
	return machineTime{m.at, m.at.Sub(start.at).Seconds(), m.busy - start.busy, m.postgres - start.postgres, m.broker - start.broker, m.me - start.me}
}

// groupAndCPU reads the process group of one process, its processor seconds and those of its ended children.
func groupAndCPU(pid string) (group int, cpu, reaped float64) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, 0
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	group, _ = strconv.Atoi(f[2])
	var ticks [4]float64
	for i := range ticks {
		ticks[i], _ = strconv.ParseFloat(f[11+i], 64)
	}
	return group, (ticks[0] + ticks[1]) / ticksPerSecond, (ticks[2] + ticks[3]) / ticksPerSecond
}

// awaitQuiet waits until the machine is nearly idle, so that a run does not begin in others' load.
func awaitQuiet(ctx context.Context, limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		before := readMachine("")
		wait(ctx, time.Second)
		if readMachine("").since(before).busy < 0.25 {
			return
		}
	}
}

// wait waits, or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
