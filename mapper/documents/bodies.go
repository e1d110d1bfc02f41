package documents

import (
	"context"
	"slices"

	"nubridge/internal/fault"
	"nubridge/mapper"
)

// Bodies reads documents as they stand now and translates them, aligned with keys. It is for callers that look at many: a document whose
// queries cannot take a value is a body that breaks a rule, and no error for the others. Open orders, for stock, were read before. // I7
func (r *Reader) Bodies(ctx context.Context, flow mapper.Flow, keys []mapper.Key, open []mapper.OpenOrder) ([]mapper.Body, error) {
	wants := make([]mapper.Want, len(keys))
	for i, k := range keys {
		wants[i] = mapper.Want{Key: k}
	}
	docs, err := r.Read(ctx, flow, wants)
	switch {
	case fault.KindOf(err) == fault.Reject && len(keys) == 1:
		return []mapper.Body{{Flow: flow, Key: keys[0], Violations: []mapper.Violation{{Rule: fault.CodeOf(err), Text: err.Error()}}}}, nil
	case fault.KindOf(err) == fault.Reject:
		half := len(keys) / 2
		first, err := r.Bodies(ctx, flow, keys[:half], open)
		if err != nil {
			return nil, err
		}
		second, err := r.Bodies(ctx, flow, keys[half:], open)
		return slices.Concat(first, second), err
	case err != nil:
		return nil, err
	}
	mapping := r.mapping()
	bodies := make([]mapper.Body, len(keys))
	for i, key := range keys {
		if docs[i].Document != nil {
			docs[i].Document.SetOpenOrders(open)
		}
		if bodies[i], err = mapping.Body(flow, key, docs[i].Document); err != nil {
			return nil, err
		}
	}
	return bodies, nil
}
