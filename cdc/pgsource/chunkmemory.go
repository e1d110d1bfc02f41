package pgsource

import "sync"

// chunkMemory keeps the memory of chunks that are in the feed for those that are read next, so that a snapshot makes no garbage
// of its rows. // I6
type chunkMemory struct {
	mu   sync.Mutex
	free []chunk // only arena and rows are used
}

// maxFreeChunks is how many are kept; the tables that are read at the same time take more or less in turn.
const maxFreeChunks = 2

func (m *chunkMemory) get(c *chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		c.arena, c.rows = m.free[n-1].arena, m.free[n-1].rows
		m.free = m.free[:n-1]
	}
}

// put takes the memory of a chunk that nobody reads any more.
func (m *chunkMemory) put(c *chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.free) < maxFreeChunks && cap(c.arena) <= 2*maxArena {
		m.free = append(m.free, chunk{arena: c.arena[:0], rows: c.rows[:0]})
	}
	c.arena, c.rows = nil, nil
}
