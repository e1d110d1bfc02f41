package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"nubridge/mapper"
)

// AnyRemoteID gives the _id of one object of a kind that is known to be at NuORDER, empty if there is none.
func (s *Store) AnyRemoteID(ctx context.Context, environment string, kind mapper.Kind) (string, error) {
	var id string
	err := s.pool.QueryRow(ctx, "select remote_id from objects where environment = $1 and kind = $2 and remote_id <> '' limit 1", environment, kind).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("find an object of kind %s: %w", kind, err)
	}
	return id, nil
}
