package cdc

// Change is a decoded record: one row event as the mapping sees it.
type Change struct {
	Schema, Table string
	Op            Op
	Before, After Row // nil when the envelope has none
	Position      Position
	XID           uint64
}

// State tells apart what a column can be in an event.
type State byte

// The states of a value.
const (
	Absent      State = iota // the row has no such column
	Null                     // SQL NULL
	Present                  // Text holds the value
	Unavailable              // an unchanged TOASTed value that the log did not carry
)

// Value is one column of a row. Text is the value as the envelope carries it: numbers unquoted, booleans "true" or "false",
// strings unescaped, anything composite as its JSON text.
type Value struct {
	State State
	Text  string
}

// Row gives the columns of one side of a change by name. A nil Row has none.
type Row interface {
	// Column returns the value of a column, State Absent if there is none.
	Column(name string) Value
}
