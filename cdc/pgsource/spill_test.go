package pgsource

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nubridge/internal/fault"
)

func TestFullDiskOfTheSpillIsNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("the system has no /dev/full")
	}
	dir := t.TempDir()
	for _, name := range []string{"tx-7.spill", "a.chunk.part"} {
		if err := os.Symlink("/dev/full", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	row := append(binary.BigEndian.AppendUint32(nil, 7), bytes.Repeat([]byte("x"), 1000)...)
	small, large := newSpill(dir, 1<<30), newSpill(dir, 1<<30)
	for _, sp := range []*spill{small, large} {
		if err := sp.start(append(row[:4:4], 1)); err != nil {
			t.Fatal(err)
		}
		if err := sp.add(1, 'I', row); err != nil {
			t.Fatal(err)
		}
	}
	var within error
	for n := 0; n < 2*spillBuffer && within == nil; n += len(row) {
		within = large.add(1, 'I', row)
	}
	missing := newSpill(filepath.Join(dir, "tx-7.spill", "below"), 1<<30)
	for what, err := range map[string]error{
		"a piece that fills the disk": within, "a piece that ends on a full disk": small.stop(),
		"a chunk": (&chunk{id: "a", rel: &relation{}}).save(dir, 1),
	} {
		if fault.CodeOf(err) != CodeSpillUnwritable || fault.KindOf(err) != fault.Retry || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "capture.spill_dir") {
			t.Errorf("%s gives %v (%s), want %s with what mends it", what, err, fault.KindOf(err), CodeSpillUnwritable)
		}
	}
	if err := missing.open(); fault.CodeOf(err) != CodeSpillUnwritable {
		t.Errorf("a folder that cannot be made gives %v, want %s", err, CodeSpillUnwritable)
	}
}
