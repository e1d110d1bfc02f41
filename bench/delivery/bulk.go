package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

	"nubridge/cdc"
	"nubridge/internal/sandbox/nuorder"
)

// bulk loads an empty portal. Every product needs one call for itself and one for its stock; the ideal is that many at the
// portal's limit. The time runs from the start of the program.
func (w *world) bulk(ctx context.Context, f *figures) error {
	if err := w.NuORDER.SetLimits(w.limits()); err != nil {
		return err
	}
	if err := w.configure(setup{rate: w.s.rate, concurrency: 8}); err != nil {
		return err
	}
	docs := 2 * w.products
	ideal := time.Duration(float64(docs) / w.s.rate * float64(time.Second))
	begin := time.Now()
	b, err := w.launch(configFile)
	if err != nil {
		return err
	}
	if err := w.openStore(ctx); err != nil {
		return err
	}
	var first time.Time
	told := begin
	err = w.until(ctx, "the load", 2*ideal+time.Minute, func() (bool, error) {
		c := w.NuORDER.Counts()
		if first.IsZero() && c.Calls > 0 {
			first = time.Now()
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			u := b.look()
			w.say("  after %.0f s: products %d, stock %d, bridge %.1f s CPU, %d MiB", time.Since(begin).Seconds(),
				c.WritesByKind["product"], c.WritesByKind["inventory"], u.cpu.Seconds(), u.rss>>10)
		}
		return c.WritesByKind["product"] >= uint64(w.products) && c.WritesByKind["inventory"] >= uint64(w.products), nil
	})
	c := w.NuORDER.Counts()
	if err != nil {
		return fmt.Errorf("%w: %d calls, writes %v, statuses %v", err, c.Calls, c.WritesByKind, c.ByStatus)
	}
	took := time.Since(begin)
	if err := w.rests(ctx, time.Minute); err != nil {
		return err
	}
	second, last := b.drift(begin)
	f.bulk = took.Seconds() / ideal.Seconds()
	f.cpu = float64(b.look().cpu.Microseconds()) / 1000 / float64(docs)
	calls := w.NuORDER.Counts().Calls
	w.say("  %d documents in %.1f s, the ideal is %.1f s: %.3f, first call after %.1f s; %d calls, %d more than documents, statuses %v",
		docs, took.Seconds(), ideal.Seconds(), f.bulk, first.Sub(begin).Seconds(), calls, int64(calls)-docs, c.ByStatus)
	w.say("  memory in the second quarter %.0f MiB, in the last %.0f MiB; %.3f ms CPU of the bridge per document, capture included", second, last, f.cpu)
	return w.atRest(ctx, b)
}

const restTime = 10 * time.Second

// atRest tells what a bridge with nothing to do uses.
func (w *world) atRest(ctx context.Context, b *bridge) error {
	before, over := b.look(), time.After(restTime)
	if err := w.until(ctx, "rest", 2*restTime, func() (bool, error) {
		select {
		case <-over:
			return true, nil
		default:
			return false, nil
		}
	}); err != nil {
		return err
	}
	w.say("  at rest it uses %.1f %% of a core", 100*b.cpuSince(before).Seconds()/restTime.Seconds())
	return nil
}

// replay asks for everything again while all is in step, by the bridge's own command and by offsets set back to the beginning.
func (w *world) replay(ctx context.Context, f *figures) error {
	if err := w.quiet(ctx); err != nil {
		return err
	}
	before := w.NuORDER.Counts()
	begin := time.Now()
	for _, flow := range []string{"products", "inventory"} {
		if _, err := w.command(ctx, "replay", flow, "--all", "--apply", "--wait", "--config", filepath.Join(w.dir, configFile)); err != nil {
			return err
		}
	}
	if err := w.rests(ctx, 5*time.Minute); err != nil {
		return err
	}
	middle := w.NuORDER.Counts()
	asked, routes := w.calls(before, middle, begin)
	w.say("  %d documents asked for by nubridge replay: %d calls %v, %.1f s", 2*w.products, asked, routes, time.Since(begin).Seconds())
	were, records, err := w.rewind(ctx)
	if err != nil {
		return err
	}
	begin = time.Now()
	b, err := w.launch(configFile)
	if err != nil {
		return err
	}
	if err := w.until(ctx, "the replay of all records", 10*time.Minute, func() (bool, error) { return w.caughtUp(ctx, were) }); err != nil {
		return err
	}
	took := time.Since(begin)
	if err := w.rests(ctx, time.Minute); err != nil {
		return err
	}
	again, routes := w.calls(middle, w.NuORDER.Counts(), begin)
	f.replay = float64(asked + again)
	w.say("  %d records again after the groups' offsets were set to the beginning: %d calls %v, %.1f s, %.1f s CPU of the bridge",
		records, again, routes, took.Seconds(), b.look().cpu.Seconds())
	return nil
}

// calls gives how many calls about documents were made between two looks, and all by their route: what a start asks about the portal's
// schemas, and about its warehouses, which a product shows, is none of a replay's doing.
func (w *world) calls(before, after nuorder.Counts, from time.Time) (documents uint64, routes map[string]uint64) {
	routes = map[string]uint64{}
	for route, n := range after.ByRoute {
		if n -= before.ByRoute[route]; n > 0 {
			routes[route] = n
			documents += n
		}
	}
	entries := slices.DeleteFunc(w.NuORDER.Journal(nuorder.JournalQuery{}), func(e nuorder.Entry) bool { return e.Start.Before(from) })
	asking := map[string]bool{} // the traces in which schemas were asked for
	for _, e := range entries {
		if strings.HasPrefix(e.Path, "/api/schemas/") {
			asking[traceOf(e)] = true
		}
	}
	for _, e := range entries {
		if e.Method == http.MethodGet && asking[traceOf(e)] {
			documents--
		}
	}
	return documents, routes
}

// traceOf is the trace that a call belongs to: version, trace, span and flags are joined by dashes.
func traceOf(e nuorder.Entry) string {
	parts := strings.Split(e.Trace, "-")
	return parts[min(1, len(parts)-1)]
}

// quiet is a loaded portal at its limit, one bridge, and nothing to do.
func (w *world) quiet(ctx context.Context) error {
	if err := w.loaded(ctx); err != nil {
		return err
	}
	if err := w.NuORDER.SetLimits(w.limits()); err != nil {
		return err
	}
	return w.again(ctx, setup{rate: w.s.rate, concurrency: 8}, 1)
}

var groups = []string{"nubridge." + environment + ".products", "nubridge." + environment + ".inventory"}

// rewind stops the bridges and sets the offsets of the groups to the beginning, as an operator does with Kafka's own tools. It
// gives where they were, and how many records the groups will read again.
func (w *world) rewind(ctx context.Context) (were map[string]map[cdc.Partition]int64, records int64, err error) {
	if err := w.stopAll(); err != nil {
		return nil, 0, err
	}
	client := &kafka.Client{Addr: kafka.TCP(w.Brokers...), Timeout: 10 * time.Second}
	were = map[string]map[cdc.Partition]int64{}
	for _, group := range groups {
		if were[group], err = w.offsets(ctx, client, group); err != nil {
			return nil, 0, err
		}
		commit := map[string][]kafka.OffsetCommit{}
		for p, at := range were[group] {
			commit[p.Topic] = append(commit[p.Topic], kafka.OffsetCommit{Partition: p.ID, Offset: 0})
			records += at
		}
		answer, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: commit})
		if err != nil {
			return nil, 0, fmt.Errorf("set the offsets of %s: %w", group, err)
		}
		for _, parts := range answer.Topics {
			for _, p := range parts {
				if p.Error != nil {
					return nil, 0, fmt.Errorf("set the offsets of %s: %w", group, p.Error)
				}
			}
		}
	}
	return were, records, nil
}

// offsets are what a group has committed.
func (w *world) offsets(ctx context.Context, client *kafka.Client, group string) (map[cdc.Partition]int64, error) {
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	topics := map[string][]int{}
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			topics[t.Name] = append(topics[t.Name], p.ID)
		}
	}
	committed, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: topics})
	if err != nil {
		return nil, fmt.Errorf("read the offsets of %s: %w", group, err)
	}
	out := map[cdc.Partition]int64{}
	for topic, parts := range committed.Topics {
		for _, p := range parts {
			if p.CommittedOffset >= 0 {
				out[cdc.Partition{Topic: topic, ID: p.Partition}] = p.CommittedOffset
			}
		}
	}
	return out, nil
}

// caughtUp tells whether the groups have committed what they had before.
func (w *world) caughtUp(ctx context.Context, were map[string]map[cdc.Partition]int64) (bool, error) {
	client := &kafka.Client{Addr: kafka.TCP(w.Brokers...), Timeout: 10 * time.Second}
	for group, before := range were {
		now, err := w.offsets(ctx, client, group)
		if err != nil {
			return false, err
		}
		for p, at := range before {
			if now[p] < at {
				return false, nil
			}
		}
	}
	return true, nil
}

const (
	burstRounds = 25
	burstMost   = 2000
	burstBatch  = 200
)

// burst changes one row of each of many products and one of their stock, again and again, in many transactions as fast as the
// database takes them. Those of one product lie apart from each other.
func (w *world) burst(ctx context.Context, f *figures) error {
	if err := w.quiet(ctx); err != nil {
		return err
	}
	if err := w.rests(ctx, time.Minute); err != nil {
		return err
	}
	products, rows, err := w.burstRows(ctx)
	if err != nil {
		return err
	}
	before := w.NuORDER.Counts()
	begin, changes, transactions := time.Now(), 0, 0
	dice := rand.New(rand.NewPCG(1, 2))
	for round := range burstRounds {
		dice.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for chunk := range slices.Chunk(rows, burstBatch) {
			if err := w.change(ctx, round, chunk); err != nil {
				return err
			}
			changes, transactions = changes+2*len(chunk), transactions+1
		}
	}
	committed := time.Since(begin)
	if err := w.rests(ctx, 5*time.Minute); err != nil {
		return err
	}
	after := w.NuORDER.Counts()
	burst, routes := w.calls(before, after, begin)
	f.burst = float64(burst)
	w.say("  %d row changes of %d products in %d transactions within %.1f s made %d product calls and %d inventory calls, all sent after %.1f s; %v",
		changes, products, transactions, committed.Seconds(), after.WritesByKind["product"]-before.WritesByKind["product"],
		after.WritesByKind["inventory"]-before.WritesByKind["inventory"], time.Since(begin).Seconds()-2, routes)
	return nil
}

// burstRow names one product and one row of its stock.
type burstRow struct{ Product, SKU, Warehouse int64 }

func (w *world) burstRows(ctx context.Context) (int, []burstRow, error) {
	result, err := w.Pool.Query(ctx, `select distinct on (k.style_color_id) k.style_color_id, s.sku_id, s.warehouse_no::bigint
        from oms.stock s join oms.skus k using (sku_id) join oms.warehouses h on h.warehouse_no = s.warehouse_no
        where h.status = 'Active' and s.warehouse_no = 1 order by k.style_color_id, s.sku_id limit $1`, min(burstMost, w.products/10))
	if err != nil {
		return 0, nil, err
	}
	rows, err := pgx.CollectRows(result, pgx.RowToStructByPos[burstRow])
	return len(rows), rows, err
}

// change is one transaction of the burst.
func (w *world) change(ctx context.Context, round int, rows []burstRow) error {
	var products, skus, warehouses []int64
	for _, r := range rows {
		products, skus, warehouses = append(products, r.Product), append(skus, r.SKU), append(warehouses, r.Warehouse)
	}
	return pgx.BeginFunc(ctx, w.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update oms.style_colors set image_url = $1 where style_color_id = any($2)",
			fmt.Sprintf("https://images.example/%d.jpg", round), products); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update oms.stock s set on_hand = on_hand + 1 from unnest($1::bigint[], $2::bigint[]) as c(sku_id, warehouse_no)
            where s.sku_id = c.sku_id and s.warehouse_no = c.warehouse_no`, skus, warehouses)
		return err
	})
}

// unlimited takes the portal's limits away.
func (w *world) unlimited() error { return w.NuORDER.SetLimits(nuorder.Limits{}) }
