package nuorder_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nubridge/internal/sandbox/nuorder"
)

func TestFaultsHitWhatTheyMatchAndNoMore(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.fault(nuorder.Fault{Kind: "status", Status: 429, RetryAfter: "7", Method: "GET", Path: "/api/order/number/*", Skip: 1, Count: 2})
	w.want(404, "GET", "/api/order/number/1", nil)
	for range 2 {
		if r := w.want(429, "GET", "/api/order/number/1", nil); r.header.Get("Retry-After") != "7" || r.message() == "" {
			t.Errorf("%v %s", r.header, r.text)
		}
	}
	w.want(404, "GET", "/api/order/number/1", nil)
	w.want(200, "GET", "/api/orders/approved/list", nil)
	if f := w.srv.Faults(); f[0].Seen != 4 || f[0].Hits != 2 {
		t.Errorf("seen %d, hits %d", f[0].Seen, f[0].Hits)
	}
	w.srv.ClearFaults()
	w.fault(nuorder.Fault{Kind: "status", Status: 500, Text: "Oops, there was a problem!", Path: "/api/company/**"})
	if r := w.want(500, "GET", "/api/company/code/C1", nil); !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") || r.header.Get("ETag") != "" {
		t.Errorf("headers %v", r.header)
	}
	if c := w.srv.Counts(); c.Throttled != 2 || c.Faults["status"] != 3 {
		t.Errorf("counts %+v", c)
	}
}

func TestAProbabilityWithASeedHitsTheSameCallsAgain(t *testing.T) {
	t.Parallel()
	run := func() (hits string) {
		w := setup(t, nil)
		w.fault(nuorder.Fault{Kind: "status", Status: 503, Probability: 0.4, Seed: 11})
		for range 40 {
			hits += fmt.Sprint(w.do("GET", "/api/schemas", nil).status, " ")
		}
		return hits
	}
	a, b := run(), run()
	if a != b || !strings.Contains(a, "503") || !strings.Contains(a, "200") {
		t.Errorf("first %s\nsecond %s", a, b)
	}
}

func TestACutAfterCommitLosesOnlyTheAnswer(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	for i, c := range []struct {
		fault  nuorder.Fault
		stored bool
	}{
		{nuorder.Fault{Kind: "cut"}, false},
		{nuorder.Fault{Kind: "cut", AfterCommit: true}, true},
		{nuorder.Fault{Kind: "cut_body"}, true},
		{nuorder.Fault{Kind: "status", Status: 502}, false},
		{nuorder.Fault{Kind: "status", Status: 504, AfterCommit: true}, true},
		{nuorder.Fault{Kind: "row_errors"}, false},
	} {
		c.fault.Method, c.fault.Path, c.fault.Count = "PUT", "/api/order/new", 1
		w.fault(c.fault)
		n := fmt.Sprint(100 + i)
		r, err := w.try("PUT", "/api/order/new", orderBody(n, orderLine("A1-RED", map[string]int{"S": 1})))
		if strings.HasPrefix(c.fault.Kind, "cut") && err == nil {
			t.Errorf("%+v: answered %d", c.fault, r.status)
		}
		status := 404
		if c.stored {
			status = 200
		}
		if got := w.do("GET", "/api/order/number/"+n, nil); got.status != status {
			t.Errorf("%+v: afterwards %d, want %d", c.fault, got.status, status)
		}
	}
	committed := 0
	for _, e := range w.srv.Journal(nuorder.JournalQuery{Method: "PUT", Path: "/api/order/new"}) {
		if e.Committed {
			committed++
		}
	}
	if committed != 3 || len(w.srv.Journal(nuorder.JournalQuery{Status: -1})) != 2 {
		t.Errorf("the journal shows %d commits", committed)
	}
}

func TestSlowTrickledAndEndlessAnswers(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.fault(nuorder.Fault{Kind: "slow", Delay: nuorder.Duration(30 * time.Millisecond), Count: 1})
	start := time.Now()
	w.want(200, "GET", "/api/schemas", nil)
	if time.Since(start) < 30*time.Millisecond {
		t.Error("the slow answer was not slow")
	}
	w.fault(nuorder.Fault{Kind: "trickle", Delay: nuorder.Duration(time.Millisecond), Count: 1})
	if r := w.want(200, "GET", "/api/orders/approved/list", nil); r.text != "[]" {
		t.Errorf("trickled %q", r.text)
	}
	w.fault(nuorder.Fault{Kind: "endless", Count: 1})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/api/orders/approved/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil || n != 1<<20 {
		t.Errorf("the endless answer ended after %d bytes: %v", n, err)
	}
	cancel()
	res.Body.Close()
}

func TestALateCommitHappensThoughTheCallerHasGone(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	w.fault(nuorder.Fault{Kind: "slow", Delay: nuorder.Duration(300 * time.Millisecond), Method: "PUT", Count: 1})
	ctx, cancel := context.WithCancel(t.Context())
	impatient := *w
	impatient.ctx = ctx
	answered := make(chan error, 1)
	go func() {
		_, err := impatient.try("PUT", "/api/order/new", orderBody("7", orderLine("A1-RED", map[string]int{"S": 1})))
		answered <- err
	}()
	w.until(func() bool { return w.srv.Faults()[0].Hits == 1 })
	cancel()
	if err := <-answered; err == nil {
		t.Fatal("the caller waited")
	}
	w.until(func() bool { return w.do("GET", "/api/order/number/7", nil).status == 200 })
}

func TestTheSixthConcurrentCallIsRefused(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	w.fault(nuorder.Fault{Kind: "slow", Delay: nuorder.Duration(time.Second), Path: "/api/schemas", Count: 8, AfterCommit: true})
	for range 8 {
		wg.Go(func() {
			r, err := w.try("GET", "/api/schemas", nil)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[r.status]++
			}
			if err == nil && r.status == 429 && r.header.Get("Retry-After") != "1" {
				t.Error("no Retry-After")
			}
		})
	}
	wg.Wait()
	c := w.srv.Counts()
	if got[200] != 5 || got[429] != 3 || c.OverConcurrency != 3 || c.MaxInFlight != 8 {
		t.Errorf("answers %v, over %d, most %d", got, c.OverConcurrency, c.MaxInFlight)
	}
}

// Five callers, each waiting for its answer before the next call, are never refused: a call ends before its answer can be read.
func TestFiveSerialCallersAreNeverRefused(t *testing.T) {
	t.Parallel()
	w := stocked(t, nil)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			for range 100 {
				if r, err := w.try("GET", "/api/product/external_id/A1-RED", nil); err != nil || r.status != 200 {
					t.Errorf("%d %v", r.status, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTheRateIsATokenBucket(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	at := time.Now()
	w := setup(t, func(c *nuorder.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
		c.Limits = &nuorder.Limits{Rate: 10, Burst: 3}
	})
	count := func(n int) (passed int) {
		for range n {
			if w.do("GET", "/api/schemas", nil).status == 200 {
				passed++
			}
		}
		return passed
	}
	if got := count(5); got != 3 {
		t.Errorf("burst let %d pass, want 3", got)
	}
	mu.Lock()
	at = at.Add(200 * time.Millisecond)
	mu.Unlock()
	if got := count(5); got != 2 {
		t.Errorf("after 200 ms %d passed, want 2", got)
	}
	if c := w.srv.Counts(); c.OverRate != 5 {
		t.Errorf("over the rate %d", c.OverRate)
	}
}

func TestTheJournalIsBoundedAndTheCountsAreNot(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *nuorder.Config) { c.JournalSize, c.JournalBody = 3, 10 })
	for range 5 {
		w.do("PUT", "/api/product/new/force", productBody("A1"))
	}
	got := w.srv.Journal(nuorder.JournalQuery{})
	if len(got) != 3 || got[0].Done != 3 || got[2].Done != 5 || len(got[0].Request) != 10 || got[0].Route != "PUT /api/product/new/force" {
		t.Errorf("journal %+v", got)
	}
	c := w.srv.Counts()
	if c.Calls != 5 || c.WritesByKind["product"] != 5 || c.Writes[got[0].Objects[0]] != 5 || c.ByStatus[201] != 1 || c.ByStatus[200] != 4 {
		t.Errorf("counts %+v", c)
	}
	if since := w.srv.Journal(nuorder.JournalQuery{Since: 4, Object: got[0].Objects[0]}); len(since) != 1 {
		t.Errorf("since 4: %d", len(since))
	}
}

func TestBadFaultsAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	for _, f := range []nuorder.Fault{{}, {Kind: "boom"}, {Kind: "status"}, {Kind: "slow"}, {Kind: "cut", Probability: 2}, {Kind: "cut", Skip: -1}} {
		if _, err := w.srv.AddFault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}
