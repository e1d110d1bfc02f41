// Command kills kills the program at random moments while changes are captured into a real broker, with faults of server, broker
// and network beside, and checks the feed: every change once, positions rising, and in the end what the tables hold.
//
//	go run ./bench/kills -program ./nubridge -postgres postgres://... -kafka 127.0.0.1:9092 -scenario small,large,snapshot,schema,random
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// settings are the command's flags.
type settings struct {
	program, postgres, kafka, lab string
	major                         int
	scenarios                     string
	kills, rows                   int
	replication                   int
	faults                        string
	seed                          uint64
	dir                           string
	verbose                       bool
}

func main() {
	var s settings
	flag.StringVar(&s.program, "program", "./nubridge", "the built program")
	flag.StringVar(&s.postgres, "postgres", "postgres://postgres@127.0.0.1:5417/postgres?sslmode=disable", "a server with wal_level=logical; databases are made in it")
	flag.StringVar(&s.kafka, "kafka", "127.0.0.1:9092", "brokers, with commas")
	flag.StringVar(&s.lab, "lab", "bench/lab", "folder of the lab's scripts, for faults of server and broker")
	flag.IntVar(&s.major, "major", 17, "the lab's server, for its faults")
	flag.StringVar(&s.scenarios, "scenario", "small,large,snapshot,schema", "what to play")
	flag.IntVar(&s.kills, "kills", 20, "how often the program is killed in each scenario")
	flag.IntVar(&s.rows, "rows", 1_000_000, "rows of the large transaction; a fifth of them in the snapshot")
	flag.IntVar(&s.replication, "replication", 1, "replicas of each topic; with 3, brokers are killed one by one")
	flag.StringVar(&s.faults, "faults", "cut", "of cut (network), broker, fast and immediate (restarts of the lab's server), with commas")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "of all random choices")
	flag.StringVar(&s.dir, "dir", "", "folder for logs, a temporary one by default")
	flag.BoolVar(&s.verbose, "verbose", false, "tell what the server refuses of the random scenario")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (s settings) run(ctx context.Context) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "kills")
		if err != nil {
			return err
		}
		s.dir = dir
	}
	var failed []error
	for _, name := range strings.Split(s.scenarios, ",") {
		if err := s.trial(ctx, name); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
	}
	return errors.Join(failed...)
}

// trial plays one scenario: load and faults until the program was killed often enough, then the comparison.
func (s settings) trial(ctx context.Context, name string) error {
	work, ok := scenarios[name]
	if !ok {
		return fmt.Errorf("scenario %q: expected small, large, snapshot, schema or random", name)
	}
	w, err := newWorld(ctx, s, name)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.exec(ctx, work.schema(s)...); err != nil {
		return err
	}
	started := time.Now()
	load, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return work.load(gctx, load, w) })
	g.Go(func() error {
		defer stopLoad()
		return w.killing(gctx)
	})
	faulty, stopFaults := context.WithCancel(gctx)
	faults := make(chan error, 1)
	go func() { faults <- w.faulting(faulty) }()
	err = g.Wait()
	stopFaults()
	if err = errors.Join(err, <-faults); err != nil {
		return err
	}
	if err := w.finish(ctx); err != nil {
		return err
	}
	v, err := w.check(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("kills scenario=%s seed=%d kills=%d faults=%d records=%d transactions=%d lost=%d repeated=%d disordered=%d differing=%d seconds=%.0f\n",
		name, s.seed, w.killed, w.faults, v.records, len(v.seen), v.lost, v.repeated, v.disordered, v.differing, time.Since(started).Seconds())
	if v.lost+v.repeated+v.disordered+v.differing > 0 {
		return fmt.Errorf("the feed is wrong: %s; logs are in %s", strings.Join(v.examples, "; "), w.dir)
	}
	return nil
}

// killing kills the program again and again, and starts it again at once.
func (w *world) killing(ctx context.Context) error {
	for w.killed < w.s.kills {
		p, err := w.launch(ctx)
		if err != nil {
			return err
		}
		pause := time.NewTimer(time.Duration(200+rand.New(w.dice).IntN(2500)) * time.Millisecond)
		select {
		case <-ctx.Done():
			p.kill()
			return ctx.Err()
		case <-pause.C:
			p.kill()
			w.killed++
		case <-p.exited:
			if err := w.tolerable(p); err != nil {
				return err
			}
		}
		pause.Stop()
	}
	return nil
}

// scenario is a load on tables of its own.
type scenario struct {
	schema func(s settings) []string
	// load writes until load ends; ctx is that of the whole trial.
	load func(ctx, load context.Context, w *world) error
}

const itemTable = "create table work.%s (id bigint primary key, n integer not null, v text)"

// scenarios by name.
var scenarios = map[string]scenario{ //nolint:gochecknoglobals // a table
	"small": {
		schema: func(settings) []string {
			return []string{fmt.Sprintf(itemTable, "a"), fmt.Sprintf(itemTable, "b"), "alter table work.b replica identity full"}
		},
		load: func(ctx, load context.Context, w *world) error { return w.writers(ctx, load, 4, 2000) },
	},
	"large": {
		schema: func(settings) []string { return []string{fmt.Sprintf(itemTable, "a"), fmt.Sprintf(itemTable, "b")} },
		load: func(ctx, load context.Context, w *world) error {
			for n := 0; n == 0 || load.Err() == nil; n++ {
				if err := w.retried(ctx, "begin",
					fmt.Sprintf("insert into work.a select %d + i, 0, repeat('x', 50) from generate_series(1, %d) i", n*w.s.rows, w.s.rows/2),
					"savepoint gone", fmt.Sprintf("insert into work.a select %d - i, 0, 'rolled back' from generate_series(1, %d) i", -n*w.s.rows, w.s.rows/10), "rollback to gone",
					fmt.Sprintf("insert into work.b select %d + i, 0, repeat('y', 50) from generate_series(1, %d) i", n*w.s.rows, w.s.rows/2),
					"commit"); err != nil {
					return err
				}
				if n >= 1 {
					<-load.Done()
				}
			}
			return nil
		},
	},
	"snapshot": {
		schema: func(s settings) []string {
			return []string{
				fmt.Sprintf(itemTable, "a"), fmt.Sprintf(itemTable, "b"),
				fmt.Sprintf("insert into work.a select i, 0, repeat('x', 200) from generate_series(1, %d) i", s.rows/5),
				fmt.Sprintf("insert into work.b select i, 0, repeat('x', 200) from generate_series(1, %d) i", s.rows/5),
			}
		},
		load: func(ctx, load context.Context, w *world) error { return w.writers(ctx, load, 4, int64(w.s.rows/5)) },
	},
	"random": {schema: randomSchema, load: randomLoad},
	"schema": {
		schema: func(settings) []string { return []string{fmt.Sprintf(itemTable, "a"), fmt.Sprintf(itemTable, "b")} },
		load: func(ctx, load context.Context, w *world) error {
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error { return w.writers(ctx, load, 2, 500) })
			g.Go(func() error {
				for n := 0; load.Err() == nil; n++ {
					if err := w.retried(ctx,
						fmt.Sprintf("alter table work.a add column c%d integer default %d", n, n), fmt.Sprintf("alter table work.a drop column if exists c%d", n-2),
						fmt.Sprintf("alter table work.b alter v type %s", []string{"varchar(500)", "text"}[n%2]),
						fmt.Sprintf("create table work.n%d (id bigint primary key, n integer not null, v text)", n),
						fmt.Sprintf("insert into work.n%d select i, 0, 'new' from generate_series(1, 500) i", n), fmt.Sprintf("update work.n%d set n = 1 where id %% 3 = 0", n)); err != nil {
						return err
					}
					if rest(load, time.Second) {
						break
					}
				}
				return nil
			})
			return g.Wait()
		},
	},
}

// rest pauses and tells whether the context ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-t.C:
		return false
	}
}

// writers change rows of both tables at random until load ends: each update of a row raises n by one.
func (w *world) writers(ctx, load context.Context, count int, keys int64) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range count {
		dice := rand.New(rand.NewPCG(w.s.seed, uint64(i)))
		g.Go(func() error {
			var conn *pgx.Conn
			for load.Err() == nil {
				if conn == nil || conn.IsClosed() {
					var err error
					if conn, err = pgx.Connect(ctx, w.url); err != nil {
						conn = nil
						rest(load, 100*time.Millisecond)
						continue
					}
				}
				// A failure is a fault of the server: what was asked for is done or not, the tables say it.
				_, _ = conn.Exec(ctx, change(dice, keys))
				if dice.IntN(20) == 0 {
					rest(load, 20*time.Millisecond)
				}
			}
			if conn != nil {
				_ = conn.Close(ctx)
			}
			return nil
		})
	}
	return g.Wait()
}

// change is one transaction at random.
func change(dice *rand.Rand, keys int64) string {
	table := []string{"work.a", "work.b"}[dice.IntN(2)]
	id := dice.Int64N(keys) + 1
	switch dice.IntN(10) {
	case 0:
		return fmt.Sprintf("delete from %s where id = %d", table, id)
	case 1:
		return fmt.Sprintf("update %s set id = %d, n = n + 1 where id = %d and not exists (select from %[1]s where id = %[2]d)", table, dice.Int64N(keys)+1, id)
	case 2:
		return fmt.Sprintf("update %s set n = n + 1 where id between %d and %d", table, id, id+50)
	case 3, 4:
		return fmt.Sprintf("insert into %s (id, n, v) select i, 0, repeat('z', %d) from generate_series(%d, %[3]d + 30) i on conflict do nothing", table, dice.IntN(300), id)
	default:
		return fmt.Sprintf("update %s set n = n + 1, v = md5('%d') where id = %d", table, id, id)
	}
}
