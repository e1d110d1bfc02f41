package sink

import (
	"testing"

	"nubridge/internal/ledger"
)

// What the other instances have in flight is not known, so each begins its part of what a guard leaves, and one more call at least.
func TestAGuardIsSharedByTheInstances(t *testing.T) {
	t.Parallel()
	limits := Guards{Archivals: 9}
	for _, c := range []struct {
		instances, done, want int64
	}{{0, 0, 9}, {1, 0, 9}, {1, 7, 2}, {3, 0, 3}, {3, 3, 2}, {3, 8, 1}, {3, 9, 0}} {
		g := &guards{}
		g.loaded(ledger.FlowState{Archivals: c.done, Instances: c.instances}, g.ending())
		n := int64(0)
		for verdict := mayGo; verdict == mayGo; n++ {
			verdict, _ = g.begin(&turn{}, "archive", limits)
		}
		if n--; n != c.want {
			t.Errorf("%d instances after %d of 9: %d begun, want %d", c.instances, c.done, n, c.want)
		}
	}
}
