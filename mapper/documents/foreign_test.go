package documents_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/documents"
)

func execute(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestForeignSchemaIsMappedFromItsFolderAlone(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sql, err := os.ReadFile("testdata/foreign/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, pool, string(sql))
	execute(t, pool, `create publication bridge for all tables with (publish_via_partition_root = true)`)
	folder, findings := mapper.Load(os.DirFS("testdata/foreign/mapping"), "sandbox")
	if folder == nil {
		t.Fatal(findings)
	}
	schema, err := documents.Describe(t.Context(), pool, folder, "bridge")
	if err != nil {
		t.Fatal(err)
	}
	m, findings := folder.Compile(schema, day)
	if m == nil || len(findings) > 0 {
		t.Fatal(findings)
	}
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tee := mapper.KeyOf("1", "TEE|1", "F26 ", "00000000-0000-0000-0000-0000000000aa")
	for _, c := range []struct {
		flow mapper.Flow
		key  mapper.Key
		want string
	}{
		{mapper.Products, tee, `{"brand_id":"TEE|1-F26-00000000-0000-0000-0000-0000000000aa","style_number":"TEE|1","season":"F26","color":"Red","name":"Tee \"one\"","active":true,"archived":false,` +
			`"fabric_description":"linen","country_of_origin":"PT","weight":180.5,"seasons":["basic","two words"],"sizes":[{"size":"S","upc":"111"},{"size":"M","upc":"112"}],` +
			`"pricing":{"EUR":{"wholesale":12.5,"retail":30},"USD":{"wholesale":13.75,"retail":33}}}`},
		{mapper.Products, mapper.KeyOf("1", "OLD", "F26 ", "00000000-0000-0000-0000-0000000000bb"), ``},
		{mapper.Customers, "C1      ", `{"name":"Shop","code":"C1","currency_code":"EUR","discount":2.5,"addresses":[{"type":"billing","line_1":"Street 1","country":"DE"},{"type":"shipping","line_1":"Street 2","country":"DE"}]}`},
		{mapper.OrderCreation, "2026|1", `{"order_number":"2026-1","currency_code":"EUR","start_ship":"2026-12-01","retailer":{"retailer_code":"C1"},"line_items":[{"product":{"style_number":"TEE|1","season":"F26"},"sizes":[{"size":"S","quantity":3,"price":12.5}]}]}`},
		{mapper.Shipments, "2026|1", `{"shipments":[{"tracking_numbers":["1Z","2Z"],"shipment_date":"2026-11-24"}]}`},
	} {
		reads, err := reader.Read(t.Context(), c.flow, []mapper.Want{{Key: c.key}})
		if err != nil {
			t.Fatalf("%s: %v", c.flow, err)
		}
		b, err := m.Body(c.flow, c.key, reads[0].Document)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(b.JSON)); diff != "" || len(b.Violations) > 0 {
			t.Errorf("%s %s: %v\n%s", c.flow, c.key, b.Violations, diff)
		}
		if c.flow == mapper.OrderCreation {
			if diff := cmp.Diff([]mapper.Ref{{Flow: mapper.Customers, Key: "C1      "}, {Flow: mapper.Products, Key: tee}}, b.Parents); diff != "" {
				t.Error(diff)
			}
		}
	}
	got, err := reader.Hop(t.Context(), mapper.HopID{Flow: mapper.Products, Index: 1}, [][]string{{"1", "nothing", "F26 "}, {"1", "TEE|1", "F26 "}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]mapper.Key{nil, {tee}}, got); diff != "" {
		t.Error(diff)
	}
}
