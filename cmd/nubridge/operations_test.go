package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"nubridge/internal/config"
)

// TestTheConfigurationInTheDocsIsWholeAndTrue loads the example of OPERATIONS.md, holds its values to the defaults that they are said to
// be, and looks for every key.
func TestTheConfigurationInTheDocsIsWholeAndTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	for _, key := range yamlKeys(reflect.TypeFor[config.Config](), nil) {
		if !regexp.MustCompile(`(?m)[ ,{]` + key + `[:, \n]|^` + key + `:`).MatchString(example) {
			t.Errorf("the example lacks the key %s", key)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nubridge.yaml": example, "secrets/consumer_secret": "b", "secrets/token": "c", "secrets/token_secret": "d",
		// The least that loads: what it leaves out is the default.
		"least.yaml": "oms: {url: \"${OMS_DATABASE_URL}\"}\nkafka: {brokers: [\"127.0.0.1:9092\"]}\nenvironments: {sandbox: {}}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lookup := func(name string) (string, bool) {
		return map[string]string{"OMS_DATABASE_URL": "postgres://nobody@127.0.0.1/oms", "NUORDER_CONSUMER_KEY": "a"}[name], true
	}
	shown, err := config.Load(filepath.Join(dir, "nubridge.yaml"), lookup)
	if err != nil {
		t.Fatal(err)
	}
	least, err := config.Load(filepath.Join(dir, "least.yaml"), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shown.Capture, least.Capture; !sameDefaults(got, want) {
		t.Errorf("capture: shown %+v, the defaults are %+v", got, want)
	}
	e, d := shown.Environments["sandbox"], least.Environments["sandbox"]
	for name, pair := range map[string][2]any{
		"unsure": {e.NuORDER.Unsure, d.NuORDER.Unsure}, "rate": {e.NuORDER.Rate, d.NuORDER.Rate}, "concurrency": {e.NuORDER.Concurrency, d.NuORDER.Concurrency},
		"timeout": {e.NuORDER.Timeout, d.NuORDER.Timeout}, "guards": {e.Guards, d.Guards}, "lanes": {e.Lanes, d.Lanes}, "lease": {e.Lease, d.Lease},
		"parent_timeout": {e.ParentTimeout, d.ParentTimeout}, "park_limit": {e.ParkLimit, d.ParkLimit}, "every": {e.Orders.Every, d.Orders.Every},
		"settle": {e.OMSAPI.Settle, d.OMSAPI.Settle}, "attempts": {e.OMSAPI.Attempts, d.OMSAPI.Attempts}, "listen": {shown.HTTP, least.HTTP}, "log": {shown.Log, least.Log},
		"partitions": {shown.Kafka.Partitions, least.Kafka.Partitions}, "compression": {shown.Kafka.Compression, least.Kafka.Compression},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: shown %+v, the default is %+v", name, pair[0], pair[1])
		}
	}
}

// sameDefaults compares what the example shows, in which an empty list stands for none.
func sameDefaults(a, b config.Capture) bool {
	a.Tables, b.Tables = nil, nil
	return reflect.DeepEqual(a, b)
}

// yamlKeys lists the keys of a configuration, without the names of environments and flows.
func yamlKeys(t reflect.Type, found []string) []string {
	switch {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Slice:
		return yamlKeys(t.Elem(), found)
	case t.Kind() != reflect.Struct || t == reflect.TypeFor[config.Secret]() || t == reflect.TypeFor[time.Time]():
		return found
	}
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		found = append(found, key)
		found = yamlKeys(f.Type, found)
	}
	return found
}
