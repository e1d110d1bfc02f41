// Package fault sorts failures into the four kinds that decide what happens next. The kind is decided once, where the
// failure was seen; everyone else asks KindOf.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what the failure asks for.
type Kind byte

// The kinds of failure.
const (
	// Unknown is no decision; loops treat it as Retry and log it.
	Unknown Kind = iota
	// Retry may succeed later: back off, this lane only.
	Retry
	// Throttle was told to wait: the whole client waits.
	Throttle
	// Reject never succeeds with this input: park the key with its cause.
	Reject
	// Halt would lose or corrupt something by going on: stop the part, stay alive, say why.
	Halt
)

// String gives the word used in logs and metrics.
func (k Kind) String() string {
	return [...]string{"unknown", "retry", "throttle", "reject", "halt"}[k]
}

// Error is a failure with its kind. It never holds a secret or personal data. // I11
type Error struct {
	Kind Kind
	// Code is stable, lower case with underscores, the same in logs, metrics, ledger and docs.
	Code string
	// After is how long the far end asked us to wait; zero if it did not say.
	After time.Duration
	// Ambiguous tells that the far end may have done what was asked.
	Ambiguous bool
	// Field, Rule and Hint explain a rejection to the OMS administrator; each may be empty.
	Field, Rule, Hint string
	// Err is the cause.
	Err error
}

// New makes an error of a kind with a formatted cause.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Err: fmt.Errorf(format, args...)}
}

// Error gives the cause and, where there is one, the hint.
func (e *Error) Error() string {
	text := e.Code
	if e.Err != nil {
		text = e.Err.Error()
	}
	if e.Hint != "" {
		text += "; hint: " + e.Hint
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf finds the kind of an error, Unknown if nobody decided.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}

// CodeOf finds the code of an error, "unknown" if nobody decided.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != "" {
		return e.Code
	}
	return "unknown"
}

// ExitCode is what a command that fails with this error exits with: 3 for a dependency that cannot be reached or may answer
// otherwise later, 2 for one that is set up wrongly, 1 for the rest.
func (e *Error) ExitCode() int {
	switch {
	case strings.HasSuffix(e.Code, "_unreachable"):
		return 3
	case e.Kind == Halt, e.Code == "unauthorized", e.Code == "forbidden":
		return 2
	case e.Kind == Retry, e.Kind == Throttle:
		return 3
	default:
		return 1
	}
}
