package sink

import (
	"context"
	"fmt"
	"slices"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// rekey finds documents that NuORDER does not know under their key though it knows their remote key under another one: a key
// change that keeps its brand_id is an update of the same object. The identity moves if the other document is gone; if it
// lives, two documents claim one object, which a person must decide. Turns that cannot go on are taken care of and marked by
// an empty key. // decision 5
func (l *Loop) rekey(ctx context.Context, turns []*turn) error {
	if !l.config.compares() {
		return nil // orders have their own rules for numbers
	}
	byName := map[string]*turn{}
	var names []string
	for _, t := range turns {
		if !t.body.Filtered && !t.object.Known && t.body.RemoteKey != "" && len(t.body.Violations) == 0 {
			byName[t.body.RemoteKey] = t
			names = append(names, t.body.RemoteKey)
		}
	}
	if len(names) == 0 {
		return nil
	}
	found, err := l.Ledger.ByRemoteKey(ctx, l.config.Environment, l.config.Flow.Kind(), names)
	if err != nil {
		return err
	}
	for name, giver := range found {
		t := byName[name]
		if giver.Key == t.key || !giver.Known {
			continue
		}
		if err := l.move(ctx, turns, t, giver); err != nil {
			return err
		}
	}
	return nil
}

// move gives the giver's identity to the turn's object.
func (l *Loop) move(ctx context.Context, turns []*turn, t *turn, giver ledger.Object) error {
	docs, err := l.documents(ctx, []mapper.Want{{Key: giver.Key}})
	if err != nil {
		return err
	}
	body, err := l.Mapper.Body(l.config.Flow, giver.Key, docs[0].Document)
	if err != nil {
		return err
	}
	if !body.Filtered && body.RemoteKey == t.body.RemoteKey {
		t.body.Violations = append(t.body.Violations, mapper.Violation{
			Field: "brand_id", Rule: "unique", Value: body.RemoteKey,
			Text: fmt.Sprintf("The documents %s and %s claim the same name at NuORDER. Give one of them another.", giver.Key, t.key),
		})
		return nil
	}
	var token int64
	at := slices.IndexFunc(turns, func(o *turn) bool { return o.key == giver.Key })
	if at >= 0 {
		token = turns[at].object.Token
	}
	moved, ok, err := l.Ledger.Move(ctx, giver.ObjectID, t.object, token)
	if err != nil || !ok {
		// The giver is owned by someone else. The create that follows meets a conflict or an update, both of which converge.
		return err
	}
	t.object = moved
	if at >= 0 {
		g := &turns[at].object
		g.Known, g.RemoteID, g.RemoteKey, g.StoredKey, g.Identity, g.Parts = false, "", "", "", nil, nil
		g.InDoubt = false
	}
	l.Logger.Info("an object has a new document key")
	return nil
}
