package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Limits are a portal's, for all live instances together.
type Limits struct {
	// Rate is calls per second, InFlight how many may be under way at once.
	Rate     float64
	InFlight int
}

// Share is what one instance may use of a portal's limits at a moment.
type Share struct {
	// Rate is calls per second; InFlight is how many may be under way, zero for none at the moment.
	Rate     float64
	InFlight int
	// NotBefore is until when the portal asked to be left alone, by this machine's clock; zero if it did not.
	NotBefore time.Time
	// Instances is how many are alive.
	Instances int
}

// Shares divides a portal's limits between live instances, by the ledger. The sum of what they may use never exceeds the
// limits: a newcomer takes only what others have given back, and a share that is not renewed is void for its holder before
// anyone else can have it.
type Shares struct {
	store       *Store
	environment string
	instance    string
	limits      Limits
	log         *slog.Logger

	mu    sync.Mutex
	share Share
	until time.Time
	tell  chan time.Time
}

const (
	shareBeat = 500 * time.Millisecond
	shareHold = 4 * time.Second
	// shareGuard is how much earlier a holder stops than the ledger lets go.
	shareGuard = time.Second
)

// NewShares makes the share of one instance in one environment's portal. It starts nothing; until Run the share is nothing.
func NewShares(s *Store, environment, instance string, limits Limits, log *slog.Logger) (*Shares, error) {
	if environment == "" || instance == "" || limits.Rate <= 0 || limits.InFlight <= 0 {
		return nil, fmt.Errorf("share the limits of %q: environment, instance and positive limits are needed", environment)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Shares{store: s, environment: environment, instance: instance, limits: limits, log: log, tell: make(chan time.Time, 16)}, nil
}

// Share gives what may be used now. It never blocks.
func (s *Shares) Share() Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) {
		return Share{NotBefore: s.share.NotBefore}
	}
	return s.share
}

// Throttled tells all instances that the portal asked to be left alone until a time. It never blocks; this instance is bound
// at once, the others within a second.
func (s *Shares) Throttled(until time.Time) {
	s.mu.Lock()
	if until.After(s.share.NotBefore) {
		s.share.NotBefore = until
	}
	s.mu.Unlock()
	select {
	case s.tell <- until:
	default: // sixteen are told already
	}
}

// Run renews the share until the context ends, then gives it back. It returns nil.
func (s *Shares) Run(ctx context.Context) error {
	var passing sync.WaitGroup
	passing.Go(func() { s.passOn(ctx) })
	defer passing.Wait()
	tick := time.NewTicker(shareBeat)
	defer tick.Stop()
	failures := 0
	for {
		if err := s.renew(ctx); err != nil && ctx.Err() == nil {
			if failures++; failures == 1 || failures%60 == 0 {
				s.log.Warn("the share of the portal's limits cannot be renewed", "environment", s.environment, "error", err)
			}
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return s.leave(ctx)
		case <-tick.C:
		}
	}
}

// passOn tells the other instances of throttles and hears of theirs, until the context ends. It waits for no renewal: those take their
// turns, and may take longer than a throttle may take to bind all.
func (s *Shares) passOn(ctx context.Context) {
	wakes, end := s.store.Wakes(s.environment, "")
	defer end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wakes:
			if err := s.hear(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("whether another instance was told to wait is known with the next share", "environment", s.environment, "error", err)
			}
		case until := <-s.tell:
			if err := s.spread(ctx, until); err != nil && ctx.Err() == nil {
				s.log.Warn("a throttle cannot be told to the other instances", "error", err)
			}
		}
	}
}

// hear reads until when the portal asked to be left alone.
func (s *Shares) hear(ctx context.Context) error {
	var wait float64
	err := s.store.pool.QueryRow(ctx, `select coalesce((select extract(epoch from throttled_until - clock_timestamp()) from portals where environment = $1), 0)::float8`,
		s.environment).Scan(&wait)
	if err != nil || wait <= 0 {
		return err
	}
	until := time.Now().Add(time.Duration(wait * float64(time.Second)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if until.After(s.share.NotBefore) {
		s.share.NotBefore = until
	}
	return nil
}

// shareSQL locks the portal's row, counts who is alive, and takes a fair part of the limits but no more than is free. The
// remainder of an uneven division goes to the first by name.
const shareSQL = `
with portal as (
    insert into portals (environment) values ($1) on conflict (environment) do update set environment = excluded.environment
    returning throttled_until
), gone as (
    delete from instances i using portal where i.environment = $1 and i.instance <> $2 and i.expires_at < clock_timestamp() - interval '1 minute'
), live as (
    select instance, rate, in_flight from instances i, portal where i.environment = $1 and i.instance <> $2 and i.expires_at > clock_timestamp()
), fair as (
    select (select count(*) from live) + 1 as n, (select count(*) from live where instance < $2) as place,
        coalesce((select sum(rate) from live), 0) as rate_taken, coalesce((select sum(in_flight) from live), 0) as in_flight_taken
), turn as (
    -- Where there are more instances than calls, the places go round, so that none stands still for ever.
    select *, (place + case when $4::int < n then floor(extract(epoch from clock_timestamp()) / 5)::bigint else 0 end) % n as at from fair
), mine as (
    select n, greatest(least($3::float8 / n, $3::float8 - rate_taken), 0) as rate,
        greatest(least($4::int / n + case when at < $4::int % n then 1 else 0 end, $4::int - in_flight_taken), 0)::int as in_flight from turn
), kept as (
    insert into instances (environment, instance, rate, in_flight, expires_at)
    select $1, $2, rate, in_flight, clock_timestamp() + make_interval(secs => $5) from mine
    on conflict (environment, instance) do update set rate = excluded.rate, in_flight = excluded.in_flight, expires_at = excluded.expires_at
)
select mine.rate, mine.in_flight, mine.n, greatest(extract(epoch from portal.throttled_until - clock_timestamp()), 0)::float8 from mine, portal`

// renew asks for a share. The lock comes in a statement of its own, so that the shares are read after it is held.
func (s *Shares) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shareHold)
	defer cancel()
	tx, err := s.store.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("renew a share: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	// A process that is frozen with the lock would keep all others from their shares, and so from calling: the server ends its session.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('nubridge.shares.' || current_schema() || '.' || $1, 0)),
		set_config('idle_in_transaction_session_timeout', $2, true)`, s.environment, fmt.Sprint(shareGuard.Milliseconds())); err != nil {
		return fmt.Errorf("renew a share: %w", err)
	}
	asked := time.Now()
	var share Share
	var wait float64
	err = tx.QueryRow(ctx, shareSQL, s.environment, s.instance, s.limits.Rate, s.limits.InFlight, shareHold.Seconds()).
		Scan(&share.Rate, &share.InFlight, &share.Instances, &wait)
	if err != nil {
		return fmt.Errorf("renew a share: %w", err)
	}
	// What shrinks must shrink before others may take it, what grows may grow only after it is written.
	s.shrink(share)
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("renew a share: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait > 0 {
		share.NotBefore = time.Now().Add(time.Duration(wait * float64(time.Second)))
	}
	if s.share.NotBefore.After(share.NotBefore) {
		share.NotBefore = s.share.NotBefore
	}
	s.share, s.until = share, asked.Add(shareHold-shareGuard)
	return nil
}

func (s *Shares) shrink(to Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share.Rate, s.share.InFlight = min(s.share.Rate, to.Rate), min(s.share.InFlight, to.InFlight)
}

func (s *Shares) spread(ctx context.Context, until time.Time) error {
	left := time.Until(until)
	if left <= 0 {
		return nil
	}
	_, err := s.store.pool.Exec(ctx, `
        with p as (
            insert into portals as p (environment, throttled_until) values ($1, clock_timestamp() + make_interval(secs => $2))
            on conflict (environment) do update set throttled_until = greatest(p.throttled_until, excluded.throttled_until)
        )
        select pg_notify($3, $1 || '|')`, s.environment, left.Seconds(), s.store.channel())
	if err != nil {
		return fmt.Errorf("tell of a throttle: %w", err)
	}
	return nil
}

// leave gives the share back.
func (s *Shares) leave(ctx context.Context) error {
	s.mu.Lock()
	s.until = time.Time{}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := s.store.pool.Exec(ctx, "delete from instances where environment = $1 and instance = $2", s.environment, s.instance); err != nil {
		s.log.Warn("a share is given back late", "error", err)
	}
	return nil
}
