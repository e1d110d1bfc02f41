package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// keysOf lists the YAML keys of a struct and of the structs in it.
func keysOf(t reflect.Type, keys []string) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		return keysOf(t.Elem(), keys)
	case reflect.Struct:
	default:
		return keys
	}
	for f := range t.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		keys = keysOf(f.Type, append(keys, tag))
	}
	return keys
}

// nearest gives the word with the fewest edits, if there are at most two, or three in a long word.
func nearest(word string, known []string) string {
	best, bound := "", 3
	if len(word) > 8 {
		bound = 4
	}
	for _, k := range known {
		if d := edits(word, k); d < bound {
			best, bound = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
