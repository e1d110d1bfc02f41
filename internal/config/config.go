// Package config is the bridge's configuration: one strict YAML file, where an unknown key is an error with line and caret
// and secrets come from the environment or from files only.
package config

import (
	"io/fs"
	"time"
)

// Config is the whole file.
type Config struct {
	// OMS is the order-management system's database.
	OMS OMS `yaml:"oms"`
	// Capture reads the OMS's write-ahead log into Kafka.
	Capture Capture `yaml:"capture"`
	Kafka   Kafka   `yaml:"kafka"`
	// Ledger is where the bridge keeps its own tables.
	Ledger Ledger `yaml:"ledger"`
	// Environments by name, such as sandbox and production.
	Environments map[string]*Environment `yaml:"environments"`
	HTTP         HTTP                    `yaml:"http"`
	Telemetry    Telemetry               `yaml:"telemetry"`
	Log          Log                     `yaml:"log"`

	// Path is the file that was read; relative paths in it are relative to its folder.
	Path string `yaml:"-"`
}

// OMS says where the OMS's database is.
type OMS struct {
	// URL of the primary; a password in it must come from ${ENV}.
	URL Secret `yaml:"url"`
	// URLFile holds the URL instead.
	URLFile string `yaml:"url_file"`
	// ReplicaURL of a streaming standby that documents are read from; the primary by default.
	ReplicaURL     Secret `yaml:"replica_url"`
	ReplicaURLFile string `yaml:"replica_url_file"`
}

// Capture says what is captured.
type Capture struct {
	// Name of this capture, part of durable names; "oms" by default.
	Name string `yaml:"name"`
	// Off leaves capturing to another instance.
	Off bool `yaml:"off"`
	// Slot and Publication by name; "nubridge_" and the capture's name by default.
	Slot        string `yaml:"slot"`
	Publication string `yaml:"publication"`
	// TopicPrefix begins every topic: <prefix>.<schema>.<table>; the capture's name by default.
	TopicPrefix string `yaml:"topic_prefix"`
	// Tables to capture: schema.table or schema.*; by default those that the mappings watch.
	Tables []string `yaml:"tables"`
	// Snapshot is initial (the tables as they stand, then the stream) or never.
	Snapshot string `yaml:"snapshot"`
	// StatusInterval between status messages to the server; 5s by default.
	StatusInterval time.Duration `yaml:"status_interval"`
	// HeartbeatInterval between logical messages that move a quiet slot; 10s by default.
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval"`
	// Failover makes the slot a failover slot (PostgreSQL 17 and up).
	Failover bool `yaml:"failover"`
	// SpillDir holds streamed transactions until they commit; the system's temporary folder by default.
	SpillDir string `yaml:"spill_dir"`
	// SpillLimitMB caps the spill; 20480 by default.
	SpillLimitMB int64 `yaml:"spill_limit_mb"`
	// MaxRowMB bounds a row; the largest values of a longer one are left out. 256 by default.
	MaxRowMB int `yaml:"max_row_mb"`
	// Protocol is pgoutput's version, 1 or 2; 2 by default.
	Protocol int `yaml:"protocol"`
}

// Kafka says where the log is.
type Kafka struct {
	Brokers []string `yaml:"brokers"`
	// Partitions and Replication of topics that are made; 6 and 1 by default.
	Partitions  int `yaml:"partitions"`
	Replication int `yaml:"replication"`
	// Compression of batches: none, gzip, snappy, lz4 or zstd; lz4 by default.
	Compression string `yaml:"compression"`
	// SessionTimeout is after how long a killed or frozen instance loses its partitions to others; 10s by default. Brokers
	// bound it (group.min.session.timeout.ms, 6s by default).
	SessionTimeout time.Duration `yaml:"session_timeout"`
	// Idempotence may be switched off for brokers that refuse it; on by default.
	Idempotence *bool `yaml:"idempotence"`
	TLS         TLS   `yaml:"tls"`
	SASL        SASL  `yaml:"sasl"`
}

// TLS of a connection.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// SASL of a Kafka connection.
type SASL struct {
	// Mechanism is plain, scram-sha-256 or scram-sha-512; empty for none.
	Mechanism    string `yaml:"mechanism"`
	Username     string `yaml:"username"`
	Password     Secret `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
}

// Ledger says where the bridge's own tables are.
type Ledger struct {
	// URL of any PostgreSQL; the OMS's server by default.
	URL     Secret `yaml:"url"`
	URLFile string `yaml:"url_file"`
	// Schema of the tables; "nubridge" by default.
	Schema string `yaml:"schema"`
}

// Environment is one NuORDER portal with its mapping, modes and limits.
type Environment struct {
	// Mapping is the mapping folder.
	Mapping string `yaml:"mapping"`
	// MappingFS is the folder itself where a program brings it along, as the demo does.
	MappingFS fs.FS `yaml:"-"`
	// Overlay names the folder under overlays/ in the mapping folder; the environment's name by default.
	Overlay string  `yaml:"overlay"`
	NuORDER NuORDER `yaml:"nuorder"`
	OMSAPI  OMSAPI  `yaml:"oms_api"`
	// Flows by name with their mode: off, shadow, canary or on; orders_in: off, test or on. A flow not named is off.
	Flows map[string]string `yaml:"flows"`
	// Canary bounds the flows in mode canary.
	Canary Canary `yaml:"canary"`
	// Guards hold a flow that would change too much.
	Guards Guards `yaml:"guards"`
	Orders Orders `yaml:"orders"`
	// Lanes that deliver at once; 8 by default.
	Lanes int `yaml:"lanes"`
	// Lease on a remote object; 60s by default.
	Lease time.Duration `yaml:"lease"`
	// ParentTimeout after which a key that waits for a parent is parked; 24h by default.
	ParentTimeout time.Duration `yaml:"parent_timeout"`
	// ParkLimit of parked keys of a flow at which it pauses; 1000 by default.
	ParkLimit int `yaml:"park_limit"`
}

// NuORDER is one portal's API.
type NuORDER struct {
	URL                string `yaml:"url"`
	ConsumerKey        Secret `yaml:"consumer_key"`
	ConsumerKeyFile    string `yaml:"consumer_key_file"`
	ConsumerSecret     Secret `yaml:"consumer_secret"`
	ConsumerSecretFile string `yaml:"consumer_secret_file"`
	Token              Secret `yaml:"token"`
	TokenFile          string `yaml:"token_file"`
	TokenSecret        Secret `yaml:"token_secret"`
	TokenSecretFile    string `yaml:"token_secret_file"`
	// Signature is rfc5849 or hex (the portal's older form); rfc5849 by default.
	Signature string `yaml:"signature"`
	// Rate in calls a second and Concurrency in calls at once that the contract allows; 10 and 4 by default.
	Rate        float64 `yaml:"rate"`
	Concurrency int     `yaml:"concurrency"`
	// Timeout of one call in all; 30s by default.
	Timeout time.Duration `yaml:"timeout"`
	// Inventory is classic or replenishments; classic by default.
	Inventory string `yaml:"inventory"`
	// AllowPrivate lets the URL be a private or loopback address.
	AllowPrivate bool `yaml:"allow_private"`
	// Unsure holds the points of the API that no source settles, with the assumed defaults.
	Unsure Unsure `yaml:"unsure"`
}

// Unsure are the points of NuORDER's API that differ between sources.
type Unsure struct {
	// Arrays tells what an order update does with arrays: replace or merge; replace by default.
	Arrays string `yaml:"arrays"`
	// StatusVerb is POST or PUT; POST by default.
	StatusVerb string `yaml:"status_verb"`
	// StatusWord for processed: process or processed; processed by default.
	StatusWord string `yaml:"status_word"`
	// NumberPath of update by number: number (/api/order/number/N) or plain (/api/order/N); number by default.
	NumberPath string `yaml:"number_path"`
	// NumberVerb of order updates, by number too: POST or PUT; POST by default.
	NumberVerb string `yaml:"number_verb"`
	// StatusForm is where a status change names the status: path (/api/order/ID/processed) or body; path by default.
	StatusForm string `yaml:"status_form"`
	// Shipments are written inside the order's body or by a call of their own: inside or own; inside by default.
	Shipments string `yaml:"shipments"`
}

// OMSAPI is the OMS's HTTP API, whose shape the mapping's orders_in.yaml tells.
type OMSAPI struct {
	URL string `yaml:"url"`
	// Auth is none, basic, bearer, api_key, oauth2 or mtls; none by default.
	Auth             string        `yaml:"auth"`
	Username         string        `yaml:"username"`
	Password         Secret        `yaml:"password"`
	PasswordFile     string        `yaml:"password_file"`
	Token            Secret        `yaml:"token"`
	TokenFile        string        `yaml:"token_file"`
	APIKeyHeader     string        `yaml:"api_key_header"`
	APIKey           Secret        `yaml:"api_key"`
	APIKeyFile       string        `yaml:"api_key_file"`
	TokenURL         string        `yaml:"token_url"`
	ClientID         string        `yaml:"client_id"`
	ClientSecret     Secret        `yaml:"client_secret"`
	ClientSecretFile string        `yaml:"client_secret_file"`
	Scopes           []string      `yaml:"scopes"`
	TLS              TLS           `yaml:"tls"`
	Timeout          time.Duration `yaml:"timeout"`
	// Settle is how long a create may take to show in a search after its answer was lost; 30s by default.
	Settle time.Duration `yaml:"settle"`
	// Attempts of one create; 3 by default.
	Attempts int `yaml:"attempts"`
}

// Canary bounds a flow in mode canary to listed keys and a share of the others.
type Canary struct {
	Keys []string `yaml:"keys"`
	// Percent of all keys, chosen by their hash.
	Percent int `yaml:"percent"`
}

// Guards are the most an environment may do without a person; zero calls in an hour is no limit.
type Guards struct {
	CreatesPerHour  int `yaml:"creates_per_hour"`
	UpdatesPerHour  int `yaml:"updates_per_hour"`
	ArchivesPerHour int `yaml:"archives_per_hour"`
	// AlteredPercent of a flow's documents that a reloaded mapping may alter without a confirmation; 20 by default, 100 for all.
	AlteredPercent int `yaml:"altered_percent"`
}

// Orders says which orders travel.
type Orders struct {
	// Every is the time between polls; 10m by default.
	Every time.Duration `yaml:"every"`
	// Statuses to import; [approved] by default.
	Statuses []string `yaml:"statuses"`
	// Since is the first order date that creation and shipments may create; there is no default.
	Since string `yaml:"since"`
	// Workers that take orders forward at once; 16 by default, since each order is at one far end at a time.
	Workers int `yaml:"workers"`
}

// HTTP is where health, metrics and the API are served.
type HTTP struct {
	// Listen address; 127.0.0.1:9321 by default, "off" for none.
	Listen string `yaml:"listen"`
}

// Telemetry says where traces go.
type Telemetry struct {
	// OTLP is the endpoint of a collector (OTLP over HTTP), such as http://127.0.0.1:4318; empty for none.
	OTLP string `yaml:"otlp"`
	// Sample is the share of traces kept, 0 to 1; 1 by default.
	Sample *float64 `yaml:"sample"`
}

// Log says how logs are written.
type Log struct {
	// Level is debug, info, warn or error; info by default.
	Level string `yaml:"level"`
	// Format is text or json; text by default.
	Format string `yaml:"format"`
}
