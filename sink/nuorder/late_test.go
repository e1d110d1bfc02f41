package nuorder_test

import (
	"errors"
	"testing"
	"time"

	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/mapper"
	"nubridge/sink/nuorder"
)

// TestACallWithoutAnAnswerIsToldAlsoIfItsRepeatHasOne asks which failures leave a call that may yet be carried out.
func TestACallWithoutAnAnswerIsToldAlsoIfItsRepeatHasOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault portal.Fault
		late  bool
	}{
		{"none", portal.Fault{Kind: "status", Status: 500, Method: "DELETE"}, false},
		{"cut after the commit", portal.Fault{Kind: "cut", AfterCommit: true}, true},
		{"cut before it", portal.Fault{Kind: "cut"}, true},
		{"502 of a gateway", portal.Fault{Kind: "status", Status: 502}, true},
		{"504 of a gateway", portal.Fault{Kind: "status", Status: 504, AfterCommit: true}, true},
		{"408", portal.Fault{Kind: "status", Status: 408}, true},
		{"500 of the portal itself", portal.Fault{Kind: "status", Status: 500}, false},
		{"429", portal.Fault{Kind: "status", Status: 429, RetryAfter: "0.01"}, false},
		{"an answer that broke off", portal.Fault{Kind: "cut_body"}, false},
		{"202 of a portal that has the call before it", portal.Fault{Kind: "status", Status: 202, Text: " "}, true},
		{"200 that is empty", portal.Fault{Kind: "status", Status: 200, Text: " "}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
			c.fault.Count = 1
			if _, err := w.server.AddFault(c.fault); err != nil {
				t.Fatal(err)
			}
			d := w.must(mapper.Products, "1", "B-1", product("two", ""), ledger.Delivered)
			if d.Late != c.late {
				t.Errorf("late %v after %d calls, want %v", d.Late, d.Calls, c.late)
			}
		})
	}
}

// TestACallThatTimedOutIsNotRepeatedWhileThePortalMayBeAtWorkOnIt holds the next attempt back, and a broken connection does not.
func TestACallThatTimedOutIsNotRepeatedWhileThePortalMayBeAtWorkOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(c *nuorder.Config) { c.Deadlines.Headers = 300 * time.Millisecond })
	w.must(mapper.Products, "1", "B-1", product("one", ""), ledger.Delivered)
	if _, err := w.server.AddFault(portal.Fault{Kind: "slow", Delay: portal.Duration(time.Second), Count: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := w.deliver(mapper.Products, "1", "B-1", product("two", ""))
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Retry || e.Code != nuorder.CodeNoAnswer || e.After != 300*time.Millisecond || !d.Late || d.Calls != 1 {
		t.Fatalf("got %+v after %d calls, late %v; want a retry after 300 ms, one call, late", err, d.Calls, d.Late)
	}
	if _, err := w.server.AddFault(portal.Fault{Kind: "cut", Count: 1}); err != nil {
		t.Fatal(err)
	}
	if d := w.must(mapper.Products, "1", "B-1", product("three", ""), ledger.Delivered); d.Calls != 2 {
		t.Errorf("a broken connection took %d calls, want 2", d.Calls)
	}
}
