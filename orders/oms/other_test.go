package oms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"nubridge/orders/oms"
)

// otherOMS is an OMS API of another shape than the reference one, with tokens that soon expire.
type otherOMS struct {
	mu       sync.Mutex
	tokens   int
	valid    string
	uses     int
	orders   map[string]string // reference to number
	bodies   []map[string]any
	busy     int
	lastPath string
}

func (s *otherOMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		id, secret, _ := r.BasicAuth()
		if id != "me" || secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.tokens++
		s.valid, s.uses = fmt.Sprint("token-", s.tokens), 0
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":60}`, s.valid)
		return
	}
	// Each token is good for two calls only: the server revokes it long before it expires.
	s.uses++
	if r.Header.Get("Authorization") != "Bearer "+s.valid || s.uses > 2 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	s.lastPath = r.URL.String()
	if r.Method == http.MethodGet {
		hits := []any{}
		if n := s.orders[r.URL.Query().Get("foreignKey")]; n != "" {
			hits = append(hits, map[string]any{"id": n, "buyer": "C0001"})
		}
		answer(map[string]any{"hits": hits})
		return
	}
	var body struct{ Document map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("X-Origin") != "nubridge" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	problem := func(code, text string) {
		answer(map[string]any{"ok": false, "problem": map[string]any{"code": code, "text": text}})
	}
	key := fmt.Sprint(body.Document["foreignKey"])
	switch {
	case s.busy > 0:
		s.busy--
		problem("E_BUSY", "month end is running")
	case s.orders[key] != "":
		problem("E_FOREIGN_KEY", "known")
	case len(body.Document["positions"].([]any)) == 0:
		problem("E_EMPTY", "no positions")
	default:
		s.orders[key] = fmt.Sprint("SO-", len(s.orders)+1)
		s.bodies = append(s.bodies, body.Document)
		answer(map[string]any{"ok": true, "document": map[string]any{"id": s.orders[key]}})
	}
}

func TestAnotherShapeOfAPIIsTakenOnByMappingAlone(t *testing.T) {
	t.Parallel()
	server := &otherOMS{orders: map[string]string{}}
	h := httptest.NewServer(server)
	defer h.Close()
	client, err := oms.New(compile(t, "testdata/other.yaml"), nil, nil, oms.Config{URL: h.URL, Auth: oms.Auth{
		Kind: "oauth2", TokenURL: h.URL + "/token", ClientID: "me", ClientSecret: "s3cret",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n := range 5 {
		draft, err := client.Draft(oms.Order{Environment: "sandbox", Reference: fmt.Sprint("sandbox:", n), JSON: []byte(sampleOrder)})
		if err != nil {
			t.Fatal(err)
		}
		found, err := client.Search(ctx, draft)
		if err != nil || len(found) != 0 {
			t.Fatalf("search before: %v %v", found, err)
		}
		a, err := client.Create(ctx, draft)
		if err != nil || a.Outcome != oms.Created || a.Number != fmt.Sprint("SO-", n+1) {
			t.Fatalf("create %d: %+v %v", n, a, err)
		}
		if a, err = client.Create(ctx, draft); err != nil || a.Outcome != oms.Duplicate {
			t.Fatalf("create again: %+v %v", a, err)
		}
		if found, err = client.Search(ctx, draft); err != nil || len(found) != 1 || found[0].Differs {
			t.Fatalf("search after: %+v %v", found, err)
		}
	}
	if server.lastPath != "/rest/v2/documents?foreignKey=sandbox%3A4" {
		t.Errorf("searched at %s", server.lastPath)
	}
	position := server.bodies[0]["positions"].([]any)[0].(map[string]any)
	if position["unitCents"] != 1210.0 || position["pieces"] != 2.0 || position["pos"] != 10.0 {
		t.Errorf("position %v", position)
	}
	server.busy = 1
	draft, err := client.Draft(oms.Order{Environment: "sandbox", Reference: "sandbox:9", JSON: []byte(sampleOrder)})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := client.Create(ctx, draft); err != nil || a.Outcome != oms.Again || a.Reason != "month end is running" {
		t.Errorf("busy: %+v %v", a, err)
	}
}
