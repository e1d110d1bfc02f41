package sink

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

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

// TestAPartitionWhoseCheckpointALaggingInstanceTookIsReadAgain: an instance that is starved of processor time may take the checkpoints
// of an assignment that is over, after the next owner has, and never read on. // I8
func TestAPartitionWhoseCheckpointALaggingInstanceTookIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, "k0", "k1", "k2", "k3")
	w.start(mapper.Products, nil)
	keys := []mapper.Key{"k0", "k1", "k2", "k3"}
	arrived := func(version int) {
		t.Helper()
		eventually(t, "the changes arrive", func() bool {
			return !slices.ContainsFunc(keys, func(k mapper.Key) bool { return w.last(mapper.Products, k) != version })
		})
	}
	arrived(1)
	w.rests(mapper.Products)
	for i := range w.parts {
		if _, err := w.store.Assume(t.Context(), testEnv, mapper.Products, cdc.Partition{Topic: "oms.t", ID: i}, 0); err != nil {
			t.Fatal(err)
		}
	}
	w.write(nil, 1, keys...)
	arrived(2)
	w.rests(mapper.Products)
	w.write(nil, 1, keys...)
	arrived(3)
	w.rests(mapper.Products)
}

// TestAnEndOlderThanTheCheckpointIsLookedAtAgain: between an assignment and the look at its checkpoint the owner before may have settled
// more. A log that is too short at a second look too was made anew. // I8
func TestAnEndOlderThanTheCheckpointIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, "k0", "k1", "k2", "k3")
	_, stop := w.start(mapper.Products, nil)
	eventually(t, "all is settled", func() bool { return w.last(mapper.Products, "k3") == 1 })
	w.rests(mapper.Products)
	stop()
	late := w.group(mapper.Products)
	late.ends = w.parts
	l, stop := w.startWith(late, mapper.Products, nil)
	w.write(nil, 1, "k0", "k1", "k2", "k3")
	eventually(t, "the changes arrive", func() bool { return w.last(mapper.Products, "k0") == 2 && w.last(mapper.Products, "k3") == 2 })
	w.rests(mapper.Products)
	if err := l.gate.halted(); err != nil {
		t.Fatalf("halted: %v", err)
	}
	stop()
	cut := w.group(mapper.Products)
	cut.ends = 1000
	l, _ = w.startWith(cut, mapper.Products, nil)
	eventually(t, "the flow halts", func() bool { return fault.CodeOf(l.gate.halted()) == "topic_recreated" })
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
