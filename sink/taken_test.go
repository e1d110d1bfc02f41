package sink

import (
	"testing"
	"time"
)

// A change of an order wakes several flows, which own it in turn: the first looks come soon. One that is owned for long is not asked for
// all the time.
func TestAKeyThatSomeoneElseOwnsIsSoonLookedAtAgain(t *testing.T) {
	t.Parallel()
	for times, most := range []time.Duration{30, 60, 120, 240, 240, 240} {
		for range 1000 {
			if got := takenAgain(times); got < most*time.Millisecond/3 || got >= most*time.Millisecond {
				t.Fatalf("after %d times it rests for %v; expected %v to %v", times, got, most*time.Millisecond/3, most*time.Millisecond)
			}
		}
	}
}
