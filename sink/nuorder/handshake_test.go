package nuorder_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nubridge/internal/fault"
	portal "nubridge/internal/sandbox/nuorder"
	"nubridge/sink/nuorder"
)

// screen waits for a text to be shown.
type screen struct {
	text  strings.Builder
	until string
	shown chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	before := strings.Contains(s.text.String(), s.until)
	s.text.Write(p)
	if !before && strings.Contains(s.text.String(), s.until) {
		close(s.shown)
	}
	return len(p), nil
}

// approve does what the portal's administrator does.
func (w *world) approve(ctx context.Context) string {
	w.t.Helper()
	apps, err := w.server.Applications("")
	if err != nil || len(apps) != 1 {
		w.t.Errorf("pending applications %v, %v", apps, err)
		return ""
	}
	code, err := w.server.ApproveApplication(ctx, "", apps[0].Token)
	if err != nil {
		w.t.Error(err)
	}
	return code
}

func TestConnectByTypingTheVerifier(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*nuorder.Config){
		"standard": nil,
		"plain":    func(c *nuorder.Config) { c.Dialect.PlainApplicationName = true },
		"legacy":   func(c *nuorder.Config) { c.Signature = nuorder.Legacy },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(s *portal.Switches) {
				s.SignedApplicationName = map[string]string{"standard": "yes", "plain": "no", "legacy": "either"}[name]
			}, change)
			in, typed := io.Pipe()
			out := &screen{until: "type the verifier", shown: make(chan struct{})}
			go func() {
				<-out.shown
				_, _ = io.WriteString(typed, w.approve(t.Context())+"\n")
			}()
			got, err := nuorder.Connect(t.Context(), w.client, nuorder.Connecting{Application: "bridge", In: in, Out: out})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Token) != 24 || len(got.TokenSecret) != 64 || got.ConsumerKey != "ck" || strings.Contains(out.text.String(), got.Token) {
				t.Fatalf("token of %d and secret of %d characters", len(got.Token), len(got.TokenSecret))
			}
		})
	}
}

// Who mistyped the verifier is told of the verifier, and not of a token that there is none of yet.
func TestAWrongVerifierIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	_, err := nuorder.Connect(t.Context(), w.client, nuorder.Connecting{In: strings.NewReader("mistyped12345678\n"), Out: io.Discard})
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != nuorder.CodeUnauthorized || !strings.Contains(e.Hint, "verifier") || strings.Contains(e.Hint, "check the token") {
		t.Fatalf("got %v", err)
	}
}

func TestConnectByCallback(t *testing.T) {
	t.Parallel()
	for {
		w := newWorld(t, nil, nil)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		_ = l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		out := &screen{until: "Waiting", shown: make(chan struct{})}
		approved := make(chan struct{})
		go func() {
			defer close(approved)
			select {
			case <-out.shown:
				w.approve(ctx)
			case <-ctx.Done():
			}
		}()
		got, err := nuorder.Connect(ctx, w.client, nuorder.Connecting{Callback: "http://" + address + "/verifier", Listen: address, Out: out})
		if err != nil {
			cancel() // nobody may ever have been asked to approve
		}
		<-approved // with its post answered, which Connect has to see to
		cancel()
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // somebody else was given the port meanwhile
		}
		if err != nil || got.Token == "" {
			t.Fatalf("got a token of %d characters, %v", len(got.Token), err)
		}
		return
	}
}

func TestTokenIsStoredForItsOwnerAloneAndOutsideTheTree(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	c := nuorder.Credentials{Token: "tk", TokenSecret: "ts"}
	for range 2 {
		if err := nuorder.SaveToken(dir, c); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{nuorder.TokenFile: "tk\n", nuorder.TokenSecretFile: "ts\n"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		info, statErr := os.Stat(filepath.Join(dir, name))
		if err != nil || statErr != nil || string(got) != want || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %q, %v, %v", name, got, err, statErr)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Fatalf("left behind: %v, %v", entries, err)
	}
	tree := t.TempDir()
	if err := os.Mkdir(filepath.Join(tree, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := nuorder.SaveToken(filepath.Join(tree, "secrets"), c); err == nil {
		t.Fatal("the token was stored inside a version-controlled tree")
	}
}
