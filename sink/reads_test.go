package sink

import (
	"testing"

	"nubridge/cdc"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// TestSnapshotRowsThatALaterReadCoversNeedNoReadOfTheirOwn delivers documents and then brings rows that a snapshot read before.
func TestSnapshotRowsThatALaterReadCoversNeedNoReadOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(nil, 1, keys(20)...)
	w.start(mapper.Products, nil)
	w.rests(mapper.Products)
	before := w.counts(mapper.Products)
	w.snapshot(50, keys(20)...)
	w.rests(mapper.Products) // I1: they are counted
	if c := w.counts(mapper.Products); c.Superseded != before.Superseded+20 || c.Unchanged != before.Unchanged {
		t.Errorf("got %+v after %+v, want 20 more superseded and nothing read", c, before)
	}
	w.snapshot(1<<40, keys(20)...) // read later than the documents: they must be looked at
	w.rests(mapper.Products)
	if c := w.counts(mapper.Products); c.Unchanged != before.Unchanged+20 || c.Calls != before.Calls {
		t.Errorf("got %+v after %+v, want 20 more unchanged", c, before)
	}
}

func TestWhatIsRememberedOfReads(t *testing.T) {
	t.Parallel()
	var r reads
	read := func(k mapper.Key, at cdc.LSN, d ledger.Disposition) {
		r.settled(&turn{key: k, read: readAt{1, at}}, d)
	}
	covers := func(k mapper.Key, epoch uint32, at cdc.LSN) bool {
		return r.cover(k, cdc.Position{Epoch: epoch, Commit: at})
	}
	read("a", 100, ledger.Delivered)
	if !covers("a", 1, 99) || covers("a", 1, 100) || covers("a", 2, 99) || covers("b", 1, 99) {
		t.Error("a read covers what the log held strictly before it, in its own epoch")
	}
	for _, d := range []ledger.Disposition{ledger.Parked, ledger.Waiting, ledger.Filtered} {
		read("a", 100, ledger.Delivered)
		if read("a", 200, d); covers("a", 1, 99) {
			t.Errorf("a key that ended as %s must be looked at again", d)
		}
	}
	read("a", 0, ledger.Delivered)
	if covers("a", 1, 0) {
		t.Error("a read whose place is not known covers nothing")
	}
	for _, k := range keys(3 * readsMost) {
		read(k, 100, ledger.Unchanged)
	}
	if n := len(r.now) + len(r.before); n > 2*readsMost {
		t.Errorf("%d reads are remembered, want at most %d", n, 2*readsMost)
	}
}
