package nuorder

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong for the calls that it fits.
type Fault struct {
	// ID names it for clearing; empty means that one is given.
	ID string `json:"id"`
	// Portal, Method and Path choose calls; empty chooses all. Path is a glob: * is any part of one segment, ** anything.
	Portal string `json:"portal,omitempty"`
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Kind is one of:
	//   status      answers Status instead
	//   slow        waits for Delay, though the caller may be gone; the call is carried out all the same
	//   cut         closes the connection instead of answering
	//   cut_body    answers, but closes the connection after half of the body
	//   trickle     answers one byte every Delay
	//   endless     answers, and never ends the body
	//   row_errors  answers 200 with a failed row; nothing is stored
	Kind string `json:"kind"`
	// AfterCommit carries the call out first; for status, slow and cut. The kinds that spoil a body always do.
	AfterCommit bool `json:"after_commit,omitempty"`
	// Status is the code of kind status; Text makes its body plain text instead of JSON; RetryAfter is its header.
	Status     int    `json:"status,omitempty"`
	Text       string `json:"text,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"`
	// Delay is for slow and trickle; at most ten minutes.
	Delay Duration `json:"delay,omitempty"`
	// Skip lets the first calls pass, Count bounds how many are hit (0 means no bound), Probability chooses among them (0
	// means all) with Seed.
	Skip        int     `json:"skip,omitempty"`
	Count       int     `json:"count,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
	// Seen is how many calls fitted, Hits how many were hit. Both are answers, not settings.
	Seen int `json:"seen"`
	Hits int `json:"hits"`

	fits func(string) bool
	rng  *rand.Rand
}

// faults is the set in force.
type faults struct {
	mu   sync.Mutex
	next int
	set  []*Fault
}

func newFaults() *faults { return &faults{} }

// AddFault puts a fault in force and returns its id. A fault with the id of another replaces it.
func (s *Server) AddFault(f Fault) (string, error) {
	if err := f.validate(); err != nil {
		return "", err
	}
	f.Seen, f.Hits = 0, 0
	f.fits = glob(f.Path)
	f.rng = rand.New(rand.NewPCG(f.Seed, 1))
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.ID == "" {
		fs.next++
		f.ID = fmt.Sprintf("fault-%d", fs.next)
	}
	fs.set = slices.DeleteFunc(fs.set, func(o *Fault) bool { return o.ID == f.ID })
	fs.set = append(fs.set, &f)
	return f.ID, nil
}

// Faults lists the faults in force with their hits.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []Fault{}
	for _, f := range s.faults.set {
		out = append(out, *f)
	}
	return out
}

// ClearFaults takes faults out of force, all of them if none is named.
func (s *Server) ClearFaults(ids ...string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.set = slices.DeleteFunc(s.faults.set, func(f *Fault) bool { return len(ids) == 0 || slices.Contains(ids, f.ID) })
}

func (f Fault) validate() error {
	kinds := []string{"status", "slow", "cut", "cut_body", "trickle", "endless", "row_errors"}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("fault kind %q is not one of %v", f.Kind, kinds)
	case f.Kind == "status" && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault status %d is not between 200 and 599", f.Status)
	case (f.Kind == "slow" || f.Kind == "trickle") && (f.Delay <= 0 || time.Duration(f.Delay) > 10*time.Minute):
		return errors.New("the fault's delay must be above 0 and at most 10m")
	case f.Probability < 0 || f.Probability > 1:
		return errors.New("the fault's probability must be between 0 and 1")
	case f.Skip < 0 || f.Count < 0:
		return errors.New("the fault's skip and count must not be negative")
	case strings.ContainsAny(f.RetryAfter, "\r\n"):
		return errors.New("the fault's retry_after must be one line")
	}
	return nil
}

// matched are the faults that hit one call.
type matched []Fault

func (fs *faults) match(portal, method, path string) matched {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var out matched
	for _, f := range fs.set {
		if f.Portal != "" && f.Portal != portal || f.Method != "" && f.Method != method || f.Path != "" && !f.fits(path) {
			continue
		}
		f.Seen++
		if f.Seen <= f.Skip || f.Count > 0 && f.Hits >= f.Count {
			continue
		}
		if f.Probability > 0 && f.rng.Float64() >= f.Probability {
			continue
		}
		f.Hits++
		out = append(out, *f)
	}
	return out
}

// before waits where a fault says so and returns the fault that keeps the call from being carried out.
func (m matched) before(s *Server) *Fault { return m.stage(s, false) }

// after does the same once the call was carried out.
func (m matched) after(s *Server) *Fault { return m.stage(s, true) }

func (m matched) stage(s *Server, after bool) *Fault {
	for i := range m {
		f := &m[i]
		if f.AfterCommit != after {
			continue
		}
		switch f.Kind {
		case "slow":
			s.wait(time.Duration(f.Delay), nil)
		case "status", "cut":
			return f
		}
	}
	return nil
}

// body is the fault that spoils the sending of the answer.
func (m matched) body() *Fault {
	for i := range m {
		if k := m[i].Kind; k == "trickle" || k == "endless" || k == "cut_body" {
			return &m[i]
		}
	}
	return nil
}

func (m matched) has(kind string) bool {
	return slices.ContainsFunc(m, func(f Fault) bool { return f.Kind == kind })
}

func (f *Fault) answer() answer {
	a := fail(f.Status, http.StatusText(f.Status))
	if f.Text != "" {
		a = answer{status: f.Status, text: f.Text}
	}
	a.retryAfter = f.RetryAfter
	return a
}

// wait lasts until the time is over, the server closes, or gone is closed.
func (s *Server) wait(d time.Duration, gone <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-gone:
	case <-s.closed:
	}
	return false
}

// sendFaulty sends an answer that trickles, never ends, or breaks off.
func (s *Server) sendFaulty(w http.ResponseWriter, r *http.Request, f *Fault, status int, text []byte) {
	out := http.NewResponseController(w)
	w.WriteHeader(status)
	send := func(b []byte) bool {
		_, err := w.Write(b)
		return err == nil && out.Flush() == nil
	}
	switch f.Kind {
	case "cut_body":
		send(text[:len(text)/2])
		panic(http.ErrAbortHandler)
	case "trickle":
		for i := range text {
			if !send(text[i:i+1]) || !s.wait(time.Duration(f.Delay), r.Context().Done()) {
				return
			}
		}
	case "endless":
		blank := []byte(strings.Repeat(" ", 32<<10))
		for ok := send(text); ok; {
			ok = send(blank) && s.wait(time.Millisecond, r.Context().Done())
		}
	}
}

// glob compiles a pattern in which * is any part of one segment and ** anything.
func glob(pattern string) func(string) bool {
	if pattern == "" {
		return func(string) bool { return true }
	}
	var b strings.Builder
	b.WriteString("^")
	for i, part := range strings.Split(pattern, "**") {
		if i > 0 {
			b.WriteString(".*")
		}
		for j, piece := range strings.Split(part, "*") {
			if j > 0 {
				b.WriteString("[^/]*")
			}
			b.WriteString(regexp.QuoteMeta(piece))
		}
	}
	b.WriteString("$")
	re, err := regexp.Compile(b.String())
	if err != nil {
		return func(string) bool { return false }
	}
	return re.MatchString
}
