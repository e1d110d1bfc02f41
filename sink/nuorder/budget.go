package nuorder

import (
	"math/rand/v2"
	"sync"
	"time"
)

// budget lets retries be a share of the calls only, so that a sick portal is not called twice as often.
type budget struct {
	mu          sync.Mutex
	credits     float64
	share, most float64
}

func newBudget(share float64, reserve int) *budget {
	return &budget{share: share, credits: float64(reserve), most: float64(reserve)}
}

// earn counts a first attempt.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.credits = min(b.most, b.credits+b.share)
}

// spend takes one retry from the budget, if there is one.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credits < 1 {
		return false
	}
	b.credits--
	return true
}

// left gives the retries that are allowed at once.
func (b *budget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.credits
}

// jitter is the wait before retry n (from 1): full jitter under a cap that doubles from 200 ms to 2 s.
func jitter(n int) time.Duration {
	most := min(100*time.Millisecond<<min(n, 5), 2*time.Second)
	return time.Duration(rand.Int64N(int64(most))) + time.Millisecond
}
