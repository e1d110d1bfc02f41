package nuorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the sandbox. It is safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	byKey   map[string]*portal
	byName  map[string]*portal
	ordered []*portal
	routes  map[int][]*route
	hooks   *http.ServeMux
	journal *journal
	faults  *faults

	switches atomic.Pointer[Switches]
	limits   atomic.Pointer[Limits]
	skew     atomic.Int64
	ids      atomic.Uint64

	rngMu sync.Mutex
	rng   *rand.Rand

	closed    chan struct{}
	closeOnce sync.Once
}

// New makes a sandbox. It starts nothing and touches no network; with Config.DataFile it reads that file if it is there.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("nuorder sandbox: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, byKey: map[string]*portal{}, byName: map[string]*portal{},
		journal: newJournal(cfg.JournalSize, cfg.JournalBody), faults: newFaults(),
		rng: rand.New(rand.NewPCG(cfg.Seed, 0x6e756f72646572)), closed: make(chan struct{}),
	}
	s.switches.Store(new(cfg.Switches.clone()))
	s.limits.Store(new(*cfg.Limits))
	for _, pc := range cfg.Portals {
		p := s.newPortal(pc)
		s.byKey[pc.ConsumerKey], s.byName[pc.Name] = p, p
		s.ordered = append(s.ordered, p)
	}
	s.routes = routes()
	s.hooks = s.hookMux()
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("nuorder sandbox: %w", err)
	}
	return s, nil
}

// Close ends answers that are held back by faults. It does not wait for them.
func (s *Server) Close() { s.closeOnce.Do(func() { close(s.closed) }) }

// Run listens on addr and serves until ctx ends, then stops within five seconds and stores Config.DataFile. It blocks. The
// address in use is handed to ready, which may be nil, before the first call is served.
func (s *Server) Run(ctx context.Context, addr string, ready func(net.Addr)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for the nuorder sandbox: %w", err)
	}
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if ready != nil {
		ready(l.Addr())
	}
	failed := make(chan error, 1) // one server, one result
	go func() { failed <- srv.Serve(l) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.Close()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(stop) != nil {
			err = srv.Close()
		}
		if end := <-failed; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, s.save())
}

// Switches returns a copy of the present positions.
func (s *Server) Switches() Switches { return s.switches.Load().clone() }

// SetSwitches puts all switches into new positions from the next call on.
func (s *Server) SetSwitches(sw Switches) error {
	if err := sw.validate(); err != nil {
		return err
	}
	s.switches.Store(new(sw.clone()))
	return nil
}

// Limits returns the present limits.
func (s *Server) Limits() Limits { return *s.limits.Load() }

// SetLimits sets what is refused with 429 from the next call on.
func (s *Server) SetLimits(l Limits) error {
	if err := l.validate(); err != nil {
		return err
	}
	s.limits.Store(&l)
	return nil
}

// SetSkew puts the server's clock ahead of the real one, or behind it if negative.
func (s *Server) SetSkew(d time.Duration) { s.skew.Store(int64(d)) }

// Portals lists the names of the portals in their order.
func (s *Server) Portals() []string {
	names := make([]string, len(s.ordered))
	for i, p := range s.ordered {
		names[i] = p.cfg.Name
	}
	return names
}

func (s *Server) now() time.Time { return s.cfg.Now().Add(time.Duration(s.skew.Load())) }

// portal finds one by name; the empty name is the first.
func (s *Server) portal(name string) (*portal, error) {
	if name == "" {
		return s.ordered[0], nil
	}
	if p := s.byName[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("there is no portal %q", name)
}

// random makes text of n letters and digits.
func (s *Server) random(n int) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
	s.rngMu.Lock()
	defer s.rngMu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.rng.IntN(len(letters))]
	}
	return string(b)
}

// newID makes an id of 24 hex digits that rises from call to call.
func (s *Server) newID() string {
	return fmt.Sprintf("%08x%04x%012x", 0x65000000, uint16(s.cfg.Seed), s.ids.Add(1))
}

// call is one request on its way through a handler. Handlers run one at a time for each portal.
type call struct {
	s     *Server
	p     *portal
	sw    *Switches
	now   time.Time
	id    identity
	vars  map[string]string
	query values
	body  []byte
	// objects are those written, as kind:_id.
	objects []string
	// rowErrors makes rows fail inside a 200.
	rowErrors bool
}

// values are query parameters.
type values map[string]string

// Get returns a parameter or "".
func (v values) Get(k string) string { return v[k] }

// wrote notes an object as written, for the journal.
func (c *call) wrote(kind, id string) { c.objects = append(c.objects, kind+":"+id) }

// answer is what a handler says.
type answer struct {
	status int
	// body is the JSON to send; nil sends text as text/plain.
	body any
	text string
	// retryAfter is a header, encoded and tag are made from body.
	retryAfter, tag string
	encoded         []byte
}

func ok(body any) answer      { return answer{status: http.StatusOK, body: body} }
func created(body any) answer { return answer{status: http.StatusCreated, body: body} }

func fail(code int, message string) answer {
	return answer{status: code, body: doc{"code": code, "message": message}}
}

func conflict(message, id string) answer {
	return answer{status: http.StatusConflict, body: doc{"code": 409, "message": message, "_id": id}}
}

// oops is what the original says to a wrong verb.
func oops() answer {
	return answer{status: http.StatusInternalServerError, text: "Oops, there was a problem!"}
}

// object reads the body as an object; a nil answer means that it went well.
func (c *call) object() (doc, *answer) {
	d, err := decodeDoc(c.body)
	if err != nil {
		a := fail(400, err.Error())
		return nil, &a
	}
	return d, nil
}
