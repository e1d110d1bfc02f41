package main

import (
	"sync"
	"time"

	"nubridge/internal/config"
	"nubridge/sink/nuorder"
)

// readCredentialsEvery is how old the credentials of a file may be before they are read again.
const readCredentialsEvery = 5 * time.Second

// liveCredentials are a portal's credentials. Those in files are read again from time to time, so that a token that was renewed heals
// the bridge without a restart; a file that cannot be read, or is empty, leaves what there was.
type liveCredentials struct {
	resolve func(path string) string
	now     func() time.Time

	mu      sync.Mutex
	from    config.NuORDER
	readAt  time.Time
	current nuorder.Credentials
}

func newLiveCredentials(c *config.Config, e *config.Environment, now func() time.Time) *liveCredentials {
	return &liveCredentials{resolve: c.Resolve, now: now, from: e.NuORDER, readAt: now(), current: nuorderCredentials(e)}
}

// get gives the present ones.
func (l *liveCredentials) get() nuorder.Credentials {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.readAt) >= readCredentialsEvery {
		l.readAt = now
		l.read(l.from.ConsumerKeyFile, &l.current.ConsumerKey)
		l.read(l.from.ConsumerSecretFile, &l.current.ConsumerSecret)
		l.read(l.from.TokenFile, &l.current.Token)
		l.read(l.from.TokenSecretFile, &l.current.TokenSecret)
	}
	return l.current
}

func (l *liveCredentials) read(file string, into *string) {
	if file == "" {
		return
	}
	if s, err := config.ReadSecret(l.resolve(file)); err == nil && s.IsSet() {
		*into = s.Reveal()
	}
}
