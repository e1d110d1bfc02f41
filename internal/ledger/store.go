package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"
)

// Store is the ledger in one schema of one PostgreSQL database. It is safe for concurrent use.
type Store struct {
	pool   *pgxpool.Pool
	schema string
	pack   *zstd.Encoder
	unpack *zstd.Decoder
	wakes  wakes
}

// maxBody bounds a body as unpacked, in bytes. // I6
const maxBody = 64 << 20

// Open connects to the schema, which Apply of package migrations must have made. It blocks for one round trip; the caller
// closes the store.
func Open(ctx context.Context, url, schema string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's database address: %w", err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	// The statements are long and their work is short: compiling them costs more than it saves.
	config.ConnConfig.RuntimeParams["jit"] = "off"
	// A plan that does not know how long the arrays are makes a settlement of many keys ten to twenty times slower: the server would
	// go over to one after five executions. See planOnce.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "nubridge"
	}
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	s, err := newStore(pool, schema)
	if err != nil {
		pool.Close()
		return nil, err
	}
	var exists bool
	if err := pool.QueryRow(ctx, "select to_regclass('objects') is not null").Scan(&exists); err != nil {
		s.Close()
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if !exists {
		s.Close()
		return nil, fmt.Errorf("schema %q holds no ledger; hint: run nubridge migrate", schema)
	}
	return s, nil
}

func newStore(pool *pgxpool.Pool, schema string) (*Store, error) {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make the body encoder: %w", err)
	}
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("make the body decoder: %w", err)
	}
	return &Store{pool: pool, schema: schema, pack: pack, unpack: unpack, wakes: wakes{chans: map[wakeKey]map[chan struct{}]struct{}{}, mu: new(sync.Mutex)}}, nil
}

// Pool gives the pool, whose search path is the ledger's schema.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Schema gives the name of the schema.
func (s *Store) Schema() string { return s.schema }

// Close closes the pool; it blocks until all connections are given back.
func (s *Store) Close() {
	s.pool.Close()
	s.unpack.Close()
}

func (s *Store) compress(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	return s.pack.EncodeAll(body, make([]byte, 0, len(body)/3))
}

func (s *Store) expand(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	body, err := s.unpack.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack a stored body: %w", err)
	}
	return body, nil
}
