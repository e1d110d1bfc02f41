package sink

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

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
