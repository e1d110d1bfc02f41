package pgsource

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"nubridge/cdc"
	"nubridge/internal/fault"
)

// snapshotter loads tables while the stream flows, after the watermark idea of DBLog: a low mark is written to the log, a
// chunk is read, a high mark is written. Where the stream meets the high mark, the chunk's rows enter the feed, without
// those whose key changed between the marks. A commit that is in the log before the low mark but was not yet visible to the
// read is found by its transaction id; the chunk is read again then.
type snapshotter struct {
	s      *Source
	facts  serverFacts
	run_   string // tells our marks from those of runs before
	stream *snapshotStream
	serial int
	kept   map[int64][]*chunk // what an earlier run kept, by job
	memory chunkMemory
}

func newSnapshotter(s *Source, facts serverFacts) *snapshotter {
	var id [8]byte
	_, _ = rand.Read(id[:])
	return &snapshotter{s: s, facts: facts, run_: hex.EncodeToString(id[:]), stream: &snapshotStream{dir: s.cfg.SpillDir, chunks: map[string]*chunk{}}}
}

// planSnapshots adds a job for each table that has not been loaded.
func (s *Source) planSnapshots(ctx context.Context, b begin, known []cdc.CapturedTable) error {
	if s.cfg.Snapshot == SnapshotNever {
		return nil
	}
	if b.fresh { // loads that are under way begin anew: what they have read lies before the gap // I8
		open, err := s.deps.Store.Snapshots(ctx, s.cfg.Capture)
		if err != nil {
			return fmt.Errorf("list snapshots: %w", err)
		}
		for _, job := range open {
			job.Status, job.Resume, job.Rows, job.Started = cdc.SnapshotPending, nil, 0, time.Time{}
			if _, err := s.deps.Store.AdvanceSnapshot(ctx, s.cfg.Capture, job); err != nil {
				return fmt.Errorf("begin the snapshot of %s.%s anew: %w", job.Schema, job.Table, err)
			}
		}
	}
	for _, t := range b.tables {
		loaded := false
		for _, k := range known {
			same := k.OID == t.OID && k.Schema == t.Schema && k.Table == t.Table
			if same && len(k.Members) > 0 && k.Restriction != t.Restriction {
				s.deps.Log.Warn("the publication restricts a table to other rows or columns: it is loaded again", "table", t.Schema+"."+t.Table,
					"from", k.Restriction, "to", t.Restriction)
				same = false
			}
			loaded = loaded || same
		}
		if loaded && !b.fresh {
			continue
		}
		job := cdc.SnapshotJob{Schema: t.Schema, Table: t.Table, Status: cdc.SnapshotPending, Estimated: t.estimate}
		if err := s.deps.Store.AddSnapshot(ctx, s.cfg.Capture, job); err != nil {
			return fmt.Errorf("plan the snapshot of %s.%s: %w", t.Schema, t.Table, err)
		}
	}
	return nil
}

// jobPoll is how often jobs that were added from outside are looked for.
const jobPoll = 2 * time.Second

// run works off jobs and looks for new tables, until the context ends.
func (sn *snapshotter) run(ctx context.Context, start begin) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sn.work(ctx) })
	g.Go(func() error { return sn.watch(ctx, start.state.Tables) })
	return g.Wait()
}

// work takes jobs up as they come, as many at a time as there are workers.
func (sn *snapshotter) work(ctx context.Context) error {
	tick := time.NewTicker(jobPoll)
	defer tick.Stop()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sn.s.cfg.SnapshotWorkers)
	var busy sync.Map // of job ids
	freed := make(chan struct{}, 1)
	for {
		taken := map[int64]bool{} // before the list is read: what ends meanwhile is in it as it was
		busy.Range(func(id, _ any) bool { taken[id.(int64)] = true; return true })
		jobs, err := sn.s.deps.Store.Snapshots(ctx, sn.s.cfg.Capture)
		if err != nil {
			return errors.Join(fmt.Errorf("list snapshots: %w", err), g.Wait())
		}
		sn.discardDone(jobs)
		for _, job := range jobs {
			if job.Status == cdc.SnapshotPaused || taken[job.ID] {
				continue
			}
			busy.Store(job.ID, true)
			if !g.TryGo(func() error {
				defer signal(freed)
				defer busy.Delete(job.ID)
				return sn.table(ctx, job)
			}) {
				busy.Delete(job.ID)
				break
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(g.Wait(), ctx.Err())
		case <-tick.C:
		case <-freed:
		}
	}
}

// watch looks for new tables and for lost ones.
func (sn *snapshotter) watch(ctx context.Context, known []cdc.CapturedTable) error {
	tick := time.NewTicker(sn.s.cfg.DiscoverInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := sn.discover(ctx, known)
		switch {
		case err == nil:
			known = now
		case fault.KindOf(err) == fault.Halt || ctx.Err() != nil:
			return err
		default:
			sn.s.deps.Log.Warn("new tables were not looked for", "capture", sn.s.cfg.Capture, "error", err)
		}
	}
}

// discover takes new tables into the publication and plans their load.
func (sn *snapshotter) discover(ctx context.Context, known []cdc.CapturedTable) ([]cdc.CapturedTable, error) {
	adm, err := connectAdmin(ctx, sn.s.cfg)
	if err != nil {
		return known, err
	}
	defer adm.close(context.WithoutCancel(ctx))
	if err := adm.stillPublished(ctx, known); err != nil {
		return known, err
	}
	tables, err := adm.ensurePublication(ctx, false, sn.s.deps.Log)
	if err != nil {
		return known, err
	}
	loaded := sn.moved(known)
	if err := sn.s.planSnapshots(ctx, begin{tables: tables}, loaded.settled(known)); err != nil {
		sn.again(loaded)
		return known, err
	}
	var now []cdc.CapturedTable
	for _, t := range tables {
		now = append(now, t.CapturedTable)
	}
	return now, sn.s.deps.Store.SaveTables(ctx, sn.s.cfg.Capture, sn.renew(now))
}

// moved takes what the stream noted of tables that moved.
func (sn *snapshotter) moved(known []cdc.CapturedTable) names {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	n := sn.s.names
	sn.s.names.moved = nil
	for _, t := range known {
		if n.moved[t.OID] {
			sn.s.deps.Log.Warn("changes of a table went under another name for a while: it is loaded again", "table", t.Schema+"."+t.Table)
		}
	}
	return n
}

// again notes once more what was taken and not dealt with.
func (sn *snapshotter) again(n names) {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	for oid := range n.moved {
		if sn.s.names.moved == nil {
			sn.s.names.moved = map[uint32]bool{}
		}
		sn.s.names.moved[oid] = true
	}
}

// renew tells the stream how the tables are called now, and gives what may be recorded of them.
func (sn *snapshotter) renew(now []cdc.CapturedTable) []cdc.CapturedTable {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	sn.s.names.known = now
	return sn.s.names.settled(now)
}

// table loads one table, chunk after chunk; the next chunk is read while the one before waits for its place in the stream.
func (sn *snapshotter) table(ctx context.Context, job cdc.SnapshotJob) error {
	adm, err := connectAdmin(ctx, sn.s.cfg)
	if err != nil {
		return err
	}
	defer adm.close(context.WithoutCancel(ctx))
	if _, err := adm.conn.Exec(ctx, "set synchronous_commit = local"); err != nil {
		return classify("prepare snapshot", err)
	}
	plan, err := adm.planTable(ctx, sn.facts.version, job.Schema, job.Table)
	if err != nil {
		return err
	}
	if plan == nil {
		sn.s.deps.Log.Warn("table is gone, its snapshot ends", "table", job.Schema+"."+job.Table)
		job.Status, job.Completed = cdc.SnapshotDone, sn.s.deps.Now()
		_, err := sn.advance(ctx, job)
		return err
	}
	if job.Started.IsZero() {
		job.Started = sn.s.deps.Now()
	}
	if job.Measure != plan.measure {
		sn.discard(job.ID)
		job.Measure, job.Resume, job.Rows = plan.measure, nil, 0
	}
	if err := adm.awaitWriters(ctx, plan.oid, sn.s.deps.Log); err != nil {
		return err
	}
	job.Status = cdc.SnapshotRunning
	if paused, err := sn.advance(ctx, job); err != nil || paused {
		return err
	}
	sn.s.deps.Log.Info("snapshot begins", "table", job.Schema+"."+job.Table, "estimated_rows", job.Estimated, "resumed", job.Resume != nil)
	if whole, err := sn.chunks(ctx, adm, plan, &job); err != nil || !whole {
		return err
	}
	job.Status, job.Completed = cdc.SnapshotDone, sn.s.deps.Now()
	sn.s.deps.Log.Info("snapshot done", "table", job.Schema+"."+job.Table, "rows", job.Rows,
		"seconds", job.Completed.Sub(job.Started).Seconds())
	_, err = sn.advance(ctx, job)
	return err
}

func (sn *snapshotter) advance(ctx context.Context, job cdc.SnapshotJob) (paused bool, err error) {
	if paused, err = sn.s.deps.Store.AdvanceSnapshot(ctx, sn.s.cfg.Capture, job); err != nil {
		return false, fmt.Errorf("record the snapshot of %s.%s: %w", job.Schema, job.Table, err)
	}
	return paused, nil
}

// maxWaiting is how many chunks of a table may be in memory, waiting for their place in the stream. // I6
const maxWaiting = 2

// published is a chunk that is in the feed and not yet known to be acknowledged.
type published struct {
	resume []string
	rows   int64
	end    cdc.LSN
	path   string
}

// chunks reads the table from job.Resume and records each chunk once it is acknowledged. It tells whether it came to the end
// or was paused.
func (sn *snapshotter) chunks(ctx context.Context, adm *admin, plan *tablePlan, job *cdc.SnapshotJob) (whole bool, err error) {
	var waiting []*chunk
	var out []published
	defer func() {
		for _, w := range waiting {
			sn.forget(w)
		}
	}()
	waiting = sn.resumed(job)
	resume, limit := job.Resume, min(1024, sn.s.cfg.ChunkRows)
	ended := false
	var pause patience
	if n := len(waiting); n > 0 {
		resume, ended = waiting[n-1].resume, waiting[n-1].last
	}
	for !ended || len(waiting) > 0 {
		for !ended && len(waiting) < maxWaiting {
			c, err := sn.readChunk(ctx, adm, plan, job, resume, limit)
			if err != nil {
				return false, err
			}
			waiting = append(waiting, c)
			resume, ended = c.resume, c.last
			if len(c.rows) > 0 {
				limit = max(1, min(sn.s.cfg.ChunkRows, sn.s.cfg.ChunkBytes*len(c.rows)/max(1, len(c.arena))))
			}
		}
		c := waiting[0]
		select {
		case <-c.settled:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if c.again {
			// The read missed a commit that the log had before it. Read again from here; what was read after it is void too.
			for _, w := range waiting {
				sn.void(w)
			}
			waiting, resume, ended = nil, c.from, false
			sn.s.deps.Log.Debug("chunk is read again: a commit was not yet visible", "table", job.Schema+"."+job.Table)
			if err := pause.wait(ctx); err != nil {
				return false, err
			}
			continue
		}
		pause = patience{}
		waiting = waiting[1:]
		out = append(out, published{c.resume, c.count, c.end, c.path})
		sn.memory.put(c)
		var paused bool
		if out, paused, err = sn.record(ctx, job, out); err != nil {
			return false, err
		}
		if paused {
			return false, sn.recordAll(ctx, job, out)
		}
	}
	return true, sn.recordAll(ctx, job, out)
}

// patience waits longer each time, from 10 ms to 2 s.
type patience struct{ last time.Duration }

func (p *patience) wait(ctx context.Context) error {
	p.last = min(max(10*time.Millisecond, 2*p.last), 2*time.Second)
	timer := time.NewTimer(p.last)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// record stores the progress of the chunks that are acknowledged, if there are any, and gives the others.
func (sn *snapshotter) record(ctx context.Context, job *cdc.SnapshotJob, out []published) (left []published, paused bool, err error) {
	confirmed := cdc.LSN(sn.s.confirmed.Load())
	n := 0
	for ; n < len(out) && out[n].end <= confirmed; n++ {
		job.Resume = out[n].resume
		job.Rows += out[n].rows
	}
	if n == 0 {
		return out, false, nil
	}
	if paused, err = sn.advance(ctx, *job); err != nil {
		return out, paused, err
	}
	for _, p := range out[:n] {
		if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, paused, fmt.Errorf("remove kept chunk: %w", err)
		}
	}
	return append(out[:0], out[n:]...), paused, err
}

// recordAll waits until every chunk is acknowledged.
func (sn *snapshotter) recordAll(ctx context.Context, job *cdc.SnapshotJob, out []published) error {
	for len(out) > 0 {
		rose := sn.s.onConfirm.next()
		var err error
		if out, _, err = sn.record(ctx, job, out); err != nil || len(out) == 0 {
			return err
		}
		select {
		case <-rose:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// void drops a chunk that is read again, with what was kept of it.
func (sn *snapshotter) void(c *chunk) {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	sn.stream.forget(c)
	if c.path != "" {
		_ = os.Remove(c.path)
	}
}

// forget lets the stream pass over a chunk; what was kept of it serves the next run.
func (sn *snapshotter) forget(c *chunk) {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	sn.stream.forget(c)
}

// readChunk writes the low mark, reads, writes the high mark.
func (sn *snapshotter) readChunk(ctx context.Context, adm *admin, plan *tablePlan, job *cdc.SnapshotJob, resume []string, limit int) (*chunk, error) {
	sn.s.mu.Lock()
	sn.serial++
	c := &chunk{id: sn.run_ + "." + strconv.Itoa(sn.serial), topic: topicName(sn.s.cfg.TopicPrefix, plan.schema, plan.table), schema: plan.schema, table: plan.table, from: resume, job: job.ID, settled: make(chan struct{})}
	sn.stream.chunks[c.id] = c
	sn.s.mu.Unlock()
	sn.memory.get(c)
	if err := adm.mark(ctx, "low", c.id); err != nil {
		return nil, err
	}
	if err := plan.read(ctx, adm, c, sn.s.cfg, job.Where, resume, limit); err != nil {
		return nil, err
	}
	c.readAt = sn.s.deps.Now()
	return c, adm.mark(ctx, "high", c.id)
}

// mark writes a watermark; its commit flushes it, so that the stream meets it soon.
func (a *admin) mark(ctx context.Context, which, id string) error {
	_, err := a.conn.Exec(ctx, "select pg_logical_emit_message(true, $1, $2)", prefixSnapshot+which, id)
	return classify("write watermark", err)
}
