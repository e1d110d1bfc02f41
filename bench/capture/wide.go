package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How wide the scenario wide is, and how often it looks: asking for the ends of 6,000 partitions costs the broker something.
const (
	wideTables     = 500
	widePartitions = 12
	widePoll       = 100 * time.Millisecond
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
	soon := "1000" // a minute after the end of a run the broker would delete its files, amid the next run
	made, err := b.admin.CreateTopics(ctx, int32(partitions), 1, map[string]*string{"file.delete.delay.ms": &soon}, topics...)
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
	p := watch(ctx, widePoll, int64(f.rows), b.reached(int64(f.rows), partitions, topics))
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

// reached gives a question for how many of n records are there. Asking for the ends of 6,000 partitions costs the broker as much as
// writing some thousand rows does, and the rows go through the tables in turn: until every fiftieth table has what it will have, these
// alone are asked, and stand for the others.
func (b *bench) reached(n int64, partitions int, topics []string) func(context.Context) (int64, error) {
	const every = 50
	var some []string
	for i := 0; i < len(topics); i += every {
		some = append(some, topics[i])
	}
	few, all := endsRequest(partitions, some), endsRequest(partitions, topics)
	share := float64(len(topics)) / float64(len(some))
	markers := int64(partitions * len(some)) // of the fence
	return func(ctx context.Context) (int64, error) {
		sum, err := b.ends(ctx, few)
		if err != nil {
			return 0, err
		}
		if guess := int64(float64(sum-markers) * share); guess < n {
			return max(0, guess), nil
		}
		sum, err = b.ends(ctx, all)
		return max(0, sum-int64(partitions*len(topics))), err
	}
}

func endsRequest(partitions int, topics []string) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for _, topic := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for id := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = int32(id), -1, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// ends asks the one broker directly: a client would look up all leaders each time.
func (b *bench) ends(ctx context.Context, req *kmsg.ListOffsetsRequest) (int64, error) {
	answer, err := b.client.SeedBrokers()[0].RetriableRequest(ctx, req)
	if err != nil {
		return 0, err
	}
	listed, ok := answer.(*kmsg.ListOffsetsResponse)
	if !ok {
		return 0, fmt.Errorf("the broker answered %T", answer)
	}
	var sum int64
	for i := range listed.Topics {
		for _, p := range listed.Topics[i].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return 0, fmt.Errorf("list the end of %s: %w", listed.Topics[i].Topic, err)
			}
			sum += p.Offset
		}
	}
	return sum, nil
}
