package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func scaled(n, rounds int, cpu, rate float64) sample {
	return sample{Target: "nubridge", Scenario: scaleName(n), Rows: n * rounds, Rounds: rounds, AfterFirst: rate, Usage: used{CPU: cpu, RSS: 40}}
}

func TestCostOfARowIsComparedBySize(t *testing.T) {
	b := &bench{s: &settings{rows: 1000, scaleRows: 10_000_000}}
	b.samples = []sample{scaled(10_000, 30, 1.2, 100_000), scaled(100_000, 3, 1.05, 120_000), scaled(10_000_000, 1, 32, 125_000)}
	if line := b.closing(); !strings.Contains(line, " cost_per_row_10k_vs_10m=1.25 ") {
		t.Errorf("a row costs 4.0 and 3.2 s a million: %s", line)
	}
	page := b.page()
	for _, want := range []string{
		"| 10000 | 30 | 4.00 | 100000 | 40 | 0, 0, 0 |", "| 10000000 | 1 | 3.20 | 125000 | 40 | 0, 0, 0 |",
		"10000 beside 10000000: 1.25 of the processor time a row, 0.80 of the rate; dearest beside cheapest size 1.25.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "| 1000000 |") {
		t.Error("the page has a line for a size without a run")
	}
	b.samples = b.samples[:2]
	if line := b.closing(); !strings.Contains(line, " cost_per_row_10k_vs_10m=- ") {
		t.Errorf("ten million were not measured: %s", line)
	}
}

func TestWideIsComparedByItsSecondHalf(t *testing.T) {
	b := &bench{s: &settings{rows: 1000}}
	b.samples = []sample{
		{Target: "nubridge", Scenario: "narrow", Rows: 1000, Warm: 100_000, AfterFirst: 90_000},
		{Target: "nubridge", Scenario: "wide", Rows: 1000, Warm: 60_000, AfterFirst: 20_000, Usage: used{Broker: 0.007}},
	}
	if line := b.closing(); !strings.Contains(line, " wide_vs_narrow=0.60 ") {
		t.Error(line)
	}
	if page := b.page(); !strings.Contains(page, "| nubridge, wide | 0 | 20000 | 60000 | 0.00 | 0 | 0.0 | 7.0 | 0, 0, 0 |") || !strings.Contains(page, "wide beside narrow: 0.60 ") {
		t.Error(page)
	}
}

func TestSizesGrowTenfoldUpToTheLargest(t *testing.T) {
	for largest, want := range map[int][]int{9_999: nil, 10_000: {10_000}, 1_000_000: {10_000, 100_000, 1_000_000}, 9_999_999: {10_000, 100_000, 1_000_000}} {
		if got := scaleSizes(largest); !slices.Equal(got, want) {
			t.Errorf("up to %d: %v; expected %v", largest, got, want)
		}
	}
}

func TestProcessorTimeOfAProcessIsFine(t *testing.T) {
	before, err := processTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
	}
	after, err := processTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before || math.Mod(after*1000, 10) == 0 && math.Mod(before*1000, 10) == 0 {
		t.Errorf("from %v to %v s; expected growth to less than a hundredth of a second", before, after)
	}
	if _, err := processTime(math.MaxInt32 >> 4); err == nil {
		t.Error("a process that is not there has no processor time")
	}
}

func TestBacklogsFollowEachOther(t *testing.T) {
	f := &feed{target: "nubridge", mode: "stream"}
	if got := f.wantOf(scaleWarm + scaleFirst); got != 66_000 { // a tombstone to each delete, a tenth of the changes
		t.Error(got)
	}
	for _, n := range scaleSizes(10_000_000) {
		if n%scaleTx != 0 || n%(2*groupChanges) != 0 {
			t.Error(fmt.Sprint(n, " changes leave a group or a transaction open"))
		}
	}
}
