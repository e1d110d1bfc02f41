package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// result is what a comparison found.
type result struct{ events, differing, documented int }

func parse(text string) any {
	if text == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "unreadable: " + err.Error() + ": " + text[:min(len(text), 200)]
	}
	return v
}

// place orders events that have no key: by their place in the log.
func place(e event) string {
	d, _ := parse(e.value).(map[string]any)
	source, _ := d["source"].(map[string]any)
	return fmt.Sprintf("%020v%v", source["lsn"], d["op"])
}

// byKey groups a feed by topic and key; events of one key are in order, those without key are put in the log's order.
func byKey(events []event) map[string][]event {
	out := map[string][]event{}
	for _, e := range events {
		id := e.topic + " " + e.key
		out[id] = append(out[id], e)
	}
	for id, list := range out {
		if strings.HasSuffix(id, " ") {
			list = slices.DeleteFunc(list, func(e event) bool { return e.value == "" })
			sort.SliceStable(list, func(a, b int) bool { return place(list[a]) < place(list[b]) })
			out[id] = list
		}
	}
	return out
}

// compare compares two feeds.
func compare(theirs, ours []event, verbose bool) result {
	var r result
	a, b := byKey(theirs), byKey(ours)
	ids := slices.Sorted(maps.Keys(a))
	for id := range b {
		if _, ok := a[id]; !ok {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		r.events += max(len(a[id]), len(b[id]))
		if cause := documentedKey(id); cause != "" {
			r.documented += max(len(a[id]), len(b[id]))
			if verbose {
				fmt.Printf("documented %s: %s\n", id, cause)
			}
			continue
		}
		if len(a[id]) != len(b[id]) {
			r.differing += max(len(a[id]), len(b[id]))
			fmt.Printf("differs %s: debezium has %d events, the bridge %d\n", id, len(a[id]), len(b[id]))
			continue
		}
		for i := range a[id] {
			bad, known := differences(id, a[id][i], b[id][i])
			if len(bad) > 0 {
				r.differing++
				fmt.Printf("differs %s event %d:\n  %s\n", id, i, strings.Join(bad, "\n  "))
			} else if len(known) > 0 {
				r.documented++
				if verbose {
					fmt.Printf("documented %s event %d:\n  %s\n", id, i, strings.Join(known, "\n  "))
				}
			}
		}
	}
	return r
}

// differences compares two events field by field.
func differences(id string, theirs, ours event) (bad, known []string) {
	var walk func(path string, a, b any)
	walk = func(path string, a, b any) {
		if ignored(path) || same(a, b) {
			return
		}
		ma, okA := a.(map[string]any)
		mb, okB := b.(map[string]any)
		if okA && okB {
			for _, k := range slices.Sorted(maps.Keys(union(ma, mb))) {
				va, hasA := ma[k]
				vb, hasB := mb[k]
				if !hasA {
					va = missing{}
				}
				if !hasB {
					vb = missing{}
				}
				walk(path+"."+k, va, vb)
			}
			return
		}
		text := fmt.Sprintf("%s: debezium %s, the bridge %s", strings.TrimPrefix(path, "."), show(a), show(b))
		if cause := documented(id, path, a, b); cause != "" {
			known = append(known, text+" ("+cause+")")
		} else {
			bad = append(bad, text)
		}
	}
	walk("", parse(theirs.value), parse(ours.value))
	return bad, known
}

type missing struct{}

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func show(v any) string {
	if _, ok := v.(missing); ok {
		return "nothing"
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	text := strings.TrimSpace(buf.String())
	if len(text) > 160 {
		text = text[:160] + "..."
	}
	return text
}

// same compares two values; numbers by value, and JSON within a string (hstore) by what it holds.
func same(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		if !ok {
			return false
		}
		ra, okA := new(big.Rat).SetString(x.String())
		rb, okB := new(big.Rat).SetString(y.String())
		return okA && okB && ra.Cmp(rb) == 0
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case string:
		y, ok := b.(string)
		if !ok {
			return false
		}
		if x != y && strings.HasPrefix(x, "{") && strings.HasPrefix(y, "{") {
			ma, okA := parse(x).(map[string]any)
			mb, okB := parse(y).(map[string]any)
			return okA && okB && sameMap(ma, mb)
		}
		return x == y
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && sameMap(x, y)
	}
	return a == b
}

func sameMap(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		w, ok := b[k]
		if !ok || !same(v, w) {
			return false
		}
	}
	return true
}

// ignored are the fields that may differ: the connector's name and version, and processing times.
func ignored(path string) bool {
	switch path {
	case ".source.version", ".source.connector", ".ts_ms", ".ts_us", ".ts_ns":
		return true
	}
	return false
}
