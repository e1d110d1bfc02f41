package kafkalog

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"nubridge/cdc"
)

// The fetchers of all partitions may have an answer at once: only what fits is unpacked, the others follow as records are taken. // I6
func TestAnswersAreUnpackedAsThereIsRoom(t *testing.T) {
	t.Parallel()
	const partitions, size = 6, 10_000
	g := &Group{
		cfg:  GroupConfig{TotalBytes: 2 * size, StallAfter: 30 * time.Millisecond}.withDefaults(),
		log:  slog.New(slog.DiscardHandler),
		wake: make(chan struct{}, 1), parts: map[cdc.Partition]*partition{},
	}
	for i := range partitions {
		p := newPartition(g, cdc.Assignment{Partition: cdc.Partition{Topic: "t", ID: i}})
		p.unpack.ratio = 1
		g.parts[p.id], g.turn = p, append(g.turn, p)
	}
	var e encoder
	e.start(nil, 0)
	e.add(&cdc.Event{Op: cdc.OpUpdate, Key: []byte("k"), Value: bytes.Repeat([]byte("x"), size)})
	packed, err := e.seal(newPacker(compress.None), producer{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored, waits := make(chan error, partitions), make(chan struct{}, partitions)
	for _, p := range g.turn {
		waiting := false
		go func() {
			_, err := p.store(t.Context(), fetched{batches: packed, end: 1}, 0, func() {
				if !waiting {
					waiting = true
					waits <- struct{}{}
				}
			})
			stored <- err
		}()
	}
	most := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.bytes
	}
	for range partitions - 2 {
		<-waits
	}
	if got := most(); got > 2*(size+200) {
		t.Errorf("%d bytes are read ahead; expected two answers of %d bytes", got, size)
	}
	records := 0
	for records < partitions {
		fetch, err := g.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		records += len(fetch.Records)
		if got := most(); got > 3*(size+200) {
			t.Errorf("%d bytes are read ahead; expected at most three answers of %d bytes", got, size)
		}
	}
	for range partitions {
		if err := <-stored; err != nil {
			t.Error(err)
		}
	}
	if got := most(); got != 0 {
		t.Errorf("%d bytes are counted when all is taken", got)
	}
}

func TestPoolLetsGoOfWhatALoadLeftBehind(t *testing.T) {
	t.Parallel()
	p := pool{limit: 1 << 20}
	for range 10 {
		p.put(make([]byte, 0, 1000))
	}
	p.trim() // nobody has had time to want them
	kept := p.get()
	p.put(kept)
	p.trim()
	if len(p.buffers) != 1 || p.bytes != 1000 {
		t.Errorf("%d buffers of %d bytes are kept; expected the one that was in use", len(p.buffers), p.bytes)
	}
	p.trim()
	if len(p.buffers) != 0 || p.bytes != 0 {
		t.Errorf("%d buffers of %d bytes are kept after a time without use", len(p.buffers), p.bytes)
	}
}
