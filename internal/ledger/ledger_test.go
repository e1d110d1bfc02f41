package ledger_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/migrations"
)

const env = "sandbox"

// setup gives a ledger in a database of its own.
func setup(t *testing.T) *ledger.Store {
	t.Helper()
	s, _ := setupAt(t)
	return s
}

func setupAt(t *testing.T) (*ledger.Store, string) {
	t.Helper()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	s, err := ledger.Open(t.Context(), url, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, url
}

func owning(lease time.Duration, keys ...mapper.Key) ledger.Owning {
	return ledger.Owning{Environment: env, Kind: mapper.Product, Flow: mapper.Products, Part: "body", Keys: keys, Lease: lease, Owner: "a"}
}

func own(t *testing.T, s *ledger.Store, ask ledger.Owning) ledger.Owned {
	t.Helper()
	owned, err := s.Own(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return owned
}

func settle(t *testing.T, s *ledger.Store, b *ledger.Settling) ledger.Outcome {
	t.Helper()
	b.Environment, b.Instance = env, "a"
	if b.Flow == "" {
		b.Flow = mapper.Products
	}
	out, err := s.Settle(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func join(t *testing.T, s *ledger.Store, flow mapper.Flow) {
	t.Helper()
	if err := s.Join(t.Context(), env, flow, "a"); err != nil {
		t.Fatal(err)
	}
}

// held is how long claims last in these tests.
var held = ledger.Hold{Silent: time.Minute, Most: time.Minute}

// delivered settles an object as sent with a body.
func delivered(o ledger.Object, body string) ledger.Settlement {
	o.Known, o.RemoteID, o.RemoteKey = true, "id-"+string(o.Key), "brand-"+string(o.Key)
	o.Parts = map[string]ledger.Part{"body": {Hash: sha256.Sum256([]byte(body)), Body: []byte(body), At: time.Now()}}
	return ledger.Settlement{Object: o, Disposition: ledger.Delivered, Doubt: ledger.ClearDoubt, Store: true, Bodies: []string{"body"}, Calls: 1, Action: "create"}
}

func TestOwnMarksInDoubtAndSettleClearsIt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	first := own(t, s, owning(time.Minute, "k1", "k2"))
	if len(first.Objects) != 2 || first.Objects[0].InDoubt {
		t.Fatalf("got %+v, want two new objects not in doubt", first)
	}
	again := own(t, s, owning(time.Minute, "k1", "k3"))
	if len(again.Objects) != 1 || again.Objects[0].Key != "k3" || again.Taken["k1"] < 50*time.Second {
		t.Fatalf("got %+v, want k1 taken for about a minute", again)
	}
	if out := settle(t, s, &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{delivered(first.Objects[0], "A"), {
		Object: first.Objects[1], Disposition: ledger.Released, Doubt: ledger.KeepDoubt,
	}}}); len(out.Stale) > 0 {
		t.Fatalf("got %+v", out)
	}
	second := own(t, s, owning(time.Minute, "k1", "k2"))
	byKey := map[mapper.Key]ledger.Object{}
	for _, o := range second.Objects {
		byKey[o.Key] = o
	}
	if byKey["k1"].InDoubt || !byKey["k2"].InDoubt {
		t.Fatalf("got %+v, want only k2 in doubt", byKey)
	}
	if got := byKey["k1"]; got.RemoteID != "id-k1" || got.Parts["body"].Hash != sha256.Sum256([]byte("A")) || !got.Known {
		t.Fatalf("got %+v, want what was settled", got)
	}
	k1 := byKey["k1"]
	if err := s.Bodies(t.Context(), env, mapper.Product, map[mapper.Key]*ledger.Object{"k1": &k1}); err != nil {
		t.Fatal(err)
	}
	if string(k1.Parts["body"].Body) != "A" {
		t.Fatalf("got body %q, want A", k1.Parts["body"].Body)
	}
}

func TestSettleRefusesAnOlderTokenAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	frozen := own(t, s, owning(10*time.Millisecond, "k1")).Objects[0]
	var present ledger.Object
	for present.Token == 0 {
		if o := own(t, s, owning(time.Minute, "k1")); len(o.Objects) == 1 {
			present = o.Objects[0]
		}
	}
	if !present.InDoubt {
		t.Fatal("an object taken over from a lease that ended must be in doubt")
	}
	out := settle(t, s, &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{delivered(frozen, "old")}})
	if len(out.Stale) != 1 {
		t.Fatalf("got %+v, want the settlement refused", out)
	}
	// The frozen owner says that its bytes may still arrive; the present owner's settlement must not clear that.
	if err := s.Doubt(t.Context(), env, mapper.Products, []mapper.Key{"k1"}, "lease lost"); err != nil {
		t.Fatal(err)
	}
	if out := settle(t, s, &ledger.Settling{Seq: 2, Settlements: []ledger.Settlement{delivered(present, "new")}}); len(out.Stale) > 0 {
		t.Fatalf("got %+v", out)
	}
	if o := own(t, s, owning(time.Minute, "k1")).Objects[0]; !o.InDoubt {
		t.Fatal("a mark of doubt that came during the lease must stay")
	}
}

// TestAMarkOfAnotherPartLeavesNoDoubtBehind marks the shipments of an order while its lines are under way, and the lines too.
func TestAMarkOfAnotherPartLeavesNoDoubtBehind(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.OrderEdits)
	join(t, s, mapper.Shipments)
	turn := func(flow mapper.Flow, meanwhile ...mapper.Flow) (was bool) {
		t.Helper()
		o := own(t, s, ledger.Owning{Environment: env, Kind: mapper.Order, Flow: flow, Part: ledger.PartOf(flow), Keys: []mapper.Key{"7"}, Lease: time.Minute, Owner: "a"}).Objects[0]
		for _, f := range meanwhile {
			if err := s.Doubt(t.Context(), env, f, []mapper.Key{"7"}, "late call"); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, s, &ledger.Settling{Flow: flow, Seq: o.Token, Settlements: []ledger.Settlement{delivered(o, "A")}})
		return o.InDoubt
	}
	turn(mapper.OrderEdits)
	turn(mapper.OrderEdits, mapper.Shipments)
	if !turn(mapper.Shipments) || turn(mapper.OrderEdits) || turn(mapper.Shipments) {
		t.Error("a mark of the shipments must stay, and take nothing but the shipments with it")
	}
	turn(mapper.OrderEdits, mapper.OrderEdits, mapper.OrderEdits, mapper.Shipments)
	if !turn(mapper.OrderEdits) || turn(mapper.OrderEdits) || !turn(mapper.Shipments) {
		t.Error("a mark of the same part must stay until the next settlement")
	}
}

func TestSettleCountsTouchesOnceAndKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	p := cdc.Partition{Topic: "oms.styles", ID: 3}
	c, err := s.Assume(t.Context(), env, mapper.Products, p, 10)
	if err != nil {
		t.Fatal(err)
	}
	o := own(t, s, owning(time.Minute, "k1", "k2", "k3")).Objects
	batch := &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{delivered(o[0], "A"), {
		Object: o[1], Disposition: ledger.Waiting, Doubt: ledger.RestoreDoubt, WaitFor: []mapper.Ref{{Flow: mapper.Customers, Key: "c1"}},
	}, {Object: o[2], Disposition: ledger.Parked, Doubt: ledger.RestoreDoubt, Cause: &ledger.Cause{Code: "bad", Text: "Mend it."}}}}
	batch.Settlements[0].Touches = map[int]int64{0: 4}
	batch.Settlements[1].Touches = map[int]int64{0: 2}
	batch.Settlements[2].Touches = map[int]int64{0: 3}
	batch.Partitions = []ledger.Progress{{Partition: p, Token: c.Token, Next: 15, Filtered: 1, Superseded: 2, Above: []ledger.SettledTouch{{Offset: 17, Key: "k1"}}}}
	settle(t, s, batch)
	settle(t, s, batch) // the answer was lost: the repeat must change nothing
	want := ledger.Counts{Read: 12, Delivered: 1, Superseded: 5, Filtered: 1, Waiting: 2, Parked: 3, Calls: 1}
	got, err := s.Counts(t.Context(), env, mapper.Products)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	again, err := s.Assume(t.Context(), env, mapper.Products, p, 10)
	if err != nil {
		t.Fatal(err)
	}
	if again.Next != 15 || len(again.Settled) != 1 || again.Settled[0] != (ledger.SettledTouch{Offset: 17, Key: "k1"}) {
		t.Fatalf("got %+v, want to go on at 15 with one settled touch", again)
	}
	// The fenced owner may settle its objects, but it counts nothing.
	k1 := own(t, s, owning(time.Minute, "k1")).Objects[0]
	late := &ledger.Settling{Seq: 2, Settlements: []ledger.Settlement{delivered(k1, "B")}, Partitions: []ledger.Progress{{Partition: p, Token: c.Token, Next: 20}}}
	late.Settlements[0].Touches = map[int]int64{0: 1}
	if out := settle(t, s, late); len(out.Lost) != 1 {
		t.Fatalf("got %+v, want the partition lost", out)
	}
	if got, err = s.Counts(t.Context(), env, mapper.Products); err != nil || got.Read != 12 || got.Sum() != got.Read {
		t.Fatalf("got %+v, %v, want 10 read and the identity held", got, err)
	}
}

func TestDeliveredParentReleasesItsChildren(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	join(t, s, mapper.OrderCreation)
	wake, end := s.Wakes(env, mapper.OrderCreation)
	defer end()
	var listening sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer listening.Wait()
	defer stop()
	listening.Go(func() { _ = s.Listen(ctx) })
	order := own(t, s, ledger.Owning{Environment: env, Kind: mapper.Order, Flow: mapper.OrderCreation, Part: "body", Keys: []mapper.Key{"o1"}, Lease: time.Minute}).Objects[0]
	settle(t, s, &ledger.Settling{Seq: 1, Flow: mapper.OrderCreation, Settlements: []ledger.Settlement{{
		Object: order, Disposition: ledger.Waiting, Doubt: ledger.RestoreDoubt, WaitFor: []mapper.Ref{{Flow: mapper.Products, Key: "k1"}},
	}}})
	wanted, err := s.Claim(t.Context(), env, mapper.Products, "a", 10, held)
	if err != nil || len(wanted) != 1 || wanted[0].Key != "k1" || wanted[0].Rank != ledger.RankOrders {
		t.Fatalf("got %+v, %v, want the parent requested with the rank of orders", wanted, err)
	}
	k1 := delivered(own(t, s, owning(time.Minute, "k1")).Objects[0], "A")
	k1.Request = wanted[0].Seq
	settle(t, s, &ledger.Settling{Seq: 1, Settlements: []ledger.Settlement{k1}})
	select {
	case <-wake:
	case <-time.After(time.Second): // the listener may have started after the notification; requests are polled too
	}
	released, err := s.Claim(t.Context(), env, mapper.OrderCreation, "a", 10, held)
	if err != nil || len(released) != 1 || released[0].Key != "o1" {
		t.Fatalf("got %+v, %v, want the child released", released, err)
	}
	if left, err := s.Claim(t.Context(), env, mapper.Products, "a", 10, ledger.Hold{}); err != nil || len(left) != 0 {
		t.Fatalf("got %+v, %v, want the parent's request answered", left, err)
	}
}

func TestClaimsLastAsLongAsTheirLoopIsAlive(t *testing.T) {
	t.Parallel()
	s := setup(t)
	join(t, s, mapper.Products)
	if err := s.Join(t.Context(), env, mapper.Products, "b"); err != nil {
		t.Fatal(err)
	}
	if err := s.Request(t.Context(), env, mapper.Products, []mapper.Key{"k1", "k2"}, "test", ledger.RankBulk); err != nil {
		t.Fatal(err)
	}
	claim := func(owner string, want int, what string) {
		t.Helper()
		got, err := s.Claim(t.Context(), env, mapper.Products, owner, 10, held)
		if err != nil || len(got) != want {
			t.Fatalf("%s: got %+v, %v, want %d", what, got, err, want)
		}
	}
	silent := func(owner string) {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), "update settlers set at = now() - interval '2 minutes' where instance = $1", owner); err != nil {
			t.Fatal(err)
		}
	}
	claim("a", 2, "open requests")
	claim("b", 0, "the other loop is alive")
	silent("a")
	if err := s.Alive(t.Context(), env, mapper.Products, "a"); err != nil {
		t.Fatal(err)
	}
	claim("b", 0, "the other loop has told that it is alive")
	silent("a")
	claim("b", 2, "the other loop is silent")
	claim("a", 0, "the one that took over is alive")
	if err := s.Join(t.Context(), env, mapper.Products, "b"); err != nil {
		t.Fatal(err)
	}
	claim("a", 2, "the other loop began anew")
}

// An order that waits for its import is no reason to ask a flow for a document under NuORDER's _id, which the OMS cannot read.
func TestAnOrderThatWaitsForItsImportIsSweptWhenItIsMarked(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := migrations.ApplyURL(t.Context(), url, "nubridge"); err != nil {
		t.Fatal(err)
	}
	s, err := ledger.Open(t.Context(), url, "nubridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	const id = "0123456789abcdef01234567"
	if err := s.Join(t.Context(), env, mapper.OrderEdits, "a"); err != nil {
		t.Fatal(err)
	}
	order := own(t, s, ledger.Owning{Environment: env, Kind: mapper.Order, Flow: mapper.OrderEdits, Part: "body", Keys: []mapper.Key{"500001"}, Lease: time.Minute}).Objects[0]
	settle(t, s, &ledger.Settling{Seq: 1, Flow: mapper.OrderEdits, Settlements: []ledger.Settlement{{
		Object: order, Disposition: ledger.Waiting, Doubt: ledger.RestoreDoubt, WaitFor: []mapper.Ref{{Flow: mapper.OrdersIn, Key: id}},
	}}})
	sweep := func(wantReleased int) {
		t.Helper()
		if _, err := db.Exec(t.Context(), "update nubridge.waiting set last_at = now() - interval '1 hour'"); err != nil {
			t.Fatal(err)
		}
		released, _, err := s.SweepWaiting(t.Context(), env, mapper.OrderEdits, time.Hour)
		if err != nil || released != wantReleased {
			t.Fatalf("released %d, %v, want %d", released, err, wantReleased)
		}
	}
	if _, err := db.Exec(t.Context(), "insert into nubridge.order_intents (environment, nuorder_id, state) values ($1, $2, 'CREATED')", env, id); err != nil {
		t.Fatal(err)
	}
	sweep(0)
	if asked, err := s.Claim(t.Context(), env, mapper.OrderCreation, "a", 10, held); err != nil || len(asked) != 0 {
		t.Fatalf("asked for %+v, %v", asked, err)
	}
	if _, err := db.Exec(t.Context(), "update nubridge.order_intents set state = 'MARKED'"); err != nil {
		t.Fatal(err)
	}
	sweep(1)
}
