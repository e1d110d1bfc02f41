package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
	"nubridge/cdc/kafkalog"
	"nubridge/cdc/pgsource"
	"nubridge/internal/config"
	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// statusWatcher gathers what status shows; its connections live as long as the command.
type statusWatcher struct {
	cfg    *config.Config
	server string
	store  *ledger.Store
	kafka  *kafkalog.Client
	source *pgxpool.Pool
	http   *http.Client
}

func newStatusWatcher(ctx context.Context, cfg *config.Config, server string) (*statusWatcher, error) {
	store, err := openLedger(ctx, cfg)
	if err != nil {
		return nil, err
	}
	w := &statusWatcher{cfg: cfg, server: server, store: store, http: &http.Client{Timeout: 2 * time.Second}}
	if w.kafka, err = newKafka(cfg); err == nil {
		w.source, err = pgxpool.New(ctx, cfg.OMS.URL.Reveal())
	}
	if err != nil {
		w.close()
		return nil, usageError{errors.New("oms.url is no PostgreSQL address; expected postgres://user:password@host:5432/database")}
	}
	if server == "" && cfg.HTTP.Listen != "off" {
		w.server = "http://" + cfg.HTTP.Listen
	}
	return w, nil
}

func (w *statusWatcher) close() {
	if w.source != nil {
		w.source.Close()
	}
	if w.kafka != nil {
		w.kafka.Close()
	}
	w.http.CloseIdleConnections()
	w.store.Close()
}

// look reads everything once and forms the verdict. Without the ledger there is nothing to say; what else is away is part of the report.
func (w *statusWatcher) look(ctx context.Context) (*statusReport, error) {
	r := &statusReport{Verdict: verdictInStep, Why: []string{}, At: time.Now().UTC()}
	states, live, err := w.instances(ctx, w.instance(ctx, &r.Instance))
	if err != nil {
		return nil, err
	}
	r.Instances = live
	running := together(states)
	for _, s := range states {
		for _, p := range s.Parts {
			if len(states) > 1 {
				p.Part = s.Instance + ": " + p.Part
			}
			r.parts = append(r.parts, p)
		}
		r.held = r.held || s.HeldReload
	}
	kafkaErr := ping(ctx, w.kafka.Ping)
	if kafkaErr != nil {
		r.finding(verdictStopped, "Kafka does not answer: %v", kafkaErr)
	}
	if !w.cfg.Capture.Off {
		c, err := w.capture(ctx)
		if err != nil {
			return nil, err
		}
		r.Capture = c
		if kafkaErr == nil {
			if gap := w.topicGap(ctx); gap != nil {
				r.finding(verdictStopped, "%s", gap)
			}
		}
	}
	for _, name := range sortedNames(w.cfg.Environments) {
		e, err := w.environment(ctx, name, running[name], kafkaErr == nil)
		if err != nil {
			return nil, fmt.Errorf("environment %s: %w", name, err)
		}
		r.Environments = append(r.Environments, e)
	}
	r.judge()
	return r, nil
}

// topicGap tells that a topic that capture has written is gone or another one, nil if none is, or if that cannot be told.
func (w *statusWatcher) topicGap(ctx context.Context) error {
	tables, err := capturedTables(w.cfg)
	if err != nil {
		return nil //nolint:nilerr // a mapping that cannot be read is told elsewhere
	}
	gap, err := changedTopics(ctx, w.cfg, captureConfig(w.cfg, tables), ledger.NewCaptures(w.store.Pool()))
	if err != nil {
		return nil //nolint:nilerr // a server that is away is told elsewhere
	}
	return gap
}

// instance asks the running instance's console; nil if it does not answer.
func (w *statusWatcher) instance(ctx context.Context, r *instanceReport) *instanceState {
	if w.server == "" {
		r.Trouble = "http.listen is off"
		return nil
	}
	r.Address = w.server
	var state instanceState
	if err := w.get(ctx, "/api/state", &state); err != nil {
		r.Trouble = err.Error()
		return nil
	}
	if mark, err := w.store.Mark(ctx); err == nil && state.Ledger != "" && state.Ledger != mark {
		r.Trouble = "the instance at " + w.server + " belongs to another installation"
		return nil
	}
	r.Reached, r.Version, r.Name, r.Parts = true, state.Version, state.Instance, state.Parts
	r.HeldReload = state.HeldReload
	return &state
}

func (w *statusWatcher) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(w.server, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("ask the running instance: %w", err)
	}
	answer, err := w.http.Do(request)
	if err != nil {
		return errors.New("no instance answers at " + w.server)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", w.server, answer.Status)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 8<<20)).Decode(into); err != nil {
		return fmt.Errorf("%s is no nubridge", w.server)
	}
	return nil
}

// environment reads one environment.
func (w *statusWatcher) environment(ctx context.Context, name string, running environmentState, kafka bool) (environmentReport, error) {
	cfg := w.cfg.Environments[name]
	e := environmentReport{Name: name, Flows: []flowReport{}}
	if running.Name != "" {
		e.NuORDER = &running.NuORDER
	}
	counts, err := w.store.ParkedCounts(ctx, name)
	if err != nil {
		return e, err
	}
	watched := w.watched(cfg)
	for _, flow := range mapper.Flows() {
		mode := cfg.Flows[string(flow)]
		if mode == "" || mode == "off" {
			continue
		}
		f, err := w.flow(ctx, name, flow, counts)
		if err != nil {
			return e, err
		}
		f.Mode = mode
		if kafka {
			w.lag(ctx, name, flow, watched, &f)
		}
		for i := range running.Flows {
			if running.Flows[i].Flow == string(flow) {
				f.follow(&running.Flows[i])
			}
		}
		e.Flows = append(e.Flows, f)
	}
	if mode := cfg.Flows[string(mapper.OrdersIn)]; mode != "" && mode != "off" {
		e.Orders, err = w.orders(ctx, name, mode)
	}
	return e, err
}

// watched gives the topics of the mapping as it is in its folder; nil when the folder cannot be read.
func (w *statusWatcher) watched(cfg *config.Environment) []string {
	if cfg.Mapping == "" && cfg.MappingFS == nil {
		return nil
	}
	folder, findings := mapper.Load(mappingFolder(w.cfg, cfg), cfg.Overlay)
	if folder == nil || findings.HasErrors() {
		return nil
	}
	var topics []string
	for _, t := range folder.Tables() {
		topics = append(topics, pgsource.Topic(w.cfg.Capture.TopicPrefix, t))
	}
	return topics
}

// flow reads what the ledger says about a flow.
func (w *statusWatcher) flow(ctx context.Context, environment string, flow mapper.Flow, parked []ledger.ParkedCount) (flowReport, error) {
	f := flowReport{Flow: string(flow), State: "unknown", Reasons: []reasonCount{}}
	state, err := w.store.FlowState(ctx, environment, flow)
	if err != nil {
		return f, err
	}
	backlog, err := w.store.Backlog(ctx, environment, flow)
	if err != nil {
		return f, err
	}
	c, err := w.store.Counts(ctx, environment, flow)
	if err != nil {
		return f, err
	}
	f.Asked, f.Waiting, f.Parked, f.WaitingSinceS = backlog.Requested, state.WaitingKeys, state.ParkedKeys, seconds(backlog.OldestWaiting)
	if !backlog.Settled.IsZero() {
		f.SettledAt = &backlog.Settled
	}
	if state.Paused {
		f.State, f.Code, f.Reason, f.Since, f.By = "paused", state.Code, state.Reason, &state.Since, state.PausedBy
	}
	f.Counts = countReport{
		Read: c.Read, Delivered: c.Delivered, Unchanged: c.Unchanged, Superseded: c.Superseded, Filtered: c.Filtered,
		Waiting: c.Waiting, Parked: c.Parked, Repeats: c.Repeats, Calls: c.Calls, Missing: c.Read - c.Sum(),
	}
	for _, p := range parked {
		if p.Flow == flow {
			f.Reasons = append(f.Reasons, reasonCount{p.Code, p.Keys, seconds(time.Since(p.Oldest))})
		}
	}
	slices.SortFunc(f.Reasons, func(a, b reasonCount) int { return int(b.Keys - a.Keys) })
	return f, nil
}

// lag compares the group's offsets with the ends of its topics. A flow that has never taken a partition has no lag to know.
func (w *statusWatcher) lag(ctx context.Context, environment string, flow mapper.Flow, watched []string, f *flowReport) {
	topics, err := w.store.Topics(ctx, environment, flow)
	if err != nil || len(topics) == 0 {
		return
	}
	if watched != nil { // a topic that the mapping no longer watches is nobody's backlog
		topics = slices.DeleteFunc(topics, func(t string) bool { return !slices.Contains(watched, t) })
	}
	offsets, err := w.kafka.GroupOffsets(ctx, groupID(environment, flow), topics)
	if err != nil {
		return
	}
	for p, o := range offsets {
		n, err := w.unread(ctx, p, o)
		if err != nil {
			return
		}
		f.Lag += n
	}
	f.LagOf = true
}

// fewOffsets is how many offsets are looked at one by one.
const fewOffsets = 16

// unread counts the records that a group has not committed. Offsets are not all records: a capture that starts leaves a marker in
// each partition, which nobody reads; so a few are looked at.
func (w *statusWatcher) unread(ctx context.Context, p cdc.Partition, o kafkalog.GroupOffset) (int64, error) {
	if o.Lag() == 0 || o.Lag() > fewOffsets {
		return o.Lag(), nil
	}
	var n int64
	err := w.kafka.Scan(ctx, p, max(o.Committed, o.Start), o.End, func(*cdc.Record) error { n++; return nil })
	return n, err
}

// groupID names the consumer group of a flow.
func groupID(environment string, flow mapper.Flow) string {
	return "nubridge." + environment + "." + string(flow)
}

// follow takes over what the running loop says; a pause in the ledger stands, for it binds all instances.
func (f *flowReport) follow(l *loopState) {
	f.loop, f.FreshnessS = l, &l.FreshnessS
	if f.State == "paused" && l.State != "halted" {
		return
	}
	f.State, f.Code, f.Reason, f.Since = l.State, l.Code, l.Reason, l.Since
}

// orders reads how NuORDER's orders stand.
func (w *statusWatcher) orders(ctx context.Context, environment, mode string) (*ordersReport, error) {
	intents := ledger.NewIntents(w.store.Pool())
	o := &ordersReport{Mode: mode, States: []orderCount{}}
	counts, err := intents.CountIntents(ctx, environment)
	if err != nil {
		return nil, err
	}
	for _, state := range ledger.IntentStates() {
		for _, c := range counts {
			if c.State == state {
				o.States = append(o.States, orderCount{string(c.State), c.Count, seconds(c.Oldest)})
			}
		}
	}
	doubles, err := intents.Doubles(ctx, environment)
	if err != nil {
		return nil, err
	}
	changed, err := intents.ChangedOrders(ctx, environment, 1000)
	if err != nil {
		return nil, err
	}
	o.Doubled, o.Changed = len(doubles), len(changed)
	var polled *float64
	err = w.store.Pool().QueryRow(ctx, "select extract(epoch from clock_timestamp() - polled_at)::float8 from order_pollers where environment = $1", environment).Scan(&polled)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read when orders were polled: %w", err)
	}
	o.PolledS = polled
	return o, nil
}
