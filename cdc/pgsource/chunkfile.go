package pgsource

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nubridge/cdc"
)

// A chunk is kept in a file from before its first row enters the feed until its progress is recorded. After a kill the stream
// meets the high mark again and publishes the very same rows at the same positions, so that the publisher knows which of
// them Kafka has already, and nothing is repeated. // I10
type chunkFile struct {
	ID            string
	Job           int64
	Schema, Table string
	From, Resume  []string
	Last          bool
	Rows          int64
	ReadAt        time.Time
	Commit        cdc.LSN
	Oversize      map[int]string `json:",omitempty"`
	path          string
}

const chunkSuffix = ".chunk"

// save writes the chunk as it enters the feed: in dir, whole or not at all.
func (c *chunk) save(dir string, commit cdc.LSN) error {
	path := filepath.Join(dir, c.id+chunkSuffix)
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return unwritable("keep chunk", err)
	}
	rows, at := int64(0), 0
	var oversize map[int]string
	for _, row := range c.rows {
		if !c.keeps(row) {
			continue
		}
		if names := c.oversize[row.key]; names != "" {
			if oversize == nil {
				oversize = map[int]string{}
			}
			oversize[at] = names
		}
		rows, at = rows+1, at+row.end-row.key
	}
	head, err := json.Marshal(chunkFile{
		ID: c.id, Job: c.job, Schema: c.rel.schema, Table: c.rel.table, From: c.from, Resume: c.resume, Last: c.last,
		Rows: rows, ReadAt: c.readAt, Commit: commit, Oversize: oversize,
	})
	w := bufio.NewWriterSize(f, spillBuffer)
	_, _ = w.Write(append(head, '\n'))
	var sizes [8]byte
	for _, row := range c.rows {
		if c.keeps(row) {
			binary.BigEndian.PutUint32(sizes[:], uint32(row.value-row.key))
			binary.BigEndian.PutUint32(sizes[4:], uint32(row.end-row.value))
			_, _ = w.Write(sizes[:])
			_, _ = w.Write(c.arena[row.key:row.end])
		}
	}
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return unwritable("keep chunk", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return unwritable("keep chunk", err)
	}
	c.path = path
	return nil
}

// keeps tells whether a row enters the feed.
func (c *chunk) keeps(row span) bool {
	if c.dropAll {
		return false
	}
	if len(c.window) == 0 || row.value == row.key {
		return true
	}
	_, changed := c.window[string(c.arena[row.key:row.value])]
	return !changed
}

// load reads the rows of a kept chunk.
func (c *chunk) load() error {
	f, err := os.Open(c.path)
	if err != nil {
		return fmt.Errorf("read kept chunk: %w", err)
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, spillBuffer)
	if _, err := r.ReadSlice('\n'); err != nil {
		return fmt.Errorf("read kept chunk: %w", err)
	}
	var sizes [8]byte
	for {
		if _, err := io.ReadFull(r, sizes[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read kept chunk: %w", err)
		}
		s := span{key: len(c.arena)}
		s.value = s.key + int(binary.BigEndian.Uint32(sizes[:]))
		s.end = s.value + int(binary.BigEndian.Uint32(sizes[4:]))
		c.arena = slices.Grow(c.arena, s.end-s.key)[:s.end]
		if _, err := io.ReadFull(r, c.arena[s.key:s.end]); err != nil {
			return fmt.Errorf("read kept chunk: %w", err)
		}
		c.rows = append(c.rows, s)
	}
}

// keptChunks lists the chunks that an earlier run kept, in the order of the log. Half-written ones are removed.
func keptChunks(dir string) ([]chunkFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+chunkSuffix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list kept chunks: %w", err)
	}
	var out []chunkFile
	for _, name := range names {
		head, err := readHead(name)
		if err != nil || !strings.HasSuffix(name, chunkSuffix) {
			if err := os.Remove(name); err != nil {
				return nil, fmt.Errorf("remove half a chunk: %w", err)
			}
			continue
		}
		head.path = name
		out = append(out, head)
	}
	slices.SortFunc(out, func(a, b chunkFile) int { return int(int64(a.Commit) - int64(b.Commit)) })
	return out, nil
}

func readHead(path string) (h chunkFile, err error) {
	f, err := os.Open(path)
	if err != nil {
		return h, err
	}
	defer func() { _ = f.Close() }()
	line, err := bufio.NewReaderSize(f, 1<<16).ReadBytes('\n')
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(line, &h)
}

// restore prepares what an earlier run kept: chunks before through are in the feed and only need their progress recorded,
// the others enter it when the stream meets their high mark again.
func (sn *snapshotter) restore(start begin) error {
	kept, err := keptChunks(sn.s.cfg.SpillDir)
	if err != nil {
		return err
	}
	sn.kept = map[int64][]*chunk{}
	for _, h := range kept {
		if start.fresh {
			if err := os.Remove(h.path); err != nil {
				return fmt.Errorf("remove kept chunk: %w", err)
			}
			continue
		}
		c := &chunk{
			id: h.ID, job: h.Job, topic: topicName(sn.s.cfg.TopicPrefix, h.Schema, h.Table), from: h.From, resume: h.Resume, last: h.Last, readAt: h.ReadAt,
			path: h.path, count: h.Rows, oversize: h.Oversize, kept: true, settled: make(chan struct{}),
			rel: compileRelation(wireRelation{schema: h.Schema, table: h.Table}, sn.s.cfg.TopicPrefix, nil, nil),
		}
		if h.Commit < start.state.Through {
			c.end = h.Commit
			close(c.settled)
		} else {
			sn.stream.chunks[c.id] = c
		}
		sn.kept[c.job] = append(sn.kept[c.job], c)
	}
	return nil
}

// resumed gives the kept chunks of a job that follow on its recorded progress, and removes the others.
func (sn *snapshotter) resumed(job *cdc.SnapshotJob) []*chunk {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	var chain []*chunk
	at := job.Resume
	for _, c := range sn.kept[job.ID] {
		if slices.Equal(c.from, at) {
			chain = append(chain, c)
			at = c.resume
			continue
		}
		sn.stream.forget(c)
		_ = os.Remove(c.path)
	}
	delete(sn.kept, job.ID)
	return chain
}

// discard drops what was kept of a job.
func (sn *snapshotter) discard(job int64) {
	sn.s.mu.Lock()
	defer sn.s.mu.Unlock()
	for _, c := range sn.kept[job] {
		sn.stream.forget(c)
		_ = os.Remove(c.path)
	}
	delete(sn.kept, job)
}

// discardDone drops what was kept of jobs that are not open any more.
func (sn *snapshotter) discardDone(open []cdc.SnapshotJob) {
	sn.s.mu.Lock()
	var gone []int64
	for id := range sn.kept {
		if !slices.ContainsFunc(open, func(j cdc.SnapshotJob) bool { return j.ID == id }) {
			gone = append(gone, id)
		}
	}
	sn.s.mu.Unlock()
	for _, id := range gone {
		sn.discard(id)
	}
}
