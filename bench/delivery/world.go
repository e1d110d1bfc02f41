package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"nubridge/internal/ledger"
	"nubridge/internal/sandbox"
	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/nuorder"
	"nubridge/internal/sandbox/oms"
	"nubridge/mapper"
)

// world is the local world in this process, and the bridge in processes of its own, so that its CPU and memory can be told.
type world struct {
	*sandbox.World
	s        settings
	dir      string
	store    *ledger.Store
	bridges  []*bridge
	products int64
	peakRSS  int64 // KiB, of any one bridge
}

var errEnded = errors.New("it was not told to")

// bridge is one running program under test.
type bridge struct {
	cmd  *exec.Cmd
	done chan error // one result
	log  bytes.Buffer
	cpu  time.Duration // as last seen
}

func start(ctx context.Context, s settings) (*world, error) {
	w := &world{s: s}
	var err error
	if w.dir, err = os.MkdirTemp("", "nubridge-bench-"); err != nil {
		return nil, err
	}
	w.World, err = sandbox.Start(ctx, sandbox.Config{
		Sizes:  oms.Sizes{Seed: 1, Styles: s.products / 4, Colors: 4, SizesPerRun: 12, Customers: 40, RecentOrders: 20, OldOrders: 1},
		Limits: new(w.limits()),
		Say:    func(text string) { fmt.Fprintln(os.Stderr, text) },
	})
	if err != nil {
		return w, err
	}
	if err := w.Pool.QueryRow(ctx, "select count(*) from oms.style_colors").Scan(&w.products); err != nil {
		return w, err
	}
	return w, w.configure(s.rate, 4)
}

// limits are the portal's: the contract rate and a little for the jitter of two clocks.
func (w *world) limits() nuorder.Limits {
	return nuorder.Limits{Rate: w.s.rate * 1.02, Burst: int(w.s.rate / 4), RetryAfter: 1}
}

// configure writes the configuration for the bridges that are started after it.
func (w *world) configure(rate float64, concurrency int) error {
	if err := os.CopyFS(filepath.Join(w.dir, "mapping"), mapping.Folder()); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	brokers, err := json.Marshal(w.Brokers)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`oms: {url: %q}
kafka: {brokers: %s}
http: {listen: "off"}
telemetry: {sample: 0}
log: {level: warn}
environments:
  bench:
    mapping: mapping
    lanes: 16
    nuorder: {url: %q, allow_private: true, consumer_key: "${BENCH_KEY}", consumer_secret: "${BENCH_SECRET}", token: "${BENCH_TOKEN}", token_secret: "${BENCH_TOKEN_SECRET}", rate: %v, concurrency: %d}
    oms_api: {url: %q}
    flows: {products: on, customers: on, inventory: on, order_edits: on, order_creation: on, orders_in: on}
    orders: {since: %q}
`, w.DatabaseURL, brokers, w.NuORDERURL, rate, concurrency, w.OMSURL,
		time.Now().AddDate(0, -1, 0).Format(time.DateOnly))
	return os.WriteFile(filepath.Join(w.dir, "nubridge.yaml"), []byte(text), 0o600)
}

// run starts one more bridge.
func (w *world) run(ctx context.Context) (*bridge, error) {
	b := &bridge{done: make(chan error, 1)}
	b.cmd = exec.CommandContext(ctx, w.s.program, "run", "--config", filepath.Join(w.dir, "nubridge.yaml"))
	b.cmd.Env = append(os.Environ(), "BENCH_KEY="+w.Portal.ConsumerKey, "BENCH_SECRET="+w.Portal.ConsumerSecret,
		"BENCH_TOKEN="+w.Portal.Token, "BENCH_TOKEN_SECRET="+w.Portal.TokenSecret)
	b.cmd.Stderr, b.cmd.Stdout = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { b.done <- b.cmd.Wait() }()
	w.bridges = append(w.bridges, b)
	return b, nil
}

// stop ends a bridge in order.
func (w *world) stop(b *bridge) error {
	b.look(w)
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%w: %s", err, b.log.String())
	}
	select {
	case err := <-b.done:
		if err != nil {
			return fmt.Errorf("the bridge ended: %w: %s", err, b.log.String())
		}
	case <-time.After(40 * time.Second):
		_ = b.cmd.Process.Kill()
		return errors.New("the bridge did not end within 40 s")
	}
	return nil
}

// look reads what the bridge has used: user and system time, and resident memory.
func (b *bridge) look(w *world) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		return
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	b.cpu = time.Duration(user+system) * 10 * time.Millisecond
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			w.peakRSS = max(w.peakRSS, kib)
		}
	}
}

// until looks every few milliseconds until ok, and fails when a bridge ends or time is over.
func (w *world) until(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-over:
			return fmt.Errorf("%s: not within %v", what, limit)
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, b := range w.bridges {
			b.look(w)
			select {
			case err := <-b.done:
				return fmt.Errorf("%s: a bridge ended: %w: %s", what, errors.Join(err, errEnded), b.log.String())
			default:
			}
		}
	}
}

// rests waits until nothing was called for a while and no request is open.
func (w *world) rests(ctx context.Context, limit time.Duration) error {
	last, since := uint64(0), time.Now()
	return w.until(ctx, "rest", limit, func() (bool, error) {
		if n := w.NuORDER.Counts().Calls; n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return false, nil
		}
		var open int64
		err := w.store.Pool().QueryRow(ctx, "select count(*) from requests").Scan(&open)
		return open == 0, err
	})
}

// doubtAll makes a backlog of every stock list.
func (w *world) doubtAll(ctx context.Context) error {
	rows, err := w.store.Pool().Query(ctx, "select key from objects where kind = 'stock' and known and not exists (select from requests r where r.key = objects.key)")
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[mapper.Key])
	if err != nil {
		return err
	}
	for part := range slices.Chunk(keys, 500) {
		if err := w.store.Doubt(ctx, "bench", mapper.Inventory, part, "bench"); err != nil {
			return err
		}
	}
	return nil
}
