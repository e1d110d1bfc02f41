package kafkalog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"nubridge/internal/fault"
)

// Config says how to reach a cluster.
type Config struct {
	// Brokers are host:port of some brokers; the others are found through them. At least one.
	Brokers []string
	// ClientID names this program in the brokers' logs and quotas, default "nubridge".
	ClientID string
	// TLS switches on TLS with these settings; nil is plain text.
	TLS *tls.Config
	// SASL switches on authentication; the zero SASL is none.
	SASL SASL
	// Dial opens connections; nil is an ordinary dialer with TCP keep-alive.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds one request, default 10 s.
	Timeout time.Duration
	// MetadataTTL is how old the routing of fetches may become, default 4 s.
	MetadataTTL time.Duration
}

// SASL is how to authenticate.
type SASL struct {
	// Mechanism is empty, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string
	User      string
	Password  string
}

func (c Config) withDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = "nubridge"
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MetadataTTL <= 0 {
		c.MetadataTTL = 4 * time.Second
	}
	return c
}

func (c Config) validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no brokers; expected at least one host:port")
	}
	for _, broker := range c.Brokers {
		if _, _, err := net.SplitHostPort(broker); err != nil {
			return fmt.Errorf("kafka: broker %q: expected host:port", broker)
		}
	}
	return nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return scramMechanism(scram.SHA256, s)
	case "SCRAM-SHA-512":
		return scramMechanism(scram.SHA512, s)
	default:
		return nil, fmt.Errorf("kafka: sasl mechanism %q: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
}

func scramMechanism(algorithm scram.Algorithm, s SASL) (sasl.Mechanism, error) {
	m, err := scram.Mechanism(algorithm, s.User, s.Password)
	if err != nil {
		return nil, errors.New("kafka: sasl user or password holds characters that SCRAM does not allow") // I11
	}
	return m, nil
}

// Client is a way to one cluster. It is safe for concurrent use.
type Client struct {
	cfg       Config
	mechanism sasl.Mechanism
	transport *kafka.Transport
	kafka     *kafka.Client
}

// New checks the settings; it opens no connection.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	transport := &kafka.Transport{
		Dial:        cfg.Dial,
		DialTimeout: 5 * time.Second,
		IdleTimeout: 30 * time.Second,
		MetadataTTL: cfg.MetadataTTL,
		ClientID:    cfg.ClientID,
		TLS:         cfg.TLS,
		SASL:        mechanism,
	}
	return &Client{
		cfg:       cfg,
		mechanism: mechanism,
		transport: transport,
		kafka:     &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Timeout: cfg.Timeout, Transport: transport},
	}, nil
}

// Close drops idle connections; those in use close when their request ends.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Ping tells whether a broker answers within ctx. The error has the code kafka_unreachable, kafka_auth or kafka_too_old.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.metadata(ctx, []string{})
	if err == nil {
		return nil
	}
	if fault.CodeOf(err) != "unknown" {
		return err
	}
	return &fault.Error{
		Kind: fault.Retry, Code: codeUnreachable,
		Hint: "check that the broker runs, the address, and whether it expects TLS or a login",
		Err:  fmt.Errorf("no Kafka broker answers at %s: %w", strings.Join(c.cfg.Brokers, ", "), err),
	}
}
