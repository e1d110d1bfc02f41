package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// feed is one run of one target: where it reads and where it writes. Every run has names of its own, so that nothing of the
// run before is met.
type feed struct {
	s           *settings
	id          string // also the prefix of the topics
	target      string
	schema      string
	slot        string
	publication string
	mode        string // stream or snapshot
	rows        int    // row messages the floor counts
	dir         string // state and log
}

func (f *feed) pgURL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", f.s.pgPort, database)
}

func (f *feed) broker() string { return fmt.Sprintf("127.0.0.1:%d", f.s.kafkaPort) }

// topics are the two that the target writes.
func (f *feed) topics() []string {
	return []string{f.id + "." + f.schema + "." + tables[0], f.id + "." + f.schema + "." + tables[1]}
}

func (f *feed) log() string { return filepath.Join(f.dir, "log") }

// tombstones tells whether the target follows a delete with a tombstone.
func (f *feed) tombstones() bool { return f.target != "baseline" }

// start starts the target; a second start goes on where the first was ended.
func (f *feed) start() (*process, error) {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, err
	}
	env := []string{
		"CDC_PG_URL=" + f.pgURL(), "CDC_PG_HOST=127.0.0.1", "CDC_PG_PORT=" + strconv.Itoa(f.s.pgPort), "CDC_PG_USER=postgres", "CDC_PG_DB=" + database,
		"CDC_KAFKA=" + f.broker(), "CDC_PREFIX=" + f.id, "CDC_SLOT=" + f.slot, "CDC_PUBLICATION=" + f.publication,
		"CDC_SCHEMA=" + f.schema, "CDC_STATE=" + f.dir, "CDC_MODE=" + f.mode, "CDC_ROWS=" + strconv.Itoa(f.rows),
		"NUBRIDGE_LAB=" + f.s.cache, "DEBEZIUM_REST_PORT=" + strconv.Itoa(f.s.pgPort+2000),
	}
	switch f.target {
	case "nubridge":
		config := filepath.Join(f.dir, "nubridge.yaml")
		if err := os.WriteFile(config, []byte(f.config()), 0o644); err != nil {
			return nil, err
		}
		return launch(f.dir, f.log(), nil, f.s.nubridge, "run", "--config", config)
	case "debezium":
		return launch(f.dir, f.log(), env, filepath.Join(f.s.lab, "debezium.sh"), "run", "default")
	case "debezium-tuned":
		return launch(f.dir, f.log(), env, filepath.Join(f.s.lab, "debezium.sh"), "run", "tuned")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name, gulp := strings.CutSuffix(f.target, "-gulp")
	if gulp {
		env = append(env, "CDC_GULP=524288")
	}
	return launch(f.dir, f.log(), env, self, name)
}

// config is nubridge's file: capture alone, every other setting at its default in all scenarios.
func (f *feed) config() string {
	snapshot := "never"
	if f.mode == "snapshot" {
		snapshot = "initial"
	}
	return fmt.Sprintf(`oms:
  url: %s
capture:
  name: %s
  slot: %s
  publication: %s
  topic_prefix: %s
  tables: [%s.*]
  snapshot: %s
  spill_dir: %s
kafka:
  brokers: [%s]
  partitions: %d
  replication: 1
ledger:
  url: postgres://postgres@127.0.0.1:%d/%s?sslmode=disable
  schema: %s
http:
  listen: "off"
`, f.pgURL(), f.id, f.slot, f.publication, f.id, f.schema, snapshot, filepath.Join(f.dir, "spill"), f.broker(), f.s.partitions,
		f.s.pgPort, ledgerDatabase, f.id)
}
