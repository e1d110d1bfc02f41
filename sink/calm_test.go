package sink

import (
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
		}, calmLinger, 0, 10 * calmLinger},
		{"an order goes at once", func(b *board) { changes(b, start, 1, ledger.RankOrders, "k0") }, 0, 1, 0},
		{"a snapshot's rows go at once", func(b *board) { changes(b, time.Time{}, 1, ledger.RankBulk, keys(300)...) }, 0, 300, 0},
		{"a burst is held", func(b *board) { changes(b, start, 1, ledger.RankProducts, keys(300)...) }, 100 * time.Millisecond, 0, time.Second},
		{"until it is quiet", func(b *board) { changes(b, start, 1, ledger.RankProducts, keys(300)...) }, time.Second, 300, 0},
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
