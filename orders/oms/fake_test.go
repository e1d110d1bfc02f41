package oms_test

import "context"

// noDatabase has nothing to say against any order.
type noDatabase struct{}

func (noDatabase) Rows(context.Context, string, ...any) ([]map[string]any, error) { return nil, nil }
