package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// In the first minute of a new ledger the server has no statistics of it. What a statement reads may not grow with the ledger then:
// a load of an empty portal is just that time.
func TestNoStatementReadsTheWholeLedgerBeforeItsFirstAnalyze(t *testing.T) {
	t.Parallel()
	const objects = 5000
	s := setup(t)
	ctx := t.Context()
	join(t, s, mapper.Products)
	for _, sql := range []string{
		"alter table objects set (autovacuum_enabled = false)", "alter table bodies set (autovacuum_enabled = false)",
		"alter table waiting set (autovacuum_enabled = false)", "alter table requests set (autovacuum_enabled = false)",
		"alter table parked set (autovacuum_enabled = false)",
		fmt.Sprintf(`insert into objects (environment, kind, key, known, remote_id, remote_key, stored_key)
            select 'sandbox', kind, 'k' || n, true, 'id-k' || n, 'brand-k' || n, 'BRAND-K' || n from generate_series(1, %d) n, unnest(array['product', 'stock']) kind`, objects),
		fmt.Sprintf("insert into bodies (environment, kind, key, part, body) select 'sandbox', 'product', 'k' || n, 'body', '' from generate_series(1, %d) n", objects),
		fmt.Sprintf(`insert into waiting (environment, flow, key, parents, touches)
            select 'sandbox', 'order_creation', 'w' || n, array['product:none' || n], 1 from generate_series(1, %d) n`, objects),
		fmt.Sprintf("insert into requests (environment, flow, key, reason) select 'sandbox', 'products', 'k' || n, 'replay' from generate_series(1, %d) n", objects),
		fmt.Sprintf("insert into parked (environment, flow, key, code, touches) select 'sandbox', 'products', 'p' || n, 'bad', 1 from generate_series(1, %d) n", objects),
	} {
		if _, err := s.Pool().Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	seq := int64(0)
	turn := func(ctx context.Context) error {
		owned, err := s.Own(ctx, owning(time.Minute, "k7", "k8"))
		if err != nil {
			return err
		}
		seq++
		b := &ledger.Settling{Environment: env, Instance: "a", Flow: mapper.Products, Seq: seq}
		for _, o := range owned.Objects {
			b.Settlements = append(b.Settlements, delivered(o, fmt.Sprint(seq)))
		}
		out, err := s.Settle(ctx, b)
		if err == nil && (len(b.Settlements) != 2 || len(out.Stale) > 0) {
			err = fmt.Errorf("%d settled, %v stale", len(b.Settlements), out.Stale)
		}
		return err
	}
	refs := []mapper.Ref{{Flow: mapper.Products, Key: "k9"}, {Flow: mapper.Products, Key: "k10"}}
	for _, c := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"a turn", turn},
		{"Claim", func(ctx context.Context) error {
			claimed, err := s.Claim(ctx, env, mapper.Products, "a", 2, held)
			if err == nil && len(claimed) != 2 {
				err = fmt.Errorf("claimed %v", claimed)
			}
			return err
		}},
		{"Known", func(ctx context.Context) error { _, err := s.Known(ctx, env, refs); return err }},
		{"Parents", func(ctx context.Context) error { _, err := s.Parents(ctx, env, refs); return err }},
		{"ByRemoteID", func(ctx context.Context) error {
			_, err := s.ByRemoteID(ctx, env, mapper.Product, []string{"id-k3"})
			return err
		}},
		{"ByRemoteKey", func(ctx context.Context) error {
			_, err := s.ByRemoteKey(ctx, env, mapper.Product, []string{"BRAND-K3", "brand-k4"})
			return err
		}},
		{"Bodies", func(ctx context.Context) error {
			return s.Bodies(ctx, env, mapper.Product, map[mapper.Key]*ledger.Object{"k5": {Parts: map[string]ledger.Part{"body": {}}}})
		}},
		{"Doubt", func(ctx context.Context) error {
			return s.Doubt(ctx, env, mapper.Inventory, []mapper.Key{"k11"}, "test")
		}},
		{"DoubtStock", func(ctx context.Context) error {
			_, err := s.DoubtStock(ctx, env, []string{"id-k12"}, []string{"BRAND-K13", "brand-k14"}, "test")
			return err
		}},
	} {
		before := rowsRead(t, s)
		const rounds = 3
		for range rounds {
			if err := c.do(ctx); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if n := (rowsRead(t, s) - before) / rounds; n > objects/10 {
			t.Errorf("%s read %d rows of a ledger of %d products", c.name, n, objects)
		}
	}
}

// rowsRead gives how many rows the server has read from the tables that grow with the ledger. Each connection reports that a second
// after its last report at the latest, when it is idle.
func rowsRead(t *testing.T, s *ledger.Store) int64 {
	t.Helper()
	s.Pool().Reset() // a connection that ends reports at once
	var before int64 = -1
	for range 100 {
		var n int64
		if err := s.Pool().QueryRow(t.Context(), `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables
            where schemaname = 'nubridge' and relname in ('objects', 'bodies', 'waiting', 'requests', 'parked')`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == before {
			return n
		}
		before = n
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	t.Fatal("the server's counts do not come to rest")
	return 0
}
