package sink

import (
	"context"
	"slices"

	"nubridge/internal/ledger"
	"nubridge/mapper"
)

// shadowed tells whether the mode keeps the key's call from NuORDER.
func (l *Loop) shadowed(key mapper.Key) bool {
	return l.config.Mode == Shadow || l.config.Mode == Canary && !l.canary(key)
}

// shadow stores the call instead of making it. The key is filtered: NuORDER does not have it.
func (l *Loop) shadow(ctx context.Context, t *turn, action string) {
	err := l.Ledger.Shadow(ctx, l.config.Environment, l.config.Flow, ledger.ShadowCall{
		Key: t.key, Action: action, RemoteKey: t.body.RemoteKey, Body: t.body.JSON,
	})
	if err != nil {
		l.Logger.Warn("a shadow call cannot be stored", "error", err)
		l.release([]*turn{t}, ledger.RestoreDoubt, l.Now().Add(l.backoff(t.attempts+1)))
		return
	}
	l.finish(t, l.settlement(t, ledger.Filtered, ledger.RestoreDoubt))
}

const shadowedPage = 2000

// sendShadowed asks for keys whose calls were stored while the mode was narrower, page by page, and gives the key to go on after.
// It goes round: an instance that is not restarted yet may store some more. // I1
func (l *Loop) sendShadowed(ctx context.Context, after mapper.Key) mapper.Key {
	if l.config.Mode == Shadow {
		return ""
	}
	keys, err := l.Ledger.ShadowedKeys(ctx, l.config.Environment, l.config.Flow, after, shadowedPage)
	if err == nil && len(keys) == shadowedPage {
		after = keys[len(keys)-1]
	} else {
		after = ""
	}
	if err == nil {
		err = l.Ledger.SendShadowed(ctx, l.config.Environment, l.config.Flow, slices.DeleteFunc(keys, l.shadowed))
	}
	if err != nil && ctx.Err() == nil {
		l.Logger.Warn("what was stored in shadow is not sent yet", "error", err)
	}
	return after
}
