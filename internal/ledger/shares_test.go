package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"nubridge/internal/ledger"
)

func TestSharesNeverExceedTheLimitAndAThrottleBindsAllWithinASecond(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = s.Listen(ctx) })
	limits := ledger.Limits{Rate: 10, InFlight: 5}
	var all []*ledger.Shares
	add := func(ctx context.Context) {
		m, err := ledger.NewShares(s, env, fmt.Sprint("i", len(all)), limits, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		running.Go(func() { _ = m.Run(ctx) })
	}
	sums := func() (rate float64, flying, least int) {
		least = limits.InFlight
		for _, m := range all {
			share := m.Share()
			rate, flying, least = rate+share.Rate, flying+share.InFlight, min(least, share.InFlight)
		}
		if rate > limits.Rate+1e-9 || flying > limits.InFlight {
			t.Fatalf("the shares sum up to %v and %d", rate, flying)
		}
		return rate, flying, least
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		limit := time.After(8 * time.Second)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !ok() {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("never happened: %s", what)
			}
		}
	}
	add(ctx)
	until("one has all", func() bool { rate, flying, _ := sums(); return rate == 10 && flying == 5 })
	add(ctx)
	third, leave := context.WithCancel(ctx)
	add(third)
	until("three share all", func() bool { rate, flying, least := sums(); return rate > 9.99 && flying == 5 && least == 1 })
	all[0].Throttled(time.Now().Add(time.Minute))
	began := time.Now()
	until("all are bound", func() bool {
		for _, m := range all {
			if time.Until(m.Share().NotBefore) < 50*time.Second {
				return false
			}
		}
		return true
	})
	if took := time.Since(began); took > time.Second {
		t.Fatalf("binding all took %v", took)
	}
	leave()
	until("two share all", func() bool { rate, flying, least := sums(); return rate > 9.99 && flying == 5 && least == 0 })
}

// A throttle binds all within a second also while nobody gets a new share.
func TestAThrottleWaitsForNoRenewal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = s.Listen(ctx) })
	two := make([]*ledger.Shares, 2)
	for i := range two {
		var err error
		if two[i], err = ledger.NewShares(s, env, fmt.Sprint("i", i), ledger.Limits{Rate: 10, InFlight: 4}, nil); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = two[i].Run(ctx) })
	}
	eventually(t, "both have a share", func() bool { return two[0].Share().InFlight == 2 && two[1].Share().InFlight == 2 })
	tx, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(t.Context(), "select pg_advisory_xact_lock(hashtextextended('nubridge.shares.' || current_schema() || '.' || $1, 0))", env); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both wait for a renewal", func() bool {
		var n int
		err := tx.QueryRow(t.Context(), "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())").Scan(&n)
		return err == nil && n == 2
	})
	began := time.Now()
	two[0].Throttled(began.Add(time.Minute))
	eventually(t, "the other one is bound", func() bool { return time.Until(two[1].Share().NotBefore) > 50*time.Second })
	if took := time.Since(began); took > time.Second {
		t.Errorf("binding the other one took %v", took)
	}
}

// An instance that is frozen while it renews its share keeps no other from calling.
func TestAFrozenInstanceKeepsNobodyFromItsShare(t *testing.T) {
	t.Parallel()
	s, address := setupAt(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	through, frozen := freezeAt(ctx, t, address, "pg_advisory_xact_lock")
	slow, err := ledger.Open(t.Context(), through, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slow.Close)
	join := func(s *ledger.Store, name string) *ledger.Shares {
		t.Helper()
		m, err := ledger.NewShares(s, env, name, ledger.Limits{Rate: 10, InFlight: 4}, nil)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = m.Run(ctx) })
		return m
	}
	join(slow, "frozen")
	<-frozen
	other := join(s, "other")
	eventually(t, "the other one has a share", func() bool { return other.Share().InFlight > 0 })
}

// freezeAt gives a way to a database on which nothing moves any more once a client has executed a statement with a text; it is gone when the
// context ends.
func freezeAt(ctx context.Context, t *testing.T, address, text string) (through string, frozen <-chan struct{}) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	target := at.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	done := make(chan struct{})
	freeze := sync.OnceFunc(func() { close(done) })
	still := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	// carry takes bytes from one side to the other, until all is still.
	carry := func(from, to net.Conn, see func([]byte)) {
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil || still() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
			see(b[:n])
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _ = in.Close(); _ = out.Close() })
			go carry(out, in, func([]byte) {})
			prepared := false
			go carry(in, out, func(sent []byte) {
				if prepared { // this executes it
					freeze()
				}
				prepared = bytes.Contains(sent, []byte(text))
			})
		}
	}()
	at.Host = l.Addr().String()
	return at.String(), done
}

// eventually looks again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never happened: %s", what)
		}
	}
}
