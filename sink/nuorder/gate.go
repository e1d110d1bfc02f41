package nuorder

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"nubridge/internal/fault"
)

// gate stands before every call: token bucket, adaptive concurrency, breaker. It has no goroutine of its own: the waiter at the
// head of the queue watches the clock for all, and whoever ends a call wakes the head.
type gate struct {
	limits   Limits
	maxWait  time.Duration
	now      func() time.Time
	shares   Shares
	breakers map[Class]*breaker

	mu       sync.Mutex
	limiter  *rate.Limiter
	conc     concurrency
	started  bool    // the number of calls in flight to begin with was divided between the instances
	slowdown float64 // factor on the rate, 1 unless a lone call was refused
	slowedAt time.Time
	inFlight int
	queue    waiters
	seq      uint64
	pauses   map[Class]pause // the empty class is the whole client
	storms   int             // throttles in a row, for answers without Retry-After
	granted  uint64
	// While only the rate holds the head of the queue back: how many turns it waits for, and for how many it would with more behind it.
	company, companyRoom int
}

// pause keeps calls away until a time, for a reason.
type pause struct {
	until time.Time
	cause *fault.Error
}

// ticket is the right to one call.
type ticket struct {
	gate    *gate
	class   Class
	began   time.Time
	request *request
	settled func(error)
	free    bool // its place is another call's already
	among   int  // how many calls were in flight when its answer came, itself among them
}

// sharePoll is how often the head of the queue looks at the share again while that alone holds it back.
const sharePoll = 100 * time.Millisecond

func newGate(c Config, shares Shares, now func() time.Time) *gate {
	g := &gate{
		limits: c.Limits, maxWait: c.MaxWait, now: now, shares: shares,
		breakers: make(map[Class]*breaker),
		limiter:  rate.NewLimiter(rate.Limit(c.Limits.Rate), c.Limits.Burst),
		conc:     newConcurrency(c.Limits.Start, c.Limits.Max),
		slowdown: 1,
		pauses:   make(map[Class]pause),
	}
	for _, class := range classes() {
		g.breakers[class] = newBreaker(class, c.Breaker, now)
	}
	return g
}

// enter waits for the caller's turn. It fails with a throttle when the wait would be long, when the breaker is open or when too
// many wait already, and with a retry when the context ends first; nothing was sent then.
func (g *gate) enter(ctx context.Context, class Class, r Rank) (*ticket, error) {
	b := g.breakers[class]
	if err := b.peek(g.now()); err != nil {
		return nil, err
	}
	if err := g.wait(ctx, class, r); err != nil {
		return nil, err
	}
	now := g.now()
	settled, err := b.allow(now)
	if err != nil {
		g.leave()
		return nil, err
	}
	return &ticket{gate: g, class: class, began: now, settled: settled}, nil
}

func (g *gate) wait(ctx context.Context, class Class, r Rank) error {
	g.mu.Lock()
	if len(g.queue) >= g.limits.Queue {
		g.mu.Unlock()
		e := fault.New(fault.Throttle, CodeQueueFull, "%d calls wait for their turn already", g.limits.Queue)
		e.After = time.Second
		return e
	}
	g.seq++
	w := &waiter{rank: r, seq: g.seq, wake: make(chan struct{}, 1)}
	if r > RankParents {
		w.urgent = urgentOf(ctx)
	}
	heap.Push(&g.queue, w)
	if g.queue[0] != w && g.company < min(g.companyRoom, len(g.queue)) {
		g.wakeHead() // it waits for this one too
	}
	defer g.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			g.remove(w)
			return endedWaiting(err)
		}
		delay, err := g.tryGrant(w, class)
		if err != nil || delay == 0 {
			g.remove(w)
			return err
		}
		g.mu.Unlock()
		urgent, err := w.sleep(ctx, delay)
		g.mu.Lock()
		if urgent && w.index >= 0 {
			// An order waits for it now. // design: a parent that an order waits for inherits its rank
			w.rank, w.urgent = RankParents, nil
			heap.Fix(&g.queue, w.index)
			g.wakeHead()
		}
		if err != nil {
			g.remove(w)
			return endedWaiting(err)
		}
	}
}

func endedWaiting(err error) error {
	code := CodeDeadlineClose
	if errors.Is(err, context.Canceled) {
		code = CodeCancelled
	}
	return &fault.Error{Kind: fault.Retry, Code: code, Err: fmt.Errorf("wait for a turn to call: %w", err)}
}

// forever is how long a waiter that is not at the head sleeps unless it is woken.
const forever = time.Duration(-1)

// tryGrant gives the waiter its turn (zero), or says how long to wait, or why it is no use.
func (g *gate) tryGrant(w *waiter, class Class) (time.Duration, error) {
	now := g.now()
	share := g.shares.Share()
	pausedFor, err := g.paused(now, class, share)
	if err != nil {
		return 0, err
	}
	if g.queue[0] != w {
		return forever, nil
	}
	g.company, g.companyRoom = 0, 0
	if pausedFor > 0 {
		return min(pausedFor, sharePoll), nil
	}
	most := g.limits.Max
	if share.Concurrency != 0 {
		most = max(0, min(most, share.Concurrency))
	}
	if !g.started && most > 0 {
		// What all begin with together is what one alone begins with.
		g.started = true
		g.conc.limit = max(1, g.conc.limit*most/g.limits.Max)
	}
	g.conc.shared = share.Instances > 1
	if g.inFlight >= min(g.conc.limit, most) {
		return sharePoll, nil // a call that ends wakes us before
	}
	limit := g.limits.Rate
	if share.Rate > 0 {
		limit = min(limit, share.Rate)
	}
	g.setRate(now, limit)
	if !g.limiter.AllowN(now, 1) {
		g.companyRoom = g.mostCompany(w, min(g.conc.limit, most))
		g.company = min(g.companyRoom, len(g.queue))
		missing := float64(g.company) - g.limiter.TokensAt(now)
		return max(time.Duration(missing/float64(g.limiter.Limit())*float64(time.Second)), 50*time.Microsecond), nil
	}
	g.inFlight++
	g.granted++
	return 0, nil
}

// companyMost is how many calls go together at most where only the rate holds them back.
const companyMost = 4

// mostCompany is how many turns the head of the queue waits for at most. Where only the rate holds calls back a few go together: waking
// for each of them costs more than the call. Orders and what they need go at once.
func (g *gate) mostCompany(w *waiter, places int) int {
	if w.rank <= RankParents {
		return 1
	}
	return max(1, min(companyMost, g.limiter.Burst(), places-g.inFlight))
}

func (g *gate) setRate(now time.Time, limit float64) {
	if g.slowdown < 1 {
		// A tenth of the full rate comes back each second.
		g.slowdown = min(1, g.slowdown+0.1*now.Sub(g.slowedAt).Seconds())
		g.slowedAt = now
	}
	if want := rate.Limit(limit * g.slowdown); want != g.limiter.Limit() {
		g.limiter.SetLimitAt(now, want)
		// The bursts of all instances together are no larger than the portal's either, but for the least that a clock allows.
		g.limiter.SetBurstAt(now, max(1, int(float64(g.limits.Burst)*limit/g.limits.Rate)))
	}
}

// paused says how long the client is kept away; a pause longer than a call should wait is a failure that pauses the flow, and so
// is any pause of the class alone, since at the head of the queue it would hold up the others.
func (g *gate) paused(now time.Time, class Class, share Share) (time.Duration, error) {
	p, patience := g.pauses[""], g.maxWait
	if own := g.pauses[class]; own.until.After(now) {
		p, patience = own, 0
	}
	if share.NotBefore.After(p.until) && patience > 0 {
		p = pause{until: share.NotBefore, cause: fault.New(fault.Throttle, CodeTooManyRequests, "another instance was told to wait")}
	}
	wait := p.until.Sub(now)
	if wait <= 0 {
		return 0, nil
	}
	if wait > patience {
		e := *p.cause
		e.Kind, e.After, e.Ambiguous = fault.Throttle, wait, false
		e.Err = fmt.Errorf("not sent, calls are suspended: %w", p.cause.Err)
		return 0, &e
	}
	return wait, nil
}

// answered gives the call's place to the next as soon as an answer is there that binds nobody else; what it says is read meanwhile.
// While the breaker is not closed the next call waits for what it says.
func (t *ticket) answered() {
	if t.gate.breakers[t.class].probes() {
		return
	}
	t.gate.mu.Lock()
	t.free, t.among = true, t.gate.inFlight
	t.gate.mu.Unlock()
	t.gate.leave()
}

// done reports how the call ended and gives its place to the next.
func (t *ticket) done(err error) {
	g := t.gate
	t.settled(g.breakers[t.class].telling(t.request, err))
	now := g.now()
	g.mu.Lock()
	inFlight := g.inFlight
	if t.free {
		inFlight = t.among
	}
	code := fault.CodeOf(err)
	e, _ := errors.AsType[*fault.Error](err)
	switch {
	case err == nil || e != nil && e.Kind == fault.Reject:
		g.storms = 0
		g.conc.success(inFlight)
	case code == CodeTooManyRequests || code == CodeUnavailable:
		g.throttled(t, e, now, inFlight)
	case code == CodeUnauthorized:
		g.pauses[""] = pause{until: now.Add(e.After), cause: e}
	case code == CodeForbidden || code == CodeRedirected:
		g.pauses[t.class] = pause{until: now.Add(e.After), cause: e}
	case isSick(err):
		g.conc.failed(t.began, now)
	}
	until := g.pauses[""].until
	g.mu.Unlock()
	if (code == CodeTooManyRequests || code == CodeUnavailable) && until.After(now) {
		g.shares.Throttled(until)
	}
	if !t.free {
		g.leave()
	}
}

// throttled binds the whole client to what one call was told. The failure learns how long that is.
func (g *gate) throttled(t *ticket, e *fault.Error, now time.Time, inFlight int) {
	if e.Code == CodeTooManyRequests && !g.conc.refused(t.began, now, inFlight) {
		// Even one call at a time is too much: the rate is.
		g.slowdown, g.slowedAt = max(0.05, g.slowdown/2), now
	}
	if e.After == 0 {
		// One second, doubled for each refusal in a row, as the portal's clients do; calls that began before the pause do not count.
		if p := g.pauses[""]; p.cause == nil || !t.began.Before(p.until) {
			g.storms++
		}
		e.After = min(time.Second<<min(max(g.storms-1, 0), 5), 32*time.Second)
	}
	if until := now.Add(e.After); until.After(g.pauses[""].until) {
		g.pauses[""] = pause{until: until, cause: e}
	}
}

// leave frees a place.
func (g *gate) leave() {
	g.mu.Lock()
	g.inFlight--
	g.wakeHead()
	g.mu.Unlock()
}

func (g *gate) remove(w *waiter) {
	if w.index >= 0 {
		heap.Remove(&g.queue, w.index)
	}
	g.wakeHead()
}

func (g *gate) wakeHead() {
	if len(g.queue) > 0 {
		select {
		case g.queue[0].wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// waiter is one call that waits for its turn.
type waiter struct {
	rank  Rank
	seq   uint64
	index int
	wake  chan struct{} // capacity 1: one wake-up is as good as many

	urgent <-chan struct{} // closed when its rank becomes that of parents
}

// sleep waits for a time, a wake-up, or for the call to become urgent, which it tells.
func (w *waiter) sleep(ctx context.Context, d time.Duration) (urgent bool, err error) {
	var fire <-chan time.Time
	if d != forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		fire = timer.C
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-w.urgent:
		return true, nil
	case <-w.wake:
	case <-fire:
	}
	return false, nil
}

// waiters is a heap: lowest rank first, oldest first within a rank.
type waiters []*waiter

func (q waiters) Len() int { return len(q) }
func (q waiters) Less(i, j int) bool {
	if q[i].rank != q[j].rank {
		return q[i].rank < q[j].rank
	}
	return q[i].seq < q[j].seq
}

func (q waiters) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push appends a waiter for container/heap.
func (q *waiters) Push(x any) {
	w := x.(*waiter)
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop takes the last waiter for container/heap.
func (q *waiters) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.index = -1
	return w
}
