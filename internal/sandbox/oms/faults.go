package oms

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind is one way in which an answer can go wrong.
type FaultKind string

// The faults.
const (
	// LostAfterCommit stores the order and cuts the connection.
	LostAfterCommit FaultKind = "lost_after_commit"
	// LostBeforeCommit cuts the connection and does nothing.
	LostBeforeCommit FaultKind = "lost_before_commit"
	// AppliedLate cuts the connection and stores the order after Delay.
	AppliedLate FaultKind = "applied_late"
	// Slow answers after Delay.
	Slow FaultKind = "slow"
	// ServerError answers with Status (500 if zero) and does nothing.
	ServerError FaultKind = "server_error"
	// Refuse answers 422 and does nothing.
	Refuse FaultKind = "refuse"
	// Unauthorized answers 401 and does nothing.
	Unauthorized FaultKind = "unauthorized"
)

func faultKinds() []FaultKind {
	return []FaultKind{LostAfterCommit, LostBeforeCommit, AppliedLate, Slow, ServerError, Refuse, Unauthorized}
}

// Fault makes answers of the API go wrong.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Route is the method and path that it meets, such as "POST /sales-orders"; empty means every one. The search is
	// "GET /sales-orders".
	Route string `json:"route,omitempty"`
	// Count is how often it is played; zero means until it is cleared.
	Count int `json:"count,omitempty"`
	// Probability from 0 to 1; zero means always.
	Probability float64 `json:"probability,omitempty"`
	// Seed of the dice that the probability is thrown with.
	Seed uint64 `json:"seed,omitempty"`
	// DelayMS is the delay in milliseconds, in JSON; Delay the same in Go.
	DelayMS int64         `json:"delay_ms,omitempty"`
	Delay   time.Duration `json:"-"`
	// Status is what ServerError answers.
	Status int `json:"status,omitempty"`

	dice   *rand.Rand
	played int
}

func (f *Fault) is(kind FaultKind) bool { return f != nil && f.Kind == kind }

// AddFault plays a fault from now on.
func (a *API) AddFault(f Fault) error {
	if !slices.Contains(faultKinds(), f.Kind) {
		return fmt.Errorf("the fault %q is not known: use one of %v", f.Kind, faultKinds())
	}
	if f.Probability < 0 || f.Probability > 1 || f.Count < 0 {
		return fmt.Errorf("the fault %q needs a probability from 0 to 1 and no negative count", f.Kind)
	}
	if f.Delay == 0 {
		f.Delay = time.Duration(f.DelayMS) * time.Millisecond
	}
	f.DelayMS = f.Delay.Milliseconds()
	f.dice = rand.New(rand.NewPCG(f.Seed, 0xfa))
	a.faults.add(&f)
	return nil
}

// ClearFaults ends all faults.
func (a *API) ClearFaults() { a.faults.clear() }

// faults are those in force; the first that meets a request is played.
type faults struct {
	mu  sync.Mutex
	all []*Fault
}

func (f *faults) add(one *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, one)
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = nil
}

func (f *faults) list() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []Fault{}
	for _, one := range f.all {
		list = append(list, *one)
	}
	return list
}

func (f *faults) draw(route string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, one := range f.all {
		if one.Route != "" && !strings.EqualFold(one.Route, route) {
			continue
		}
		if one.Probability > 0 && one.dice.Float64() >= one.Probability {
			continue
		}
		if one.played++; one.Count > 0 && one.played >= one.Count {
			f.all = slices.Delete(f.all, i, i+1)
		}
		return one
	}
	return nil
}

// playBefore plays the faults that come before any work; it tells whether the request is done with.
func (a *API) playBefore(c *call) bool {
	if c.fault == nil {
		return false
	}
	switch c.fault.Kind {
	case Slow:
		timer := time.NewTimer(c.fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return false
		case <-c.Context().Done():
			return true
		}
	case LostBeforeCommit:
		c.cut()
	case ServerError:
		status := c.fault.Status
		if status == 0 {
			status = http.StatusInternalServerError
		}
		c.fail(status, "internal", "something went wrong")
	case Refuse:
		c.answer(http.StatusUnprocessableEntity, map[string]any{
			"error": "refused", "message": "order refused",
			"reasons": []Reason{{Field: "order", Code: "refused", Message: "refused by a fault hook"}},
		})
	case Unauthorized:
		c.fail(http.StatusUnauthorized, "unauthorized", "the credentials are missing, wrong or expired")
	case LostAfterCommit, AppliedLate:
		return false
	}
	return true
}

// applyLate stores an order after its answer was lost, unless Close comes first.
func (a *API) applyLate(o NewOrder, delay time.Duration) {
	a.late.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-a.lateCtx.Done():
			return
		case <-timer.C:
		}
		entry := Entry{At: a.config.Now(), Method: "late", Route: "POST /sales-orders", Fault: AppliedLate, ExternalRef: o.ExternalRef}
		no, err := a.create(a.lateCtx, o)
		if err != nil {
			a.config.Log.Info("late create not applied", "err", err)
			entry.Status = http.StatusConflict
		} else {
			entry.Status, entry.OrderNo = http.StatusCreated, no
		}
		a.journal.add(entry)
	})
}
