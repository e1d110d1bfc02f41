package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"

	"nubridge/cdc"
)

// closeTimeout bounds how long the end of a run may take.
const closeTimeout = 5 * time.Second

// Run connects, checks that nothing was lost, and streams until the context ends or something fails; it blocks. Whatever
// ends it, Next fails from then on.
func (s *Source) Run(ctx context.Context) error {
	err := s.run(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Canceled
	}
	s.err = err
	close(s.done)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Source) run(ctx context.Context) error {
	adm, err := connectAdmin(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		adm.close(closeCtx)
	}()
	start, err := s.prepare(ctx, adm)
	if err != nil {
		return err
	}
	conn, raw, err := s.connectReplication(ctx)
	if err != nil {
		return err
	}
	system, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		_ = conn.Close(ctx)
		return classify("identify the source", err)
	}
	start, err = s.verify(ctx, adm, conn, start, system)
	if err != nil {
		_ = conn.Close(ctx)
		return err
	}
	if err := s.startReplication(ctx, conn, start.state.Through); err != nil {
		_ = conn.Close(ctx)
		return err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return fmt.Errorf("take over the replication connection: %w", err)
	}
	defer func() { _ = hijacked.Conn.Close() }()
	s.deps.Log.Info("streaming", "capture", s.cfg.Capture, "slot", s.cfg.Slot, "from", start.state.Through.String(),
		"epoch", start.state.Epoch, "tables", len(start.tables), "protocol", s.cfg.Protocol)
	if s.deps.Streaming != nil {
		s.deps.Streaming()
	}
	return s.stream(ctx, adm, start, newWire(hijacked.Conn, raw))
}

// begin is what a start found out.
type begin struct {
	facts  serverFacts
	tables []tableFacts
	state  cdc.CaptureState
	slot   slotFacts
	// fresh tells that nothing was recorded before: the tables are loaded.
	fresh bool
	// accept is the reason why a gap may be passed over; empty means that it may not.
	accept string
}

// stream runs everything that works while the log is read.
func (s *Source) stream(ctx context.Context, adm *admin, start begin, w *wire) error {
	g, ctx := errgroup.WithContext(ctx)
	st := &stream{s: s, w: w, ctx: ctx, patience: start.facts.patience}
	cat := &catalog{adm: adm, types: map[uint32]typeFacts{}, past: func(ctx context.Context, oid uint32) ([]byte, error) {
		return s.deps.Store.PastType(ctx, s.cfg.Capture, oid)
	}, pastKey: func(ctx context.Context, w wireRelation, at cdc.LSN) ([]string, error) {
		return s.deps.Store.PastKey(ctx, s.cfg.Capture, w.schema, w.table, w.names(), at)
	}}
	snap := newSnapshotter(s, start.facts)

	s.mu.Lock()
	a := newAssembler(s.cfg.TopicPrefix, start.facts.database, s.cfg.Version, start.state.Epoch)
	a.cur = s.freshBatch()
	a.cur.Last, a.last = start.state.Last, start.state.Last
	a.lastCommit = 0
	a.full = st.full
	a.rowBytes = s.cfg.RowBytes
	a.tracer = s.deps.Tracer
	a.ctx = ctx
	a.resolve = func(rel wireRelation) (*relation, error) {
		ctx, cancel := context.WithTimeout(ctx, st.askFor())
		defer cancel()
		return s.resolve(ctx, cat, rel, st.cur)
	}
	widen, err := newWidener(ctx, adm)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	a.xidEpoch = widen.widen
	a.snapshots = snap.stream
	a.spill = newSpill(s.cfg.SpillDir, s.cfg.SpillCap)
	if err := a.spill.open(); err != nil {
		s.mu.Unlock()
		return err
	}
	if err := snap.restore(start); err != nil {
		s.mu.Unlock()
		return err
	}
	s.a, s.handed = a, start.state.Through
	s.names = names{known: start.state.Tables}
	s.mu.Unlock()
	s.confirmed.Store(uint64(start.state.Through))

	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	g.Go(func() error {
		err := st.run()
		if serr := a.spill.close(); serr != nil {
			s.deps.Log.Warn("spill files were not removed", "error", serr)
		}
		if lerr := st.last(); lerr != nil && ctx.Err() == nil {
			s.deps.Log.Warn("last status was not sent", "error", lerr)
		}
		return err
	})
	g.Go(func() error { return snap.run(ctx, start) })
	g.Go(func() error { return s.heartbeat(ctx) })
	return g.Wait()
}

// last reports what was confirmed, once the reading has ended.
func (st *stream) last() error {
	return errors.Join(st.w.status(st.cur, cdc.LSN(st.s.confirmed.Load()), st.s.deps.Now(), false), st.w.finish())
}

// connectReplication opens a connection in replication mode; raw is where its bytes come from.
func (s *Source) connectReplication(ctx context.Context) (*pgconn.PgConn, io.Reader, error) {
	cc, err := pgconn.ParseConfig(s.cfg.DatabaseURL)
	if err != nil {
		return nil, nil, halt(CodeConfig, "", "the database URL of the source cannot be parsed")
	}
	var raw io.Reader
	cc.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		raw = r
		return pgproto3.NewFrontend(&framedReader{r: r}, w)
	}
	for k, v := range sessionSettings() {
		cc.RuntimeParams[k] = v
	}
	cc.RuntimeParams["replication"] = "database"
	cc.RuntimeParams["application_name"] = readerName(s.cfg.Capture, s.reader)
	conn, err := pgconn.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, nil, classify("open a replication connection", err)
	}
	return conn, raw, nil
}

func (s *Source) startReplication(ctx context.Context, conn *pgconn.PgConn, from cdc.LSN) error {
	args := []string{
		fmt.Sprintf("proto_version '%d'", s.cfg.Protocol),
		"publication_names '" + quoteLiteral(`"`+s.cfg.Publication+`"`) + "'",
		"messages 'true'",
	}
	if s.cfg.Protocol >= 2 {
		args = append(args, "streaming 'on'")
	}
	err := pglogrepl.StartReplication(ctx, conn, s.cfg.Slot, pglogrepl.LSN(from), pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: args,
	})
	return classify(fmt.Sprintf("start replication from slot %q", s.cfg.Slot), err)
}

// quoteLiteral doubles the quotes of a text that stands in single quotes.
func quoteLiteral(text string) string {
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		if text[i] == '\'' {
			out = append(out, '\'')
		}
		out = append(out, text[i])
	}
	return string(out)
}

// resolve compiles a relation and records its shape.
func (s *Source) resolve(ctx context.Context, cat *catalog, w wireRelation, at cdc.LSN) (*relation, error) {
	rel, err := cat.compile(ctx, w, s.cfg.TopicPrefix, at)
	if err != nil {
		return nil, err
	}
	if s.names.note(w) {
		if err := s.deps.Store.SaveTables(ctx, s.cfg.Capture, s.names.settled(s.names.known)); err != nil {
			return nil, fmt.Errorf("record that %s.%s bore another name: %w", w.schema, w.table, err)
		}
	}
	rel.ignored = !s.cfg.matches(w.schema, w.table)
	if rel.ignored {
		return rel, nil
	}
	if err := s.deps.Store.RecordSchema(ctx, s.cfg.Capture, schemaVersion(rel, at)); err != nil {
		return nil, fmt.Errorf("record schema of %s.%s: %w", w.schema, w.table, err)
	}
	return rel, nil
}

// heartbeat writes a logical message now and then, so that a quiet publication on a busy server releases WAL.
func (s *Source) heartbeat(ctx context.Context) error {
	if s.cfg.HeartbeatInterval < 0 {
		return nil
	}
	tick := time.NewTicker(s.cfg.HeartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		beatCtx, cancel := context.WithTimeout(ctx, s.cfg.HeartbeatInterval)
		err := s.beat(beatCtx)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("heartbeat was not written", "capture", s.cfg.Capture, "error", err)
		}
	}
}

func (s *Source) beat(ctx context.Context) error {
	adm, err := connectAdmin(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer adm.close(context.WithoutCancel(ctx))
	_, err = adm.conn.Exec(ctx, "select pg_logical_emit_message(true, $1, $2)", prefixHeartbeat+s.cfg.Slot, "")
	return classify("write heartbeat", err)
}

// Prefixes of the logical messages that are the bridge's own: they are not part of the feed.
const (
	prefixOwn       = "nubridge."
	prefixHeartbeat = "nubridge.heartbeat."
	prefixSnapshot  = "nubridge.snapshot."
	prefixTrace     = "traceparent"
)
