package sink

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
)

// TestMain holds the property tests to a few runs each unless told otherwise: each run starts loops on a real ledger.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(childWorld) != "" {
		os.Exit(child())
	}
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "rapid.checks" })
	if !told {
		if err := flag.Set("rapid.checks", "8"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, pgtest.IgnoreServer())
}

func keys(n int) []mapper.Key {
	out := make([]mapper.Key, n)
	for i := range out {
		out[i] = mapper.Key("k" + strconv.Itoa(i))
	}
	return out
}

func TestManyRowChangesMakeOneCallPerDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 10, keys(50)...)
	w.write(nil, 1, "nobody")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Delivered+c.Unchanged > 500 || c.Calls > 50 || c.Filtered != 1 {
		t.Fatalf("got %+v, want at most 50 calls", c)
	}
	for _, k := range keys(50) {
		if w.last(mapper.Products, k) != 1 {
			t.Fatalf("%s was not delivered", k)
		}
	}
}

func TestReplayOfWhatIsInStepMakesNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 2, keys(30)...)
	_, end := w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	end()
	before := w.counts(mapper.Products)
	w.mu.Lock()
	clear(w.groups[mapper.Products]) // the offsets are reset to the start with Kafka's own tools
	for i := range w.parts {
		w.groups[mapper.Products][partition(i)] = 0
	}
	w.mu.Unlock()
	w.start(mapper.Products, nil)
	eventually(t, "the replay", func() bool { return w.counts(mapper.Products).Repeats == 60 })
	after := w.counts(mapper.Products)
	if after.Calls != before.Calls || after.Read != before.Read {
		t.Fatalf("got %+v after %+v, want no call and no touch counted twice", after, before)
	}
	w.rests(mapper.Products)
}

func TestAnObjectInDoubtIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := 0
	w.answer = func(ledger.ObjectID, mapper.Body) (bool, error) {
		if lost++; lost == 1 {
			return true, errLost
		}
		return true, nil
	}
	w.write(nil, 1, "k0")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Calls != 2 || c.Delivered != 1 {
		t.Fatalf("got %+v, want the call repeated after its answer was lost", c)
	}
	if err := w.store.Doubt(t.Context(), testEnv, mapper.Products, []mapper.Key{"k0"}, "test"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a call for the doubt", func() bool { return w.counts(mapper.Products).Calls == 3 })
}

func TestAKeyThatIsNotYetVisibleWaitsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hidden := w.write(nil, 1, "k0", "hopk1")
	w.mu.Lock()
	w.docs["k1"] = doc{version: 1}
	w.hidden[hidden] = true
	w.mu.Unlock()
	w.write(nil, 1, "k2")
	l, _ := w.start(mapper.Products, nil)
	eventually(t, "the others pass", func() bool { return w.last(mapper.Products, "k2") == 1 })
	if w.last(mapper.Products, "k0") != -1 || w.last(mapper.Products, "k1") != -1 {
		t.Fatal("sent before it was proven to be seen")
	}
	eventually(t, "shown as hidden", func() bool { return l.Status().Hidden == 1 })
	w.mu.Lock()
	clear(w.hidden)
	w.mu.Unlock()
	w.rests(mapper.Products)
	if w.last(mapper.Products, "k0") != 1 || w.last(mapper.Products, "k1") != 1 {
		t.Fatal("never sent")
	}
}

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

func TestABrandIDUnderANewKeyIsTheSameObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(func(_ mapper.Key, d doc) doc { d.brand = "B"; return d }, 1, "old")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	w.mu.Lock()
	d := w.docs["old"]
	delete(w.docs, "old")
	w.mu.Unlock()
	w.write(func(mapper.Key, doc) doc { d.version++; return d }, 1, "new")
	w.rests(mapper.Products)
	found, err := w.store.ByKey(t.Context(), testEnv, mapper.Product, []mapper.Key{"old", "new"})
	if err != nil {
		t.Fatal(err)
	}
	if found["new"].RemoteID != "id-1" || found["old"].Known {
		t.Fatalf("got %+v, want the identity moved", found)
	}
}

func TestShadowStoresTheCallInsteadOfMakingIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(5)...)
	w.start(mapper.Products, func(c *Config) { c.Mode = Shadow })
	w.rests(mapper.Products)
	stored, err := w.store.ShadowCalls(t.Context(), testEnv, mapper.Products, "", 10)
	if err != nil || len(stored) != 5 || w.calls != 0 || string(stored[0].Body) != `{"key":"brand-k0","version":1}` {
		t.Fatalf("got %d calls and stored %+v, %v", w.calls, stored, err)
	}
}

// TestNewestStateWinsWhateverFails writes at random while answers are lost, calls fail and loops are restarted.
func TestNewestStateWinsWhateverFails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		seed := rapid.Uint64().Draw(rt, "seed")
		random := rand.New(rand.NewPCG(seed, 1))
		w.answer = func(id ledger.ObjectID, _ mapper.Body) (bool, error) {
			switch random.IntN(12) {
			case 0:
				return true, errLost
			case 1:
				return false, errLost
			case 2:
				return false, fault.New(fault.Retry, "unavailable", "not now")
			case 3:
				return false, &fault.Error{Kind: fault.Throttle, Code: "too_many_requests", After: time.Millisecond, Err: errors.New("slow down")}
			default:
				return true, nil
			}
		}
		all := keys(rapid.IntRange(1, 12).Draw(rt, "keys"))
		var ends []func()
		for range rapid.IntRange(2, 6).Draw(rt, "steps") {
			n := rapid.IntRange(1, 20).Draw(rt, "writes")
			for range n {
				w.write(nil, 1+random.IntN(3), all[random.IntN(len(all))])
			}
			if rapid.Bool().Draw(rt, "restart") || len(ends) == 0 {
				for _, end := range ends {
					end()
				}
				_, end := w.start(mapper.Products, nil)
				ends = append(ends, end)
			}
		}
		w.rests(mapper.Products)
		w.orderKept()
		for _, k := range all {
			w.mu.Lock()
			want := w.docs[k].version
			w.mu.Unlock()
			if got := w.last(mapper.Products, k); want > 0 && got != want {
				t.Errorf("seed %d: %s is at version %d at the remote and %d at the source", seed, k, got, want)
			}
		}
		for _, end := range ends {
			end()
		}
	})
}

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{}, {Environment: "e", Flow: "f", Instance: "i", Mode: "half"}, {Environment: "e", Flow: "f", Instance: "i", Lease: time.Second, CallTime: time.Second}} {
		if err := c.withDefaults().validate(); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestAFrozenProcessThatComesBackIsPutRightWithinALease holds one instance's call up beyond its lease. Another one takes over;
// when the late bytes arrive nevertheless, the object is in doubt again and is sent again. // I3
func TestAFrozenProcessThatComesBackIsPutRightWithinALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thaw, frozen := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.before = func(work Work) {
		if strings.Contains(string(work.Body.JSON), `"version":1}`) {
			once.Do(func() { close(frozen); <-thaw })
		}
	}
	short := func(name string) func(*Config) {
		return func(c *Config) { c.Instance, c.Lease, c.CallTime = name, 300*time.Millisecond, 50*time.Millisecond }
	}
	w.write(nil, 1, "k0")
	w.start(mapper.Products, short("a"))
	<-frozen
	w.write(nil, 1, "k0")
	w.start(mapper.Products, short("b")) // Kafka gives the partitions to another instance
	var thawed sync.Once
	warm := func() { thawed.Do(func() { close(thaw) }) }
	t.Cleanup(warm)
	eventually(t, "the other instance takes over at the end of the lease", func() bool { return w.last(mapper.Products, "k0") == 2 })
	warm()
	eventually(t, "the late bytes arrive", func() bool { return w.has(mapper.Products, "k0", 1) })
	eventually(t, "and are put right", func() bool { return w.last(mapper.Products, "k0") == 2 })
	w.rests(mapper.Products)
}

func TestATakeoverWaitsForTheEndOfTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lease := 700 * time.Millisecond
	began := time.Now()
	if _, err := w.store.Own(t.Context(), ledger.Owning{
		Environment: testEnv, Kind: mapper.Product, Flow: mapper.Products, Part: "body", Keys: []mapper.Key{"k0"}, Lease: lease, Owner: "killed",
	}); err != nil {
		t.Fatal(err)
	}
	w.write(nil, 1, "k0", "k1")
	w.start(mapper.Products, nil)
	eventually(t, "others pass at once", func() bool { return w.last(mapper.Products, "k1") == 1 })
	eventually(t, "the key is sent", func() bool { return w.last(mapper.Products, "k0") == 1 })
	if took := time.Since(began); took < lease {
		t.Fatalf("sent after %v, while the lease of %v lasted", took, lease)
	}
	w.rests(mapper.Products)
}

func TestGapsBetweenGroupAndLedgerHaltWithTheCount(t *testing.T) {
	t.Parallel()
	at := func(next int64) ledger.Checkpoint { return ledger.Checkpoint{Next: next} }
	for name, test := range map[string]struct {
		a     cdc.Assignment
		c     ledger.Checkpoint
		known bool
		code  string
		count string
	}{
		"new group":                {cdc.Assignment{Committed: -1, Start: 0, End: 9}, at(-1), false, "", ""},
		"in step":                  {cdc.Assignment{Committed: 7, Start: 0, End: 9}, at(7), true, "", ""},
		"behind is harmless":       {cdc.Assignment{Committed: 2, Start: 0, End: 9}, at(7), true, "", ""},
		"ahead":                    {cdc.Assignment{Committed: 9, Start: 0, End: 9}, at(7), true, "offset_ahead", ": 2 records"},
		"offset expired":           {cdc.Assignment{Committed: -1, Start: 0, End: 9}, at(7), true, "offset_expired", "2 records"},
		"offset and records gone":  {cdc.Assignment{Committed: -1, Start: 9, End: 20}, at(7), true, "offset_expired", "2 records"},
		"records expired":          {cdc.Assignment{Committed: 7, Start: 12, End: 20}, at(7), true, "records_expired", "5 records"},
		"topic made anew":          {cdc.Assignment{Committed: 7, Start: 0, End: 3}, at(7), true, "topic_recreated", "offset 3"},
		"no checkpoint":            {cdc.Assignment{Committed: 7, Start: 2, End: 9}, at(-1), false, "checkpoint_missing", "5 records"},
		"killed before any commit": {cdc.Assignment{Committed: -1, Start: 0, End: 9}, at(0), true, "", ""},
	} {
		got := gapOf(test.a, test.c, test.known)
		switch {
		case test.code == "" && got != nil:
			t.Errorf("%s: got %+v, want no halt", name, got)
		case test.code != "" && (got == nil || got.Code != test.code || !strings.Contains(got.Error(), test.count)):
			t.Errorf("%s: got %+v, want %s with %q", name, got, test.code, test.count)
		}
	}
}

func TestAnOffsetResetForwardsHaltsAndIsAcceptedByAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 3, keys(5)...)
	_, end := w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	end()
	w.write(nil, 3, keys(5)...)
	w.mu.Lock()
	w.groups[mapper.Products][partition(0)] = int64(len(w.log[0]))
	w.mu.Unlock()
	l, end := w.start(mapper.Products, nil)
	eventually(t, "the flow is halted", func() bool { s := l.Status(); return s.State == Halted && s.Code == "offset_ahead" })
	end()
	if err := w.store.Accept(t.Context(), testEnv, mapper.Products); err != nil {
		t.Fatal(err)
	}
	w.start(mapper.Products, nil)
	eventually(t, "the newest state is there", func() bool {
		for _, k := range keys(5) {
			if w.last(mapper.Products, k) != 2 {
				return false
			}
		}
		return true
	})
}

func TestAllStockIsWrittenAgainWithinAPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(6)...)
	w.start(mapper.Inventory, func(c *Config) { c.StockPass = time.Minute })
	w.rests(mapper.Inventory)
	if _, err := w.store.Pool().Exec(t.Context(), "update portals set stock_due = 'epoch'"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is written again", func() bool { return w.counts(mapper.Inventory).Calls >= 12 })
	w.rests(mapper.Inventory)
}

func TestABurstMakesOneCallPerDocumentThoughItGoesOnWhileItIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(mapper.Products, func(c *Config) { c.Quiet = 400 * time.Millisecond })
	all := keys(200)
	for range 10 {
		w.write(nil, 2, all...)
		pause(t.Context(), 20*time.Millisecond) // the burst goes on
	}
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Calls > int64(len(all)) {
		t.Fatalf("got %+v, want one call for each of %d documents", c, len(all))
	}
}

func TestAKeyThatKeepsFailingMakesRoomAndIsTriedAgainByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	healed := false
	w.answer = func(id ledger.ObjectID, _ mapper.Body) (bool, error) {
		if id.Key == "k0" && !healed {
			return false, fault.New(fault.Retry, "server_error", "it fails for this one")
		}
		return true, nil
	}
	w.write(nil, 1, keys(3)...)
	w.start(mapper.Products, func(c *Config) { c.RetryFailing = 50 * time.Millisecond })
	w.rests(mapper.Products)
	if row, err := w.store.ParkedKey(t.Context(), testEnv, mapper.Products, "k0"); err != nil || row.Code != ledger.CodeKeepsFailing || row.Rule != "server_error" {
		t.Fatalf("got %+v, %v", row, err)
	}
	w.mu.Lock()
	healed = true
	w.mu.Unlock()
	eventually(t, "it heals by itself", func() bool { return w.last(mapper.Products, "k0") == 1 })
	eventually(t, "and is settled", func() bool { c := w.counts(mapper.Products); return c.Parked == 0 && c.Delivered == 3 })
	w.rests(mapper.Products)
}

func TestWhatAKilledInstanceClaimedIsTakenOverSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, "a")
	// An instance that claimed a request and is not heard of again.
	if err := w.store.Join(t.Context(), testEnv, mapper.Products, "dead"); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Request(t.Context(), testEnv, mapper.Products, []mapper.Key{"a"}, "test", ledger.RankBulk); err != nil {
		t.Fatal(err)
	}
	claimed, err := w.store.Claim(t.Context(), testEnv, mapper.Products, "dead", 10, ledger.Hold{Silent: time.Hour, Most: time.Hour})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("got %+v, %v", claimed, err)
	}
	w.start(mapper.Products, func(c *Config) { c.Silent = time.Second })
	eventually(t, "the request is answered", func() bool {
		var n int
		err := w.store.Pool().QueryRow(t.Context(), "select count(*) from requests").Scan(&n)
		return err == nil && n == 0
	})
}

func TestALookUpThatNoQueryTakesHoldsUpNobodyElse(t *testing.T) { // I7
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, "hopk1", "hopuntyped", "hopk2", "k3")
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Parked != 1 || c.Read != 4 {
		t.Errorf("got %+v, want the bad one parked", c)
	}
}
