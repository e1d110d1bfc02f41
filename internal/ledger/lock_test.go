package ledger_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// Whoever did what is named ends in peace when its context ends: that the right was lost must be told all the same.
func TestLostRightIsTold(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := s.Exclusive(ctx, "trial", nil, func(ctx context.Context) error {
		if _, err := s.Pool().Exec(ctx, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())"); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "keep the lock of nubridge trial") {
		t.Errorf("got %v, want that the lock is gone", err)
	}
}
