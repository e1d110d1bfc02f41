package oms

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI gives the description of the API.
func OpenAPI() []byte { return openAPI }

const (
	maxBody     = 4 << 20
	maxSearched = 100
)

// APIConfig are the settings of the OMS's HTTP API. The zero value asks for no authentication.
type APIConfig struct {
	Auth Auth
	// UniqueReference makes the OMS refuse a second order with the same external reference.
	UniqueReference bool
	// SearchLag hides an order from the search for so long after it was created.
	SearchLag time.Duration
	// Hooks opens the test hooks below /_sandbox/.
	Hooks bool
	// Log is told of faults that were played; nil for silence.
	Log *slog.Logger
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// API is the OMS's HTTP API: it creates sales orders, finds them by external reference and reads them by number. It is safe
// for concurrent use.
type API struct {
	pool    *pgxpool.Pool
	config  APIConfig
	mux     *http.ServeMux
	tokens  tokens
	faults  faults
	journal journal

	mu       sync.Mutex
	unique   bool
	lag      time.Duration
	hidden   map[int64]time.Time // orders that the search does not know yet, and until when
	late     sync.WaitGroup      // creates that are applied after their answer
	lateCtx  context.Context     //nolint:containedctx // the life of the late creates, ended by Close
	stopLate context.CancelFunc
}

// NewAPI makes the API over a database with the reference OMS's schema. It starts nothing.
func NewAPI(pool *pgxpool.Pool, c APIConfig) (*API, error) {
	if err := c.Auth.validate(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{pool: pool, config: c, mux: http.NewServeMux(), unique: c.UniqueReference, lag: c.SearchLag, hidden: map[int64]time.Time{}}
	a.lateCtx, a.stopLate = context.WithCancel(context.Background())
	a.journal.now, a.tokens.now = c.Now, c.Now
	a.mux.HandleFunc("GET /health", a.health)
	a.mux.HandleFunc("GET /openapi.yaml", a.describe)
	a.mux.HandleFunc("POST /oauth/token", a.issueToken)
	a.handle("POST /sales-orders", a.postOrder)
	a.handle("GET /sales-orders", a.searchOrders)
	a.handle("GET /sales-orders/{no}", a.readOrder)
	if c.Hooks {
		a.mux.HandleFunc("GET /_sandbox/", a.hooksRead)
		a.mux.HandleFunc("POST /_sandbox/faults", a.hookAddFault)
		a.mux.HandleFunc("DELETE /_sandbox/faults", a.hookClearFaults)
		a.mux.HandleFunc("POST /_sandbox/switches", a.hookSwitches)
	}
	return a, nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Run serves on a TCP address until the context ends; then it finishes what is being answered, at most five seconds long.
// ready, when not nil, gets the address that is listened on.
func (a *API) Run(ctx context.Context, addr string, ready chan<- string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for the OMS API: %w", err)
	}
	server := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1) // one value: the end of Serve
	go func() { ended <- server.Serve(l) }()
	if ready != nil {
		ready <- l.Addr().String()
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err = server.Shutdown(grace); err != nil {
			err = server.Close()
		}
		cancel()
		<-ended //nolint:errcheck // it only says that the server was closed
	}
	a.Close()
	return err
}

// Close drops the creates that are still to be applied late, and waits for those under way.
func (a *API) Close() {
	a.stopLate()
	a.late.Wait()
}

// call is one request on its way through the API.
type call struct {
	http.ResponseWriter
	*http.Request
	entry Entry
	fault *Fault // what shall go wrong, nil for nothing
}

// handle wraps an endpoint with authentication, faults and the journal.
func (a *API) handle(pattern string, serve func(*call)) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		started := a.config.Now()
		c := &call{ResponseWriter: w, Request: r, entry: Entry{At: started, Method: r.Method, Route: pattern}}
		defer func() {
			c.entry.Took = a.config.Now().Sub(started)
			a.journal.add(c.entry)
		}()
		if !a.authorized(r) {
			w.Header().Set("WWW-Authenticate", a.config.Auth.challenge())
			c.fail(http.StatusUnauthorized, "unauthorized", "the credentials are missing, wrong or expired")
			return
		}
		if c.fault = a.faults.draw(pattern); c.fault != nil {
			c.entry.Fault = c.fault.Kind
			a.config.Log.Info("fault played", "kind", c.fault.Kind, "route", pattern)
		}
		if a.playBefore(c) {
			return
		}
		serve(c)
	})
}

func (a *API) health(w http.ResponseWriter, r *http.Request) {
	if err := a.pool.Ping(r.Context()); err != nil {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "database unreachable"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *API) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // the caller has gone; nobody to tell
}

func (a *API) postOrder(c *call) {
	var o NewOrder
	decoder := json.NewDecoder(http.MaxBytesReader(c.ResponseWriter, c.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		c.fail(http.StatusBadRequest, "body_invalid", "the body is no sales order: "+err.Error())
		return
	}
	c.entry.ExternalRef = o.ExternalRef
	if c.fault.is(AppliedLate) {
		a.applyLate(o, c.fault.Delay)
		c.cut()
		return
	}
	no, err := a.create(c.Context(), o)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		c.answer(http.StatusUnprocessableEntity, map[string]any{"error": "refused", "message": refused.Error(), "reasons": refused.Reasons})
		return
	}
	if duplicate, ok := errors.AsType[*DuplicateError](err); ok {
		c.entry.OrderNo = duplicate.OrderNo
		c.answer(http.StatusConflict, map[string]any{
			"error": "duplicate", "message": duplicate.Error(),
			"order_no": number(duplicate.OrderNo), "external_ref": duplicate.ExternalRef,
		})
		return
	}
	if err != nil {
		a.broken(c, err)
		return
	}
	c.entry.OrderNo = no
	if c.fault.is(LostAfterCommit) {
		c.cut()
		return
	}
	c.ResponseWriter.Header().Set("Location", "/sales-orders/"+number(no))
	c.answer(http.StatusCreated, map[string]any{"order_no": number(no), "external_ref": o.ExternalRef, "status": "Open"})
}

// create stores an order and hides it from the search for the time of the lag.
func (a *API) create(ctx context.Context, o NewOrder) (int64, error) {
	a.mu.Lock()
	unique := a.unique
	a.mu.Unlock()
	no, err := createOrder(ctx, a.pool, o, unique, a.config.Now().UTC())
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lag > 0 {
		now := a.config.Now()
		for known, until := range a.hidden { // bounded by the creates within one lag
			if !until.After(now) {
				delete(a.hidden, known)
			}
		}
		a.hidden[no] = now.Add(a.lag)
	}
	return no, nil
}

func (a *API) searchOrders(c *call) {
	ref := c.URL.Query().Get("external_ref")
	if ref == "" {
		c.fail(http.StatusBadRequest, "reference_missing", "search by ?external_ref=")
		return
	}
	c.entry.ExternalRef = ref
	orders, err := readOrders(c.Context(), a.pool, "external_ref = $1", ref)
	if err != nil {
		a.broken(c, err)
		return
	}
	found := make([]Order, 0, len(orders))
	for _, o := range orders {
		if a.searchable(o.no) {
			found = append(found, o)
		}
	}
	c.answer(http.StatusOK, map[string]any{"orders": found})
}

func (a *API) searchable(no int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.hidden[no].After(a.config.Now())
}

func (a *API) readOrder(c *call) {
	no, err := strconv.ParseInt(c.PathValue("no"), 10, 64)
	if err != nil {
		c.fail(http.StatusNotFound, "order_unknown", "there is no such sales order")
		return
	}
	orders, err := readOrders(c.Context(), a.pool, "order_no = $1", no)
	switch {
	case err != nil:
		a.broken(c, err)
	case len(orders) == 0:
		c.fail(http.StatusNotFound, "order_unknown", "there is no such sales order")
	default:
		c.entry.OrderNo, c.entry.ExternalRef = no, orders[0].ExternalRef
		c.answer(http.StatusOK, orders[0])
	}
}

func (a *API) broken(c *call, err error) {
	a.config.Log.Error("the OMS database failed", "err", err)
	c.fail(http.StatusInternalServerError, "internal", "the OMS cannot reach its database")
}

func (c *call) answer(status int, body any) {
	c.entry.Status = status
	writeJSON(c.ResponseWriter, status, body)
}

func (c *call) fail(status int, code, message string) {
	c.answer(status, map[string]string{"error": code, "message": message})
}

// cut closes the connection without an answer.
func (c *call) cut() {
	if conn, _, err := http.NewResponseController(c.ResponseWriter).Hijack(); err == nil {
		conn.Close()
		return
	}
	panic(http.ErrAbortHandler) // HTTP/2, or a recorder of a test
}

func number(no int64) string { return strconv.FormatInt(no, 10) }

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone; nobody to tell
}
