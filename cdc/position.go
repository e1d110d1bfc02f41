package cdc

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// LSN is a PostgreSQL log sequence number: a byte address in the write-ahead log.
type LSN uint64

// String gives PostgreSQL's own form, such as 16/B374D848.
func (l LSN) String() string {
	return strconv.FormatUint(uint64(l)>>32, 16) + "/" + strings.ToUpper(strconv.FormatUint(uint64(l)&0xFFFFFFFF, 16))
}

// ParseLSN reads PostgreSQL's form, such as 16/B374D848.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("parse LSN %q: expected two hexadecimal numbers such as 16/B374D848", s)
	}
	return LSN(h<<32 | l), nil
}

// Position is the place of one change in the feed. A bare LSN is no position: rows of one statement can share one, and
// interleaved transactions deliver row LSNs that fall. Positions of one capture are totally ordered. // I8
type Position struct {
	// Epoch rises by one whenever LSNs may repeat: after a failover to a new timeline or a new slot.
	Epoch uint32
	// Commit is the LSN of the transaction's commit record; for a snapshot row that of the chunk's high watermark, where the
	// row enters the feed: so positions rise along the whole feed, snapshot rows included.
	Commit LSN
	// Index counts the published changes of the transaction from zero.
	Index uint64
}

// Compare gives -1, 0 or +1 as p comes before, equals or comes after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Commit, q.Commit), cmp.Compare(p.Index, q.Index))
}

// IsZero tells whether p is no position at all.
func (p Position) IsZero() bool { return p == Position{} }

// String gives epoch:commit:index, such as 1:16/B374D848:42; ParsePosition reads it.
func (p Position) String() string {
	return strconv.FormatUint(uint64(p.Epoch), 10) + ":" + p.Commit.String() + ":" + strconv.FormatUint(p.Index, 10)
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return Position{}, fmt.Errorf("parse position %q: expected epoch:commit:index such as 1:16/B374D848:42", s)
	}
	epoch, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil {
		return Position{}, fmt.Errorf("parse position %q: epoch: %w", s, err)
	}
	commit, err := ParseLSN(parts[1])
	if err != nil {
		return Position{}, fmt.Errorf("parse position %q: %w", s, err)
	}
	index, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("parse position %q: index: %w", s, err)
	}
	return Position{Epoch: uint32(epoch), Commit: commit, Index: index}, nil
}
