// Command orders-torture sends approved orders through the bridge while it kills the bridge at every named point of an order's way,
// and while the OMS and NuORDER lose answers. It then counts: every order is in the OMS exactly once or waits for a person, was
// marked after it was created, and has the OMS's number.
//
// One process is the outer world: PostgreSQL, the reference OMS, the NuORDER sandbox. It starts the bridge's order part as a
// child again and again; a child kills itself with SIGKILL when it has passed its point so many times. A child that does not
// reach its point fails the run: no kill passes empty.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nubridge/internal/sandbox/postgres"
)

// options of a run.
type options struct {
	count, kills int
	seed         uint64
	unbounded    bool
	settle       time.Duration
	latency      time.Duration
	verbose      bool
}

func main() {
	if plan := os.Getenv(childVariable); plan != "" {
		if err := child(plan); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.count, "count", 10000, "approved orders")
	flag.IntVar(&o.kills, "kills", 0, "kills at each point; 0 scales with the count: 50 at 10,000")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of all dice; 0 takes one from the clock")
	flag.BoolVar(&o.unbounded, "unbounded", false, "let the OMS be later than the settle window, and check that each double is found")
	flag.DurationVar(&o.settle, "settle", time.Second, "settle window")
	flag.DurationVar(&o.latency, "latency", 0, "with -speed: how long both far ends take over each call, at least")
	fast := flag.Bool("speed", false, "measure the speed of orders with twenty lines instead")
	flag.BoolVar(&o.verbose, "v", false, "tell of each child")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000_007
	}
	if o.kills == 0 {
		o.kills = max(1, o.count*50/10000)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	do := run
	if *fast {
		do = speed
	} else {
		fmt.Printf("orders-torture: %d orders, %d kills at each of 11 points, seed %d\n", o.count, o.kills, o.seed)
	}
	server, err := postgres.Start(ctx, postgres.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders-torture:", err)
		os.Exit(1)
	}
	ok, err := do(ctx, o, server, log)
	if stopErr := server.Stop(context.WithoutCancel(ctx)); stopErr != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", stopErr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders-torture:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
