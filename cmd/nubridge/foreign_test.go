package main

import (
	"strings"
	"testing"
)

// TestForeignOMSIsBridged maps an OMS that nobody here has seen from docs/MAPPING.md alone, and tells its stories.
func TestForeignOMSIsBridged(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	fails := f.check("fail")
	t.Log(strings.Join(fails, "\n"))
	t.Log(strings.Join(f.check("warn"), "\n"))
}
