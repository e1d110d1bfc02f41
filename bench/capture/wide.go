package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// How wide the scenario wide is, and how often it looks: asking for the ends of 6,000 partitions costs the broker something.
const (
	wideTables     = 500
	widePartitions = 12
	widePoll       = 250 * time.Millisecond
)

// wide drains the same number of inserts, 100 a transaction, from one table into one partition, and from 500 tables in turn into 12
// partitions each.
func (b *bench) wide(ctx context.Context) error {
	for _, shape := range []struct {
		name               string
		tables, partitions int
	}{{"narrow", 1, 1}, {"wide", wideTables, widePartitions}} {
		if err := b.fan(ctx, shape.name, shape.tables, shape.partitions); err != nil {
			return fmt.Errorf("%d tables: %w", shape.tables, err)
		}
	}
	return nil
}

// fanSQL makes the tables and writes the rows, a table a transaction.
const fanSQL = `drop schema if exists {schema} cascade; create schema {schema};
	do $$ begin for t in 0 .. {tables} - 1 loop execute format('create table {schema}.t%s (` + columnsSQL + `)', t); end loop; end $$;
	drop publication if exists nub_{schema}; create publication nub_{schema} for tables in schema {schema} with (publish_via_partition_root = true);
	create procedure {schema}.load(n bigint) language plpgsql as $$ declare lo bigint := 1; begin
		while lo <= n loop
			execute format('insert into {schema}.t%s select g, {values} from generate_series($1, $2) g', lo / 100 % {tables}) using lo, lo + 99;
			commit; lo := lo + 100;
		end loop; end $$;`

func (b *bench) fan(ctx context.Context, schema string, tables, partitions int) error {
	values := strings.NewReplacer("{rev}", "0", "'", "''", "%", "%%").Replace(valuesSQL) // within a format within a text
	sql := strings.NewReplacer("{schema}", schema, "{tables}", fmt.Sprint(tables), "{values}", values).Replace(fanSQL)
	if _, err := b.pool.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make schema %s: %w", schema, err)
	}
	if _, err := b.pool.Exec(ctx, "select pg_create_logical_replication_slot($1, 'pgoutput')", baseSlot); err != nil {
		return err
	}
	defer func() {
		if err := b.dropSlot(ctx, baseSlot); err != nil {
			fmt.Fprintln(os.Stderr, "drop slot:", err)
		}
	}()
	if _, err := b.pool.Exec(ctx, fmt.Sprintf("call %s.load(%d)", schema, b.s.rows)); err != nil {
		return fmt.Errorf("load %d changes: %w", b.s.rows, err)
	}
	fmt.Fprintf(os.Stderr, "%s: %d changes in %d tables written\n", schema, b.s.rows, tables)
	for range min(2, b.s.runs) {
		f := b.newFeed("nubridge", schema, "stream", b.s.rows)
		if _, err := b.pool.Exec(ctx, "select pg_copy_logical_replication_slot($1, $2)", baseSlot, f.slot); err != nil {
			return fmt.Errorf("copy slot: %w", err)
		}
		err := b.fanOnce(ctx, f, tables, partitions)
		b.clean(ctx, f)
		if err != nil {
			return err
		}
	}
	return nil
}

// fanOnce is drainOnce for many topics: what arrived is counted, and its positions are checked.
func (b *bench) fanOnce(ctx context.Context, f *feed, tables, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, b.s.limit)
	defer cancel()
	topics := make([]string, tables)
	for i := range topics {
		topics[i] = fmt.Sprintf("%s.%s.t%d", f.id, f.schema, i)
	}
	made, err := b.admin.CreateTopics(ctx, int32(partitions), 1, nil, topics...)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		return fmt.Errorf("make topics: %w", err)
	}
	if err := makeTopics(ctx, b.admin, partitions, topics...); err != nil { // waits for their leaders
		return err
	}
	awaitQuiet(ctx, b.s.quiet)
	machine := readMachine(b.s.cache)
	p := watchTopics(ctx, b.admin, widePoll, int64(f.rows), topics...)
	defer p.close()
	t, err := f.start()
	if err != nil {
		return err
	}
	defer t.stop()
	b.startProfile(f, t)
	if err := p.await(ctx, t, standstill); err != nil {
		return fmt.Errorf("%w; its log is %s", err, f.log())
	}
	r := sample{Target: f.target, Scenario: f.schema, Rows: f.rows, Usage: usageOf(t.usage(), readMachine(b.s.cache).since(machine))}
	r.rates(p, f)
	t.stop()
	order, records := newPositions(true), 0
	if err := readAll(ctx, f.broker(), b.admin, func(k *kgo.Record) { records++; order.take(k) }, topics...); err != nil {
		return err
	}
	r.Verdict = verdict{Lost: max(0, f.rows-records), Duplicated: max(0, records-f.rows), Altered: order.wrong, First: order.first}
	return b.record(r)
}
