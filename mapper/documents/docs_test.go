package documents_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"nubridge/internal/sandbox/mapping"
	"nubridge/internal/sandbox/oms"
	"nubridge/internal/sandbox/postgres/pgtest"
	"nubridge/mapper"
	"nubridge/mapper/cases"
	"nubridge/mapper/documents"
)

// blocks gives the YAML blocks of docs/MAPPING.md that begin with a mark, with what stands behind the mark.
func blocks(t *testing.T, text, mark string) [][2]string {
	t.Helper()
	var out [][2]string
	for _, part := range strings.Split(text, mark)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		_, rest, _ = strings.Cut(rest, "```yaml\n")
		block, _, ok := strings.Cut(rest, "\n```")
		if !ok {
			t.Fatalf("no block behind %s%s", mark, name)
		}
		out = append(out, [2]string{strings.TrimSuffix(strings.TrimSpace(name), " -->"), block + "\n"})
	}
	return out
}

func TestWhatTheDocsShowWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/MAPPING.md")
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t)
	if _, err := oms.Apply(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	check := func(name string, fsys fs.FS, overlay string) *mapper.Mapping {
		folder, findings := mapper.Load(fsys, overlay)
		if folder == nil {
			t.Fatalf("%s: %s", name, findings)
		}
		schema, err := documents.Describe(t.Context(), pool, folder, "")
		if err != nil {
			t.Fatal(err)
		}
		m, findings := folder.Compile(schema, day)
		if m == nil || len(findings) > 0 {
			t.Fatalf("%s: %s", name, findings)
		}
		return m
	}
	tutorial := blocks(t, string(text), "    mkdir -p mine")
	check("tutorial", fstest.MapFS{"products.yaml": {Data: []byte(tutorial[0][1])}}, "")
	recipes := blocks(t, string(text), "<!-- recipe ")
	if len(recipes) < 4 {
		t.Fatalf("only %d recipes", len(recipes))
	}
	for i, r := range recipes {
		fsys := fstest.MapFS{"overlays/recipe/" + r[0]: {Data: []byte(r[1])}}
		err := fs.WalkDir(mapping.Folder(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(mapping.Folder(), path)
			fsys[path] = &fstest.MapFile{Data: content}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		m := check(r[0], fsys, "recipe")
		if i > 0 {
			continue
		}
		results, findings := cases.Run(fstest.MapFS{"tests/sizes.yaml": {Data: []byte(`
- name: prices of single sizes
  flow: products
  rows:
    root: {style_color_id: 1, item_number: A, season_code: F, status: Active, color_status: Active, color_description: Red}
    sizes: [{size: S, upc: "1"}, {size: M, upc: "2"}]
    prices: [{currency: USD, price_1: 10}]
    size_prices: [{size: M, currency: USD, wholesale: 11.50, retail: 20}]
  contains: {sizes: [{size: S, pricing: {}}, {size: M, pricing: {USD: {wholesale: 11.5, retail: 20}}}]}
`)}}, m)
		if len(findings) > 0 || len(results) != 1 || !results[0].Passed() {
			t.Errorf("%v %v", results, findings)
		}
	}
	shown := blocks(t, string(text), "types only, no rows and no NuORDER.")
	results, findings := cases.Run(fstest.MapFS{"tests/docs.yaml": {Data: []byte(shown[0][1])}}, check("reference", mapping.Folder(), ""))
	if len(findings) > 0 || len(results) != 2 {
		t.Errorf("the cases that the docs show: %v %v", results, findings)
	}
}
