// Package migrations holds the bridge's own schema as numbered SQL and applies it. It knows no table of the OMS.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"
)

//go:embed *.sql
var files embed.FS

const versionTable = "schema_version"

// State is how far a schema is.
type State struct {
	// Version is the number of the last migration applied, zero if none.
	Version int32
	// Newest is the number of the last migration that this program knows.
	Newest int32
}

// Files gives the numbered SQL as embedded.
func Files() fs.FS { return files }

// Apply creates the schema if it is missing and brings it to the newest version, under an advisory lock, so several
// processes may call it at once. It refuses a schema that is newer than the program.
func Apply(ctx context.Context, conn *pgx.Conn, schema string) (State, error) {
	if err := checkName(schema); err != nil {
		return State{}, err
	}
	quoted := pgx.Identifier{schema}.Sanitize()
	// "if not exists" asks for the right to create even where the schema stands, and two at once collide: ask first.
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_namespace where nspname = $1)", schema).Scan(&exists); err != nil {
		return State{}, fmt.Errorf("look for schema %q: %w", schema, err)
	}
	if !exists {
		if err := createSchema(ctx, conn, quoted); err != nil {
			return State{}, fmt.Errorf("create schema %q: %w; hint: create it and grant it to this role, or let the role create schemas", schema, err)
		}
	}
	if _, err := conn.Exec(ctx, "set search_path to "+quoted); err != nil {
		return State{}, fmt.Errorf("enter schema %q: %w", schema, err)
	}
	m, err := migrate.NewMigrator(ctx, conn, schema+"."+versionTable)
	if err != nil {
		return State{}, fmt.Errorf("open the version table of schema %q: %w", schema, err)
	}
	if err := m.LoadMigrations(files); err != nil {
		return State{}, fmt.Errorf("load migrations: %w", err)
	}
	for _, one := range m.Migrations { // tern resets the session after each, and the search path with it
		one.UpSQL = "set search_path to " + quoted + ";\n" + one.UpSQL
	}
	state := State{Newest: int32(len(m.Migrations))}
	if state.Version, err = m.GetCurrentVersion(ctx); err != nil {
		return State{}, fmt.Errorf("read the version of schema %q: %w", schema, err)
	}
	if state.Version > state.Newest {
		return state, fmt.Errorf("schema %q is at version %d and this program knows only %d; hint: run a newer nubridge, a schema is never taken back",
			schema, state.Version, state.Newest)
	}
	if err := m.Migrate(ctx); err != nil {
		return state, fmt.Errorf("migrate schema %q from version %d: %w", schema, state.Version, err)
	}
	state.Version = state.Newest
	return state, nil
}

// createSchema makes the schema under a lock of its own, for "if not exists" alone collides when two start at once.
func createSchema(ctx context.Context, conn *pgx.Conn, quoted string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('nubridge.schema', 0))"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "create schema if not exists "+quoted)
		return err
	})
}

// ApplyURL is Apply on a connection of its own.
func ApplyURL(ctx context.Context, url, schema string) (State, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return State{}, fmt.Errorf("connect to the ledger's database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return Apply(ctx, conn, schema)
}

// checkName holds to names that need no quoting, because tern takes the version table's name unquoted.
func checkName(schema string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789_"
	if schema == "" || len(schema) > 60 || strings.Trim(schema, allowed) != "" || schema[0] >= '0' && schema[0] <= '9' {
		return fmt.Errorf("schema name %q: expected lower-case letters, digits and underscores, not starting with a digit, at most 60", schema)
	}
	return nil
}
