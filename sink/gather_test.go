package sink

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// While a backlog stands outcomes are gathered for longer, but a key that begins to wait is written down soon: its parent may be
// settled in the meantime.
func TestABacklogIsSettledInLargerBatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backlog  int
		first    ledger.Disposition
		second   ledger.Disposition // comes after 50 ms, if the first is still gathered for
		took     time.Duration
		gathered int
		underWay int
	}{
		"no backlog":                {backlog: 10, first: ledger.Delivered, second: ledger.Delivered, took: settleLinger, gathered: 1, underWay: 8},
		"a backlog":                 {backlog: 300, first: ledger.Delivered, second: ledger.Delivered, took: backlogLinger, gathered: 2, underWay: 8},
		"one waits":                 {backlog: 300, first: ledger.Waiting, second: ledger.Delivered, took: settleLinger, gathered: 1, underWay: 8},
		"one begins to wait":        {backlog: 300, first: ledger.Delivered, second: ledger.Waiting, took: 50*time.Millisecond + settleLinger, gathered: 2, underWay: 8},
		"nothing else is under way": {backlog: 300, first: ledger.Delivered, second: ledger.Delivered, took: 50 * time.Millisecond, gathered: 2, underWay: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &Loop{config: Config{}.withDefaults(), board: newBoard(newCalm(time.Second)), done: make(chan outcome, 8)}
				l.board.busy = c.underWay
				for i := range c.backlog {
					l.board.ask(ledger.Request{Key: mapper.Key(fmt.Sprint(i)), Rank: ledger.RankBulk}, false)
				}
				time.AfterFunc(50*time.Millisecond, func() { l.done <- outcome{settlement: ledger.Settlement{Disposition: c.second}} })
				batch := []outcome{{settlement: ledger.Settlement{Disposition: c.first}}}
				begin := time.Now()
				if !l.gather(&batch) || time.Since(begin) != c.took || len(batch) != c.gathered {
					t.Errorf("%d outcomes after %v; expected %d after %v", len(batch), time.Since(begin), c.gathered, c.took)
				}
			})
		})
	}
}
