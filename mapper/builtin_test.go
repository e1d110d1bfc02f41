package mapper_test

import (
	"strings"
	"testing"

	"nubridge/mapper"
)

func TestANullInAListIsAnErrorAndNoPanic(t *testing.T) {
	t.Parallel()
	node, findings := mapper.ParseNode("x.yaml", []byte(`join(list, ",")`))
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	e, findings := mapper.CompileExpr(node, mapper.TemplateEnv{Names: map[string]mapper.Type{"list": mapper.Any}})
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	_, err := e.Eval(map[string]any{"list": []any{"a", nil}})
	if err == nil || !strings.Contains(err.Error(), "function join") {
		t.Errorf("got %v, want an error that names the function", err)
	}
}
