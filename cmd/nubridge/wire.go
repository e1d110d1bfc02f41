package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
	"nubridge/internal/config"
	"nubridge/internal/fault"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/internal/telemetry"
	"nubridge/migrations"
)

// bridge is the assembled program: every concrete type meets here and in the other wire files, nowhere else.
type bridge struct {
	cfg *config.Config
	log *slog.Logger
	tel *telemetry.Telemetry

	store *ledger.Store
	oms   *pgxpool.Pool // the database that documents are read from
	look  *pgxpool.Pool // the database whose slot the metrics look at
	kafka *kafkalog.Client
	envs  []*environment
	// measures are what the parts leave behind for /metrics.
	measures measures
	epoch    *epochWatch
	owner    string
	parts    parts

	// taking is held while a mapping is taken over; held is the change that waits for a confirmation.
	taking sync.Mutex
	held   atomic.Pointer[heldReload]
}

// assemble connects to what must be there, makes the bridge's tables and compiles the mappings. It starts nothing.
func assemble(ctx context.Context, cfg *config.Config, tel *telemetry.Telemetry, log *slog.Logger) (_ *bridge, err error) {
	host, _ := os.Hostname()
	b := &bridge{cfg: cfg, tel: tel, log: log, owner: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), strings.ToLower(rand.Text()[:4]))} // containers share host and pid
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.measures, err = newMeasures(tel); err != nil {
		return nil, err
	}
	if b.kafka, err = newKafka(cfg); err != nil {
		return nil, err
	}
	if err := ping(ctx, b.kafka.Ping); err != nil {
		return nil, err
	}
	if b.oms, err = openOMS(ctx, cfg); err != nil {
		return nil, err
	}
	if b.look, err = openLook(ctx, cfg); err != nil {
		return nil, err
	}
	if _, err := migrations.ApplyURL(ctx, cfg.Ledger.URL.Reveal(), cfg.Ledger.Schema); err != nil {
		return nil, err
	}
	if b.store, err = ledger.Open(ctx, cfg.Ledger.URL.Reveal(), cfg.Ledger.Schema); err != nil {
		return nil, err
	}
	b.epoch = &epochWatch{captures: ledger.NewCaptures(b.store.Pool()), capture: cfg.Capture.Name}
	for _, name := range sortedNames(cfg.Environments) {
		e, err := b.newEnvironment(ctx, name, cfg.Environments[name])
		if err != nil {
			return nil, fmt.Errorf("environment %s: %w", name, err)
		}
		b.envs = append(b.envs, e)
	}
	if cfg.Capture.Off {
		return b, nil
	}
	return b, b.prepareCapture(ctx)
}

// prepareCapture looks whether the source can be captured at all, and makes the topics that the flows wait for.
func (b *bridge) prepareCapture(ctx context.Context) error {
	source := captureConfig(b.cfg, b.tables())
	// A lost slot is a gap, which halts capture alone.
	if err := pgsource.Preflight(ctx, source); err != nil && fault.CodeOf(err) != pgsource.CodeSlotLost {
		return err
	}
	if err := b.sameServer(ctx, source); err != nil {
		return err
	}
	tables, err := pgsource.Tables(ctx, source)
	if err != nil {
		return err
	}
	topics := make([]kafkalog.Topic, len(tables))
	for i, t := range tables {
		topics[i] = kafkalog.Topic{Name: t.Topic, Partitions: b.cfg.Kafka.Partitions, Replication: b.cfg.Kafka.Replication}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return b.kafka.EnsureTopics(ctx, topics)
}

// start hands every part to the group, what others need first.
func (b *bridge) start(g *lifecycle.Group) error {
	g.Close("connections", func(context.Context) error { b.close(); return nil })
	if err := observeBridge(g, b); err != nil {
		return err
	}
	g.Go("ledger", b.store.Listen)
	g.Go("epoch", b.epoch.run)
	for _, e := range b.envs {
		e.start(g)
	}
	if !b.cfg.Capture.Off {
		b.part(g, "capture", b.captureLife, nil)
	}
	g.Go("mended", b.hearMended)
	g.Go("report", b.report)
	return nil
}

func (b *bridge) close() {
	for _, e := range b.envs {
		e.close()
	}
	if b.store != nil {
		b.store.Close()
	}
	if b.look != nil {
		b.look.Close()
	}
	if b.oms != nil {
		b.oms.Close()
	}
	if b.kafka != nil {
		b.kafka.Close()
	}
}

// sameServer refuses to start on another server than the one that was captured so far: the configuration names a wrong one. All
// other gaps halt capture alone.
func (b *bridge) sameServer(ctx context.Context, source pgsource.Config) error {
	gap, err := pgsource.Gap(ctx, source, pgsource.Deps{Store: ledger.NewCaptures(b.store.Pool()), Log: b.log})
	switch {
	case fault.KindOf(err) == fault.Halt:
		return err
	case fault.CodeOf(gap) == pgsource.CodeOtherSystem:
		return gap
	}
	return nil // what passes is told and tried again by capture itself
}

// captureLife moves the OMS's changes into Kafka while this instance is the one that captures; others stand by.
func (b *bridge) captureLife(ctx context.Context, tell func(lifecycle.PartState, error)) error {
	captures := ledger.NewCaptures(b.store.Pool())
	log := b.log.With("part", "capture")
	open := func(ctx context.Context) (cdc.Session, error) {
		return b.openCapture(ctx, captures, log, func() { tell(lifecycle.Working, nil) })
	}
	halts := func(err error) bool { return fault.KindOf(err) == fault.Halt }
	capture, err := cdc.NewCapture(open, captures, log, cdc.CaptureConfig{
		Capture: b.cfg.Capture.Name, Halts: halts, Acked: b.measures.capture.counts(b.cfg.Capture.Name, time.Now),
		Interrupted: func(err error) { tell(lifecycle.Failing, err) },
	})
	if err != nil {
		return err
	}
	// Opening shuts an older publisher out of the topics: only who has the right may do so.
	return b.store.Exclusive(ctx, "capture "+b.cfg.Capture.Name, func() { tell(lifecycle.StandingBy, nil) }, capture.Run)
}

func (b *bridge) openCapture(ctx context.Context, captures *ledger.Captures, log *slog.Logger, streaming func()) (cdc.Session, error) {
	topics, err := b.kafka.Topics(ctx, b.cfg.Capture.TopicPrefix+".")
	if err != nil {
		return cdc.Session{}, err
	}
	recorded, err := captures.Topics(ctx, b.cfg.Capture.Name)
	if err != nil {
		return cdc.Session{}, err
	}
	wanted, err := pgsource.Tables(ctx, captureConfig(b.cfg, b.tables()))
	if err != nil {
		return cdc.Session{}, err
	}
	k := b.cfg.Kafka
	publisher, err := kafkalog.Open(ctx, b.kafka, kafkalog.PublisherConfig{
		Known: written(known(recorded), wanted), Plain: !*k.Idempotence, Compression: k.Compression, Fence: "nubridge-capture-" + b.cfg.Capture.Name,
		Create: &kafkalog.Topic{Partitions: k.Partitions, Replication: k.Replication},
		Keep: func(ctx context.Context, t kafkalog.TopicInfo) error {
			return captures.KeepTopics(ctx, b.cfg.Capture.Name, []ledger.CapturedTopic{{Name: t.Name, ID: t.ID, Partitions: t.Partitions}})
		},
		Hole: func(ctx context.Context, topic string) error {
			return captures.HoldTopic(ctx, b.cfg.Capture.Name, topic, kafkalog.HoleID)
		},
	}, topics, log)
	if err != nil {
		return cdc.Session{}, err
	}
	found := make([]ledger.CapturedTopic, len(publisher.Topics))
	for i, t := range publisher.Topics {
		found[i] = ledger.CapturedTopic{Name: t.Name, ID: t.ID, Partitions: t.Partitions}
	}
	if err := captures.KeepTopics(ctx, b.cfg.Capture.Name, found); err != nil {
		return cdc.Session{}, errors.Join(err, publisher.Close())
	}
	var published cdc.Position
	for _, last := range publisher.Last {
		if last.Position.Compare(published) > 0 {
			published = last.Position
		}
	}
	source, err := pgsource.New(captureConfig(b.cfg, b.tables()), pgsource.Deps{
		Store: captures, Log: log, Tracer: b.tel.Tracer("capture"), Published: published, Streaming: streaming,
	})
	if err != nil {
		return cdc.Session{}, errors.Join(err, publisher.Close())
	}
	b.measures.capture.session(source)
	return cdc.Session{Source: source, Publisher: publisher, Close: publisher.Close}, nil
}

// known are topics as capture left them.
func known(recorded []ledger.CapturedTopic) []kafkalog.TopicInfo {
	out := make([]kafkalog.TopicInfo, len(recorded))
	for i, t := range recorded {
		out[i] = kafkalog.TopicInfo{Name: t.Name, ID: t.ID, Partitions: t.Partitions}
	}
	return out
}

// written are those of the known topics that the capture still writes.
func written(known []kafkalog.TopicInfo, tables []pgsource.Table) []kafkalog.TopicInfo {
	return slices.DeleteFunc(known, func(i kafkalog.TopicInfo) bool {
		return !slices.ContainsFunc(tables, func(t pgsource.Table) bool { return t.Topic == i.Name })
	})
}

// tables lists what to capture: what the configuration names, else what the mappings watch.
func (b *bridge) tables() []string {
	if len(b.cfg.Capture.Tables) > 0 {
		return b.cfg.Capture.Tables
	}
	var tables []string
	for _, e := range b.envs {
		tables = append(tables, e.folder.Tables()...)
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

func captureConfig(cfg *config.Config, tables []string) pgsource.Config {
	c := cfg.Capture
	return pgsource.Config{
		DatabaseURL: cfg.OMS.URL.Reveal(), Capture: c.Name, Slot: c.Slot, Publication: c.Publication, TopicPrefix: c.TopicPrefix, Tables: tables,
		Snapshot: pgsource.SnapshotMode(c.Snapshot), StatusInterval: c.StatusInterval, HeartbeatInterval: c.HeartbeatInterval,
		FailoverSlot: c.Failover, Protocol: c.Protocol, SpillDir: cfg.Resolve(c.SpillDir), SpillCap: c.SpillLimitMB << 20, RowBytes: c.MaxRowMB << 20, Version: version,
	}
}

func newKafka(cfg *config.Config) (*kafkalog.Client, error) {
	k := cfg.Kafka
	secure, err := loadTLS(cfg, k.TLS)
	if err != nil {
		return nil, err
	}
	c := kafkalog.Config{Brokers: k.Brokers, TLS: secure}
	if k.SASL.Mechanism != "" {
		c.SASL = kafkalog.SASL{Mechanism: strings.ToUpper(k.SASL.Mechanism), User: k.SASL.Username, Password: k.SASL.Password.Reveal()}
	}
	return kafkalog.New(c)
}

// loadTLS reads the certificates of a TLS connection.
func loadTLS(cfg *config.Config, t config.TLS) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(cfg.Resolve(t.CAFile))
		if err != nil {
			return nil, usageError{fmt.Errorf("read the certificate authority: %w", err)}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usageError{fmt.Errorf("%s holds no certificate in PEM form", t.CAFile)}
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Resolve(t.CertFile), cfg.Resolve(t.KeyFile))
		if err != nil {
			return nil, usageError{fmt.Errorf("read the client certificate: %w", err)}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// openOMS connects to the database that documents are read from.
func openOMS(ctx context.Context, cfg *config.Config) (*pgxpool.Pool, error) {
	url := cfg.OMS.URL
	if cfg.OMS.ReplicaURL.IsSet() {
		url = cfg.OMS.ReplicaURL
	}
	pc, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		// The parser's error may quote the address with its password. // I11
		return nil, usageError{errors.New("oms.url is no PostgreSQL address; expected postgres://user:password@host:5432/database")}
	}
	pc.MaxConns = max(pc.MaxConns, 8)
	pc.ConnConfig.RuntimeParams["jit"] = "off"       // reads by key are over before they are compiled
	pc.ConnConfig.RuntimeParams["datestyle"] = "ISO" // a database may have another habit, and the mapping reads texts
	if _, set := pc.ConnConfig.RuntimeParams["random_page_cost"]; !set {
		// A handful of keys is looked up, mostly in memory. The server's default is for a disk that seeks: from some ten keys on it
		// would rather read a whole stock table.
		pc.ConnConfig.RuntimeParams["random_page_cost"] = "1.1"
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("connect to the OMS database: %w", err)
	}
	if err := ping(ctx, pool.Ping); err != nil {
		pool.Close()
		code := pgsource.CodeUnreachable
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (strings.HasPrefix(pg.Code, "28") || pg.Code == "3D000") {
			code = pgsource.CodeAuth // it answers, and knows no such role, password or database
		}
		return nil, &fault.Error{
			Kind: fault.Halt, Code: code, Err: fmt.Errorf("connect to the OMS database %s:%d: %w", pc.ConnConfig.Host, pc.ConnConfig.Port, err),
			Hint: "check oms.url, that the server runs, and its pg_hba.conf",
		}
	}
	return pool, nil
}

func ping(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return f(ctx)
}
