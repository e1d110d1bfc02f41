package documents_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/documents"
	"nubridge/mapper/draft"
)

// drafted drafts a folder and checks it against the database.
func drafted(t *testing.T, pool *pgxpool.Pool, request map[mapper.Flow][]string) (*mapper.Mapping, mapper.Findings, draft.Result) {
	t.Helper()
	var names []string
	for _, n := range request {
		names = append(names, n...)
	}
	catalog, err := documents.Inspect(t.Context(), pool, names)
	if err != nil {
		t.Fatal(err)
	}
	result, err := draft.Draft(catalog, request)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for name, text := range result.Files {
		fsys[name] = &fstest.MapFile{Data: text}
	}
	folder, findings := mapper.Load(fsys, "")
	if folder == nil {
		t.Fatalf("%s\n%s", findings, dump(result))
	}
	schema, err := documents.Describe(t.Context(), pool, folder, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, dump(result))
	}
	m, findings := folder.Compile(schema, day)
	if m == nil {
		t.Fatalf("%s\n%s", findings, dump(result))
	}
	return m, findings, result
}

func dump(r draft.Result) string {
	var b strings.Builder
	for name, text := range r.Files {
		b.WriteString("--- " + name + "\n" + string(text))
	}
	return b.String() + strings.Join(r.Notes, "\n")
}

func TestDraftOfTheReferenceNeedsNoChangeForProductsAndCustomers(t *testing.T) {
	t.Parallel()
	pool, _ := reference(t, oms.Sizes{Seed: 3, Styles: 15, Customers: 30, PurchaseOrders: 3, OldOrders: 20, RecentOrders: 5, Today: day()})
	m, findings, result := drafted(t, pool, map[mapper.Flow][]string{
		mapper.Products:   {"styles", "style_colors", "skus", "style_prices", "size_prices", "seasons", "departments"},
		mapper.Customers:  {"customers", "customer_addresses", "terms"},
		mapper.Inventory:  {"style_colors", "skus", "stock", "warehouses"},
		mapper.OrderEdits: {"sales_orders", "sales_order_lines", "skus", "style_colors", "styles"},
		mapper.Shipments:  {"sales_orders", "invoices", "invoice_lines"},
	})
	for _, f := range findings {
		if f.File == "products.yaml" || f.File == "customers.yaml" {
			t.Errorf("%s", f)
		}
	}
	t.Log(dump(result))
	reader, err := documents.NewReader(pool, func() *mapper.Mapping { return m }, documents.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for flow, sql := range map[mapper.Flow]string{
		mapper.Products: "select style_color_id::text from oms.style_colors", mapper.Customers: "select customer_id from oms.customers",
		mapper.Inventory: "select style_color_id::text from oms.style_colors", mapper.OrderEdits: "select order_no::text from oms.sales_orders",
		mapper.Shipments: "select order_no::text from oms.sales_orders",
	} {
		reads, err := reader.Read(t.Context(), flow, keys(t, pool, sql))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range reads {
			b, err := m.Body(flow, r.Key, r.Document)
			if err != nil || (b.Filtered && flow != mapper.Shipments) || (len(b.Violations) > 0 && (flow == mapper.Products || flow == mapper.Customers)) {
				t.Errorf("%s %s: %v %+v\n%s", flow, r.Key, err, b.Violations, b.JSON)
			}
			if i == 0 {
				t.Logf("%s", b.JSON)
			}
		}
	}
}

func TestDraftOfAForeignSchemaPassesTheCheckWithMarks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	sql, err := os.ReadFile("testdata/foreign/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, pool, string(sql))
	execute(t, pool, `alter table "Erp"."ItemColor" add foreign key ("Company", "ItemNo", "Season Code") references "Erp"."Item"`)
	execute(t, pool, `create table public.article (id uuid primary key, name text); create table public.variant (id int primary key, article_id uuid references article, colour text, active bool);
		create table public.sizes (id int primary key, variant_id int references variant, size text, ean text)`)
	_, findings, result := drafted(t, pool, map[mapper.Flow][]string{
		mapper.Products:   {"Erp.Item", "Erp.ItemColor"},
		mapper.Customers:  {"Erp.Customer", "CustAddr"},
		mapper.OrderEdits: {"Erp.Order", "Erp.OrderLine"},
	})
	if len(findings) == 0 {
		t.Error("a foreign schema gives no marks")
	}
	if !strings.Contains(strings.Join(result.Notes, "\n"), "no foreign key leads from Erp.OrderLine to Erp.Order") {
		t.Errorf("a link without a foreign key was not guessed: %q", result.Notes)
	}
	t.Log(dump(result))
	_, findings, result = drafted(t, pool, map[mapper.Flow][]string{mapper.Products: {"article", "variant", "sizes"}})
	t.Log(dump(result))
	marks := 0
	for _, f := range findings {
		if strings.Contains(f.Message, "a person must decide") {
			marks++
		}
	}
	if marks == 0 {
		t.Error("nothing is marked, although there is no season")
	}
	_, err = documents.Inspect(t.Context(), pool, []string{"variants"})
	if err == nil || !strings.Contains(err.Error(), `did you mean "variant"?`) {
		t.Errorf("a misspelt table: got %v", err)
	}
}
