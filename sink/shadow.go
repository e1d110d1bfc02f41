package sink

import (
	"context"

	"nubridge/internal/ledger"
)

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
