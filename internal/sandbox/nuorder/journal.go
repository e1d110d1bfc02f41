package nuorder

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// Entry is one call as the server saw it. Credentials are never part of it.
type Entry struct {
	// Seq rises from 1 in the order of arrival; Done in the order in which calls ended, 0 while one is under way.
	Seq  uint64 `json:"seq"`
	Done uint64 `json:"done"`
	// Portal is whose limits applied, Family the signature's: S, L or empty if none was recognised.
	Portal string `json:"portal"`
	Family string `json:"family,omitempty"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Query  string `json:"query,omitempty"`
	// Route is the call's pattern, empty if none fitted.
	Route string `json:"route,omitempty"`
	// Status is what was answered; 0 means that the connection was cut.
	Status int `json:"status"`
	// Committed tells that something was stored, Objects what, as kind:_id.
	Committed bool     `json:"committed"`
	Objects   []string `json:"objects,omitempty"`
	// Fault is the kind of the fault that took effect, Reason why a signature was refused.
	Fault  string `json:"fault,omitempty"`
	Reason string `json:"reason,omitempty"`
	// InFlight is how many calls of the portal were under way, this one included.
	InFlight int64     `json:"in_flight"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	// Request and Answer are the bodies, cut at the configured size.
	Request string `json:"request,omitempty"`
	Answer  string `json:"answer,omitempty"`
	// Trace is the caller's traceparent header.
	Trace string `json:"trace,omitempty"`

	keep int
}

// Counts are kept for ever, however small the journal is.
type Counts struct {
	Calls uint64 `json:"calls"`
	// ByRoute and ByStatus count ended calls; a cut connection is status 0.
	ByRoute  map[string]uint64 `json:"by_route"`
	ByStatus map[int]uint64    `json:"by_status"`
	// Writes counts what was stored, by kind:_id; WritesByKind sums them.
	Writes       map[string]uint64 `json:"writes"`
	WritesByKind map[string]uint64 `json:"writes_by_kind"`
	// Refused counts calls refused for their signature, by reason.
	Refused map[string]uint64 `json:"refused"`
	// Faults counts calls that a fault took effect on, by kind.
	Faults map[string]uint64 `json:"faults"`
	// Throttled counts 429s from limits and faults; OverConcurrency and OverRate those from limits.
	Throttled       uint64 `json:"throttled"`
	OverConcurrency uint64 `json:"over_concurrency"`
	OverRate        uint64 `json:"over_rate"`
	// MaxInFlight is the most calls ever under way at once at one portal, refused ones included.
	MaxInFlight int64 `json:"max_in_flight"`
}

// journal keeps the last calls and counts all.
type journal struct {
	mu     sync.Mutex
	size   int
	keep   int
	seq    uint64
	done   uint64
	ring   []*Entry
	oldest int // place of the oldest entry once the ring is full
	counts Counts
}

func newJournal(size, keep int) *journal {
	return &journal{size: size, keep: keep, counts: newCounts()}
}

func newCounts() Counts {
	return Counts{
		ByRoute: map[string]uint64{}, ByStatus: map[int]uint64{}, Writes: map[string]uint64{},
		WritesByKind: map[string]uint64{}, Refused: map[string]uint64{}, Faults: map[string]uint64{},
	}
}

// begin opens the entry of a call. Only the goroutine of the call touches it until end.
func (j *journal) begin(r *http.Request, portal string, at time.Time, inFlight int64) *Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	j.counts.Calls++
	j.counts.MaxInFlight = max(j.counts.MaxInFlight, inFlight)
	return &Entry{
		Seq: j.seq, Portal: portal, Method: r.Method, Path: escapedPath(r), Query: r.URL.RawQuery, InFlight: inFlight,
		Start: at, Trace: r.Header.Get("traceparent"), keep: j.keep,
	}
}

func (e *Entry) setBody(b []byte) { e.Request = cut(b, e.keep) }

func cut(b []byte, n int) string {
	if n <= 0 {
		return ""
	}
	return string(b[:min(len(b), n)])
}

// end closes an entry and makes it visible.
func (j *journal) end(e *Entry, status int, text []byte, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done++
	e.Done, e.Status, e.End, e.Answer = j.done, status, at, cut(text, e.keep)
	c := &j.counts
	route := e.Route
	if route == "" {
		route = "none"
	}
	c.ByRoute[route]++
	c.ByStatus[status]++
	for _, o := range e.Objects {
		c.Writes[o]++
		c.WritesByKind[kindOf(o)]++
	}
	if e.Fault != "" {
		c.Faults[e.Fault]++
	}
	if status == http.StatusTooManyRequests {
		c.Throttled++
	}
	switch e.Reason {
	case "":
	case overConcurrency:
		c.OverConcurrency++
	case overRate:
		c.OverRate++
	default:
		c.Refused[e.Reason]++
	}
	if j.size > 0 {
		if len(j.ring) < j.size {
			j.ring = append(j.ring, e)
		} else {
			j.ring[j.oldest] = e
			j.oldest = (j.oldest + 1) % j.size
		}
	}
}

// JournalQuery chooses entries; zero fields choose all.
type JournalQuery struct {
	// Since leaves out entries whose Done is not above it.
	Since uint64
	// Limit is how many entries at most, the oldest first; 0 means all that are kept.
	Limit  int
	Method string
	// Path is a glob: * is any part of one segment, ** anything.
	Path string
	// Object is kind:_id.
	Object string
	// Status is a code; -1 is a cut connection.
	Status int
}

// Journal returns the calls that ended, in the order in which they ended, as far as they are kept.
func (s *Server) Journal(q JournalQuery) []Entry {
	fits := glob(q.Path)
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	out := []Entry{}
	for i := range j.ring {
		e := j.ring[(j.oldest+i)%len(j.ring)]
		if e.Done <= q.Since || (q.Method != "" && q.Method != e.Method) || (q.Path != "" && !fits(e.Path)) {
			continue
		}
		if q.Status != 0 && max(q.Status, 0) != e.Status || q.Object != "" && !contains(e.Objects, q.Object) {
			continue
		}
		out = append(out, *e)
		if len(out) == q.Limit {
			break
		}
	}
	return out
}

// Counts returns what was counted since the start or the last ClearJournal.
func (s *Server) Counts() Counts {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.counts
	c.ByRoute, c.ByStatus, c.Writes = maps.Clone(c.ByRoute), maps.Clone(c.ByStatus), maps.Clone(c.Writes)
	c.WritesByKind, c.Refused, c.Faults = maps.Clone(c.WritesByKind), maps.Clone(c.Refused), maps.Clone(c.Faults)
	return c
}

// ClearJournal forgets calls and counts. Sequence numbers go on.
func (s *Server) ClearJournal() {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ring, j.oldest, j.counts = nil, 0, newCounts()
}

func kindOf(object string) string {
	for i := range len(object) {
		if object[i] == ':' {
			return object[:i]
		}
	}
	return object
}

func contains(in []string, s string) bool {
	for _, v := range in {
		if v == s {
			return true
		}
	}
	return false
}
