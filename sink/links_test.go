package sink

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"nubridge/cdc"
	"nubridge/internal/ledger"
)

func TestCoalescedChangesAreLinked(t *testing.T) {
	t.Parallel()
	b := newBoard(newCalm(time.Second))
	trace := func(i int) string { return fmt.Sprintf("00-%032x-%016x-01", i, i) }
	change := func(i int) {
		r := &record{track: &track{}, position: cdc.Position{Epoch: 1, Commit: cdc.LSN(i)}, open: 1}
		b.touch(&touched{key: "a", touch: touch{record: r}, trace: trace(i), rank: ledger.RankOrders})
	}
	for _, i := range []int{2, 3, 3, 1, 4} { // partitions are not in step: 1 comes late
		change(i)
	}
	first := b.begin(b.entries["a"])
	if want := []string{trace(2), trace(1), trace(3)}; first.trace != trace(4) || !slices.Equal(first.others, want) {
		t.Fatalf("goes on in %s, links %v; want %s and %v", first.trace, first.others, trace(4), want)
	}
	change(5)
	b.putBack(first, time.Now()) // nothing of it is settled, so the next delivery carries all
	second := b.begin(b.entries["a"])
	if want := []string{trace(2), trace(1), trace(3), trace(4)}; second.trace != trace(5) || !slices.Equal(second.others, want) {
		t.Fatalf("after putting back: goes on in %s, links %v; want %s and %v", second.trace, second.others, trace(5), want)
	}
	if got := links(second.others); len(got) != 4 || got[0].SpanContext.TraceID().String() != fmt.Sprintf("%032x", 2) {
		t.Fatalf("links %v", got)
	}
	for i := range 1000 {
		change(10 + i)
	}
	third := b.begin(b.entries["a"])
	if len(third.others) != linksMost || third.unlinked != 1000-1-linksMost {
		t.Errorf("%d links and %d more, want %d and %d", len(third.others), third.unlinked, linksMost, 1000-1-linksMost)
	}
}
