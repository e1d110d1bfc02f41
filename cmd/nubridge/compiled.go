package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/config"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// compiled is one environment's mapping, checked against the OMS database, with a reader over it.
type compiled struct {
	folder  *mapper.Folder
	mapping *mapper.Mapping
	reader  *documents.Reader
	pool    *pgxpool.Pool
}

func (c *compiled) close() { c.pool.Close() }

// compileMapping loads an environment's folder, connects to the OMS database and compiles; the caller closes it.
func compileMapping(ctx context.Context, cfg *config.Config, e *config.Environment) (_ *compiled, err error) {
	folder, err := loadMapping(cfg, e)
	if err != nil {
		return nil, err
	}
	pool, err := openOMS(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	schema, err := documents.Describe(ctx, pool, folder, "")
	if err != nil {
		return nil, err
	}
	mapping, findings := folder.Compile(schema, time.Now)
	if findings.HasErrors() {
		return nil, usageError{fmt.Errorf("mapping %s:\n%w", e.Mapping, findings.Err())}
	}
	var pointer atomic.Pointer[mapper.Mapping]
	pointer.Store(mapping)
	reader, err := documents.NewReader(pool, pointer.Load, documents.Config{})
	if err != nil {
		return nil, err
	}
	return &compiled{folder, mapping, reader, pool}, nil
}

// loadMapping reads an environment's folder without a database.
func loadMapping(cfg *config.Config, e *config.Environment) (*mapper.Folder, error) {
	if e.Mapping == "" && e.MappingFS == nil {
		return nil, usageError{fmt.Errorf("the environment has no mapping folder; hint: set mapping")}
	}
	folder, findings := mapper.Load(mappingFolder(cfg, e), e.Overlay)
	if findings.HasErrors() {
		return nil, usageError{fmt.Errorf("mapping %s:\n%w", e.Mapping, findings.Err())}
	}
	return folder, nil
}
