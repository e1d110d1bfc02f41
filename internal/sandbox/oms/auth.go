package oms

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// AuthMode is how callers of the API prove who they are.
type AuthMode string

// The ways to authenticate.
const (
	AuthNone   AuthMode = "none"
	AuthBasic  AuthMode = "basic"
	AuthBearer AuthMode = "bearer"
	AuthAPIKey AuthMode = "api_key"
	AuthOAuth2 AuthMode = "oauth2" // client credentials
)

// Auth is the authentication of the API and its secrets. The zero value asks for none.
type Auth struct {
	Mode AuthMode
	// User and Secret: basic takes both, oauth2 takes them as client id and secret, bearer and api_key take the secret alone.
	User, Secret string
	// Header carries the API key; default X-Api-Key.
	Header string
	// TokenLife is how long an OAuth2 token is good; default one minute.
	TokenLife time.Duration
}

func (a *Auth) validate() error {
	if a.Mode == "" {
		a.Mode = AuthNone
	}
	if a.Header == "" {
		a.Header = "X-Api-Key"
	}
	if a.TokenLife <= 0 {
		a.TokenLife = time.Minute
	}
	switch a.Mode {
	case AuthNone:
		return nil
	case AuthBasic, AuthBearer, AuthAPIKey, AuthOAuth2:
	default:
		return fmt.Errorf("authentication %q is not known: use none, basic, bearer, api_key or oauth2", a.Mode)
	}
	if a.Secret == "" {
		return fmt.Errorf("authentication %q needs a secret", a.Mode)
	}
	if a.User == "" && (a.Mode == AuthBasic || a.Mode == AuthOAuth2) {
		return fmt.Errorf("authentication %q needs a user or client id", a.Mode)
	}
	return nil
}

func (a *Auth) challenge() string {
	switch a.Mode {
	case AuthBasic:
		return `Basic realm="oms"`
	case AuthAPIKey:
		return "ApiKey"
	default:
		return `Bearer realm="oms"`
	}
}

func (a *API) authorized(r *http.Request) bool {
	auth := a.config.Auth
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch auth.Mode {
	case AuthBasic:
		user, secret, ok := r.BasicAuth()
		return ok && same(user, auth.User) && same(secret, auth.Secret)
	case AuthBearer:
		return same(bearer, auth.Secret)
	case AuthAPIKey:
		return same(r.Header.Get(auth.Header), auth.Secret)
	case AuthOAuth2:
		return a.tokens.good(bearer)
	default:
		return true
	}
}

// same compares in a time that tells nothing.
func same(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

// issueToken answers the client credentials grant of OAuth2.
func (a *API) issueToken(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code string) { writeJSON(w, status, map[string]string{"error": code}) }
	auth := a.config.Auth
	if auth.Mode != AuthOAuth2 {
		refuse(http.StatusNotFound, "unsupported")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if r.FormValue("grant_type") != "client_credentials" {
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	user, secret, ok := r.BasicAuth()
	if !ok {
		user, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if !same(user, auth.User) || !same(secret, auth.Secret) {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	a.journal.count("tokens")
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": a.tokens.issue(auth.TokenLife), "token_type": "Bearer",
		"expires_in": json.Number(fmt.Sprint(max(1, int(auth.TokenLife.Seconds())))),
	})
}

// tokens are the OAuth2 tokens that are good now.
type tokens struct {
	now  func() time.Time
	mu   sync.Mutex
	till map[string]time.Time
}

func (t *tokens) issue(life time.Duration) string {
	token := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.till == nil {
		t.till = map[string]time.Time{}
	}
	for old, till := range t.till {
		if !till.After(now) {
			delete(t.till, old)
		}
	}
	t.till[token] = now.Add(life)
	return token
}

func (t *tokens) good(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.till[token].After(t.now())
}

// expire ends all tokens at once.
func (t *tokens) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.till = nil
}
