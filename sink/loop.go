package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// Deps are what a loop works with. Logger, Tracer, Measures and Now may be nil.
type Deps struct {
	Log    Log
	Reader Reader
	Mapper Mapper
	Remote Remote
	Ledger *ledger.Store
	// OpenOrders gives what approved NuORDER orders have taken and the OMS does not know yet, for stock; nil if orders are not
	// polled. It is asked before documents are read, so that an order which the OMS takes meanwhile counts twice rather than never.
	OpenOrders func(ctx context.Context) ([]mapper.OpenOrder, error)
	// Everything asks the flow, by requests in the ledger, for all documents that differ from what was last sent. It is called when a
	// table was emptied, which names no row, and when the flow begins on a log whose first records have expired; nil passes over that.
	Everything func(ctx context.Context, why string) error
	Logger     *slog.Logger
	Tracer     trace.Tracer
	// Measures takes what deliveries leave behind for metrics.
	Measures *Measures
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Loop delivers one flow of one environment: it polls, routes, coalesces per key, owns, reads, maps, compares, sends in lanes,
// settles, and commits offsets by the low-water mark.
type Loop struct {
	Deps
	config Config
	board  *board
	gate   *gate
	guards guards
	lanes  []chan *turn
	done   chan outcome
	// commits keeps the intake's and the settler's commits apart.
	commits sync.Mutex
	pausing sync.Mutex
	window  rejects
	flight  flight
	// looked are partitions that are looked at again because their log seemed too short; the intake's own.
	looked map[cdc.Partition]bool
	// decoder is the intake's own.
	decoder cdc.Decoder
	// begun tells that all documents were asked for because the log had expired before the flow began; the intake's own.
	begun bool
}

// New makes a loop. It starts nothing and touches no network.
func New(deps Deps, config Config) (*Loop, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Reader == nil || deps.Mapper == nil || deps.Remote == nil || deps.Ledger == nil {
		return nil, errors.New("make a delivery loop: log, reader, mapper, remote and ledger are needed")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Logger = deps.Logger.With("environment", config.Environment, "flow", string(config.Flow))
	if deps.Tracer == nil {
		deps.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	l := &Loop{Deps: deps, config: config, board: newBoard(newCalm(config.Quiet)), gate: newGate(), done: make(chan outcome, config.InFlight), looked: map[cdc.Partition]bool{}}
	l.flight.limit = min(config.InFlight, max(2*config.Lanes, 16))
	for range config.Lanes {
		// A lane can hold every key in flight, so handing over never blocks.
		l.lanes = append(l.lanes, make(chan *turn, config.InFlight))
	}
	return l, nil
}

// Run delivers until the context ends; then it takes nothing new, lets deliveries under way end within the grace time, settles
// and commits them, and returns nil. A flow that halts ends in the same order and returns why. A paused flow stays in Run and
// says so in Status. It also returns an error if the ledger cannot be reached at the start. Run it once.
func (l *Loop) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := l.Ledger.Join(ctx, l.config.Environment, l.config.Flow, l.config.owner()); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start the flow %s: %w", l.config.Flow, err)
	}
	// Work under way outlives the stop by the grace time.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var grace sync.WaitGroup
	defer grace.Wait()
	ended := make(chan struct{})
	defer close(ended)
	grace.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		case <-l.gate.gone:
			stop()
		}
		timer := time.NewTimer(l.config.Grace)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			cancel()
		}
	})
	var takers, lanes, settler sync.WaitGroup
	takers.Go(func() { l.intake(ctx) })
	takers.Go(func() { l.watch(ctx) })
	takers.Go(func() { l.dispatch(ctx, work) })
	for _, lane := range l.lanes {
		lanes.Go(func() { l.lane(ctx, work, lane) })
	}
	settler.Go(func() { l.settle(work) })
	takers.Wait()
	for _, lane := range l.lanes {
		close(lane)
	}
	lanes.Wait()
	close(l.done)
	settler.Wait()
	end, over := context.WithTimeout(context.WithoutCancel(ctx), l.config.Grace)
	defer over()
	if err := l.Ledger.Unclaim(end, l.config.Environment, l.config.Flow, l.config.owner()); err != nil {
		l.Logger.Warn("requests stay claimed for a while", "error", err)
	}
	return l.gate.halted()
}
