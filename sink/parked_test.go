package sink

import (
	"errors"
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// A document that cannot be read holds nobody else up. // I7
func TestAKeyThatNoQueryTakesIsParkedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, "k0", "k1", "untyped", "k2", "k3")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	for _, k := range []mapper.Key{"k0", "k1", "k2", "k3"} {
		if w.last(mapper.Products, k) != 1 {
			t.Errorf("%s was held up", k)
		}
	}
	if c := w.counts(mapper.Products); c.Parked != 1 {
		t.Errorf("parked %d, want the one", c.Parked)
	}
}

func TestAChildWaitsForItsParentWhichTheBridgeSendsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(func(_ mapper.Key, d doc) doc {
		d.parents = []mapper.Ref{{Flow: mapper.Customers, Key: "c1"}, {Flow: mapper.Products, Key: "p1"}}
		return d
	}, 1, "o1")
	w.start(mapper.OrderCreation, nil)
	eventually(t, "the order waits", func() bool { return w.counts(mapper.OrderCreation).Waiting == 1 })
	// Neither parent has an event of its own; they are in the source database alone.
	w.mu.Lock()
	w.docs["c1"], w.docs["p1"] = doc{version: 1}, doc{version: 1}
	w.mu.Unlock()
	w.start(mapper.Customers, nil)
	w.start(mapper.Products, nil)
	eventually(t, "the order is sent", func() bool { return w.last(mapper.OrderCreation, "o1") == 1 })
	eventually(t, "nothing waits", func() bool { return w.counts(mapper.OrderCreation).Waiting == 0 })
	w.rests(mapper.OrderCreation)
}

func TestARejectedKeyIsParkedAbsorbsChangesAndIsReleasedByOneThatMendsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = func(id ledger.ObjectID, b mapper.Body) (bool, error) {
		if id.Key == "k1" && string(b.JSON) == `{"key":"brand-k1","version":1}` {
			return false, &fault.Error{Kind: fault.Reject, Code: "bad_size", Field: "sizes[0]", Hint: "Name the size.", Err: errors.New("refused")}
		}
		return true, nil
	}
	w.write(func(k mapper.Key, d doc) doc { d.broken = k == "k2"; return d }, 1, keys(20)...)
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 2 || c.Delivered != 18 {
		t.Fatalf("got %+v, want two parked", c)
	}
	same := func(_ mapper.Key, d doc) doc { d.version = 1; return d }
	calls := w.counts(mapper.Products).Calls
	w.write(same, 3, "k1")
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 5 || c.Calls != calls {
		t.Fatalf("got %+v, want three more touches absorbed without a call", c)
	}
	row, err := w.store.ParkedKey(t.Context(), testEnv, mapper.Products, "k1")
	if err != nil || row.Code != "bad_size" || row.Field != "sizes[0]" || row.Touches != 4 {
		t.Fatalf("got %+v, %v", row, err)
	}
	w.write(func(_ mapper.Key, d doc) doc { d.broken = false; return d }, 1, "k1", "k2")
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 0 || c.Delivered != 20 {
		t.Fatalf("got %+v, want none parked", c)
	}
}

func TestThrottlesParkNothingAndHaltsSayWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storm := 0
	w.answer = func(ledger.ObjectID, mapper.Body) (bool, error) {
		if storm++; storm < 40 {
			return false, &fault.Error{Kind: fault.Throttle, Code: "too_many_requests", After: 5 * time.Millisecond, Err: errors.New("slow down")}
		}
		return true, nil
	}
	w.write(nil, 1, keys(20)...)
	l, _ := w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Delivered != 20 {
		t.Fatalf("got %+v", c)
	}
	w.mu.Lock()
	w.answer = func(ledger.ObjectID, mapper.Body) (bool, error) {
		return false, fault.New(fault.Halt, "wrong_portal", "this is another portal")
	}
	w.mu.Unlock()
	w.write(nil, 1, "k0")
	eventually(t, "the flow is halted", func() bool { s := l.Status(); return s.State == Halted && s.Code == "wrong_portal" })
}

// A parked parent that its children ask for is one key. // I7
func TestOneParkedKeyThatIsTouchedAgainAndAgainPausesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := func(k mapper.Key, d doc) doc { d.broken = k == "k2"; return d }
	w.answer = func(id ledger.ObjectID, _ mapper.Body) (bool, error) {
		if id.Key == "k1" {
			return false, &fault.Error{Kind: fault.Reject, Code: "bad_size", Err: errors.New("refused")}
		}
		return true, nil
	}
	w.write(broken, 1, keys(20)...)
	l, _ := w.start(mapper.Products, func(c *Config) { c.RejectWindow = 20 })
	w.rests(mapper.Products)
	for range 40 { // each at rest before the next, so that none is coalesced
		w.write(func(k mapper.Key, d doc) doc { d.version = 1; return broken(k, d) }, 1, "k1", "k2")
		w.rests(mapper.Products)
	}
	if s := l.Status(); s.State != Running {
		t.Errorf("the flow is %s, %s", s.State, s.Code)
	}
}

// A full lot stops the flow. What a person mends in the OMS then waits in Kafka, so that a resume must let the flow go over it; one more
// key that is parked stops it again.
func TestAFullLotStopsTheFlowUntilItIsMendedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(func(_ mapper.Key, d doc) doc { d.broken = true; return d }, 1, keys(8)...)
	l, _ := w.start(mapper.Products, func(c *Config) { c.ParkedCap = 5 })
	full := func() bool { return l.Status().Code == "parking_full" }
	eventually(t, "the flow stops", full)
	w.write(func(_ mapper.Key, d doc) doc { d.broken = false; return d }, 1, keys(2)...)
	resume := func() {
		t.Helper()
		if err := w.store.Resume(t.Context(), testEnv, mapper.Products); err != nil {
			t.Fatal(err)
		}
	}
	resume()
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 6 || w.callsMade() != 2 {
		t.Errorf("got %+v and %d calls, want two mended and six parked", c, w.callsMade())
	}
	w.write(func(_ mapper.Key, d doc) doc { d.broken = true; return d }, 1, "one more")
	eventually(t, "the flow stops again", full)
	w.write(func(_ mapper.Key, d doc) doc { d.broken = false; return d }, 1, append(keys(8), "one more")...)
	resume()
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 0 || l.Status().State != Running {
		t.Errorf("got %+v, the flow is %s", c, l.Status().State)
	}
}

func TestAMappingThatRejectsMostThingsPausesTheFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(func(_ mapper.Key, d doc) doc { d.broken = true; return d }, 1, keys(300)...)
	l, _ := w.start(mapper.Products, nil)
	eventually(t, "the flow pauses", func() bool { return l.Status().Code == "mostly_rejected" })
	if c := w.counts(mapper.Products); c.Parked > 200 {
		t.Fatalf("%d keys were parked", c.Parked)
	}
	w.write(func(_ mapper.Key, d doc) doc { d.broken = false; return d }, 1, keys(300)...)
	if err := w.store.Resume(t.Context(), testEnv, mapper.Products); err != nil {
		t.Fatal(err)
	}
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 0 {
		t.Fatalf("got %+v, want all released by the changes", c)
	}
}

func TestAGuardHoldsAMassChangeAndAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(30)...)
	l, _ := w.start(mapper.Products, func(c *Config) { c.Guards.Creates = 10 })
	eventually(t, "the flow pauses", func() bool { return l.Status().Code == "guard_create" })
	if c := w.counts(mapper.Products); c.Delivered > 10 {
		t.Fatalf("%d were created", c.Delivered)
	}
	for i := range 2 {
		done := int64(10 * (i + 1))
		eventually(t, "the first ones are settled", func() bool { return w.counts(mapper.Products).Delivered == done })
		if err := w.store.Resume(t.Context(), testEnv, mapper.Products); err != nil {
			t.Fatal(err)
		}
		want := int64(10 * (i + 2))
		eventually(t, "ten more", func() bool { return w.counts(mapper.Products).Delivered >= want })
	}
}

// TestARefusalAfterAWriteLeavesTheObjectInDoubt refuses the second call of a delivery whose first one has written: what NuORDER holds is
// not what was last delivered, so that a document that goes back to that is sent. // decision 5
func TestARefusalAfterAWriteLeavesTheObjectInDoubt(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.Reject, fault.Throttle} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.write(nil, 1, "k0")
			w.start(mapper.Products, nil)
			w.rests(mapper.Products)
			refused := make(chan struct{})
			w.mu.Lock()
			w.answer = func(_ ledger.ObjectID, _ mapper.Body) (bool, error) {
				w.answer = nil
				close(refused)
				return true, &fault.Error{Kind: kind, Code: "refused", After: 2 * time.Second, Err: errors.New("the second call was refused")}
			}
			w.mu.Unlock()
			w.write(nil, 1, "k0")
			<-refused
			w.write(func(_ mapper.Key, d doc) doc { d.version = 1; return d }, 1, "k0")
			w.rests(mapper.Products)
			if got := w.last(mapper.Products, "k0"); got != 1 {
				t.Errorf("the remote holds version %d, the OMS 1", got)
			}
		})
	}
}
