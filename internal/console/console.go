// Package console serves what people and probes ask a running bridge: health, metrics and state.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Deps are what the console shows.
type Deps struct {
	// Metrics serves /metrics.
	Metrics http.Handler
	// NotReady lists why the bridge is not ready; an empty list is ready.
	NotReady func() []string
	// State gives what /api/state shows.
	State func(context.Context) (any, error)
	// Reload takes changed mappings over; nil where there is nothing to reload.
	Reload func(ctx context.Context, ask Reload) (any, error)
}

// Reload is how changed mappings are taken over.
type Reload struct {
	// Plan only tells what would be altered.
	Plan bool
	// Confirm takes over what was held because it alters much.
	Confirm bool
}

// Handler routes the console's paths.
func Handler(d Deps) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := d.NotReady(); len(why) > 0 {
			answer(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "why": why})
			return
		}
		answer(w, http.StatusOK, map[string]any{"ready": true})
	})
	mux.Handle("GET /metrics", d.Metrics)
	mux.HandleFunc("GET /api/state", func(w http.ResponseWriter, r *http.Request) { call(w, r, d.State) })
	if d.Reload != nil {
		mux.HandleFunc("POST /api/reload", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Nubridge") == "" { // a page of another site cannot set it
				answer(w, http.StatusForbidden, map[string]any{"error": "expected the header X-Nubridge"})
				return
			}
			q := r.URL.Query()
			ask := Reload{Plan: q.Get("plan") == "true", Confirm: q.Get("confirm") == "true"}
			call(w, r, func(ctx context.Context) (any, error) { return d.Reload(ctx, ask) })
		})
	}
	return mux
}

// Serve serves h on a listener until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	failed := make(chan error, 1) // Serve's one result
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the console: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if end := <-failed; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

func call(w http.ResponseWriter, r *http.Request, f func(context.Context) (any, error)) {
	v, err := f(r.Context())
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]any{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, v)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The reader may have gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
