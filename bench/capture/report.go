package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// The page holds the figures of more than this measure; between these marks it is ours.
const (
	beginMark = "<!-- capture: written by make bench-capture -->"
	endMark   = "<!-- capture: end -->"
)

// report prints the tables and the closing line and writes the page.
func (b *bench) report() error {
	page := b.page()
	fmt.Fprintln(os.Stderr, "\n"+page)
	path := b.s.docs
	if !b.s.full() || len(b.s.scenarios) < 5 {
		path = strings.TrimSuffix(b.out.Name(), ".jsonl") + ".md" // no page for part of the measure
	}
	if err := replacePart(path, page); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "every run: %s; page: %s\n", b.out.Name(), path)
	_, err := fmt.Fprintln(os.Stdout, b.closing())
	return err
}

// replacePart puts the text between the marks of a page, which is made if it is not there.
func replacePart(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(old) == 0 {
		old = []byte("# Benchmarks\n\n")
	}
	part := []byte(beginMark + "\n" + text + endMark + "\n")
	head, rest, found := bytes.Cut(old, []byte(beginMark))
	if !found {
		return os.WriteFile(path, append(append(bytes.TrimRight(old, "\n"), "\n\n"...), part...), 0o644)
	}
	_, tail, _ := bytes.Cut(rest, []byte(endMark+"\n"))
	return os.WriteFile(path, append(append(head, part...), tail...), 0o644)
}

func withStart(s sample) float64  { return s.WithStart }
func afterFirst(s sample) float64 { return s.AfterFirst }
func warmRate(s sample) float64   { return s.Warm }
func p50(s sample) float64        { return s.P50 }
func p99(s sample) float64        { return s.P99 }
func p999(s sample) float64       { return s.P999 }
func rss(s sample) float64        { return s.Usage.RSS }
func cpu(s sample) float64        { return s.Usage.CPU }

// brokerPerMillion is the broker's processor time per million rows.
func brokerPerMillion(s sample) float64 { return s.Usage.Broker / float64(max(1, s.Rows)) * 1e6 }

// floorRate is the faster of the two counting loops, so that the floor is not made low by reading little at a time.
func (b *bench) floorRate(scenario string) float64 {
	return max(b.median(scenario, "floor", afterFirst), b.median(scenario, "floor-gulp", afterFirst))
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// peak is the largest of a figure of nubridge over scenarios.
func (b *bench) peak(figure func(sample) float64, scenarios ...string) float64 {
	most := 0.0
	for _, s := range b.samples {
		for _, name := range scenarios {
			if s.Target == "nubridge" && s.Scenario == name && s.Kills == 0 {
				most = max(most, figure(s))
			}
		}
	}
	return most
}

// closing is the line that a script reads.
func (b *bench) closing() string {
	repeats, lost, twice, altered, killed := 0, 0, 0, 0, false
	for _, s := range b.samples {
		if s.Target != "nubridge" {
			continue
		}
		lost, altered = lost+s.Verdict.Lost, altered+s.Verdict.Altered
		if s.Kills > 0 {
			repeats, killed = repeats+s.Verdict.Duplicated, true
		} else {
			twice += s.Verdict.Duplicated
		}
	}
	after := "-"
	if killed {
		after = fmt.Sprint(repeats)
	}
	nub := func(scenario string, f func(sample) float64) float64 { return b.median(scenario, "nubridge", f) }
	dbz := func(scenario string, f func(sample) float64) float64 { return b.median(scenario, "debezium-tuned", f) }
	cost := 0.0
	for _, name := range []string{"drain", "snapshot", "big"} {
		cost = max(cost, nub(name, sample.cpuPerMillion))
	}
	figure := func(format string, v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	return fmt.Sprintf("bench-capture drain_vs_debezium=%s drain_vs_floor=%s p50_vs_debezium=%s p99_vs_debezium=%s snapshot_vs_debezium=%s snapshot_vs_copy=%s "+
		"rss_mib=%s bigtx_rss_mib=%s cpu_s_per_million=%s tx1_vs_floor=%s cost_per_row_10k_vs_10m=%s wide_vs_narrow=%s repeats_after_kill=%s lost=%d duplicated=%d altered=%d",
		ratio(nub("drain", warmRate), dbz("drain", warmRate)), ratio(nub("drain", afterFirst), b.floorRate("drain")),
		ratio(nub("steady", p50), dbz("steady", p50)), ratio(nub("steady", p99), dbz("steady", p99)),
		ratio(nub("snapshot", warmRate), dbz("snapshot", warmRate)), ratio(nub("snapshot", afterFirst), b.median("snapshot", "copy", afterFirst)),
		figure("%.0f", b.peak(rss, "drain", "tx1", "steady", "snapshot")), figure("%.0f", b.peak(rss, "big")), figure("%.1f", cost),
		ratio(nub("tx1", afterFirst), b.floorRate("tx1")), ratio(nub(scaleName(10_000), sample.cpuPerMillion), nub(scaleName(10_000_000), sample.cpuPerMillion)),
		ratio(nub("wide", warmRate), nub("narrow", warmRate)), after, lost, twice, altered)
}

// page is our part of docs/BENCHMARKS.md.
func (b *bench) page() string {
	var p strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&p, format+"\n", args...) }
	add("## Capture")
	add("")
	add("%s. %s. PostgreSQL %s (`fsync=off`), one Kafka broker, %d partitions a topic, Debezium as `bench/lab` pins it, %s.",
		b.started.Format("2 January 2006"), machineName(), b.pg, b.s.partitions, runtime.Version())
	add("Target, broker and server share the cores. Medians; a run counts when other programs used at most %.1f cores (runs in all, clean of them in brackets; without a clean run all count).", maxForeign)
	add("")
	add("    make bench-capture        # ROWS=50000 for a smoke run of some minutes")
	add("")
	add("```\n%s\n```", b.closing())
	add("")
	b.rateTable(add, "drain", fmt.Sprintf("(a) Backlog of %d changes, 100 a transaction", b.s.rows), "floor", "floor-gulp", "baseline", "debezium", "debezium-tuned", "nubridge")
	b.rateTable(add, "tx1", fmt.Sprintf("(a) Backlog of %d changes, 1 a transaction", b.s.tx1Rows), "floor", "floor-gulp", "baseline", "debezium", "debezium-tuned", "nubridge")
	b.latencyTable(add)
	b.rateTable(add, "snapshot", fmt.Sprintf("(c) Snapshot of %d rows", b.s.snapshotRows), "copy", "baseline", "debezium", "debezium-tuned", "nubridge")
	b.rateTable(add, "big", fmt.Sprintf("(d) One transaction of %d changes", b.s.bigRows), "floor", "debezium-tuned", "nubridge")
	b.scaleTable(add)
	b.wideTable(add)
	b.killTable(add)
	add("How it is measured: the log is written once for each backlog and every run reads it through a copy of one slot, so all read the same bytes. Half of the changes are")
	add("inserts, 40 %% updates, 10 %% deletes, in two tables, one with the default and one with the full replica identity. Time runs until the broker has acknowledged the")
	add("last record (acks=all); no consumer takes part but in (b). Then all records are read: each row must have its history once, in order, with the content that was")
	add("written, before and after; for nubridge positions must rise in each partition. \"With start\" counts the start of the process, \"after first\" runs from the first")
	add("acknowledged records, \"warm\" over the second half. `floor` receives, looks at the type byte, and counts; `floor-gulp` does the same reading 512 KiB at once, and")
	add("the ratio is against the faster of both; `copy` is `COPY ... TO STDOUT` to nowhere. `baseline` writes the columns alone, a quarter of the bytes of an envelope, and")
	add("tombstones as deletes. drain_vs_debezium and snapshot_vs_debezium compare warm rates with tuned Debezium, the ratios to the floor rates after the first record.")
	return p.String()
}

func (b *bench) count(scenario, target string) string {
	all, clean := 0, 0
	for _, s := range b.samples {
		if s.Scenario == scenario && s.Target == target && s.Kills == 0 {
			all++
			if s.clean() {
				clean++
			}
		}
	}
	return fmt.Sprintf("%d (%d)", all, clean)
}

func (b *bench) rateTable(add func(string, ...any), scenario, title string, targets ...string) {
	if len(b.of(scenario)) == 0 {
		return
	}
	add("### %s", title)
	add("")
	add("| | rows/s with start | after first | warm | first record s | peak MiB | CPU s a million | bytes a record | lost, twice, altered | runs |")
	add("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, t := range targets {
		runs := b.pick(scenario, t)
		if len(runs) == 0 {
			continue
		}
		v := verdict{Bytes: runs[0].Verdict.Bytes}
		for _, r := range b.of(scenario) {
			if r.Target == t && r.Kills == 0 {
				v.Lost, v.Duplicated, v.Altered = v.Lost+r.Verdict.Lost, v.Duplicated+r.Verdict.Duplicated, v.Altered+r.Verdict.Altered
			}
		}
		m := func(f func(sample) float64) float64 { return b.median(scenario, t, f) }
		add("| %s | %.0f | %.0f | %.0f | %.2f | %.0f | %.1f | %d | %d, %d, %d | %s |", t, m(withStart), m(afterFirst), m(warmRate),
			m(func(s sample) float64 { return s.First }), m(rss), m(sample.cpuPerMillion), v.Bytes, v.Lost, v.Duplicated, v.Altered, b.count(scenario, t))
	}
	add("")
}

func (b *bench) latencyTable(add func(string, ...any)) {
	if len(b.of("steady")) == 0 {
		return
	}
	add("### (b) Commit to consumer at %d single-row transactions a second", b.s.rate)
	add("")
	add("| | p50 ms | p99 | p99.9 | max | peak MiB | CPU s in %.0f s | runs |", b.s.steady.Seconds())
	add("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, t := range []string{"baseline", "debezium", "debezium-tuned", "nubridge"} {
		if len(b.pick("steady", t)) == 0 {
			continue
		}
		m := func(f func(sample) float64) float64 { return b.median("steady", t, f) }
		add("| %s | %.1f | %.1f | %.1f | %.0f | %.0f | %.1f | %s |", t, m(p50), m(p99), m(p999), m(func(s sample) float64 { return s.Max }), m(rss), m(cpu), b.count("steady", t))
	}
	add("")
}

// scaleTable tells the cost of a row by the size of its backlog, and how far the sizes are apart.
func (b *bench) scaleTable(add func(string, ...any)) {
	var sizes []int
	for _, n := range scaleSizes(b.s.scaleRows) {
		if len(b.of(scaleName(n))) > 0 {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) == 0 {
		return
	}
	add("### Cost of a row by the size of the backlog, start-up not counted")
	add("")
	add("| changes, 100 a transaction | backlogs | CPU s a million | rows/s | peak MiB | lost, twice, altered |")
	add("| --- | --- | --- | --- | --- | --- |")
	var cost, rate []float64
	for _, n := range sizes {
		name := scaleName(n)
		m := func(f func(sample) float64) float64 { return b.median(name, "nubridge", f) }
		r := b.pick(name, "nubridge")[0]
		cost, rate = append(cost, m(sample.cpuPerMillion)), append(rate, m(afterFirst))
		add("| %d | %d | %.2f | %.0f | %.0f | %d, %d, %d |", n, r.Rounds, m(sample.cpuPerMillion), m(afterFirst), m(rss),
			r.Verdict.Lost, r.Verdict.Duplicated, r.Verdict.Altered)
	}
	add("")
	last := len(sizes) - 1
	add("%d beside %d: %s of the processor time a row, %s of the rate; dearest beside cheapest size %s. A process that streams is held by SIGSTOP while", sizes[0], sizes[last],
		ratio(cost[0], cost[last]), ratio(rate[0], rate[last]), ratio(slices.Max(cost), slices.Min(cost)))
	add("a backlog is written; its processor time, and the time until the broker's own stamp on the last record, count from when it goes on. %d changes went before.", scaleWarm)
	add("")
}

func (b *bench) wideTable(add func(string, ...any)) {
	if len(b.of("wide")) == 0 {
		return
	}
	add("### One table and one partition beside %d tables by %d partitions, %d inserts, 100 a transaction", wideTables, widePartitions, b.s.rows)
	add("")
	add("| | rows/s with start | after first | warm | first record s | peak MiB | CPU s a million | broker's | lost, twice, out of order |")
	add("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, scenario := range []string{"narrow", "wide"} {
		m := func(f func(sample) float64) float64 { return b.median(scenario, "nubridge", f) }
		var v verdict
		for _, r := range b.of(scenario) {
			v.Lost, v.Duplicated, v.Altered = v.Lost+r.Verdict.Lost, v.Duplicated+r.Verdict.Duplicated, v.Altered+r.Verdict.Altered
		}
		add("| nubridge, %s | %.0f | %.0f | %.0f | %.2f | %.0f | %.1f | %.1f | %d, %d, %d |", scenario, m(withStart), m(afterFirst), m(warmRate),
			m(func(s sample) float64 { return s.First }), m(rss), m(sample.cpuPerMillion), m(brokerPerMillion), v.Lost, v.Duplicated, v.Altered)
	}
	add("")
	add("wide beside narrow: %s of its warm rate, which is that of the second half: in the first half each partition is met for the first time, and the broker", ratio(b.median("wide", "nubridge", warmRate), b.median("narrow", "nubridge", warmRate)))
	add("makes and maps its files. Both are counted by the ends of every fiftieth table, and of all at the end.")
	add("")
}

func (b *bench) killTable(add func(string, ...any)) {
	title := false
	for _, s := range b.samples {
		if s.Kills == 0 {
			continue
		}
		if !title {
			add("### kill -9 in the middle, started again at once")
			add("")
			add("| | | kills | lost | twice | altered |")
			add("| --- | --- | --- | --- | --- | --- |")
			title = true
		}
		add("| %s | %s, %d rows | %d | %d | %d | %d |", s.Target, s.Scenario, s.Rows, s.Kills, s.Verdict.Lost, s.Verdict.Duplicated, s.Verdict.Altered)
	}
	if title {
		add("")
	}
}

func (b *bench) of(scenario string) []sample {
	var out []sample
	for _, s := range b.samples {
		if s.Scenario == scenario {
			out = append(out, s)
		}
	}
	return out
}

// machineName tells the processor, the cores and the memory.
func machineName() string {
	model := "processor unknown"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	memory := ""
	info, _ = os.ReadFile("/proc/meminfo")
	if fields := strings.Fields(string(info)); len(fields) > 1 {
		var kib int
		if _, err := fmt.Sscan(fields[1], &kib); err == nil {
			memory = fmt.Sprintf(", %d GiB", (kib+1<<19)>>20)
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores (%s)%s, %s %s", runtime.NumCPU(), model, memory, runtime.GOOS, strings.TrimSpace(string(kernel)))
}
