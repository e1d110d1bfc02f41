package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// load is the processor time that was used until a moment: by the whole machine, by this process with portal and broker, by the
// database, and by the bridges.
type load struct {
	at                             time.Time
	machine, own, database, bridge time.Duration
}

const jiffy = 10 * time.Millisecond

// processTime reads the time of a process, and that of its ended children.
func processTime(pid int) (parent int, own, children time.Duration) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, 0
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 15 {
		return 0, 0, 0
	}
	n := func(i int) time.Duration {
		v, _ := strconv.ParseInt(f[i], 10, 64)
		return time.Duration(v) * jiffy
	}
	parent, _ = strconv.Atoi(f[1])
	return parent, n(11) + n(12), n(13) + n(14)
}

func (w *world) load() load {
	l := load{at: time.Now()}
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		for i, field := range strings.Fields(first) {
			if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, waiting for a disk, guests
				continue
			}
			v, _ := strconv.ParseInt(field, 10, 64)
			l.machine += time.Duration(v) * jiffy
		}
	}
	_, l.own, _ = processTime(os.Getpid())
	l.database = w.databaseTime()
	for _, b := range append(w.ended[:len(w.ended):len(w.ended)], w.bridges...) {
		b.mu.Lock()
		if n := len(b.use); n > 0 {
			l.bridge += b.use[n-1].cpu
		}
		b.mu.Unlock()
	}
	return l
}

// databaseTime adds up the server's processes, those that ended included.
func (w *world) databaseTime() (sum time.Duration) {
	postmaster := w.Postgres.PID()
	_, own, ended := processTime(postmaster)
	sum = own + ended
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if parent, own, _ := processTime(pid); parent == postmaster {
			sum += own
		}
	}
	return sum
}

// spent tells who used the machine since an earlier moment, in cores.
func (w *world) spent(before load) string {
	now := w.load()
	seconds := now.at.Sub(before.at).Seconds()
	cores := func(d time.Duration) float64 { return d.Seconds() / seconds }
	machine, own, database, bridge := cores(now.machine-before.machine), cores(now.own-before.own), cores(now.database-before.database), cores(now.bridge-before.bridge)
	return fmt.Sprintf("cores in use %.2f: bridge %.2f, PostgreSQL %.2f, portal and broker %.2f, foreign %.2f", machine, bridge, database, own,
		max(machine-own-database-bridge, 0))
}
