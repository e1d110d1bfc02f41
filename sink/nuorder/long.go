package nuorder

import (
	"context"
	"errors"
	"io"
	"sync"
)

// usualAnswer is how long the answers are that are read side by side, in bytes.
const usualAnswer = 1 << 20

// pieceSize is in how large pieces a longer answer is read, in bytes.
const pieceSize = 1 << 18

// longAnswers reads what is longer than usual: one at a time, into pieces that serve again, so that endless bodies do not fill
// the memory together, nor one of them the garbage of a growing buffer. Several goroutines may use it. // I6
type longAnswers struct {
	turn   chan struct{} // held by whoever reads
	pieces sync.Pool     // of *[pieceSize]byte
}

func newLongAnswers() *longAnswers {
	l := &longAnswers{turn: make(chan struct{}, 1)}
	l.pieces.New = func() any { return new([pieceSize]byte) }
	return l
}

// readAll reads a body of at most so many bytes. Of one that is longer, or that breaks off after the usual length, it gives the
// head. It waits for its turn until the context ends.
func (l *longAnswers) readAll(ctx context.Context, r io.Reader, most int64) (body []byte, tooLong bool, err error) {
	head, err := io.ReadAll(io.LimitReader(r, min(most+1, usualAnswer)))
	switch {
	case int64(len(head)) > most:
		return head[:most], true, nil
	case err != nil || len(head) < usualAnswer:
		return head, false, err
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return head, false, ctx.Err()
	}
	defer func() { <-l.turn }()
	pieces, size, err := l.read(r, most-int64(len(head)))
	defer l.giveBack(pieces)
	if err != nil || int64(len(head))+size > most {
		return head, err == nil, err
	}
	body = append(make([]byte, 0, int64(len(head))+size), head...)
	for _, piece := range pieces {
		n := min(size, pieceSize)
		body = append(body, piece[:n]...)
		size -= n
	}
	return body, false, nil
}

// read reads to the end, or until more than most bytes have come. All pieces are full but the last one.
func (l *longAnswers) read(r io.Reader, most int64) (pieces []*[pieceSize]byte, size int64, err error) {
	for size <= most {
		at := size % pieceSize
		if at == 0 {
			pieces = append(pieces, l.pieces.Get().(*[pieceSize]byte))
		}
		n, err := r.Read(pieces[len(pieces)-1][at:])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return pieces, size, nil
		}
		if err != nil {
			return pieces, size, err
		}
	}
	return pieces, size, nil
}

func (l *longAnswers) giveBack(pieces []*[pieceSize]byte) {
	for _, piece := range pieces {
		l.pieces.Put(piece)
	}
}
