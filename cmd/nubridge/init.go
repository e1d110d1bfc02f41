package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/fault"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	"nubridge/mapper/draft"
)

type initCmd struct {
	Database      string   `help:"The OMS database, without a password in it." placeholder:"URL" env:"OMS_DATABASE_URL"`
	Out           string   `help:"Folder to write; it must not exist." required:"" type:"path" placeholder:"DIR"`
	Products      []string `help:"Tables of the products: the root first." placeholder:"TABLE,..."`
	Customers     []string `help:"Tables of the customers." placeholder:"TABLE,..."`
	Inventory     []string `help:"Tables of the stock." placeholder:"TABLE,..."`
	OrderEdits    []string `help:"Tables of the sales orders." placeholder:"TABLE,..."`
	OrderCreation []string `help:"Tables of the orders that are born in the OMS." placeholder:"TABLE,..."`
	Shipments     []string `help:"Tables of the invoices and their tracking numbers." placeholder:"TABLE,..."`
	JSON          bool     `help:"Print JSON."`
}

// Example implements exampled.
func (initCmd) Example() string {
	return "nubridge init --out mapping --products styles,style_colors,skus,style_prices --customers customers,customer_addresses"
}

// Run drafts the folder: queries that run, routes for every table, fields it is sure of, and a mark where a person must decide.
func (c initCmd) Run(ctx context.Context, s std) error {
	request, names := map[mapper.Flow][]string{}, []string{}
	for flow, tables := range map[mapper.Flow][]string{
		mapper.Products: c.Products, mapper.Customers: c.Customers, mapper.Inventory: c.Inventory,
		mapper.OrderEdits: c.OrderEdits, mapper.OrderCreation: c.OrderCreation, mapper.Shipments: c.Shipments,
	} {
		if len(tables) > 0 {
			request[flow] = tables
			names = append(names, tables...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch _, err := os.Stat(c.Out); {
	case len(names) == 0:
		return usageError{errors.New("expected tables for at least one flow, such as --products styles,style_colors")}
	case c.Database == "":
		return usageError{errors.New("expected --database, or the variable OMS_DATABASE_URL")}
	case err == nil:
		return usageError{fmt.Errorf("%s exists; expected a new folder", c.Out)}
	}
	pool, err := pgxpool.New(ctx, c.Database)
	if err != nil { // the parser's error may quote the address with its password // I11
		return usageError{errors.New("--database is no PostgreSQL address; expected postgres://user@host:5432/database")}
	}
	defer pool.Close()
	if err := ping(ctx, pool.Ping); err != nil {
		return &fault.Error{
			Kind: fault.Halt, Code: "oms_unreachable", Err: fmt.Errorf("the OMS database does not answer: %w", err), Hint: "check --database and that the server runs",
		}
	}
	catalog, err := documents.Inspect(ctx, pool, names)
	if err != nil {
		return usageError{err}
	}
	result, err := draft.Draft(catalog, request)
	if err != nil {
		return usageError{err}
	}
	files := slices.Sorted(maps.Keys(result.Files))
	for _, name := range files {
		path := filepath.Join(c.Out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, result.Files[name], 0o644); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(s.out, map[string]any{"folder": c.Out, "files": files, "notes": result.Notes})
	}
	fmt.Fprintf(s.out, "wrote %d files to %s\n", len(files), c.Out)
	for _, note := range result.Notes {
		fmt.Fprintf(s.out, "  - %s\n", note)
	}
	_, err = fmt.Fprintln(s.out, "next: name the folder as mapping of an environment, then nubridge check and nubridge mapping try FLOW KEY")
	return err
}
