// Package kafka is the sandbox's broker: the Kafka protocol served in this process on a loopback port, in memory or kept in
// a folder. It is for the demo, for tests and for trying a mapping; it has one copy of everything and no promise of
// lasting storage, so nothing in production talks to it.
package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config says how the broker listens and what it keeps. The zero Config is a single broker in memory on a free port.
type Config struct {
	// Port on 127.0.0.1; zero takes a free one. Only with one broker.
	Port int
	// Brokers in the cluster, default 1.
	Brokers int
	// DataDir keeps topics, offsets and groups over a restart; empty keeps them in memory only.
	DataDir string
	// SyncWrites flushes each batch to disk before it is acknowledged; five times slower. Only with DataDir.
	SyncWrites bool
	// Partitions is the default for topics made without a number, default 3.
	Partitions int
	// TLS makes the listeners speak TLS; nil is plain text.
	TLS *tls.Config
	// User and Password switch on authentication; Mechanism is PLAIN, SCRAM-SHA-256 (default) or SCRAM-SHA-512.
	User, Password, Mechanism string
	// Settings are broker settings such as message.max.bytes; each may be empty.
	Settings map[string]string
	// Listen opens the listeners, for tests that break connections; nil is net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Log hears what the broker has to say; nil is silence.
	Log *slog.Logger
}

// Broker is a running broker, or a small cluster of them.
type Broker struct {
	cluster *kfake.Cluster
}

// Start listens and returns at once; Close ends it.
func Start(cfg Config) (*Broker, error) {
	cluster, err := kfake.NewCluster(options(cfg)...)
	if err != nil {
		return nil, fmt.Errorf("start sandbox broker: %w", err)
	}
	return &Broker{cluster: cluster}, nil
}

func options(cfg Config) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(max(cfg.Brokers, 1)),
		kfake.DefaultNumPartitions(max(cfg.Partitions, 3)),
		kfake.ClusterID("nubridge-sandbox"),
		kfake.BrokerConfigs(cfg.Settings),
		// Short sessions let a test or a demo see a lost member within seconds.
		kfake.GroupMinSessionTimeout(1),
	}
	if cfg.Partitions > 0 {
		opts = append(opts, kfake.DefaultNumPartitions(cfg.Partitions))
	}
	if cfg.Port > 0 {
		opts = append(opts, kfake.Ports(cfg.Port))
	}
	if cfg.DataDir != "" {
		opts = append(opts, kfake.DataDir(cfg.DataDir))
		if cfg.SyncWrites {
			opts = append(opts, kfake.SyncWrites())
		}
	}
	if cfg.TLS != nil {
		opts = append(opts, kfake.TLS(cfg.TLS))
	}
	if cfg.User != "" {
		mechanism := cfg.Mechanism
		if mechanism == "" {
			mechanism = "SCRAM-SHA-256"
		}
		opts = append(opts, kfake.EnableSASL(), kfake.Superuser(mechanism, cfg.User, cfg.Password))
	}
	if cfg.Listen != nil {
		opts = append(opts, kfake.ListenFn(cfg.Listen))
	}
	if cfg.Log != nil {
		opts = append(opts, kfake.WithLogger(logger{cfg.Log}))
	}
	return opts
}

// Addr is host:port of the first broker.
func (b *Broker) Addr() string { return b.Addrs()[0] }

// Addrs are host:port of all brokers.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// Cluster gives the fault controls of the fake to tests.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close stops listening and, with a DataDir, writes what is in memory. It is safe to call once.
func (b *Broker) Close() { b.cluster.Close() }

// String names the broker for messages.
func (b *Broker) String() string {
	return "sandbox kafka, " + strconv.Itoa(len(b.Addrs())) + " broker(s) at " + strings.Join(b.Addrs(), ",")
}

// logger carries the fake's lines to slog.
type logger struct{ log *slog.Logger }

// Logf implements the fake's logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "sandbox kafka", "detail", fmt.Sprintf(format, args...))
}
