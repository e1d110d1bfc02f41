package oms

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxEntries bounds the journal; the oldest entries go first.
const maxEntries = 20000

// Entry is one request in the journal. It holds no personal data.
type Entry struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Route  string    `json:"route"`
	// Status is zero when the connection was cut.
	Status      int           `json:"status"`
	ExternalRef string        `json:"external_ref,omitempty"`
	OrderNo     int64         `json:"order_no,omitempty"`
	Fault       FaultKind     `json:"fault,omitempty"`
	Took        time.Duration `json:"took_ns"`
}

type journal struct {
	now      func() time.Time
	mu       sync.Mutex
	entries  []Entry
	counters map[string]int64
}

func (j *journal) add(e Entry) {
	j.count(fmt.Sprintf("%s %d", e.Route, e.Status))
	if e.Fault != "" {
		j.count("fault " + string(e.Fault))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) >= maxEntries {
		j.entries = append(j.entries[:0], j.entries[maxEntries/2:]...)
	}
	j.entries = append(j.entries, e)
}

func (j *journal) count(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.counters == nil {
		j.counters = map[string]int64{}
	}
	j.counters[name]++
}

// Journal gives the requests so far, oldest first, at most the last 20,000.
func (a *API) Journal() []Entry {
	a.journal.mu.Lock()
	defer a.journal.mu.Unlock()
	return append([]Entry{}, a.journal.entries...)
}

// Counters count the answers by route and status, such as "POST /sales-orders 201" (status 0 is a cut connection), and the
// faults that were played.
func (a *API) Counters() map[string]int64 {
	a.journal.mu.Lock()
	defer a.journal.mu.Unlock()
	counters := map[string]int64{}
	for name, n := range a.journal.counters {
		counters[name] = n
	}
	return counters
}

// SetUniqueReference switches whether a second order with the same reference is refused.
func (a *API) SetUniqueReference(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unique = on
}

// SetSearchLag hides orders that are created from now on from the search for so long.
func (a *API) SetSearchLag(lag time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lag = lag
}

func (a *API) hooksRead(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/_sandbox/") {
	case "journal":
		writeJSON(w, http.StatusOK, a.Journal())
	case "counters":
		writeJSON(w, http.StatusOK, a.Counters())
	case "faults":
		writeJSON(w, http.StatusOK, a.faults.list())
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "no such hook", "message": "use journal, counters, faults or switches"})
	}
}

func (a *API) hookAddFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if !readHook(w, r, &f) {
		return
	}
	if err := a.AddFault(f); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "fault_invalid", "message": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, a.faults.list())
}

func (a *API) hookClearFaults(w http.ResponseWriter, _ *http.Request) {
	a.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) hookSwitches(w http.ResponseWriter, r *http.Request) {
	var s struct {
		UniqueReference *bool  `json:"unique_reference"`
		SearchLagMS     *int64 `json:"search_lag_ms"`
		ExpireTokens    bool   `json:"expire_tokens"`
	}
	if !readHook(w, r, &s) {
		return
	}
	if s.UniqueReference != nil {
		a.SetUniqueReference(*s.UniqueReference)
	}
	if s.SearchLagMS != nil {
		a.SetSearchLag(time.Duration(*s.SearchLagMS) * time.Millisecond)
	}
	if s.ExpireTokens {
		a.tokens.expire()
	}
	w.WriteHeader(http.StatusNoContent)
}

func readHook(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "body_invalid", "message": err.Error()})
		return false
	}
	return true
}
