package kafkalog

import (
	"slices"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
)

// packer compresses the records of batches, one at a time. It keeps its memory between batches: with lz4, blocks of 256 KiB
// and no second checksum, where kafka-go's own would keep blocks of 4 MiB.
type packer struct {
	codec compress.Compression
	out   appender
	lz4   *lz4.Writer
}

func newPacker(codec compress.Compression) *packer {
	p := &packer{codec: codec}
	if codec == compress.Lz4 {
		p.lz4 = lz4.NewWriter(nil)
		// The options are constants that the library knows; it refuses only unknown ones.
		_ = p.lz4.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1))
	}
	return p
}

// pack appends the compressed src to dst.
func (p *packer) pack(dst, src []byte) ([]byte, error) {
	if len(src) > largeRecord && cap(dst)-len(dst) < len(src) { // what is not written to costs no memory, what grows is held twice // I6
		dst = append(make([]byte, 0, len(dst)+len(src)+len(src)/64), dst...)
	}
	p.out.buf = dst
	defer func() { p.out.buf = nil }()
	if p.lz4 != nil {
		p.lz4.Reset(&p.out)
		if _, err := p.lz4.Write(src); err != nil {
			return nil, err
		}
		if err := p.lz4.Close(); err != nil {
			return nil, err
		}
		return p.out.buf, nil
	}
	w := p.codec.Codec().NewWriter(&p.out)
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return p.out.buf, nil
}

// appender collects what a compressor writes.
type appender struct{ buf []byte }

// Write never fails.
func (a *appender) Write(b []byte) (int, error) {
	a.buf = append(a.buf, b...)
	return len(b), nil
}

// pool keeps buffers for reuse, up to a number of bytes, and as many as are in use. // I6
type pool struct {
	buffers [][]byte
	bytes   int
	limit   int
	spare   int // the fewest buffers that it held since the last trim
}

func (p *pool) get() []byte {
	n := len(p.buffers)
	if n == 0 {
		return nil
	}
	b := p.buffers[n-1]
	p.buffers[n-1] = nil
	p.buffers = p.buffers[:n-1]
	p.bytes -= cap(b)
	p.spare = min(p.spare, n-1)
	return b
}

func (p *pool) put(b []byte) {
	if b == nil || p.bytes+cap(b) > p.limit {
		return
	}
	p.buffers = append(p.buffers, b)
	p.bytes += cap(b)
}

// trim lets go of the buffers that nobody wanted since the last trim: what a load left behind.
func (p *pool) trim() {
	for _, b := range p.buffers[:p.spare] {
		p.bytes -= cap(b)
	}
	p.buffers = slices.Delete(p.buffers, 0, p.spare)
	p.spare = len(p.buffers)
}
