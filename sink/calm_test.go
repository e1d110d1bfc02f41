package sink

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// changes puts n changes of each key on a board at a moment.
func changes(b *board, at time.Time, n int, rank int, keys ...mapper.Key) {
	for range n {
		for _, k := range keys {
			r := &record{track: &track{}, position: cdc.Position{Epoch: 1, Commit: 1}, open: 1}
			b.touch(&touched{key: k, touch: touch{record: r}, came: at, rank: rank})
		}
	}
}

// late puts a change of each key on a board at a moment, the commits apart from each other and the last one some time ago.
func late(b *board, at time.Time, ago, apart time.Duration, keys ...mapper.Key) {
	for i, k := range keys {
		r := &record{track: &track{}, position: cdc.Position{Epoch: 1, Commit: 1}, open: 1}
		commit := at.Add(-ago - time.Duration(len(keys)-1-i)*apart)
		b.touch(&touched{key: k, touch: touch{record: r}, came: at, commit: commit, rank: ledger.RankProducts})
	}
}

func TestCalm(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		fill func(b *board)
		at   time.Duration
		want int
		// next is when the board has something again, zero for never.
		next time.Duration
	}{
		{"a single change waits for company", func(b *board) { changes(b, start, 1, ledger.RankProducts, "k0") }, 0, 0, calmLinger},
		{"and goes when it had its time", func(b *board) { changes(b, start, 1, ledger.RankProducts, "k0") }, calmLinger, 1, 0},
		{"one of a large transaction waits longer", func(b *board) {
			r := &record{track: &track{}, position: cdc.Position{Epoch: 1, Commit: 1, Index: calmLarge}, open: 1}
			b.touch(&touched{key: "k0", touch: touch{record: r}, came: start, rank: ledger.RankProducts})
		}, calmLinger, 0, calmWindow},
		{"an order goes at once", func(b *board) { changes(b, start, 1, ledger.RankOrders, "k0") }, 0, 1, 0},
		{"a snapshot's rows go at once", func(b *board) { changes(b, time.Time{}, 1, ledger.RankBulk, keys(300)...) }, 0, 300, 0},
		{"a burst is held", func(b *board) { changes(b, start, 1, ledger.RankProducts, keys(300)...) }, 100 * time.Millisecond, 0, time.Second},
		{"until it is quiet", func(b *board) { changes(b, start, 1, ledger.RankProducts, keys(300)...) }, time.Second, 300, 0},
		{"until it is over where it changes keys again and again", func(b *board) {
			changes(b, start, 1, ledger.RankProducts, keys(600)...)
			changes(b, start.Add(900*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
			changes(b, start.Add(1800*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
		}, 2700 * time.Millisecond, 0, 2800 * time.Millisecond},
		{"and then all go", func(b *board) {
			changes(b, start, 1, ledger.RankProducts, keys(600)...)
			changes(b, start.Add(900*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
			changes(b, start.Add(1800*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
		}, 2800 * time.Millisecond, 600, 0},
		{"and longer where changes come late", func(b *board) {
			changes(b, start, 1, ledger.RankProducts, keys(300)...)
			late(b, start.Add(900*time.Millisecond), 500*time.Millisecond, 0, keys(300)...)
		}, 2 * time.Second, 0, 2400 * time.Millisecond},
		{"a burst that changes each key once holds none for the others", func(b *board) {
			for i, k := range keys(1500) {
				changes(b, start.Add(time.Duration(i)*time.Millisecond), 1, ledger.RankProducts, k)
			}
		}, 1200 * time.Millisecond, 201, 1201 * time.Millisecond},
		{"and an earlier one that did counts for nothing", func(b *board) {
			changes(b, start, 1, ledger.RankProducts, keys(300)...)
			changes(b, start.Add(900*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
			b.take(start.Add(2*time.Second), 1000)
			for i := range 1500 {
				changes(b, start.Add(3*time.Second+time.Duration(i)*time.Millisecond), 1, ledger.RankProducts, mapper.Key(fmt.Sprintf("new%d", i)))
			}
		}, 4200 * time.Millisecond, 201, 4201 * time.Millisecond},
		{"the first of a large transaction wait as long as the others", func(b *board) {
			for i := range uint64(calmLarge + 1) {
				r := &record{track: &track{}, position: cdc.Position{Epoch: 1, Commit: 7, Index: i}, open: 1}
				b.touch(&touched{key: mapper.Key(fmt.Sprintf("k%d", i)), touch: touch{record: r}, came: start, rank: ledger.RankProducts})
			}
		}, calmLinger, 0, calmWindow},
		{"and as long when the next large one shows", func(b *board) {
			for i, p := range []cdc.Position{{Epoch: 1, Commit: 7}, {Epoch: 1, Commit: 7, Index: calmLarge}, {Epoch: 1, Commit: 9, Index: calmLarge}} {
				r := &record{track: &track{}, position: p, open: 1}
				b.touch(&touched{key: mapper.Key(fmt.Sprintf("k%d", i)), touch: touch{record: r}, came: start, rank: ledger.RankProducts})
			}
		}, calmLinger, 0, calmWindow},
		{"changes that come together and were made one after the other are no burst", func(b *board) {
			late(b, start, 0, 5*time.Millisecond, keys(300)...)
		}, calmLinger, 300, 0},
		{"changes that were made together are, even if they come late", func(b *board) {
			late(b, start, 2*time.Second, 0, keys(300)...)
		}, 100 * time.Millisecond, 0, time.Second},
		{"and so is what comes together from a backlog", func(b *board) {
			late(b, start, calmBacklog+time.Millisecond, time.Second, keys(300)...)
		}, 100 * time.Millisecond, 0, time.Second},
		{"an order goes at once in a burst too", func(b *board) {
			changes(b, start, 1, ledger.RankProducts, keys(300)...)
			changes(b, start, 1, ledger.RankOrders, "k299")
		}, 0, 1, time.Second},
		{"a key that never rests is held twenty times as long at most", func(b *board) {
			for at := time.Duration(0); at <= 20*time.Second; at += 100 * time.Millisecond {
				changes(b, start.Add(at), 100, ledger.RankProducts, "k0")
			}
		}, 20 * time.Second, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoard(newCalm(time.Second))
			c.fill(b)
			b.take(start, 0) // nothing may be taken, all is looked at
			turns, next := b.take(start.Add(c.at), 1000)
			if len(turns) != c.want {
				t.Errorf("%d keys go, want %d", len(turns), c.want)
			}
			if c.next == 0 && !next.IsZero() || c.next > 0 && !next.Equal(start.Add(c.next)) {
				t.Errorf("the next is due at %v, want %v after the start", next, c.next)
			}
		})
	}
}

func TestBulkRestsWhileItsParentsAreLoaded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	b := newBoard(newCalm(time.Second))
	changes(b, time.Time{}, 1, ledger.RankBulk, "k0")
	changes(b, time.Time{}, 1, ledger.RankStock, "k1")
	b.restBulk(now.Add(restBulk))
	if turns, next := b.take(now, 10); len(turns) != 1 || turns[0].key != "k1" || !next.Equal(now.Add(restBulk)) {
		t.Fatalf("took %d keys, the next is due at %v", len(turns), next)
	}
	if turns, _ := b.take(now.Add(restBulk), 10); len(turns) != 1 || turns[0].key != "k0" {
		t.Fatalf("took %d keys after the rest", len(turns))
	}
}

// Live changes are held until their burst is over and may fill more of the memory than what comes from a backlog.
func TestTheWindowIsWiderForLiveChanges(t *testing.T) {
	t.Parallel()
	const window = 100
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	fill := func(b *board, n int, ago time.Duration) {
		for i := range n {
			late(b, now, ago, 0, mapper.Key(fmt.Sprintf("%v %d", ago, i)))
			b.records++
		}
	}
	for _, c := range []struct {
		name        string
		live, older int
		full        bool
	}{
		{"an older change fits below the window", liveTimes*window - 1 - (window - 1), window - 1, false},
		{"older changes fill the window", 0, window, true},
		{"also beside live ones", window, window, true},
		{"live ones fill it four times", liveTimes * window, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoard(newCalm(time.Second))
			fill(b, c.live, 0)
			fill(b, c.older, calmBacklog+time.Second)
			if b.full(window) != c.full {
				t.Errorf("full is %t after %d live and %d older changes", !c.full, c.live, c.older)
			}
			turns, _ := b.take(now.Add(time.Minute), 2*liveTimes*window)
			b.records = 0
			for _, turn := range turns {
				b.finish(turn)
			}
			if b.touches != 0 || b.live != 0 || b.full(1) {
				t.Errorf("%d touches, %d live ones are counted when all is settled", b.touches, b.live)
			}
		})
	}
}

// The first rows of a large transaction may come, and be taken, before the others show how large it is.
func TestAKeyWhoseTransactionTurnsOutToBeLargeIsHeldOnItsWay(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	b := newBoard(newCalm(time.Second))
	row := func(key mapper.Key, at time.Time, p cdc.Position) {
		r := &record{track: &track{}, position: p, open: 1}
		b.touch(&touched{key: key, touch: touch{record: r}, came: at, rank: ledger.RankProducts})
	}
	row("k0", start, cdc.Position{Epoch: 1, Commit: 7})
	turns, _ := b.take(start.Add(calmLinger), 10)
	if len(turns) != 1 {
		t.Fatalf("%d keys go, want one", len(turns))
	}
	now := start.Add(30 * time.Millisecond)
	if until := b.changing(turns[0], now); !until.IsZero() {
		t.Fatalf("held until %v before the transaction is known to be large", until)
	}
	row("k1", now, cdc.Position{Epoch: 1, Commit: 7, Index: calmLarge})
	until := b.changing(turns[0], now)
	if want := start.Add(calmWindow); !until.Equal(want) {
		t.Fatalf("held until %v, want %v", until, want)
	}
	b.putBack(turns[0], until)
	again, _ := b.take(until, 10)
	if len(again) != 1 || again[0].key != "k0" || !b.changing(again[0], until).IsZero() {
		t.Fatalf("got %+v, want k0, which is held no longer", again)
	}
}

// Where the log lags, a key may be on its way before it shows that its burst changes keys again and again.
func TestAKeyOfABurstThatRepeatsIsHeldOnItsWay(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	b := newBoard(newCalm(time.Second))
	changes(b, start, 1, ledger.RankProducts, "k0")
	turns, _ := b.take(start.Add(calmLinger), 10)
	if len(turns) != 1 {
		t.Fatalf("%d keys go, want one", len(turns))
	}
	for i := range 5 {
		changes(b, start.Add(time.Duration(20*(i+1))*time.Millisecond), 1, ledger.RankProducts, keys(300)[1:]...)
	}
	until := b.changing(turns[0], start.Add(110*time.Millisecond))
	if want := start.Add(1100 * time.Millisecond); !until.Equal(want) {
		t.Fatalf("held until %v, want %v", until, want)
	}
	b.putBack(turns[0], start.Add(120*time.Millisecond))
	if again, _ := b.take(start.Add(130*time.Millisecond), 10); len(again) != 0 {
		t.Fatalf("got %d keys, want none before the burst is over", len(again))
	}
	if again, _ := b.take(start.Add(1200*time.Millisecond), 1000); len(again) != 300 {
		t.Fatalf("%d keys go after the burst, want 300", len(again))
	}
}

// What was taken before its burst showed is put back, though no longer than it would have been held.
func TestAKeyThatABurstChangesOnItsWayIsHeld(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	b := newBoard(newCalm(time.Second))
	changes(b, start, 1, ledger.RankProducts, "k0", "other")
	turns, _ := b.take(start.Add(calmLinger), 10)
	if len(turns) != 2 {
		t.Fatalf("%d keys go, want two", len(turns))
	}
	first, other := turns[0], turns[1]
	changes(b, start.Add(20*time.Millisecond), 1, ledger.RankProducts, keys(300)...)
	if until := b.changing(other, start.Add(30*time.Millisecond)); !until.IsZero() {
		t.Error("a key that has not changed again is held")
	}
	until := b.changing(first, start.Add(30*time.Millisecond))
	if want := start.Add(1020 * time.Millisecond); !until.Equal(want) {
		t.Fatalf("held until %v, want %v", until, want)
	}
	b.putBack(first, until)
	again, _ := b.take(until, 1000)
	if len(again) != 300 {
		t.Fatalf("%d keys go after the burst, want 300", len(again))
	}
	at := slices.IndexFunc(again, func(t *turn) bool { return t.key == "k0" })
	if at < 0 || len(again[at].touches) != 2 || !again[at].came.Equal(start) {
		t.Fatalf("got %+v, want both touches, counted from the first", again)
	}
	for now := start.Add(2 * time.Second); now.Before(start.Add(calmMost * time.Second)); now = now.Add(100 * time.Millisecond) {
		changes(b, now, 300, ledger.RankProducts, "k0")
		if b.changing(again[at], now).IsZero() {
			t.Fatalf("not held after %v", now.Sub(start))
		}
	}
	end := start.Add(calmMost * time.Second)
	changes(b, end, 300, ledger.RankProducts, "k0")
	if until := b.changing(again[at], end); !until.IsZero() {
		t.Errorf("held until %v, which is longer than anything is", until)
	}
}
