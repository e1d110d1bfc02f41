package nuorder

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestLongAnswersAreReadWhole compares the pieces with what was sent, around every edge of the pieces, the head and the cap.
func TestLongAnswersAreReadWhole(t *testing.T) {
	l := newLongAnswers()
	broken := errors.New("broken")
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom([]int64{0, pieceSize, usualAnswer, usualAnswer + pieceSize, usualAnswer + 3*pieceSize}).Draw(t, "edge")
		size := max(edge+rapid.Int64Range(-2, 2).Draw(t, "size"), 0)
		most := max(edge+rapid.Int64Range(-2, 2).Draw(t, "cap"), 1)
		sent := bytes.Repeat([]byte("nubridge "), int(size)/9+1)[:size]
		var r io.Reader = bytes.NewReader(sent)
		breaks := rapid.Bool().Draw(t, "breaks")
		if breaks {
			r = io.MultiReader(r, iotest.ErrReader(broken))
		}
		if rapid.Bool().Draw(t, "halves") {
			r = iotest.HalfReader(r)
		}
		body, tooLong, err := l.readAll(t.Context(), r, most)
		switch {
		case size > most:
			if !tooLong || err != nil || !bytes.HasPrefix(sent, body) || int64(len(body)) < min(most, usualAnswer) {
				t.Fatalf("%d of at most %d bytes: too long %t, %v, a head of %d", size, most, tooLong, err, len(body))
			}
		case breaks:
			if tooLong || !errors.Is(err, broken) || !bytes.HasPrefix(sent, body) {
				t.Fatalf("%d of at most %d bytes and then broken: too long %t, %v, a head of %d", size, most, tooLong, err, len(body))
			}
		default:
			if tooLong || err != nil || !bytes.Equal(sent, body) {
				t.Fatalf("%d of at most %d bytes: too long %t, %v, %d came", size, most, tooLong, err, len(body))
			}
		}
	})
}

// TestEndlessAnswersCostOneBuffer reads many endless bodies: what they allocate is the pieces, once, and a head each.
func TestEndlessAnswersCostOneBuffer(t *testing.T) {
	const most, answers = 32 << 20, 4
	l := newLongAnswers()
	blank := bytes.Repeat([]byte(" "), pieceSize)
	r := readerFunc(func(p []byte) (int, error) { return copy(p, blank), nil })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range answers {
		if body, tooLong, err := l.readAll(t.Context(), r, most); !tooLong || err != nil || len(body) > usualAnswer {
			t.Fatalf("too long %t, %v, a head of %d bytes", tooLong, err, len(body))
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 3*most {
		t.Errorf("%d endless answers allocated %d MiB, of at most %d MiB each", answers, used>>20, most>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
