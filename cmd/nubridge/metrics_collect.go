package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"

	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/internal/lifecycle"
	"nubridge/internal/telemetry"
	"nubridge/orders"
	"nubridge/sink"
)

const (
	// lookEvery is how long a look serves every collection.
	lookEvery = time.Second
	// lookTimeout bounds a look, and with it how long a collection may take; the orders of an environment may take as long again.
	lookTimeout = 2 * time.Second
	// parkedCodes bounds the label code.
	parkedCodes = 20
)

// collector reads what the bridge's metrics show of ledger, Kafka and source, when it is asked and not more often than lookEvery.
type collector struct {
	b    *bridge
	list *listed
	hash string
	// status reads the ledger and the slot, as the command of that name does.
	status *statusWatcher

	mu   sync.Mutex
	last reading
}

// reading is what one look found; what could not be read is nil.
type reading struct {
	at      time.Time
	took    time.Duration
	capture *captureReport
	flows   map[string][]flowReport
	lags    map[string]map[string]int64
}

// openLook prepares one connection to the source, for looks at the slot; documents may come from a replica, which has none.
func openLook(ctx context.Context, cfg *config.Config) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(cfg.OMS.URL.Reveal())
	if err != nil {
		// The parser's error may quote the address with its password. // I11
		return nil, usageError{errors.New("oms.url is no PostgreSQL address; expected postgres://user:password@host:5432/database")}
	}
	pc.MinConns, pc.MaxConns = 0, 1
	return pgxpool.NewWithConfig(ctx, pc)
}

// observeBridge registers the metrics that are read at each collection. The group ends them before the connections.
func observeBridge(g *lifecycle.Group, b *bridge) error {
	c, end, err := newCollector(b.tel, b)
	if err != nil {
		return err
	}
	c.status = &statusWatcher{cfg: b.cfg, store: b.store, kafka: b.kafka, source: b.look}
	g.Close("metrics", func(context.Context) error { return end() })
	return nil
}

// newCollector registers the metrics; end takes them back.
func newCollector(tel *telemetry.Telemetry, b *bridge) (c *collector, end func() error, err error) {
	meter := tel.Meter("bridge")
	all := &gauges{meter: meter}
	c = &collector{b: b, list: newListed(all), hash: configHash(b.cfg)}
	if all.err != nil {
		return nil, nil, fmt.Errorf("make the metrics: %w", all.err)
	}
	own, err := meter.RegisterCallback(c.collect, all.all...)
	if err != nil {
		return nil, nil, fmt.Errorf("register the metrics: %w", err)
	}
	registrations := []metric.Registration{own}
	end = func() (err error) {
		for _, r := range registrations {
			err = errors.Join(err, r.Unregister())
		}
		return err
	}
	for _, e := range b.envs {
		if e.poller == nil {
			continue
		}
		r, err := orders.Observe(tel.Meter("orders"), e.intents, e.name)
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		registrations = append(registrations, r)
	}
	return c, end, nil
}

// configHash tells configurations apart. Secrets are no part of it: they are masked when they are written.
func configHash(c *config.Config) string {
	text, err := json.Marshal(c)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// collect shows everything.
func (c *collector) collect(ctx context.Context, o metric.Observer) error {
	r := c.reading(ctx)
	l := c.list
	o.ObserveFloat64(l.build, 1, labelled("version", version, "go_version", runtime.Version()))
	o.ObserveFloat64(l.config, 1, labelled("hash", c.hash))
	o.ObserveFloat64(l.look, r.took.Seconds())
	o.ObserveFloat64(l.readable, oneIf(r.flows != nil), labelled("part", "ledger"))
	o.ObserveFloat64(l.readable, oneIf(r.lags != nil), labelled("part", "kafka"))
	if !c.b.cfg.Capture.Off {
		o.ObserveFloat64(l.readable, oneIf(r.capture != nil), labelled("part", "source"))
		c.capturing(o)
	}
	if r.capture != nil {
		c.captured(o, r.capture)
	}
	for _, p := range c.b.parts.all() {
		c.part(o, p.Name(), p.Standing())
	}
	for _, e := range c.b.envs {
		c.remote(o, e)
		for _, f := range e.flows {
			c.running(o, e.name, f.status(), f.stalled())
		}
		for i := range r.flows[e.name] {
			c.stored(o, e.name, &r.flows[e.name][i])
		}
		for flow, n := range r.lags[e.name] {
			o.ObserveFloat64(l.lag, float64(n), labelled("environment", e.name, "flow", flow))
		}
	}
	return nil
}

// reading gives the last look, or a new one if that is over.
func (c *collector) reading(ctx context.Context) reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last.at) < lookEvery {
		return c.last
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	began := time.Now()
	var r reading
	var parts sync.WaitGroup
	parts.Go(func() { r.flows = c.ledger(ctx) })
	parts.Go(func() { r.lags = c.kafka(ctx) })
	if !c.b.cfg.Capture.Off {
		parts.Go(func() {
			if found, err := c.status.capture(ctx); err == nil && !found.unread {
				r.capture = found
			} else {
				c.away("source", errors.Join(err, unreadable(found)))
			}
		})
	}
	parts.Wait()
	r.at, r.took = time.Now(), time.Since(began)
	c.last = r
	return r
}

func unreadable(c *captureReport) error {
	if c == nil {
		return nil
	}
	return errors.New(c.SourceError)
}

func (c *collector) away(part string, err error) {
	c.b.log.Warn("metrics cannot be read", "part", part, "error", err)
}

// ledger reads the flows of every environment; nil if the ledger does not answer.
func (c *collector) ledger(ctx context.Context) map[string][]flowReport {
	all := map[string][]flowReport{}
	for _, e := range c.b.envs {
		parked, err := c.status.store.ParkedCounts(ctx, e.name)
		if err != nil {
			c.away("ledger", err)
			return nil
		}
		for _, f := range e.flows {
			r, err := c.status.flow(ctx, e.name, f.name, parked)
			if err != nil {
				c.away("ledger", err)
				return nil
			}
			all[e.name] = append(all[e.name], r)
		}
	}
	return all
}

// kafka reads the lag of every flow; nil if Kafka does not answer.
func (c *collector) kafka(ctx context.Context) map[string]map[string]int64 {
	all := map[string]map[string]int64{}
	for _, e := range c.b.envs {
		all[e.name] = map[string]int64{}
		for _, f := range e.flows {
			offsets, err := c.b.kafka.GroupOffsets(ctx, groupID(e.name, f.name), f.topics())
			if err != nil {
				c.away("kafka", err)
				return nil
			}
			var lag int64
			for _, at := range offsets {
				lag += at.Lag()
			}
			all[e.name][string(f.name)] = lag
		}
	}
	return all
}

// capturing shows what this process does.
func (c *collector) capturing(o metric.Observer) {
	l, m, of := c.list, c.b.measures.capture, labelled("capture", c.b.cfg.Capture.Name)
	o.ObserveFloat64(l.sessions, float64(m.sessions.Load()), of)
	if at := m.acked.Load(); at != 0 {
		o.ObserveFloat64(l.acked, time.Since(time.Unix(0, at)).Seconds(), of)
	}
	source := m.source.Load()
	if source == nil {
		return
	}
	p := source.Progress()
	o.ObserveFloat64(l.changes, float64(p.Changes), of)
	o.ObserveFloat64(l.received, float64(p.Received), of)
	o.ObserveFloat64(l.confirmed, float64(p.Confirmed), of)
	o.ObserveFloat64(l.serverEnd, float64(p.ServerEnd), of)
	var rows, bytes float64
	for _, t := range p.Running {
		rows, bytes = rows+float64(t.Rows), bytes+float64(t.Bytes)
	}
	o.ObserveFloat64(l.spilledRows, rows, of)
	o.ObserveFloat64(l.spilledBytes, bytes, of)
	if p.LastMessage.Unix() > 0 {
		o.ObserveFloat64(l.heard, time.Since(p.LastMessage).Seconds(), of)
	}
}

// captured shows what the source and the ledger say.
func (c *collector) captured(o metric.Observer, r *captureReport) {
	l, of := c.list, labelled("slot", r.Slot)
	o.ObserveFloat64(l.epoch, float64(r.Epoch), labelled("capture", r.Name))
	o.ObserveFloat64(l.slotPresent, oneIf(r.SlotExists), of)
	o.ObserveFloat64(l.slotActive, oneIf(r.Active), of)
	for _, status := range []string{"reserved", "extended", "unreserved", "lost"} {
		o.ObserveFloat64(l.slotStatus, oneIf(r.WALStatus == status), labelled("slot", r.Slot, "status", status))
	}
	if r.SlotExists {
		o.ObserveFloat64(l.behind, float64(r.BehindBytes), of)
		o.ObserveFloat64(l.retained, float64(r.RetainedBytes), of)
		o.ObserveFloat64(l.rate, r.WALBytesPerS, of)
	}
	if r.RunwayBytes != nil {
		o.ObserveFloat64(l.safe, float64(*r.RunwayBytes), of)
	}
	if r.RunwayS != nil {
		o.ObserveFloat64(l.runway, *r.RunwayS, of)
	}
	for _, s := range r.Snapshots {
		if s.Status != "done" {
			o.ObserveFloat64(l.snapshotRead, float64(s.Rows), labelled("table", s.Table))
			o.ObserveFloat64(l.snapshotLeft, float64(max(s.Estimated-s.Rows, 0)), labelled("table", s.Table))
		}
	}
}

// remote shows the portal's client.
func (c *collector) remote(o metric.Observer, e *environment) {
	l, s, of := c.list, e.client.Stats(), labelled("environment", e.name)
	o.ObserveFloat64(l.inFlight, float64(s.InFlight), of)
	o.ObserveFloat64(l.queued, float64(s.Waiting), of)
	o.ObserveFloat64(l.limit, float64(s.Limit), of)
	o.ObserveFloat64(l.effective, s.Rate, of)
	paused := 0.0
	if !s.PausedUntil.IsZero() {
		paused = max(time.Until(s.PausedUntil).Seconds(), 0)
	}
	o.ObserveFloat64(l.paused, paused, of)
	o.ObserveFloat64(l.budget, s.Budget, of)
	o.ObserveFloat64(l.skew, s.Skew.Seconds(), of)
	states := map[string]float64{"closed": 0, "half-open": 1, "open": 2}
	for class, b := range s.Breakers {
		of := labelled("environment", e.name, "class", string(class))
		o.ObserveFloat64(l.breaker, states[b.State], of)
		o.ObserveFloat64(l.opened, float64(b.Opened), of)
	}
}

// part shows how a part of this process stands.
func (c *collector) part(o metric.Observer, name string, s lifecycle.Standing) {
	for _, state := range []lifecycle.PartState{lifecycle.Starting, lifecycle.Working, lifecycle.StandingBy, lifecycle.Failing, lifecycle.Halted} {
		o.ObserveFloat64(c.list.partState, oneIf(s.State == state), labelled("part", name, "state", string(state)))
	}
	if s.State == lifecycle.Halted || s.State == lifecycle.Failing {
		o.ObserveFloat64(c.list.partStands, max(time.Since(s.Since).Seconds(), 0), labelled("part", name, "code", s.Code))
	}
}

// running shows a flow's loop in this process.
func (c *collector) running(o metric.Observer, environment string, s sink.Status, stalls int64) {
	l, of := c.list, labelled("environment", environment, "flow", string(s.Flow))
	for _, state := range []sink.State{sink.Running, sink.Throttled, sink.Paused, sink.Halted} {
		o.ObserveFloat64(l.state, oneIf(s.State == state), labelled("environment", environment, "flow", string(s.Flow), "state", string(state)))
	}
	o.ObserveFloat64(l.freshness, s.Freshness.Seconds(), of)
	o.ObserveFloat64(l.touches, float64(s.Touches), of)
	o.ObserveFloat64(l.keys, float64(s.Keys), of)
	o.ObserveFloat64(l.flying, float64(s.InFlight), of)
	o.ObserveFloat64(l.delayed, float64(s.Delayed), of)
	o.ObserveFloat64(l.hidden, float64(s.Hidden), of)
	o.ObserveFloat64(l.partitions, float64(s.Partitions), of)
	o.ObserveFloat64(l.stalls, float64(stalls), of)
}

// stored shows what the ledger says of a flow, for all instances.
func (c *collector) stored(o metric.Observer, environment string, f *flowReport) {
	l, of := c.list, labelled("environment", environment, "flow", f.Flow)
	ended := func(d ledger.Disposition) metric.ObserveOption {
		return labelled("environment", environment, "flow", f.Flow, "disposition", string(d))
	}
	n := &f.Counts
	o.ObserveFloat64(l.read, float64(n.Read), ended("read"))
	o.ObserveFloat64(l.read, float64(n.Delivered), ended(ledger.Delivered))
	o.ObserveFloat64(l.read, float64(n.Unchanged), ended(ledger.Unchanged))
	o.ObserveFloat64(l.read, float64(n.Superseded), ended(ledger.Superseded))
	o.ObserveFloat64(l.read, float64(n.Filtered), ended(ledger.Filtered))
	o.ObserveFloat64(l.read, float64(n.Repeats), ended("repeat"))
	o.ObserveFloat64(l.held, float64(n.Waiting), ended(ledger.Waiting))
	o.ObserveFloat64(l.held, float64(n.Parked), ended(ledger.Parked))
	o.ObserveFloat64(l.missing, float64(n.Missing), of) // I1
	o.ObserveFloat64(l.calls, float64(n.Calls), of)
	o.ObserveFloat64(l.requested, float64(f.Asked), of)
	o.ObserveFloat64(l.waiting, float64(f.Waiting), of)
	o.ObserveFloat64(l.waitingOldest, f.WaitingSinceS, of)
	if f.SettledAt != nil {
		o.ObserveFloat64(l.settled, time.Since(*f.SettledAt).Seconds(), of)
	}
	for _, r := range folded(f.Reasons) {
		of := labelled("environment", environment, "flow", f.Flow, "code", r.Code)
		o.ObserveFloat64(l.parked, float64(r.Keys), of)
		o.ObserveFloat64(l.parkedOldest, r.OldestS, of)
	}
}

// folded bounds the codes: the most frequent stay, the rest becomes other. The reasons come with the most frequent first.
func folded(reasons []reasonCount) []reasonCount {
	if len(reasons) <= parkedCodes {
		return reasons
	}
	other := reasonCount{Code: "other"}
	for _, r := range reasons[parkedCodes:] {
		other.Keys += r.Keys
		other.OldestS = max(other.OldestS, r.OldestS)
	}
	return append(reasons[:parkedCodes:parkedCodes], other)
}

// metricsPage writes docs/METRICS.md.
func metricsPage(list []telemetry.Instrument) string {
	var b strings.Builder
	b.WriteString("# Metrics\n\nServed at `/metrics` of `http.listen`, in Prometheus's form, with exemplars where the reader asks for OpenMetrics. Written by\n" +
		"`go test ./cmd/nubridge -run TestMetricsPage -update` from what is registered; do not edit.\n\n" +
		"All are in base units. What is read from the ledger, from Kafka or from the source is for all instances, is at most a second old,\n" +
		"and is absent while its part does not answer: `nubridge_readable` says so. The rest is of the instance that is asked. Go's and the\n" +
		"process's own metrics (`go_*`, `process_*`) come along.\n\n| Metric | Kind | Labels | What it says |\n|---|---|---|---|\n")
	for _, i := range list {
		labels := "-"
		if len(i.Labels) > 0 {
			labels = "`" + strings.Join(i.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", i.Name, i.Kind, labels, strings.ReplaceAll(i.Help, "|", "\\|"))
	}
	return b.String()
}
