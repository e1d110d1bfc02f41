package pgsource

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// SnapshotMode says whether a new table is loaded before its changes count as complete.
type SnapshotMode string

// The snapshot modes.
const (
	// SnapshotInitial loads every table once, when the capture first sees it.
	SnapshotInitial SnapshotMode = "initial"
	// SnapshotNever streams only.
	SnapshotNever SnapshotMode = "never"
)

// Config says what to capture and how. The zero value of a duration, size or count means its default.
type Config struct {
	// DatabaseURL names the source, as a URL or in keyword form; it may hold a password and is never logged. // I11
	DatabaseURL string
	// Capture is the name under which state is kept; Slot and Publication default to it with "nubridge_" in front.
	Capture, Slot, Publication string
	// TopicPrefix is the first part of every topic name and the logical server name in the envelope.
	TopicPrefix string
	// Tables are the tables to capture: schema.table or schema.*.
	Tables []string
	// Exclude takes tables out of Tables again, in the same form.
	Exclude []string
	// Snapshot is SnapshotInitial by default.
	Snapshot SnapshotMode
	// StatusInterval is how often the server is told the confirmed position, 10 s by default.
	StatusInterval time.Duration
	// HeartbeatInterval is how often a logical message is written so that quiet tables release WAL; zero means 30 s, below
	// zero none.
	HeartbeatInterval time.Duration
	// DiscoverInterval is how often new tables of a watched schema are looked for, 30 s by default.
	DiscoverInterval time.Duration
	// FailoverSlot makes the slot survive a failover to a standby; PostgreSQL 17 and up.
	FailoverSlot bool
	// Protocol is the pgoutput protocol: 2, the default, streams large transactions while they run; 1 waits for their commit.
	Protocol int
	// SpillDir holds rows of large transactions that still run, a folder below the temporary one by default. SpillCap bounds
	// it in bytes, 32 GiB by default; reaching it halts. // I6
	SpillDir string
	SpillCap int64
	// RowBytes bounds one row, 256 MiB by default: the largest values of a longer one are left out and named in its header. // I6
	RowBytes int
	// BatchEvents and BatchBytes bound one batch, 4,096 events and 1 MiB by default. // I6
	BatchEvents, BatchBytes int
	// ChunkRows is how many rows a snapshot reads at once, 8,192 by default; ChunkBytes bounds the same by size, 4 MiB by
	// default; SnapshotWorkers is how many tables are read at the same time, 2 by default.
	ChunkRows, ChunkBytes, SnapshotWorkers int
	// AcceptGap lets a start go on although the slot is ahead of, or not, the one that was recorded: the reason is stored.
	AcceptGap string
	// Version is written into source.version of every envelope.
	Version string
}

var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// withDefaults checks the configuration and fills in defaults.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.DatabaseURL == "" {
		wrong("database URL: expected one such as postgres://user@host:5432/db")
	}
	if c.Capture == "" {
		wrong("capture name: expected one, such as oms")
	}
	if c.Slot == "" {
		c.Slot = "nubridge_" + c.Capture
	}
	if c.Publication == "" {
		c.Publication = "nubridge_" + c.Capture
	}
	if !namePattern.MatchString(c.Slot) {
		wrong("slot %q: expected lower-case letters, digits and underscores, at most 63", c.Slot)
	}
	if c.TopicPrefix == "" {
		c.TopicPrefix = c.Capture
	}
	for _, t := range append(append([]string{}, c.Tables...), c.Exclude...) {
		if schema, table, ok := strings.Cut(t, "."); !ok || schema == "" || table == "" {
			wrong("table %q: expected schema.table or schema.*", t)
		}
	}
	if len(c.Tables) == 0 {
		wrong("tables: expected at least one schema.table or schema.*")
	}
	if c.Snapshot == "" {
		c.Snapshot = SnapshotInitial
	}
	if c.Snapshot != SnapshotInitial && c.Snapshot != SnapshotNever {
		wrong("snapshot %q: expected initial or never", c.Snapshot)
	}
	if c.Protocol == 0 {
		c.Protocol = 2
	}
	if c.Protocol != 1 && c.Protocol != 2 {
		wrong("protocol %d: expected 1 or 2", c.Protocol)
	}
	fallback(&c.StatusInterval, 10*time.Second)
	fallback(&c.HeartbeatInterval, 30*time.Second)
	fallback(&c.DiscoverInterval, 30*time.Second)
	fallback(&c.SpillCap, 32<<30)
	fallback(&c.RowBytes, 256<<20)
	fallback(&c.BatchEvents, 4096)
	fallback(&c.BatchBytes, 1<<20)
	fallback(&c.ChunkRows, 8192)
	fallback(&c.ChunkBytes, 4<<20)
	fallback(&c.SnapshotWorkers, 2)
	if c.SpillDir == "" {
		c.SpillDir = filepath.Join(os.TempDir(), "nubridge-spill-"+c.Slot)
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	return c, errors.Join(problems...)
}

func fallback[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}

// topicName gives the topic of a table.
func topicName(prefix, schema, table string) string { return Topic(prefix, schema+"."+table) }

// Topic gives the topic of a table that is named schema.table: characters that Kafka does not take become underscores, as in
// Debezium.
func Topic(prefix, table string) string {
	name := prefix + "." + table
	clean := make([]byte, 0, len(name))
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			clean = append(clean, byte(r))
		default:
			clean = append(clean, '_')
			if r > 0xFFFF { // Debezium counts in UTF-16
				clean = append(clean, '_')
			}
		}
	}
	return string(clean)
}
