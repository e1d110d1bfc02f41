package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// world is one trial's database, topics and program.
type world struct {
	s              settings
	id, dir        string
	url, proxied   string // of the source, straight and through the network that is cut
	dice           *rand.PCG
	proxy          *proxy
	killed, faults int
	starts         int
	random         bool // the feed is compared with what a second slot tells
}

func newWorld(ctx context.Context, s settings, name string) (*world, error) {
	w := &world{s: s, id: fmt.Sprintf("k%s%d", name, time.Now().Unix()), dice: rand.NewPCG(s.seed, uint64(len(name))), random: name == "random"}
	w.dir = filepath.Join(s.dir, w.id)
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, s.postgres)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "create database "+w.id); err != nil {
		return nil, fmt.Errorf("make the database: %w", err)
	}
	u, err := url.Parse(s.postgres)
	if err != nil {
		return nil, err
	}
	if w.proxy, err = newProxy(u.Host); err != nil {
		return nil, err
	}
	u.Path = "/" + w.id
	w.url = u.String()
	u.Host = w.proxy.listener.Addr().String()
	w.proxied = u.String()
	return w, w.exec(ctx, "create schema work", "alter database "+w.id+" set logical_decoding_work_mem = '1MB'")
}

func (w *world) close() { w.proxy.close() }

func (w *world) exec(ctx context.Context, sql ...string) error {
	conn, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range sql {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.80s: %w", s, err)
		}
	}
	return nil
}

// retried executes statements until all were answered: a server that is restarted takes a transaction back, or says that it exists.
func (w *world) retried(ctx context.Context, sql ...string) error {
	for ctx.Err() == nil {
		err := w.exec(ctx, sql...)
		if err == nil || strings.Contains(err.Error(), "already exists") || strings.Contains(err.Error(), "duplicate key") {
			return nil
		}
		rest(ctx, 200*time.Millisecond)
	}
	return ctx.Err()
}

// process is the program.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    string
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (w *world) launch(context.Context) (*process, error) {
	config := filepath.Join(w.dir, "nubridge.yaml")
	text := fmt.Sprintf(`oms: {url: "%s"}
capture: {name: %[2]s, topic_prefix: %[2]s, tables: [work.*], snapshot: initial, spill_dir: %[3]s}
kafka: {brokers: ["%s"], partitions: 4, replication: %d}
ledger: {url: "%s", schema: bridge}
http: {listen: "off"}
`, w.proxied, w.id, filepath.Join(w.dir, "spill"), strings.ReplaceAll(w.s.kafka, ",", `", "`), w.s.replication, w.url)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	w.starts++
	p := &process{exited: make(chan struct{}), log: filepath.Join(w.dir, "log"+strconv.Itoa(w.starts))}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(w.s.program, "run", "--config", config)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, w.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		_ = out.Close()
		close(p.exited)
	}()
	return p, nil
}

// tolerable tells whether an end of the program by itself is one that faults explain: what it needs is away. A halt is none.
func (w *world) tolerable(p *process) error {
	text, _ := os.ReadFile(p.log)
	if code := p.cmd.ProcessState.ExitCode(); code == 3 && w.s.faults != "" {
		time.Sleep(200 * time.Millisecond)
		return nil
	}
	return fmt.Errorf("the program ended by itself (%s): %s", p.cmd.ProcessState, text[max(0, len(text)-1500):])
}

// faulting brings the faults, one every few seconds.
func (w *world) faulting(ctx context.Context) error {
	kinds := strings.FieldsFunc(w.s.faults, func(r rune) bool { return r == ',' })
	dice := rand.New(rand.NewPCG(w.s.seed, 99))
	for n := 0; len(kinds) > 0; n++ {
		if rest(ctx, time.Duration(2000+dice.IntN(5000))*time.Millisecond) {
			return nil
		}
		w.faults++
		var err error
		switch kind := kinds[n%len(kinds)]; kind {
		case "cut":
			w.proxy.cut(time.Duration(dice.IntN(1500)) * time.Millisecond)
		case "fast", "immediate":
			if kind == "immediate" {
				err = w.script("postgres.sh", "kill", strconv.Itoa(w.s.major))
			} else {
				err = w.script("postgres.sh", "stop", strconv.Itoa(w.s.major))
			}
			u, _ := url.Parse(w.s.postgres)
			err = errors.Join(err, w.script("postgres.sh", "start", strconv.Itoa(w.s.major), u.Port()))
		case "broker":
			if w.s.replication > 1 {
				node := strconv.Itoa(1 + dice.IntN(3))
				err = w.script("kafka.sh", "kill-node", node)
				rest(ctx, time.Second)
				err = errors.Join(err, w.script("kafka.sh", "start-node", node))
			} else {
				_, port, _ := net.SplitHostPort(w.s.kafka)
				err = errors.Join(w.script("kafka.sh", "stop"), w.script("kafka.sh", "start", port))
			}
		default:
			err = fmt.Errorf("fault %q is not known", kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) script(name string, args ...string) error {
	if out, err := exec.Command(filepath.Join(w.s.lab, name), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// proxy is the network between the program and the server.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	away     time.Time
}

func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	go p.run()
	return p, nil
}

func (p *proxy) run() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := time.Now().Before(p.away)
		p.mu.Unlock()
		out, err := net.Dial("tcp", p.target)
		if err != nil || refuse {
			_ = in.Close()
			if out != nil {
				_ = out.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
				_ = pair[1].Close()
				p.mu.Lock()
				delete(p.conns, pair[0])
				delete(p.conns, pair[1])
				p.mu.Unlock()
			}()
		}
	}
}

// cut closes every connection and refuses new ones for a while.
func (p *proxy) cut(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = time.Now().Add(d)
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.cut(time.Hour)
}
