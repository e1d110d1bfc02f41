package pgsource

import (
	"encoding/json"
	"testing"
)

func TestMessagesBeforeTheFirstCommitOfASessionAreJSON(t *testing.T) {
	t.Parallel()
	a := testAssembler(t)
	for _, now := range []int64{1_700_000_000_000_001_000, 1_700_000_000_000_002_000} {
		a.now = now
		if err := a.onMessage(logicalMessage{lsn: 100, prefix: "app", content: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	a.cur.seal()
	for i, e := range a.cur.Events {
		var got struct {
			Source struct {
				US int64 `json:"ts_us"`
				NS int64 `json:"ts_ns"`
			}
		}
		if err := json.Unmarshal(e.Value, &got); err != nil {
			t.Fatalf("%s: %v", e.Value, err)
		}
		if want := int64(1_700_000_000_000_001 + i); got.Source.US != want || got.Source.NS != want*1000 {
			t.Errorf("message %d is of %d us, %d ns, want its own time %d us", i, got.Source.US, got.Source.NS, want)
		}
	}
}
