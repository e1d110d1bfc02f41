package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nubridge/cdc"
)

// Captures keeps where captures stand. It implements cdc.Checkpoints and what a source needs to remember.
type Captures struct {
	pool *pgxpool.Pool
}

// NewCaptures makes it over a pool whose search_path is the bridge's schema. It touches no network.
func NewCaptures(pool *pgxpool.Pool) *Captures { return &Captures{pool: pool} }

// Acknowledged records the acknowledged position; it never moves back within an epoch. // I8
func (c *Captures) Acknowledged(ctx context.Context, capture string, last cdc.Position, through cdc.LSN) error {
	tag, err := c.pool.Exec(ctx, `
		update captures set (last_epoch, last_commit, last_index) = (
		        select p.* from (values (last_epoch, last_commit, last_index), ($2::bigint, $3::text::pg_lsn, $4::bigint)) p (epoch, commit, index)
		        order by epoch desc, commit desc, index desc limit 1),
		    through = greatest(through, $5::text::pg_lsn), acknowledged_at = now()
		where capture = $1`, capture, int64(last.Epoch), last.Commit.String(), int64(last.Index), through.String())
	if err == nil && tag.RowsAffected() == 0 {
		err = errors.New("its state is gone")
	}
	if err != nil {
		return fmt.Errorf("record position of capture %q: %w", capture, err)
	}
	return nil
}

// LoadCapture gives the state of a capture, nil when nothing was recorded yet.
func (c *Captures) LoadCapture(ctx context.Context, capture string) (*cdc.CaptureState, error) {
	var s cdc.CaptureState
	var commit, through string
	var timeline, epoch, lastEpoch, index int64
	var tables []byte
	err := c.pool.QueryRow(ctx, `
		select system_id, timeline, slot, publication, epoch, last_epoch, last_commit::text, last_index, through::text, tables, gap_reason, accept_gap, reader
		from captures where capture = $1`, capture).
		Scan(&s.SystemID, &timeline, &s.Slot, &s.Publication, &epoch, &lastEpoch, &commit, &index, &through, &tables, &s.GapReason, &s.AcceptGap, &s.Reader)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load capture %q: %w", capture, err)
	}
	s.Timeline, s.Epoch = uint32(timeline), uint32(epoch)
	s.Last.Epoch, s.Last.Index = uint32(lastEpoch), uint64(index)
	if s.Last.Commit, err = cdc.ParseLSN(commit); err != nil {
		return nil, err
	}
	if s.Through, err = cdc.ParseLSN(through); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(tables, &s.Tables); err != nil {
		return nil, fmt.Errorf("load capture %q: tables: %w", capture, err)
	}
	return &s, nil
}

// SaveCapture stores the whole state of a capture, at a start.
func (c *Captures) SaveCapture(ctx context.Context, capture string, s cdc.CaptureState) error {
	tables, err := json.Marshal(s.Tables)
	if err != nil {
		return fmt.Errorf("save capture %q: %w", capture, err)
	}
	_, err = c.pool.Exec(ctx, `
		insert into captures (capture, system_id, timeline, slot, publication, epoch, last_epoch, last_commit, last_index, through, tables, gap_reason, accept_gap, reader)
		values ($1, $2, $3, $4, $5, $6, $7, $8::text::pg_lsn, $9, $10::text::pg_lsn, $11, $12, $13, $14)
		on conflict (capture) do update set system_id = excluded.system_id, timeline = excluded.timeline, slot = excluded.slot,
		    publication = excluded.publication, epoch = excluded.epoch, last_epoch = excluded.last_epoch, last_commit = excluded.last_commit,
		    last_index = excluded.last_index, through = excluded.through, tables = excluded.tables, gap_reason = excluded.gap_reason,
		    accept_gap = excluded.accept_gap, reader = excluded.reader, started_at = now()`,
		capture, s.SystemID, int64(s.Timeline), s.Slot, s.Publication, int64(s.Epoch), int64(s.Last.Epoch), s.Last.Commit.String(),
		int64(s.Last.Index), s.Through.String(), tables, s.GapReason, s.AcceptGap, s.Reader)
	if err != nil {
		return fmt.Errorf("save capture %q: %w", capture, err)
	}
	return nil
}

// SaveTables stores which tables are captured.
func (c *Captures) SaveTables(ctx context.Context, capture string, tables []cdc.CapturedTable) error {
	text, err := json.Marshal(tables)
	if err == nil {
		_, err = c.pool.Exec(ctx, "update captures set tables = $2 where capture = $1", capture, text)
	}
	if err != nil {
		return fmt.Errorf("save tables of capture %q: %w", capture, err)
	}
	return nil
}

// RecordSchema stores the shape of a table, unless it is the same as before.
func (c *Captures) RecordSchema(ctx context.Context, capture string, v cdc.SchemaVersion) error {
	_, err := c.pool.Exec(ctx, `
		insert into capture_schemas (capture, schema_name, table_name, from_lsn, columns)
		select $1, $2, $3, $4::text::pg_lsn, $5::jsonb
		where $5::jsonb is distinct from (select columns from capture_schemas
		    where capture = $1 and schema_name = $2 and table_name = $3 order by from_lsn desc limit 1)
		on conflict (capture, schema_name, table_name, from_lsn) do update set columns = excluded.columns`,
		capture, v.Schema, v.Table, v.From.String(), v.Columns)
	if err != nil {
		return fmt.Errorf("record schema of %s.%s: %w", v.Schema, v.Table, err)
	}
	return nil
}

// PastType gives what the recorded schemas say of a type, nil if they do not know it.
func (c *Captures) PastType(ctx context.Context, capture string, oid uint32) ([]byte, error) {
	var known []byte
	err := c.pool.QueryRow(ctx, `
		select t from capture_schemas s, jsonb_array_elements(s.columns) c, jsonb_array_elements(c -> 'types') t
		where s.capture = $1 and (t ->> 'oid')::bigint = $2 and t ->> 'name' <> '' order by s.from_lsn desc limit 1`, capture, int64(oid)).Scan(&known)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look a type up in the schemas of capture %q: %w", capture, err)
	}
	return known, nil
}

// PastKey gives the key that was recorded last of a table of these columns, at or before a place; nil if none was.
func (c *Captures) PastKey(ctx context.Context, capture, schema, table string, columns []string, at cdc.LSN) ([]string, error) {
	var key []string
	err := c.pool.QueryRow(ctx, `
		select k.names from capture_schemas s,
		    lateral (select array_agg(e ->> 'name' order by n), array_agg(e ->> 'name' order by (e ->> 'in_key')::int) filter (where e ? 'in_key')
		        from jsonb_array_elements(s.columns) with ordinality c (e, n)) k (columns, names)
		where s.capture = $1 and s.schema_name = $2 and s.table_name = $3 and s.from_lsn <= $5::text::pg_lsn and k.columns = $4 and k.names is not null
		order by s.from_lsn desc limit 1`, capture, schema, table, columns, at.String()).Scan(&key)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look the key of %s.%s up in the schemas of capture %q: %w", schema, table, capture, err)
	}
	return key, nil
}

// Snapshots lists the snapshots that are not done, in the order in which they were added.
func (c *Captures) Snapshots(ctx context.Context, capture string) ([]cdc.SnapshotJob, error) {
	return c.snapshots(ctx, "where capture = $1 and status <> 'done' order by id", capture)
}

// AllSnapshots lists all snapshots of a capture, the newest first.
func (c *Captures) AllSnapshots(ctx context.Context, capture string) ([]cdc.SnapshotJob, error) {
	return c.snapshots(ctx, "where capture = $1 order by id desc", capture)
}

func (c *Captures) snapshots(ctx context.Context, where, capture string) ([]cdc.SnapshotJob, error) {
	rows, err := c.pool.Query(ctx, `
		select id, schema_name, table_name, where_clause, status, resume, relfile, rows_read, estimated, started_at, completed_at
		from capture_snapshots `+where, capture)
	if err != nil {
		return nil, fmt.Errorf("list snapshots of capture %q: %w", capture, err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (cdc.SnapshotJob, error) {
		var j cdc.SnapshotJob
		var measure int64
		var started, completed *time.Time
		err := row.Scan(&j.ID, &j.Schema, &j.Table, &j.Where, &j.Status, &j.Resume, &measure, &j.Rows, &j.Estimated, &started, &completed)
		j.Measure = uint32(measure)
		if started != nil {
			j.Started = *started
		}
		if completed != nil {
			j.Completed = *completed
		}
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots of capture %q: %w", capture, err)
	}
	return jobs, nil
}

// AddSnapshot plans the snapshot of a table, unless the same one is planned or running.
func (c *Captures) AddSnapshot(ctx context.Context, capture string, j cdc.SnapshotJob) error {
	_, err := c.pool.Exec(ctx, `
		insert into capture_snapshots (capture, schema_name, table_name, where_clause, estimated) values ($1, $2, $3, $4, $5)
		on conflict do nothing`, capture, j.Schema, j.Table, j.Where, j.Estimated)
	if err != nil {
		return fmt.Errorf("plan snapshot of %s.%s: %w", j.Schema, j.Table, err)
	}
	return nil
}

// AcceptGap lets the next start of a capture go on over a gap, in a new epoch and with every table loaded again. The reason
// is kept.
func (c *Captures) AcceptGap(ctx context.Context, capture, reason string) error {
	if reason == "" {
		return errors.New("accept gap: expected a reason")
	}
	// Topics that were made anew are part of what is accepted.
	tag, err := c.pool.Exec(ctx, `with forgotten as (delete from capture_topics where capture = $1)
		update captures set accept_gap = $2 where capture = $1`, capture, reason)
	if err == nil && tag.RowsAffected() == 0 {
		err = errors.New("there is no such capture")
	}
	if err != nil {
		return fmt.Errorf("accept gap of capture %q: %w", capture, err)
	}
	return nil
}

// AdvanceSnapshot stores how far a snapshot is and tells whether it is paused. A pause that somebody ordered meanwhile stays.
func (c *Captures) AdvanceSnapshot(ctx context.Context, capture string, j cdc.SnapshotJob) (paused bool, err error) {
	var status string
	err = c.pool.QueryRow(ctx, `
		update capture_snapshots set resume = $3, relfile = $4, rows_read = $5, started_at = $6, completed_at = $7,
		    status = case when status = 'paused' and $8 <> 'done' then status else $8 end
		where capture = $1 and id = $2 returning status`,
		capture, j.ID, j.Resume, int64(j.Measure), j.Rows, orNull(j.Started), orNull(j.Completed), string(j.Status)).Scan(&status)
	if err != nil {
		return false, fmt.Errorf("record snapshot of %s.%s: %w", j.Schema, j.Table, err)
	}
	return status == string(cdc.SnapshotPaused), nil
}

// PauseSnapshots pauses or resumes the snapshots of a capture that are not done; it gives how many.
func (c *Captures) PauseSnapshots(ctx context.Context, capture string, pause bool) (int, error) {
	status := cdc.SnapshotPending
	if pause {
		status = cdc.SnapshotPaused
	}
	tag, err := c.pool.Exec(ctx, "update capture_snapshots set status = $2 where capture = $1 and status <> 'done'", capture, string(status))
	if err != nil {
		return 0, fmt.Errorf("pause snapshots of capture %q: %w", capture, err)
	}
	return int(tag.RowsAffected()), nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
