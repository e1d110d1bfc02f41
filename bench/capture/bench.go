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
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	database       = "bench_capture"
	ledgerDatabase = "bench_ledger"
	baseSlot       = "bench_base"
)

// bench is one run of the whole measure.
type bench struct {
	s       *settings
	dir     string // of this run's states and logs
	out     *os.File
	pool    *pgxpool.Pool
	client  *kgo.Client
	admin   *kadm.Client
	feeds   int
	samples []sample
	pg      string
	started time.Time
}

// measure runs every scenario, prints each figure as it comes, then the table, the page and the closing line.
func measure(ctx context.Context, s settings) error {
	b := &bench{s: &s, started: time.Now().UTC()}
	b.dir = filepath.Join(s.cache, "capture")
	if err := errors.Join(os.RemoveAll(b.dir), os.MkdirAll(b.dir, 0o755), os.MkdirAll(filepath.Join(s.cache, "results"), 0o755)); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(s.cache, "results", "capture-"+b.started.Format("20060102T150405")+".jsonl"))
	if err != nil {
		return err
	}
	b.out = out
	defer out.Close()
	if err := b.open(ctx); err != nil {
		return err
	}
	defer b.close(ctx)
	scenarios := map[string]func(context.Context) error{
		"drain": b.drain100, "tx1": b.drain1, "steady": b.steady, "snapshot": b.snapshot, "big": b.big, "scale": b.scale, "wide": b.wide,
	}
	for _, name := range s.scenarios {
		run, ok := scenarios[name]
		if !ok {
			return fmt.Errorf("no scenario %q", name)
		}
		if err := run(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return b.report()
}

// script runs one of the lab's scripts.
func (b *bench) script(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(b.s.lab, name), args...)
	cmd.Env = append(os.Environ(), "NUBRIDGE_LAB="+b.s.cache)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

func (b *bench) open(ctx context.Context) error {
	if b.s.nubridge == "" {
		b.s.nubridge = filepath.Join(b.s.cache, "bin", "nubridge")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.s.nubridge, "nubridge/cmd/nubridge")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build nubridge: %w", err)
		}
	}
	if b.s.wants("debezium") || b.s.wants("debezium-tuned") {
		if err := b.script(ctx, "debezium.sh", "install"); err != nil {
			return err
		}
	}
	if err := b.script(ctx, "kafka.sh", "start", strconv.Itoa(b.s.kafkaPort)); err != nil {
		return err
	}
	if err := b.script(ctx, "postgres.sh", "start", strconv.Itoa(b.s.major), strconv.Itoa(b.s.pgPort)); err != nil {
		return err
	}
	if err := b.makeDatabases(ctx); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", b.s.kafkaPort)))
	if err != nil {
		return err
	}
	b.client, b.admin = client, kadm.NewClient(client)
	return errors.Join(b.warmBroker(ctx), b.dropTopics(ctx))
}

// warmBroker lets a fresh broker make its own topic for producers with a name, which takes seconds once.
func (b *bench) warmBroker(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", b.s.kafkaPort)), kgo.TransactionalID("bench-warm"))
	if err != nil {
		return err
	}
	defer client.Close()
	_, _, err = client.ProducerID(ctx)
	return err
}

// makeDatabases makes the source and the ledger's database anew, without what an interrupted run left.
func (b *bench) makeDatabases(ctx context.Context) error {
	root := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", b.s.pgPort)
	pool, err := pgxpool.New(ctx, root)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, sql := range []string{
		"select pg_terminate_backend(active_pid) from pg_replication_slots where database = '" + database + "' and active_pid is not null",
		"select pg_sleep(0.3) from pg_replication_slots where database = '" + database + "' limit 1",
		"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '" + database + "'",
		"drop database if exists " + database + " with (force)", "drop database if exists " + ledgerDatabase + " with (force)",
		"create database " + database, "create database " + ledgerDatabase,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make databases: %w", err)
		}
	}
	if err := pool.QueryRow(ctx, "show server_version").Scan(&b.pg); err != nil {
		return err
	}
	b.pool, err = pgxpool.New(ctx, (&feed{s: b.s}).pgURL())
	return err
}

func (b *bench) close(ctx context.Context) {
	b.client.Close()
	b.pool.Close()
	if b.s.keep {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, name := range []string{"postgres.sh", "kafka.sh"} {
		if err := b.script(ctx, name, "stop"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// dropTopics deletes the topics of earlier runs, so that the broker's disk stays small.
func (b *bench) dropTopics(ctx context.Context) error {
	topics, err := b.admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var old []string
	for _, t := range topics.Names() {
		if len(t) > 1 && t[0] == 'b' && (strings.Contains(t, ".lines_") || strings.Contains(t, ".narrow.t") || strings.Contains(t, ".wide.t")) {
			old = append(old, t)
		}
	}
	if len(old) == 0 {
		return nil
	}
	_, err = b.admin.DeleteTopics(ctx, old...)
	return err
}

// newFeed names a run of a target.
func (b *bench) newFeed(target, schema, mode string, rows int) *feed {
	b.feeds++
	id := fmt.Sprintf("b%s%d", b.started.Format("150405"), b.feeds)
	by := "nub"
	if strings.HasPrefix(target, "debezium") {
		by = "dbz"
	}
	return &feed{
		s: b.s, id: id, target: target, schema: schema, slot: "bench_" + id, publication: by + "_" + schema, mode: mode, rows: rows,
		dir: filepath.Join(b.dir, id+"-"+target),
	}
}

// dropSlot waits until the target's connection has let go of the slot.
func (b *bench) dropSlot(ctx context.Context, slot string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for {
		_, err := b.pool.Exec(ctx, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1", slot)
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// clean removes what a run left behind.
func (b *bench) clean(ctx context.Context, f *feed) {
	if err := b.dropSlot(ctx, f.slot); err != nil {
		fmt.Fprintln(os.Stderr, "drop slot:", err)
	}
	if err := b.dropTopics(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "drop topics:", err)
	}
}

// record keeps a figure and prints it.
func (b *bench) record(r sample) error {
	b.samples = append(b.samples, r)
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, r.line())
	_, err = fmt.Fprintln(b.out, string(line))
	return err
}

// awaitFloor waits until a floor has printed its result; it is still there then.
func awaitFloor(ctx context.Context, f *feed, t *process) (floorResult, error) {
	for {
		text, err := os.ReadFile(f.log())
		if err != nil {
			return floorResult{}, err
		}
		text = bytes.TrimRight(text, "\n")
		var r floorResult
		if json.Unmarshal(text[bytes.LastIndexByte(text, '\n')+1:], &r) == nil {
			return r, nil
		}
		select {
		case <-t.exited:
			return r, fmt.Errorf("%s ended and printed %q", f.target, text)
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
