package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// KnownKeys lists the keys of objects that are at NuORDER, or may be, in their order, after a key.
func (s *Store) KnownKeys(ctx context.Context, environment string, kind mapper.Kind, after mapper.Key, limit int) ([]mapper.Key, error) {
	rows, err := s.pool.Query(ctx, `select key from objects where environment = $1 and kind = $2 and key > $3
        and (known or doubt <> '{}' or remote_id <> '') order by key limit $4`, environment, kind, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the keys of kind %s: %w", kind, err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[mapper.Key])
	if err != nil {
		return nil, fmt.Errorf("list the keys of kind %s: %w", kind, err)
	}
	return keys, nil
}
