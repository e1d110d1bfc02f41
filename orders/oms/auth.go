package oms

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"nubridge/internal/fault"
)

// credentials puts the proof of who we are on requests. Safe for concurrent use.
type credentials struct {
	auth Auth
	// client fetches tokens.
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	token  string
	expiry time.Time
}

// sign puts the credentials on a request. It may call the token endpoint.
func (c *credentials) sign(ctx context.Context, r *http.Request) error {
	switch c.auth.Kind {
	case "basic":
		r.SetBasicAuth(c.auth.Username, c.auth.Password)
	case "bearer":
		r.Header.Set("Authorization", "Bearer "+c.auth.Token)
	case "api_key":
		r.Header.Set(c.auth.Header, c.auth.Key)
	case "oauth2":
		token, err := c.current(ctx)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// renew forgets the token that a request was refused with, and tells whether another can be had.
func (c *credentials) renew(used string) bool {
	if c.auth.Kind != "oauth2" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if "Bearer "+c.token == used {
		c.token = ""
	}
	return true
}

// current gives a token that is good for a while yet; others wait while one is fetched.
func (c *credentials) current(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && (c.expiry.IsZero() || c.now().Before(c.expiry)) {
		return c.token, nil
	}
	source := clientcredentials.Config{
		ClientID: c.auth.ClientID, ClientSecret: c.auth.ClientSecret, TokenURL: c.auth.TokenURL, Scopes: c.auth.Scopes,
	}
	asked := c.now()
	token, err := source.Token(context.WithValue(ctx, oauth2.HTTPClient, c.client))
	if err != nil {
		// The library's error quotes the answer, which may quote the request. // I11
		if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil && e.Response.StatusCode < 500 {
			return "", &fault.Error{
				Kind: fault.Throttle, Code: "oms_token_refused", After: 30 * time.Second,
				Err:  errors.New("fetch a token for the OMS's API: " + e.Response.Status),
				Hint: "check token_url, client_id and client_secret of oms_api",
			}
		}
		return "", fault.New(fault.Retry, "oms_token_unavailable", "fetch a token for the OMS's API: the token endpoint gave no answer that can be used")
	}
	c.token, c.expiry = token.AccessToken, time.Time{}
	if !token.Expiry.IsZero() {
		life := token.Expiry.Sub(asked)
		c.expiry = token.Expiry.Add(-min(10*time.Second, life/4))
	}
	return c.token, nil
}
