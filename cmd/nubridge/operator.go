package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// oneEnvironment is embedded by every command that acts in one environment.
type oneEnvironment struct {
	configured
	Environment string `short:"e" help:"The environment; needed where there are several." placeholder:"NAME"`
	JSON        bool   `help:"Print JSON."`
}

// operator is what an operator's command works with: the configuration, the ledger and one environment.
type operator struct {
	cfg   *config.Config
	name  string
	env   *config.Environment
	store *ledger.Store
}

// open loads the configuration, chooses the environment and connects to the ledger; the caller closes it.
func (c oneEnvironment) open(ctx context.Context) (*operator, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	name, err := chooseEnvironment(cfg, c.Environment)
	if err != nil {
		return nil, err
	}
	store, err := openLedger(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &operator{cfg: cfg, name: name, env: cfg.Environments[name], store: store}, nil
}

func (o *operator) close() { o.store.Close() }

// chooseEnvironment gives the one that is named, or the only one there is.
func chooseEnvironment(cfg *config.Config, name string) (string, error) {
	names := sortedNames(cfg.Environments)
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", usageError{fmt.Errorf("expected an environment; hint: --environment with one of %s", strings.Join(names, ", "))}
	case cfg.Environments[name] == nil:
		return "", usageError{fmt.Errorf("there is no environment %q; expected one of %s", name, strings.Join(names, ", "))}
	}
	return name, nil
}

// openLedger connects to the bridge's own tables. It makes none.
func openLedger(ctx context.Context, cfg *config.Config) (*ledger.Store, error) {
	pool, err := pgxpool.New(ctx, cfg.Ledger.URL.Reveal())
	if err != nil { // the parser's error may quote the address with its password // I11
		return nil, usageError{errors.New("ledger.url is no PostgreSQL address; expected postgres://user:password@host:5432/database")}
	}
	defer pool.Close()
	if err := ping(ctx, pool.Ping); err != nil {
		return nil, &fault.Error{
			Kind: fault.Retry, Code: "ledger_unreachable", Err: fmt.Errorf("the ledger's database does not answer: %w", err),
			Hint: "check ledger.url and that the server runs",
		}
	}
	store, err := ledger.Open(ctx, cfg.Ledger.URL.Reveal(), cfg.Ledger.Schema)
	if err != nil {
		return nil, usageError{err}
	}
	return store, nil
}

// sinkFlow reads the name of a flow that delivers documents.
func sinkFlow(name string) (mapper.Flow, error) {
	flows := slices.DeleteFunc(slices.Clone(mapper.Flows()), func(f mapper.Flow) bool { return f == mapper.OrdersIn })
	names := make([]string, len(flows))
	for i, f := range flows {
		names[i] = string(f)
	}
	if !slices.Contains(names, name) {
		text := fmt.Sprintf("there is no flow %q; expected one of %s", name, strings.Join(names, ", "))
		if near := mapper.Suggest(name, names); near != "" {
			text += "; " + near
		}
		return "", usageError{errors.New(text)}
	}
	return mapper.Flow(name), nil
}

// keysOf makes keys of what was typed.
func keysOf(names []string) []mapper.Key {
	keys := make([]mapper.Key, len(names))
	for i, n := range names {
		keys[i] = mapper.Key(n)
	}
	return keys
}

// whoami names the person at the keyboard for the record.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// printJSON prints a value as indented JSON.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// orDash prints an empty text as a dash.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// seconds turns a duration into JSON's seconds, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// ago prints how long something took or is past, as a person says it.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// size prints bytes.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, name := float64(n)/unit, 0
	for value >= unit && name < 3 {
		value, name = value/unit, name+1
	}
	return fmt.Sprintf("%.1f %s", value, []string{"KiB", "MiB", "GiB", "TiB"}[name])
}
