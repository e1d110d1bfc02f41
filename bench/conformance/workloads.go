package main

import (
	"embed"
	"strconv"
	"strings"
)

//go:embed *.sql
var files embed.FS

const database = "conformance"

// workload is a database with its tables, and what is done to them.
type workload struct {
	name            string
	options         string // of create database
	since18         string // what the publication publishes besides, on 18 and newer
	schema, changes []string
}

// workloads in the order in which they run.
var workloads = []workload{ //nolint:gochecknoglobals // a table
	{"types", "", "", []string{"schema.sql", "schema_evil.sql"}, []string{"workload.sql", "workload_evil.sql"}},
	{"later", "", "", []string{"schema.sql", "schema_evil.sql", "schema_later.sql"}, []string{"workload_later.sql"}},
	{"latin1", "encoding 'LATIN1' locale 'C' template template0", ", publish_generated_columns = stored", []string{"schema_latin1.sql"}, []string{"workload_latin1.sql"}},
}

func names() string {
	var out []string
	for _, w := range workloads {
		out = append(out, w.name)
	}
	return strings.Join(out, ", ")
}

func (w workload) schemaFor(major int) string  { return textFor(major, w.schema) }
func (w workload) changesFor(major int) string { return textFor(major, w.changes) }

// textFor joins files without the statements that say that they are for a newer major; such a statement ends with its line.
func textFor(major int, names []string) string {
	var out strings.Builder
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		skip := false
		for line := range strings.Lines(string(text)) {
			if since, ok := strings.CutPrefix(line, "-- since "); ok {
				n, err := strconv.Atoi(strings.TrimSpace(since))
				skip = err != nil || n > major
				continue
			}
			if !skip {
				out.WriteString(line)
			}
			skip = skip && !strings.HasSuffix(line, ";\n")
		}
	}
	return out.String()
}
