package mapper_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"nubridge/mapper"
)

const (
	document = "../docs/MAPPING.md"
	schema   = "../docs/mapping.schema.json"
	begin    = "<!-- generated -->\n"
	end      = "<!-- end generated -->\n"
)

// TestDocsAgreeWithTheCode fails when the generated part of docs/MAPPING.md or the JSON schema is not what the code gives.
// UPDATE=1 writes both anew.
func TestDocsAgreeWithTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("docs/MAPPING.md has lost its marks")
	}
	want := head + begin + "\n" + mapper.Reference() + "\n" + end + tail
	if os.Getenv("UPDATE") == "1" {
		for path, content := range map[string][]byte{document: []byte(want), schema: mapper.JSONSchema()} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	if want != string(text) {
		t.Error("docs/MAPPING.md is not what the code says; run: UPDATE=1 go test ./mapper -run DocsAgree")
	}
	if have, err := os.ReadFile(schema); err != nil || !bytes.Equal(have, mapper.JSONSchema()) {
		t.Errorf("docs/mapping.schema.json is not what the code says (%v); run: UPDATE=1 go test ./mapper -run DocsAgree", err)
	}
}

func TestSchemaForEditorsAcceptsWhatTheLoaderAccepts(t *testing.T) {
	t.Parallel()
	var doc any
	if err := json.Unmarshal(mapper.JSONSchema(), &doc); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mapping.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mapping.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text []byte) error {
		asJSON, err := yaml.YAMLToJSON(text)
		if err != nil {
			return err
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
	files, err := filepath.Glob("../internal/sandbox/mapping/reference/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("documents/testdata/foreign/mapping/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, f := range append(files, more...) {
		if filepath.Base(f) == "orders_in.yaml" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(text); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		checked++
	}
	if checked < 8 {
		t.Errorf("only %d files were checked", checked)
	}
	if valid([]byte(strings.Replace(orders, "routes:", "rotes:", 1))) == nil {
		t.Error("the schema accepts a misspelt entry")
	}
}
