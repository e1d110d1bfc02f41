package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// MappingSum gives the fingerprint of the mapping that a flow's documents were last compared under, nil if there is none yet.
func (s *Store) MappingSum(ctx context.Context, environment string, flow mapper.Flow) ([]byte, error) {
	var sum []byte
	err := s.pool.QueryRow(ctx, "select sum from mappings where environment = $1 and flow = $2", environment, flow).Scan(&sum)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mapping's fingerprint of %s: %w", flow, err)
	}
	return sum, nil
}

// KeepMappingSum keeps the fingerprint; callers keep it after the documents that it alters were requested.
func (s *Store) KeepMappingSum(ctx context.Context, environment string, flow mapper.Flow, sum []byte) error {
	_, err := s.pool.Exec(ctx, `insert into mappings (environment, flow, sum) values ($1, $2, $3)
        on conflict (environment, flow) do update set sum = excluded.sum, at = now()`, environment, flow, sum)
	if err != nil {
		return fmt.Errorf("keep the mapping's fingerprint of %s: %w", flow, err)
	}
	return nil
}
