package main

import (
	"fmt"
	"slices"
)

// sample is one run of one target in one scenario; a zero field does not apply.
type sample struct {
	Target     string  `json:"target"`
	Scenario   string  `json:"scenario"`
	Rows       int     `json:"rows"`
	Kills      int     `json:"kills,omitempty"`
	Rounds     int     `json:"rounds,omitempty"` // backlogs of the same size, one after the other
	Seconds    float64 `json:"seconds,omitempty"`
	First      float64 `json:"first_record_s,omitempty"`
	WithStart  float64 `json:"rows_per_s_with_start,omitempty"`
	AfterFirst float64 `json:"rows_per_s_after_first,omitempty"`
	Warm       float64 `json:"rows_per_s_second_half,omitempty"`
	P50        float64 `json:"p50_ms,omitempty"`
	P99        float64 `json:"p99_ms,omitempty"`
	P999       float64 `json:"p999_ms,omitempty"`
	Max        float64 `json:"max_ms,omitempty"`
	Usage      used    `json:"usage"`
	Verdict    verdict `json:"verdict"`
}

// used is what a run cost.
type used struct {
	RSS      float64 `json:"peak_rss_mib"`
	CPU      float64 `json:"cpu_s"`
	Postgres float64 `json:"postgres_cpu_s"`
	Broker   float64 `json:"broker_cpu_s"`
	Me       float64 `json:"bench_cpu_s"`
	Foreign  float64 `json:"foreign_cores"`
}

// usageOf takes the target's part and the machine's; the latter covers the same stretch of time.
func usageOf(u usage, m machineTime) used {
	return used{
		RSS: float64(u.rss) / 1024, CPU: u.cpu, Postgres: m.postgres, Broker: m.broker, Me: m.me,
		Foreign: max(0, m.busy-u.cpu-m.postgres-m.broker-m.me) / max(0.1, m.seconds),
	}
}

// maxForeign is how many cores others may use in a clean run.
const maxForeign = 0.2

func (s sample) clean() bool { return s.Usage.Foreign <= maxForeign }

// cpuPerMillion is the target's processor time per million rows.
func (s sample) cpuPerMillion() float64 { return s.Usage.CPU / float64(max(1, s.Rows)) * 1e6 }

// line is the sample for people.
func (s sample) line() string {
	head := fmt.Sprintf("%-14s %-15s", s.Scenario, s.Target)
	check := fmt.Sprintf("lost %d, twice %d, altered %d", s.Verdict.Lost, s.Verdict.Duplicated, s.Verdict.Altered)
	cost := fmt.Sprintf("%4.0f MiB, cpu %.1f s, server %.1f, broker %.1f, foreign %.2f cores", s.Usage.RSS, s.Usage.CPU, s.Usage.Postgres, s.Usage.Broker, s.Usage.Foreign)
	if s.Verdict.First != "" {
		check += "\n  " + s.Verdict.First[:min(len(s.Verdict.First), 900)]
	}
	switch {
	case s.Kills > 0:
		return fmt.Sprintf("%s after %d kills: %s", head, s.Kills, check)
	case s.Rounds > 0:
		return fmt.Sprintf("%s %d times: %.2f cpu s a million, %8.0f rows/s; %s; %s", head, s.Rounds, s.cpuPerMillion(), s.AfterFirst, cost, check)
	case s.Scenario == "steady":
		return fmt.Sprintf("%s p50 %.1f ms, p99 %.1f, p99.9 %.1f, max %.1f; %s", head, s.P50, s.P99, s.P999, s.Max, cost)
	}
	return fmt.Sprintf("%s %8.0f rows/s with start, %8.0f after first (%.2f s), %8.0f warm; %s; %s", head, s.WithStart, s.AfterFirst, s.First, s.Warm, cost, check)
}

// pick gives the runs of a target in a scenario: the clean ones if there are any.
func (b *bench) pick(scenario, target string) []sample {
	var all, clean []sample
	for _, s := range b.samples {
		if s.Scenario != scenario || s.Target != target || s.Kills > 0 {
			continue
		}
		all = append(all, s)
		if s.clean() {
			clean = append(clean, s)
		}
	}
	if len(clean) > 0 {
		return clean
	}
	return all
}

// median of a figure over the runs of a target; zero without a run.
func (b *bench) median(scenario, target string, figure func(sample) float64) float64 {
	var v []float64
	for _, s := range b.pick(scenario, target) {
		v = append(v, figure(s))
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
