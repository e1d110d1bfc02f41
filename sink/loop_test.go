package sink

import (
	"context"
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

// A flow that begins when the first records of its log have expired asks for all documents, once: those that changed before are known by
// the OMS alone. // I8
func TestAFlowThatBeginsLateAsksForWhatHasExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(9)...)
	asked := 0
	w.everything = func(ctx context.Context, _ string) error {
		if asked++; asked == 1 {
			return errLost // it is tried again, and nothing is taken before
		}
		return w.store.Request(ctx, testEnv, mapper.Products, keys(9), "begun", ledger.RankBulk)
	}
	log := w.group(mapper.Products)
	log.start = 3
	_, end := w.startWith(log, mapper.Products, nil)
	eventually(t, "all are sent", func() bool { return w.callsMade() == 9 })
	end()
	log = w.group(mapper.Products)
	log.start = 3
	w.write(nil, 1, "k0")
	_, end = w.startWith(log, mapper.Products, nil)
	eventually(t, "the next change is sent", func() bool { return w.last(mapper.Products, "k0") == 2 })
	end()
	if asked != 2 {
		t.Errorf("asked %d times for all documents, want it twice, the first in vain", asked)
	}
}

// A delivery that waits for another one after it has told NuORDER something keeps what it told, and stays in doubt. // decision 5
func TestWhatWasToldBeforeAWaitIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.told = func(id ledger.ObjectID) []mapper.Ref {
		if id.Key == "k0" {
			return []mapper.Ref{{Flow: mapper.Customers, Key: "late"}}
		}
		return nil
	}
	w.write(nil, 1, keys(2)...)
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	found, err := w.store.ByKey(t.Context(), testEnv, mapper.Product, keys(2))
	if err != nil {
		t.Fatal(err)
	}
	o := found["k0"]
	bodies := map[mapper.Key]*ledger.Object{"k0": &o}
	if err := w.store.Bodies(t.Context(), testEnv, mapper.Product, bodies); err != nil {
		t.Fatal(err)
	}
	if part := o.Parts["body"]; !o.Known || !o.InDoubt || len(part.Body) == 0 || w.counts(mapper.Products).Waiting != 1 {
		t.Errorf("known %t, in doubt %t, %d bytes told; want it kept, in doubt and waiting", o.Known, o.InDoubt, len(part.Body))
	}
	if found["k1"].InDoubt {
		t.Error("one that was delivered is in doubt")
	}
}

// What holds no record is settled with what is before it, or the group's offset would stay there until it has expired, which looks like
// a record that was missed. // I8
func TestAMarkerIsCommittedBehindTheRecordsBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(5)...)
	log := w.group(mapper.Products)
	log.marked = map[int]bool{0: true, 2: true}
	w.mu.Lock()
	w.log[2] = nil // a partition with nothing else
	w.mu.Unlock()
	hold := make(chan struct{})
	w.before = func(Work) { <-hold }
	w.startWith(log, mapper.Products, nil)
	committed := func(p int) int64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.groups[mapper.Products][partition(p)]
	}
	eventually(t, "the marker alone in its partition is committed", func() bool { return committed(2) == 1 })
	if got := committed(0); got != 0 {
		t.Errorf("offset %d is committed before what is below it was settled", got)
	}
	close(hold)
	w.mu.Lock()
	end, last := int64(len(w.log[0])), w.log[0][len(w.log[0])-1].Position
	w.mu.Unlock()
	eventually(t, "the marker behind the records is committed", func() bool { return committed(0) == end+1 })
	c, _, err := w.store.Look(t.Context(), testEnv, mapper.Products, partition(0))
	if err != nil || c.Next != end+1 || c.Last != last {
		t.Errorf("checkpoint %+v, %v: want %d behind %v", c, err, end+1, last)
	}
}

// What a narrower mode kept back is sent once, as it stands then, when the mode lets it go; a child in shadow waits for nobody. // I1
func TestWhatTheModeKeptBackIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(8)...)
	w.write(func(_ mapper.Key, d doc) doc {
		d.parents = []mapper.Ref{{Flow: mapper.Customers, Key: "nobody's"}}
		return d
	}, 1, "child")
	run := func(change func(*Config), calls int) {
		t.Helper()
		_, end := w.start(mapper.Products, change)
		w.rests(mapper.Products)
		eventually(t, "as many calls as the mode allows", func() bool { return w.callsMade() == calls })
		end()
		if n := w.callsMade(); n != calls {
			t.Fatalf("%d calls, want %d", n, calls)
		}
	}
	run(func(c *Config) { c.Mode = Shadow }, 0)
	if c := w.counts(mapper.Products); c.Filtered != c.Read {
		t.Errorf("got %+v, want all stored, whoever their parents are", c)
	}
	w.write(nil, 1, "k7")
	run(func(c *Config) { c.Mode, c.CanaryKeys = Canary, keys(3) }, 3)
	w.write(func(_ mapper.Key, d doc) doc { d.version++; d.parents = nil; return d }, 1, "child")
	run(func(c *Config) { c.Mode = On }, 9)
	for _, k := range append(keys(8), "child") {
		w.mu.Lock()
		calls := len(w.remote[ledger.ObjectID{Environment: testEnv, Kind: mapper.Product, Key: k}])
		w.mu.Unlock()
		if want := w.docs[k].version; calls != 1 || w.last(mapper.Products, k) != want {
			t.Errorf("%s: %d calls, the last with version %d, want one with %d", k, calls, w.last(mapper.Products, k), want)
		}
	}
	if left, err := w.store.ShadowCalls(t.Context(), testEnv, mapper.Products, "", 10); err != nil || len(left) != 0 {
		t.Errorf("%d calls are still stored, %v", len(left), err)
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
	// What was written a moment ago, as in a first load, is left alone. // decision 5
	step := func() int {
		if _, err := w.store.Pool().Exec(t.Context(), "update portals set stock_due = 'epoch'"); err != nil {
			t.Fatal(err)
		}
		n, err := w.store.RollStock(t.Context(), testEnv, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 3 { // the round may stand anywhere
		if n := step(); n != 0 {
			t.Errorf("%d of 6 that were just written are written again", n)
		}
	}
	if _, err := w.store.Pool().Exec(t.Context(), "update objects set part_at = array[now() - interval '45 seconds'] where kind = 'stock'"); err != nil {
		t.Fatal(err)
	}
	marked := 0 // a step more, while these are under way, would mark them again
	eventually(t, "all is marked", func() bool { marked += step(); return marked >= 6 })
	eventually(t, "all is written again", func() bool { return w.counts(mapper.Inventory).Calls >= 12 })
	w.rests(mapper.Inventory)
	if n := w.counts(mapper.Inventory).Calls; n != 12 {
		t.Errorf("%d calls for 6 that were written twice", n)
	}
}

// TestACallThatIsCarriedOutLateIsSetRight gives calls up that the remote carries out after newer ones: the newest state is sent once
// more, also by another process, and also if an attempt in place hid the lost answer.
func TestACallThatIsCarriedOutLateIsSetRight(t *testing.T) {
	t.Parallel()
	for _, next := range []bool{false, true} {
		t.Run(map[bool]string{false: "by this process", true: "by the next one"}[next], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			asked := map[mapper.Key]int{}
			w.answer = func(id ledger.ObjectID, _ mapper.Body) (bool, error) {
				if asked[id.Key]++; id.Key == "k0" && asked[id.Key] == 1 {
					return false, &fault.Error{Kind: fault.Retry, Code: "no_answer", Ambiguous: true, Err: errors.New("no answer")}
				}
				return true, nil
			}
			w.late = func(id ledger.ObjectID) bool { return id.Key != "k2" && asked[id.Key] == 1 }
			hour := func(c *Config) { c.Late = time.Hour }
			_, end := w.start(mapper.Products, hour)
			for range 2 {
				w.write(nil, 1, keys(3)...)
				w.rests(mapper.Products)
			}
			if next {
				end()
				_, end = w.start(mapper.Products, hour)
			}
			defer end()
			w.mu.Lock()
			for _, k := range keys(2) {
				id := ledger.ObjectID{Environment: testEnv, Kind: mapper.Products.Kind(), Key: k}
				w.remote[id] = append(w.remote[id], call{1, "late"})
			}
			w.mu.Unlock()
			if _, err := w.store.Pool().Exec(t.Context(), "update late_calls set due_at = now()"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "both are sent once more", func() bool {
				return w.last(mapper.Products, "k0") == 2 && w.last(mapper.Products, "k1") == 2
			})
			pause(t.Context(), 300*time.Millisecond)
			w.rests(mapper.Products)
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.calls != 9 { // three documents twice, one call without an answer, and two once more
				t.Errorf("%d calls, want 9", w.calls)
			}
		})
	}
}

// TestAKeyThatIsToldToWaitWaitsThoughItChanges lets a change come while the remote may still be at work on the call before.
func TestAKeyThatIsToldToWaitWaitsThoughItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var at []time.Time
	w.answer = func(id ledger.ObjectID, _ mapper.Body) (bool, error) {
		if id.Key != "k0" {
			return true, nil
		}
		if at = append(at, time.Now()); len(at) == 1 {
			return false, &fault.Error{Kind: fault.Retry, Code: "no_answer", Ambiguous: true, After: 400 * time.Millisecond, Err: errors.New("timed out")}
		}
		return true, nil
	}
	_, end := w.start(mapper.Products, nil)
	defer end()
	w.write(nil, 1, keys(2)...)
	for range 5 {
		pause(t.Context(), 50*time.Millisecond)
		w.write(nil, 1, keys(2)...)
	}
	w.rests(mapper.Products)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(at) != 2 || at[1].Sub(at[0]) < 400*time.Millisecond {
		t.Errorf("calls at %v, want two, 400 ms apart", at)
	}
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
