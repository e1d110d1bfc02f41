package documents_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

// reference makes the reference OMS with a little data and compiles its mapping.
func reference(t testing.TB, sizes oms.Sizes) (*pgxpool.Pool, *mapper.Mapping) {
	t.Helper()
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := oms.Generate(t.Context(), pool, sizes); err != nil {
		t.Fatal(err)
	}
	return pool, compile(t, pool)
}

func day() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }

func compile(t testing.TB, pool *pgxpool.Pool) *mapper.Mapping {
	t.Helper()
	folder, findings := mapper.Load(mapping.Folder(), "sandbox")
	if folder == nil {
		t.Fatal(findings)
	}
	schema, err := documents.Describe(t.Context(), pool, folder, "")
	if err != nil {
		t.Fatal(err)
	}
	m, findings := folder.Compile(schema, day)
	if m == nil {
		t.Fatal(findings)
	}
	for _, f := range findings {
		t.Logf("%s", f)
	}
	return m
}

func keys(t testing.TB, pool *pgxpool.Pool, sql string) []mapper.Want {
	t.Helper()
	rows, err := pool.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []mapper.Want
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			t.Fatal(err)
		}
		out = append(out, mapper.Want{Key: mapper.Key(k)})
	}
	return out
}

func TestReferenceMappingTranslatesEveryFlow(t *testing.T) {
	t.Parallel()
	pool, m := reference(t, oms.Sizes{Seed: 7, Styles: 20, Customers: 30, OldOrders: 20, RecentOrders: 20, PurchaseOrders: 5, Today: day()})
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for flow, sql := range map[mapper.Flow]string{
		mapper.Products:   "select style_color_id::text from oms.style_colors order by 1",
		mapper.Inventory:  "select style_color_id::text from oms.style_colors order by 1",
		mapper.Customers:  "select customer_id from oms.customers order by 1",
		mapper.OrderEdits: "select order_no::text from oms.sales_orders order by 1",
		mapper.Shipments:  "select order_no::text from oms.sales_orders order by 1",
	} {
		wants := keys(t, pool, sql)
		wants = append(wants, mapper.Want{Key: "99999999"})
		reads, err := reader.Read(t.Context(), flow, wants)
		if err != nil {
			t.Fatal(flow, err)
		}
		var sent, filtered int
		for i, r := range reads {
			b, err := m.Body(flow, r.Key, r.Document)
			if err != nil {
				t.Fatal(err)
			}
			if b.Filtered {
				filtered++
				continue
			}
			if !json.Valid(b.JSON) {
				t.Fatalf("%s %s: invalid JSON %s", flow, r.Key, b.JSON)
			}
			for _, v := range b.Violations {
				t.Errorf("%s %s: %+v", flow, r.Key, v)
			}
			if sent == 0 {
				t.Logf("%s %s: remote %s facts %v parents %v\n%s", flow, wants[i].Key, b.RemoteKey, b.Facts, b.Parents, b.JSON)
			}
			sent++
		}
		if sent == 0 || filtered == 0 {
			t.Errorf("%s: %d sent, %d filtered; the key that does not exist must be filtered", flow, sent, filtered)
		}
	}
}
