package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nubridge/internal/config"
)

func TestARenewedTokenIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "old\n")
	e := &config.Environment{NuORDER: config.NuORDER{
		ConsumerKey: config.NewSecret("key"), Token: config.NewSecret("old"), TokenFile: "token", TokenSecret: config.NewSecret("s"), TokenSecretFile: "gone",
	}}
	now := time.Now()
	l := newLiveCredentials(&config.Config{Path: filepath.Join(dir, "nubridge.yaml")}, e, func() time.Time { return now })
	write("token", "new\n")
	if got := l.get().Token; got != "old" {
		t.Errorf("read before its time: %s", got)
	}
	now = now.Add(readCredentialsEvery)
	if got := l.get(); got.Token != "new" || got.TokenSecret != "s" || got.ConsumerKey != "key" {
		t.Error("the renewed token is not used, or what has no file was lost")
	}
	write("token", "")
	now = now.Add(readCredentialsEvery)
	if got := l.get().Token; got != "new" {
		t.Errorf("an empty file took the token away: %q", got)
	}
}
