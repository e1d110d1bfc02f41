package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"nubridge/cdc"
)

// finish lets the program run undisturbed until the last change of all is in Kafka and no snapshot is open.
func (w *world) finish(ctx context.Context) error {
	if err := w.retried(ctx, "create table work.last (id bigint primary key, n integer not null, v text)"); err != nil {
		return err
	}
	p, err := w.launch(ctx)
	if err != nil {
		return err
	}
	defer func() { p.kill() }()
	for deadline := time.Now().Add(6 * time.Minute); ; {
		var open, behind int64
		conn, err := pgx.Connect(ctx, w.url)
		if err == nil {
			err = conn.QueryRow(ctx, `select (select count(*) from bridge.capture_snapshots where status <> 'done') +
				(select 1 - count(*) from bridge.capture_snapshots where table_name = 'last'),
				(select pg_current_wal_lsn() - through from bridge.captures)::bigint`).Scan(&open, &behind)
			_ = conn.Close(ctx)
		}
		if err == nil && open == 0 {
			break
		}
		select {
		case <-p.exited:
			if err := w.tolerable(p); err != nil {
				return err
			}
			if p, err = w.launch(ctx); err != nil { // the last fault is not over yet
				return err
			}
		default:
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not at rest: %d snapshots open, %d bytes behind; see %s", open, behind, p.log), err)
		}
		rest(ctx, 200*time.Millisecond)
	}
	if err := w.retried(ctx, "insert into work.last values (1, 0, 'end')"); err != nil {
		return err
	}
	end, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(w.s.kafka, ",")...), kgo.ConsumeTopics(w.id+".work.last"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer end.Close()
	endCtx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		f := end.PollFetches(endCtx)
		if f.NumRecords() > 0 {
			return nil
		}
		if endCtx.Err() != nil {
			return fmt.Errorf("the last change is not in Kafka after 3 minutes; see %s", p.log)
		}
	}
}

// verdict is what the comparison found.
type verdict struct {
	records                               int
	lost, repeated, disordered, differing int
	examples                              []string
	seen                                  map[string][]uint64 // indexes by transaction
	sizes                                 map[string]uint64
	last                                  map[string]cdc.Position // by partition
	rows                                  map[string]map[string]row
	events                                []event // of the random scenario
}

type row struct {
	n int64
	v string
}

func (v *verdict) example(format string, args ...any) {
	if len(v.examples) < 5 {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// check reads all topics and compares.
func (w *world) check(ctx context.Context) (*verdict, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(w.s.kafka, ",")...), kgo.ConsumeTopics("^"+w.id+`\..*`), kgo.ConsumeRegex(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(8<<20))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(topics.Names(), func(t string) bool { return !strings.HasPrefix(t, w.id+".") })
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	left := map[string]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Topic+"/"+strconv.Itoa(int(o.Partition))] = o.Offset
		}
	})
	v := &verdict{seen: map[string][]uint64{}, sizes: map[string]uint64{}, last: map[string]cdc.Position{}, rows: map[string]map[string]row{}}
	quiet := 0
	for len(left) > 0 && quiet < 6 {
		pollCtx, cancel := context.WithTimeout(ctx, 2*time.Second)
		f := client.PollFetches(pollCtx)
		cancel()
		if f.NumRecords() == 0 {
			quiet++ // markers at the end of a partition are no records
		} else {
			quiet = 0
		}
		f.EachRecord(func(r *kgo.Record) {
			at := r.Topic + "/" + strconv.Itoa(int(r.Partition))
			if r.Offset+1 >= left[at] {
				delete(left, at)
			}
			position, op := v.take(at, r)
			if w.random {
				v.note(r, position, op)
			}
		})
	}
	v.whole()
	if w.random {
		return v, w.compareAll(ctx, v)
	}
	return v, w.compare(ctx, v)
}

// take follows one record.
func (v *verdict) take(at string, r *kgo.Record) (position cdc.Position, op string) {
	v.records++
	for _, h := range r.Headers {
		switch h.Key {
		case cdc.HeaderPosition:
			position, _ = cdc.ParsePosition(string(h.Value))
		case cdc.HeaderOp:
			op = string(h.Value)
		case cdc.HeaderTxSize:
			size, _ := strconv.ParseUint(string(h.Value), 10, 64)
			v.sizes[fmt.Sprintf("%d %s", position.Epoch, position.Commit)] = size
		}
	}
	switch order := position.Compare(v.last[at]); {
	case order == 0:
		v.repeated++
		v.example("%s/%d repeats %s", at, r.Offset, position)
	case order < 0:
		v.disordered++
		v.example("%s/%d has %s after %s", at, r.Offset, position, v.last[at])
	}
	v.last[at] = position
	tx := fmt.Sprintf("%d %s", position.Epoch, position.Commit)
	v.seen[tx] = append(v.seen[tx], position.Index)
	table := r.Topic[strings.LastIndexByte(r.Topic, '.')+1:]
	if v.rows[table] == nil {
		v.rows[table] = map[string]row{}
	}
	var e struct {
		After *struct {
			N int64
			V *string
		}
	}
	if len(r.Value) > 0 {
		if err := json.Unmarshal(r.Value, &e); err != nil {
			v.differing++
			v.example("%s/%d is no JSON: %v", at, r.Offset, err)
		}
	}
	old, known := v.rows[table][string(r.Key)]
	if op == "u" && known && e.After != nil && e.After.N != old.n && e.After.N != old.n+1 {
		v.lost++
		v.example("%s/%d goes from n=%d to n=%d", at, r.Offset, old.n, e.After.N)
	}
	switch {
	case e.After != nil:
		text := ""
		if e.After.V != nil {
			text = *e.After.V
		}
		v.rows[table][string(r.Key)] = row{e.After.N, text}
	case op == "x":
		delete(v.rows[table], string(r.Key))
	}
	return position, op
}

// whole checks that each transaction has all its changes once: the indexes from zero to its size.
func (v *verdict) whole() {
	for tx, indexes := range v.seen {
		slices.Sort(indexes)
		distinct := slices.Compact(slices.Clone(indexes))
		if n := len(indexes) - len(distinct); n > 0 {
			v.repeated += n
			v.example("transaction %s has %d changes twice", tx, n)
		}
		size, told := v.sizes[tx]
		switch {
		case !told:
			v.lost++
			v.example("transaction %s lacks its last change", tx)
		case uint64(len(distinct)) != size:
			v.lost += int(max(size, uint64(len(distinct))) - min(size, uint64(len(distinct))))
			v.example("transaction %s has %d changes of %d", tx, len(distinct), size)
		}
	}
}

// compare compares the end of the feed with the tables.
func (w *world) compare(ctx context.Context, v *verdict) error {
	conn, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "select relname from pg_class where relnamespace = 'work'::regnamespace and relkind = 'r'")
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := conn.Query(ctx, "select id, n, coalesce(v, '') from work."+table)
		if err != nil {
			return err
		}
		found := v.rows[table]
		count := 0
		for rows.Next() {
			var id int64
			var want row
			if err := rows.Scan(&id, &want.n, &want.v); err != nil {
				return err
			}
			count++
			if got, ok := found[fmt.Sprintf(`{"id":%d}`, id)]; !ok || got != want {
				v.differing++
				v.example("%s %d is n=%d in the table and n=%d (%t) in the feed", table, id, want.n, got.n, ok)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if extra := len(found) - count; extra > 0 {
			v.differing += extra
			v.example("%s has %d rows in the feed and %d in the table", table, len(found), count)
		}
	}
	return nil
}
