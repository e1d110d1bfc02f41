package oms

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// Auth is how requests prove who sends them. It prints as nothing. // I11
type Auth struct {
	// Kind is none, basic, bearer, api_key, oauth2 or mtls; none if empty. A client certificate may be given with any kind.
	Kind               string
	Username, Password string
	Token              string
	// Header carries the API key; X-API-Key by default.
	Header, Key string
	// TokenURL, ClientID, ClientSecret and Scopes are those of OAuth 2 client credentials.
	TokenURL, ClientID, ClientSecret string
	Scopes                           []string
}

// String hides the credentials.
func (Auth) String() string { return "<credentials>" }

// GoString hides the credentials.
func (Auth) GoString() string { return "<credentials>" }

// TLS of the connection: files in PEM form, each may be empty.
type TLS struct {
	CAFile, CertFile, KeyFile string
}

// Config says where the API is. Zero fields take the defaults.
type Config struct {
	// URL is scheme, host and the part of the path before the mapping's base path.
	URL  string
	Auth Auth
	TLS  TLS
	// Timeout of one call; 30 s by default.
	Timeout time.Duration
	// MaxAnswer caps an answer's body in bytes; 8 MiB by default.
	MaxAnswer int64
	// BreakAfter failures in a row the API is left alone for BreakFor; 5 and 10 s by default.
	BreakAfter uint32
	BreakFor   time.Duration
}

func (c Config) withDefaults() Config {
	c.Auth.Kind = cmp.Or(c.Auth.Kind, "none")
	c.Auth.Header = cmp.Or(c.Auth.Header, "X-API-Key")
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.MaxAnswer = cmp.Or(c.MaxAnswer, 8<<20)
	c.BreakAfter = cmp.Or(c.BreakAfter, 5)
	c.BreakFor = cmp.Or(c.BreakFor, 10*time.Second)
	return c
}

func (c Config) validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" {
		errs = append(errs, errors.New("the URL must be http or https with a host and without credentials or a query"))
	}
	need := func(value, name string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("auth %s needs %s", c.Auth.Kind, name))
		}
	}
	switch c.Auth.Kind {
	case "none":
	case "basic":
		need(c.Auth.Username, "username")
		need(c.Auth.Password, "password")
	case "bearer":
		need(c.Auth.Token, "token")
	case "api_key":
		need(c.Auth.Key, "api_key")
	case "oauth2":
		need(c.Auth.TokenURL, "token_url")
		need(c.Auth.ClientID, "client_id")
		need(c.Auth.ClientSecret, "client_secret")
	case "mtls":
		need(c.TLS.CertFile, "tls.cert_file")
		need(c.TLS.KeyFile, "tls.key_file")
	default:
		errs = append(errs, fmt.Errorf("auth %q is not known: expected none, basic, bearer, api_key, oauth2 or mtls", c.Auth.Kind))
	}
	return errors.Join(errs...)
}

// config reads the files of the connection's TLS.
func (t TLS) config() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the CA file %s: it holds no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// join puts base path and path behind the URL.
func join(base string, parts ...string) string {
	out := strings.TrimRight(base, "/")
	for _, p := range parts {
		if p = strings.Trim(p, "/"); p != "" {
			out += "/" + p
		}
	}
	return out
}
