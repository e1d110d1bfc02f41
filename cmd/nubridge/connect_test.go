package main

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nubridge/internal/lifecycle"
	"nubridge/internal/sandbox/nuorder"
)

// administrator approves the pending application of a portal when its verifier is asked for, and types it.
type administrator struct {
	server *nuorder.Server
	typed  io.Reader
}

func (a *administrator) Read(p []byte) (int, error) {
	if a.typed == nil {
		applications, err := a.server.Applications("")
		if err != nil || len(applications) != 1 {
			return 0, io.ErrUnexpectedEOF
		}
		code, err := a.server.ApproveApplication(context.Background(), "", applications[0].Token)
		if err != nil {
			return 0, err
		}
		a.typed = strings.NewReader(code + "\n")
	}
	return a.typed.Read(p)
}

func TestConnectStoresATokenThatOnlyItsOwnerCanReadAndCheckAccepts(t *testing.T) {
	t.Parallel()
	server, err := nuorder.New(nuorder.Config{Portals: []nuorder.Portal{{Name: "sandbox", ConsumerKey: "the-key", ConsumerSecret: "the-secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, secret := write("key", "the-key\n"), write("secret", "the-secret\n")
	// The configuration refers to the token that is still to come.
	config := write("nubridge.yaml", "oms: {url: \"${NOT_SET_YET}\"}\nkafka: {brokers: [\"127.0.0.1:1\"]}\nenvironments:\n  sandbox:\n    mapping: mapping\n    nuorder:\n      url: "+
		web.URL+"\n      allow_private: true\n      consumer_key_file: key\n      consumer_secret_file: secret\n      token_file: tokens/token\n      token_secret_file: tokens/token_secret\n    flows: {products: on}\n")
	for name, args := range map[string][]string{
		"by configuration": {"--config", config},
		"by flags":         {"--url", web.URL, "--key-file", key, "--secret-file", secret, "--private"},
	} {
		var out, errs bytes.Buffer
		tokens := filepath.Join(dir, "tokens", name)
		code := execute(t.Context(), append([]string{"nuorder", "connect", "--out", tokens}, args...), std{in: &administrator{server: server}, out: &out, err: &errs})
		if code != lifecycle.ExitDone {
			t.Fatalf("%s: exit %d, %s", name, code, errs.String())
		}
		for _, file := range []string{"token", "token_secret"} {
			path := filepath.Join(tokens, file)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("%s: %s is %v, %v", name, file, info, err)
			}
			text, err := os.ReadFile(path)
			if err != nil || len(text) < 10 || strings.Contains(out.String()+errs.String(), strings.TrimSpace(string(text))) { // I11
				t.Errorf("%s: %s is missing, or was printed", name, file)
			}
			if !strings.Contains(out.String(), file+"_file: "+path) {
				t.Errorf("%s: the output %q does not say what to configure", name, out.String())
			}
		}
	}
	// A folder under version control is no place for a token.
	if err := os.MkdirAll(filepath.Join(dir, "tree", ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	code := execute(t.Context(), []string{"nuorder", "connect", "--config", config, "--out", filepath.Join(dir, "tree", "tokens")},
		std{in: &administrator{server: server}, out: io.Discard, err: &errs})
	if code != lifecycle.ExitUsage || !strings.Contains(errs.String(), "version-controlled") {
		t.Errorf("into a tree: exit %d, %s", code, errs.String())
	}
}
