package postgres

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"
)

// Environment variables that stand in for settings which are not given.
const (
	// EnvBin names the folder that holds the programs postgres and initdb.
	EnvBin = "NUBRIDGE_POSTGRES_BIN"
	// EnvMirror names the base address of the repository that the server's binaries are fetched from.
	EnvMirror = "NUBRIDGE_POSTGRES_MIRROR"
	// EnvCache names the folder that fetched binaries and templates are kept in.
	EnvCache = "NUBRIDGE_POSTGRES_CACHE"
)

// The major versions that the bridge reads from.
const (
	MinMajor = 14
	MaxMajor = 18
)

const (
	defaultMajor  = 17
	defaultMirror = "https://repo1.maven.org/maven2"
	superuser     = "postgres"
)

// Config says which server to run and where. The zero value runs a temporary server of any supported version.
type Config struct {
	// Bin is the folder with the programs postgres and initdb; empty means $NUBRIDGE_POSTGRES_BIN, then PATH, then the usual
	// folders, then a download.
	Bin string
	// Major asks for one major version, 14 to 18; zero takes what is installed, or 17 when nothing is.
	Major int
	// Data is the folder of the database. It is kept and made durable. Empty means a temporary folder that is not durable
	// and is removed by Stop.
	Data string
	// Port is the loopback port; zero takes a free one.
	Port int
	// Mirror is the base address of the repository to fetch from; empty means $NUBRIDGE_POSTGRES_MIRROR, then Maven Central.
	Mirror string
	// Cache is the folder for binaries and templates; empty means $NUBRIDGE_POSTGRES_CACHE, then the user's cache folder.
	Cache string
	// NoDownload forbids fetching: a missing server is an error then.
	NoDownload bool
	// Settings are server settings that add to or replace ours, such as "max_slot_wal_keep_size": "64MB".
	Settings map[string]string
	// Progress is told how many bytes of a download have come, and how many there are (-1 if unknown); nil for silence. It is
	// called from the goroutine of Start.
	Progress func(done, total int64)
	// StartTimeout bounds the start of the server once its binaries are there; default 60 s.
	StartTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Bin == "" {
		c.Bin = os.Getenv(EnvBin)
	}
	if c.Mirror == "" {
		c.Mirror = os.Getenv(EnvMirror)
	}
	if c.Mirror == "" {
		c.Mirror = defaultMirror
	}
	c.Mirror = strings.TrimRight(c.Mirror, "/")
	if c.Cache == "" {
		c.Cache = os.Getenv(EnvCache)
	}
	if c.Progress == nil {
		c.Progress = func(int64, int64) {}
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = time.Minute
	}
	return c
}

func (c Config) validate() error {
	if c.Major != 0 && (c.Major < MinMajor || c.Major > MaxMajor) {
		return fmt.Errorf("PostgreSQL %d is not supported: choose a major version from %d to %d", c.Major, MinMajor, MaxMajor)
	}
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("port %d is out of range: choose 1 to 65535, or 0 for a free one", c.Port)
	}
	for name := range c.Settings {
		if name == "" || strings.ContainsAny(name, "= \n") {
			return errors.New("a server setting has no valid name: write it as in postgresql.conf")
		}
	}
	return nil
}

// settings are the server's settings, later ones winning: a temporary server trades durability for speed.
func (c Config) settings(port int) map[string]string {
	durable := "off"
	if c.Data != "" {
		durable = "on"
	}
	s := map[string]string{
		"listen_addresses":                "127.0.0.1",
		"port":                            fmt.Sprint(port),
		"unix_socket_directories":         "",
		"wal_level":                       "logical",
		"max_wal_senders":                 "20",
		"max_replication_slots":           "20",
		"max_connections":                 "200",
		"max_wal_size":                    "4GB",
		"track_commit_timestamp":          "on",
		"fsync":                           durable,
		"synchronous_commit":              "on", // logical decoding reads flushed WAL only; without fsync it costs nothing
		"full_page_writes":                durable,
		"log_line_prefix":                 "%m [%p] ",
		"log_checkpoints":                 "off",
		"wal_sender_timeout":              "60s",
		"logging_collector":               "off",
		"log_destination":                 "stderr",
		"shared_preload_libraries":        "",
		"autovacuum_naptime":              "20s",
		"max_logical_replication_workers": "4",
	}
	maps.Copy(s, c.Settings)
	return s
}
