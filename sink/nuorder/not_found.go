package nuorder

import (
	"context"
	"fmt"

	"nubridge/internal/fault"
)

// denied is a 404 about a document that a create was to make, or that NuORDER shows when it is asked: it tells nothing, the write may
// have gone through or not. Such answers come from gateways, and from portals that are being deployed.
func denied(call, hint string, cause error) error {
	return impossible(call, "that it is not found", hint, cause)
}

func impossible(call, what, hint string, cause error) error {
	return &fault.Error{
		Kind: fault.Retry, Code: CodeContradicts, Ambiguous: true, Hint: hint,
		Err: fmt.Errorf("%s: the answer is %s, which cannot be: %w", call, what, cause),
	}
}

// notItself reads the error of an update: a conflict of a document with itself is none, and tells nothing of what was written.
func notItself(call string, err error, id string) error {
	if named := ConflictID(err); named == "" || !Same(named, id) {
		return err
	}
	return impossible(call, "that the document is in conflict with itself", "", err)
}

// noConflict reads the error of a write of stock or of prices, which makes nothing that must be unique: no conflict lasts.
func noConflict(call string, err error) error {
	if fault.CodeOf(err) != CodeConflict {
		return err
	}
	return impossible(call, "that there is a conflict", "", err)
}

// notMade reads the error of a create: whatever was not found, it was not what the create was to make.
func notMade(call string, err error) error {
	if !IsNotFound(err) {
		return err
	}
	return denied(call, "if it stays so, the portal lacks this call, or something that the document names", err)
}

// notShown gives the error of a write as it is, unless it says that the document is not found and NuORDER shows it when asked.
func notShown[T any](ctx context.Context, call string, err error, read func(context.Context, string) (T, error), id string) error {
	if !IsNotFound(err) || id == "" {
		return err
	}
	switch _, readErr := read(ctx, id); {
	case readErr == nil:
		return denied(call, "if it stays so, the portal lacks this call, or something that the document names", err)
	case IsNotFound(readErr):
		return err
	default:
		return readErr
	}
}
