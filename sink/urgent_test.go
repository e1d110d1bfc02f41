package sink

import (
	"testing"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// TestWhatAnOrderWaitsForIsUrgentThoughItIsUnderWay asks for a key of a batch that was taken with a lower rank: it may wait for its call
// behind others, and in its lane behind another key of the batch.
func TestWhatAnOrderWaitsForIsUrgentThoughItIsUnderWay(t *testing.T) {
	t.Parallel()
	b := newBoard(newCalm(time.Second))
	begin := func(key mapper.Key, rank int) *turn {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.begin(b.entry(key, rank))
	}
	hurried := func(u *turn) bool {
		select {
		case <-u.urgent:
			return true
		default:
			return false
		}
	}
	first, second := begin("k1", ledger.RankBulk), begin("k2", ledger.RankBulk)
	b.ask(ledger.Request{Key: "k3", Rank: ledger.RankBulk, Seq: 1}, false)
	if hurried(first) || hurried(second) {
		t.Fatal("nobody waits, and they hurry")
	}
	b.ask(ledger.Request{Key: "k2", Rank: ledger.RankOrders, Seq: 2}, false)
	if !hurried(first) || !hurried(second) {
		t.Fatal("an order waits, and they do not hurry")
	}
	b.mu.Lock()
	b.finish(first)
	b.finish(second)
	b.mu.Unlock()
	again := begin("k1", ledger.RankBulk)
	if hurried(again) {
		t.Fatal("it hurries though the order has what it waited for")
	}
	if begin("k4", ledger.RankOrders); !hurried(again) || len(b.calmly) != 0 {
		t.Fatal("what an order waits for may be behind it in a lane, and it does not hurry")
	}
}
