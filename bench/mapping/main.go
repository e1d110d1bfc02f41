// Command mapping measures the mapping beside the naive way: translating products, reading them, routing rows. It starts a
// temporary PostgreSQL server, makes the reference OMS in it and ends with one line for scripts.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

func main() {
	styles := flag.Int("styles", 1000, "how many styles of five colours")
	round := flag.Duration("round", time.Second, "how long one round of one measure lasts")
	rounds := flag.Int("rounds", 3, "how many rounds; the best counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *styles, *rounds, *round); err != nil {
		fmt.Fprintln(os.Stderr, "bench-mapping:", err)
		os.Exit(1)
	}
}

// bench is one run: a database with products of 12 sizes and 3 currencies, and its compiled mapping.
type bench struct {
	pool    *pgxpool.Pool
	mapping *mapper.Mapping
	reader  *documents.Reader
	wants   []mapper.Want
	reads   []mapper.Read
	rounds  int
	round   time.Duration
}

func run(ctx context.Context, styles, rounds int, round time.Duration) error {
	runtime.GOMAXPROCS(1) // all figures are per core; the database has the other
	server, err := postgres.Start(ctx, postgres.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	if err := server.CreateDatabase(ctx, "bench"); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, server.URL("bench"))
	if err != nil {
		return err
	}
	defer pool.Close()
	b := &bench{pool: pool, rounds: rounds, round: round}
	if err := b.prepare(ctx, styles); err != nil {
		return err
	}
	return b.measure(ctx)
}

func (b *bench) prepare(ctx context.Context, styles int) error {
	if _, err := oms.Apply(ctx, b.pool); err != nil {
		return err
	}
	sizes := oms.Sizes{Seed: 1, Styles: styles, Colors: 5, SizesPerRun: 12, Customers: 10, PurchaseOrders: -1, OldOrders: -1, RecentOrders: -1}
	if _, err := oms.Generate(ctx, b.pool, sizes); err != nil {
		return err
	}
	folder, findings := mapper.Load(mapping.Folder(), "bench")
	if folder == nil {
		return findings.Err()
	}
	schema, err := documents.Describe(ctx, b.pool, folder, "")
	if err != nil {
		return err
	}
	m, findings := folder.Compile(schema, time.Now)
	if m == nil {
		return findings.Err()
	}
	b.mapping = m
	if b.reader, err = documents.NewReader(b.pool, func() *mapper.Mapping { return m }, documents.Config{}); err != nil {
		return err
	}
	var n int
	if err := b.pool.QueryRow(ctx, "select count(*) from oms.style_colors").Scan(&n); err != nil {
		return err
	}
	for i := range n {
		// A stride that shares no factor with the count makes the keys of a batch lie far apart.
		b.wants = append(b.wants, mapper.Want{Key: mapper.Key(strconv.Itoa(i*7919%n + 1))})
	}
	return nil
}

// best gives the highest rate of several rounds; work does one step and says how many items it was.
func (b *bench) best(work func(step int) (int, error)) (float64, error) {
	var best float64
	for range b.rounds {
		runtime.GC()
		start, items, step := time.Now(), 0, 0
		for time.Since(start) < b.round {
			n, err := work(step)
			if err != nil {
				return 0, err
			}
			items += n
			step++
		}
		best = max(best, float64(items)/time.Since(start).Seconds())
	}
	return best, nil
}

func (b *bench) batch(step int) []mapper.Want {
	const keys = 500
	from := step * keys % len(b.wants)
	return b.wants[from:min(from+keys, len(b.wants))]
}

func (b *bench) measure(ctx context.Context) error {
	var err error
	for step := 0; len(b.reads) < min(2500, len(b.wants)); step++ {
		reads, err := b.reader.Read(ctx, mapper.Products, b.batch(step))
		if err != nil {
			return err
		}
		b.reads = append(b.reads, reads...)
	}
	if err := b.sameBytes(); err != nil {
		return err
	}
	translate, err := b.best(func(step int) (int, error) {
		r := &b.reads[step%len(b.reads)]
		_, err := b.mapping.Body(mapper.Products, r.Key, r.Document)
		return 1, err
	})
	if err != nil {
		return err
	}
	hand, err := b.best(func(step int) (int, error) {
		_, err := handwritten(b.reads[step%len(b.reads)].Document)
		return 1, err
	})
	if err != nil {
		return err
	}
	fmt.Printf("translate          %9.0f documents/s\nhand-written Go    %9.0f documents/s\n", translate, hand)
	bare, read, naive, whole, err := b.reading(ctx)
	if err != nil {
		return err
	}
	route, err := b.routing()
	if err != nil {
		return err
	}
	fmt.Printf("bench-mapping translate_per_s=%.0f vs_handwritten=%.2f read_vs_bare=%.2f vs_naive=%.1f route_rows_per_s=%.0f\n",
		translate, translate/hand, read/bare, whole/naive, route)
	return nil
}

// sameBytes checks that the mapping and the hand-written function agree on every document.
func (b *bench) sameBytes() error {
	for _, r := range b.reads {
		body, err := b.mapping.Body(mapper.Products, r.Key, r.Document)
		if err != nil {
			return err
		}
		want, err := handwritten(r.Document)
		if err != nil {
			return err
		}
		if !bytes.Equal(body.JSON, want) {
			return fmt.Errorf("product %s: the mapping gives\n%s\nthe hand-written function\n%s", r.Key, body.JSON, want)
		}
	}
	return nil
}
