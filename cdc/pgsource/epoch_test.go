package pgsource_test

import (
	"testing"

	"nubridge/cdc"
)

// A new ledger or a new server on old topics begins an epoch of its own: its LSNs may lie below what is published, and would be
// taken for repeats.
func TestFreshCaptureOnOldTopicsBeginsANewEpoch(t *testing.T) { // I8
	t.Parallel()
	w := newWorld(t)
	w.deps.Published = cdc.Position{Epoch: 6, Commit: 1 << 40}
	w.exec("create table things (id int primary key, name text)", "insert into things values (1, 'a')")
	w.start()
	for _, r := range w.await(1) {
		if r.Position.Epoch != 7 {
			t.Errorf("position %s, want epoch 7", r.Position)
		}
	}
}
