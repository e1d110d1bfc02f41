package main

import (
	"strings"

	"nubridge/cdc"
)

// documentedKey tells why all events of a key differ on purpose; docs/CAPTURE.md lists the causes.
func documentedKey(id string) string {
	switch {
	case strings.HasPrefix(id, "feed.identity_index "):
		return "identity by index: Debezium takes the key columns that the log does not carry for 0"
	case id == "feed.no_key_full " || id == "feed.no_key ":
		return ""
	}
	return ""
}

// documented tells why a field differs on purpose, empty if it should not; docs/CAPTURE.md lists the causes.
func documented(id, path string, theirs, ours any) string {
	column := path[strings.LastIndexByte(path, '.')+1:]
	text, _ := ours.(string)
	_, absent := theirs.(missing)
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
	case theirs == nil && strings.HasPrefix(id, "feed.arrays"):
		return "array that Debezium fails to convert and puts null for"
	case absent && strings.HasPrefix(id, "feed.arrays"):
		return "array of a type that Debezium leaves out"
	case column == "ti" && text == "24:00:00Z":
		return "24:00:00: Debezium puts 00:00:00"
	case nested(ours):
		return "array of several dimensions: Debezium loses the inner ones"
	case text == cdc.UnavailableValue:
		return ""
	}
	return ""
}

// nested tells whether a value is an array of arrays.
func nested(v any) bool {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return false
	}
	_, ok = list[0].([]any)
	return ok
}
