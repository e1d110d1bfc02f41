package nuorder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Application is a handshake that waits for a person in Admin > API Management.
type Application struct {
	Token    string `json:"oauth_token"`
	Name     string `json:"application_name"`
	Callback string `json:"oauth_callback"`
	Approved bool   `json:"approved"`
}

// application is a pending handshake with its secrets.
type application struct {
	Application
	secret, verifier string
}

// initiate opens a handshake: a temporary token that waits for approval.
func (c *call) initiate() answer {
	name := c.id.header.val["application_name"]
	if name == "" {
		name = c.query.Get("application_name")
	}
	callback := c.id.header.val["oauth_callback"]
	if name == "" {
		return fail(400, "application_name is required")
	}
	if u, err := url.Parse(callback); callback == "" || (callback != "oob" && (err != nil || u.Host == "")) {
		return fail(400, "oauth_callback must be oob or a URL")
	}
	app := &application{Application: Application{Token: c.s.random(16), Name: name, Callback: callback}, secret: c.s.random(24)}
	c.p.apps[app.Token] = app
	return ok(doc{"oauth_token": app.Token, "oauth_token_secret": app.secret, "oauth_callback_confirmed": true})
}

// exchange gives the permanent token for an approved handshake and its verifier, once.
func (c *call) exchange() answer {
	app := c.p.apps[c.id.token]
	switch {
	case app == nil:
		return fail(401, "Token is not known")
	case !app.Approved:
		return fail(401, "Application is not approved")
	case !sameText(c.id.header.val["oauth_verifier"], app.verifier):
		return fail(401, "Verifier is not correct")
	}
	delete(c.p.apps, app.Token)
	token, secret := c.s.random(24), c.s.random(64)
	c.p.tokens[token] = secret
	return ok(doc{"oauth_token": token, "oauth_token_secret": secret})
}

// Applications lists the handshakes that wait.
func (s *Server) Applications(portal string) ([]Application, error) {
	p, err := s.portal(portal)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []Application{}
	for _, a := range p.apps {
		out = append(out, a.Application)
	}
	slices.SortFunc(out, func(a, b Application) int { return strings.Compare(a.Token, b.Token) })
	return out, nil
}

// ApproveApplication does what an administrator does: it approves a pending handshake and returns the verifier. If the
// application named a callback on a loopback address, the verifier is posted there too; the call blocks for at most five seconds.
func (s *Server) ApproveApplication(ctx context.Context, portal, token string) (string, error) {
	p, err := s.portal(portal)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	app := p.apps[token]
	if app == nil {
		p.mu.Unlock()
		return "", errors.New("no application waits under this token")
	}
	if app.verifier == "" {
		app.verifier = s.random(16)
	}
	app.Approved = true
	callback, verifier := app.Callback, app.verifier
	p.mu.Unlock()
	if callback == "oob" {
		return verifier, nil
	}
	if err := postVerifier(ctx, callback, token, verifier); err != nil {
		return verifier, fmt.Errorf("post verifier: %w", err)
	}
	return verifier, nil
}

func postVerifier(ctx context.Context, callback, token, verifier string) error {
	u, err := url.Parse(callback)
	if err != nil {
		return errors.New("the callback is no URL")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("the sandbox posts to loopback addresses only")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := json.Marshal(doc{"oauth_token": token, "oauth_verifier": verifier})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, callback, bytes.NewReader(body))
	if err != nil {
		return errors.New("the callback is no URL")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.New("the callback cannot be reached")
	}
	return res.Body.Close()
}
