package main

import (
	"fmt"
	"strconv"
	"strings"

	"nubridge/cdc"
)

// documentedKey tells why all events of a key differ on purpose; docs/CAPTURE.md lists the causes.
func documentedKey(id string) string {
	switch {
	case strings.HasPrefix(id, "feed.identity_index "):
		return "identity by index: Debezium takes the key columns that the log does not carry for 0"
	case strings.HasPrefix(id, "feed.partial_unique "):
		return "a unique index with a condition: Debezium takes its columns for a key, though rows share them"
	case strings.HasPrefix(id, `feed.key_edge {"f":"NaN",`):
		return "24:00:00 in a key: Debezium puts 00:00:00"
	}
	return ""
}

// documented tells why a field differs on purpose, empty if it should not; docs/CAPTURE.md lists the causes.
func documented(id, path string, theirs, ours any) string {
	column := path[strings.LastIndexByte(path, '.')+1:]
	text, _ := ours.(string)
	_, absent := theirs.(missing)
	_, list := ours.([]any)
	row := strings.HasPrefix(path, ".before") || strings.HasPrefix(path, ".after")
	switch {
	case !row:
		return ""
	case ours == nil && strings.HasPrefix(path, ".before"):
		return "a column outside the replica identity: Debezium puts its default or a zero"
	case ours == nil && theirs != nil:
		return "NULL in a column with a default: Debezium puts the default"
	case theirs == nil && (text == "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="):
		return "unchanged TOASTed bytes: Debezium puts null"
	case placeholder(ours) && !placeholder(theirs):
		return "unchanged TOASTed value: Debezium puts null, or the placeholder's bytes as numbers"
	case text == "infinity" || text == "-infinity":
		return "infinite interval: Debezium puts nothing of it"
	case strings.HasPrefix(id, "feed.scales ") && strings.HasPrefix(show(theirs), show(ours)[:len(show(ours))-1]) || id == `feed.scales {"id":1}` && column == "an":
		return "negative scale: Debezium pads with thousands of zeros"
	case list && theirs == nil:
		return "array that Debezium fails to convert and puts null for"
	case list && absent:
		return "array of a type that Debezium leaves out"
	case show(ours) == strings.ReplaceAll(show(theirs), "00:00:00Z", "24:00:00Z") || column == "ati":
		return "24:00:00: Debezium puts 00:00:00"
	case strings.HasPrefix(column, "tz") && theirs == nil:
		return "offset with seconds: Debezium puts null"
	case strings.Contains(column, "f4") && sameFloat(ours, theirs, 32) || strings.Contains(column, "f8") && sameFloat(ours, theirs, 64):
		return "other digits of the same number"
	case (column == "iv" || column == "ov") && list:
		return "int2vector, oidvector: Debezium loses the elements"
	case list && strings.Contains(show(ours), `"-4712-`):
		return "years before 1 in arrays: Debezium loses them"
	case list && (strings.Contains(show(theirs), "+292278994") || strings.Contains(show(theirs), "-1000-12-23")):
		return "infinite dates and years before 1 in arrays: Debezium loses them"
	case nested(ours):
		return "array of several dimensions: Debezium loses the inner ones"
	}
	return ""
}

// sameFloat tells whether two JSON numbers are one number of so many bits.
func sameFloat(a, b any, bits int) bool {
	x, errX := strconv.ParseFloat(fmt.Sprint(a), bits)
	y, errY := strconv.ParseFloat(fmt.Sprint(b), bits)
	return errX == nil && errY == nil && x == y
}

// placeholder tells whether a value stands for one that the log did not carry.
func placeholder(v any) bool { return v != nil && strings.Contains(show(v), cdc.UnavailableValue) }

// nested tells whether a value is an array of arrays.
func nested(v any) bool {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return false
	}
	_, ok = list[0].([]any)
	return ok
}
