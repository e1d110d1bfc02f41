package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nubridge/internal/config"
)

const good = `oms:
  url: ${OMS_URL}
kafka:
  brokers: [127.0.0.1:9092]
environments:
  sandbox:
    mapping: mapping
    nuorder:
      url: https://sandbox.example
      consumer_key: ${KEY}
      consumer_secret: ${SECRET}
      token: ${TOKEN}
      token_secret_file: token_secret
    oms_api:
      url: http://127.0.0.1:8080
    flows:
      products: on
      order_creation: on
      orders_in: test
    orders:
      since: 2026-01-01
`

func env(name string) (string, bool) {
	v, ok := map[string]string{
		"OMS_URL": "postgres://u:hunter2@127.0.0.1/oms", "KEY": "k-canary", "SECRET": "s-canary", "TOKEN": "t-canary",
	}[name]
	return v, ok
}

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token_secret"), []byte("ts-canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "nubridge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, env)
}

func TestLoadFillsDefaultsAndSecrets(t *testing.T) {
	t.Parallel()
	c, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Environments["sandbox"]
	if got := e.NuORDER.TokenSecret.Reveal(); got != "ts-canary" {
		t.Errorf("token_secret from its file: got %q", got)
	}
	if c.Capture.Slot != "nubridge_oms" || e.NuORDER.Concurrency != 4 || e.Orders.Statuses[0] != "approved" {
		t.Errorf("defaults: got %+v and %+v", c.Capture, e.Orders)
	}
	if c.Ledger.URL.Reveal() != c.OMS.URL.Reveal() {
		t.Error("the ledger's default is the OMS server")
	}
}

func TestSecretsNeverShow(t *testing.T) { // I11
	t.Parallel()
	c, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(form, c.Environments["sandbox"].NuORDER)
		if strings.Contains(text, "canary") {
			t.Errorf("%s shows a secret: %s", form, text)
		}
	}
}

func TestEachMistakeIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "brokers:", "broker:", `did you mean "brokers"?`},
		{"unknown key has a caret", "brokers:", "broker:", "^"},
		{"secret written out", "${KEY}", "k-canary", "consumer_key is written out"},
		{"secret with other text", "${KEY}", "x${KEY}", "consumer_key is written out"},
		{"password in a URL", "${OMS_URL}", "postgres://u:k-canary@h/oms", "url is written out"},
		{"unset variable", "${KEY}", "${NO_SUCH}", "environment variable NO_SUCH is not set"},
		{"misspelt flow", "products: on", "product: on", `did you mean "products"?`},
		{"wrong mode", "orders_in: test", "orders_in: maybe", "expected one of off, test, on"},
		{"no since", "since: 2026-01-01", "since: last year", "expected the first order date"},
		{"both forms of a secret", "token: ${TOKEN}", "token: ${TOKEN}\n      token_file: token_secret", "both given"},
		{"short session", "  brokers:", "  session_timeout: 10ms\n  brokers:", "kafka.session_timeout is 10ms; expected at least 1s"},
		{"no mapping", "    mapping: mapping\n", "", "mapping is missing"},
		{"wrong type", "brokers: [127.0.0.1:9092]", "brokers: 1", "^"},
		{"no YAML", "oms:", "oms: [", "^"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, strings.Replace(good, c.old, c.new, 1))
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Fatalf("got %v, want a config.Error", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %s\nwant it to contain %q", err, c.want)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %s", err)
			}
		})
	}
}

func TestTwoOwnersOfOrdersAreRefused(t *testing.T) { // I12
	t.Parallel()
	text := strings.Replace(good, "orders_in: test", "orders_in: on", 1)
	_, second, _ := strings.Cut(text, "environments:\n")
	text += strings.Replace(second, "sandbox:", "production:", 1)
	_, err := load(t, text)
	if err == nil || !strings.Contains(err.Error(), "at most one environment per OMS") || !strings.Contains(err.Error(), "same NuORDER address and token") {
		t.Errorf("got %v", err)
	}
}

func FuzzLoadNeverPanics(f *testing.F) {
	f.Add(good)
	f.Add("a: ${")
	f.Add("- 1")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = load(t, text)
	})
}
